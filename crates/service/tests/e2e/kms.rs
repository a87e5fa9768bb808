//! Regions whose keys are in a key service that speaks AWS's protocol.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use testkit::corpus::{self, TreeShape};
use testkit::link::Link;
use testkit::moto::Moto;
use testkit::program;

use crate::world::{Ran, World, assert_same_to_rsync};

/// In which backups are made.
const FIRST: &str = "ca-central-1";
/// Has its keys in the same service.
const SECOND: &str = "sa-east-1";
/// Has a key file.
const THIRD: &str = "us-west-2";

/// A world whose commands have a key of the service.
struct Site {
    world: World,
    tree: PathBuf,
    /// Until it is lost.
    server: Option<Moto>,
    link: Link,
    resource: String,
}

impl Site {
    fn new() -> Self {
        let server = program::installed(Path::new(env!("CARGO_TARGET_TMPDIR")), "moto_server");
        let server = Moto::start(&server).unwrap();
        let link = Link::to(server.address()).unwrap();
        let world = World::new();
        let tree = world.path("tree");
        corpus::tree(&tree, 93, &TreeShape::small()).unwrap();
        let mut site = Self { world, tree, server: Some(server), link, resource: String::new() };
        let endpoint = format!("endpoint=http://{}", site.link.address());
        site.add_region(FIRST, &format!("awskms://?{endpoint}&region=eu-west-1")).exits(0);
        site.add_region(SECOND, &format!("awskms://?{endpoint}&region=eu-west-1&alias=second")).exits(0);
        let tree = site.tree.clone();
        let added = [OsStr::new("resource"), "add".as_ref(), tree.as_ref(), "--region".as_ref(), FIRST.as_ref()];
        site.resource = site.run(added).id();
        site
    }

    fn add_region(&self, name: &str, kms: &str) -> Ran {
        self.run(["region", "add", name, "--partition", "aws", "--kms", kms])
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        let mut command = self.world.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        // Where requests go is the configuration's to say.
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9");
        command.output().expect("the binary runs").into()
    }

    fn backup(&self) -> Ran {
        self.run(["backup", "create", &self.resource])
    }

    /// What the key service was asked for, while a backup was copied.
    fn copy(&self, backup: &str, region: &str) -> (String, Vec<String>) {
        self.link.actions();
        let copy = self.run(["copy", backup, "--to", region]).id();
        (copy, self.link.actions())
    }

    #[track_caller]
    fn assert_restorable(&self, backup: &str) {
        let restored = self.world.path(backup);
        let arguments = [OsStr::new("backup"), "restore".as_ref(), backup.as_ref(), restored.as_ref()];
        self.run(arguments).exits(0);
        assert_same_to_rsync(&self.tree, &restored);
    }
}

/// The whole story, whose end needs nothing of the key service that is lost.
#[test]
fn data_keys_are_wrapped_by_the_service_and_do_not_leave_it_without_need() {
    let mut site = Site::new();
    let backup = site.backup().id();
    corpus::day_two(&site.tree, 94).unwrap();
    let backup_two = site.backup().id();
    // Both have their keys there, so it wraps for the one what it wrapped for the other.
    let (copy, actions) = site.copy(&backup_two, SECOND);
    let asked = |actions: &[String], what: &str| actions.iter().any(|action| action == what);
    assert!(asked(&actions, "TrentService.ReEncrypt") && !asked(&actions, "TrentService.Decrypt"), "{actions:?}");
    let (away, actions) = site.copy(&backup_two, THIRD);
    assert!(asked(&actions, "TrentService.Decrypt") && !asked(&actions, "TrentService.ReEncrypt"), "{actions:?}");
    site.run(["backup", "verify", &backup, "--read-data"]).exits(0);
    site.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    site.assert_restorable(&copy);
    std::fs::remove_file(site.world.region(SECOND).join("catalog.db")).unwrap();
    site.run(["rebuild", "--region", SECOND]).exits(0);
    site.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    site.server = None;
    let refused = site.run(["backup", "verify", &copy, "--read-data"]).exits(1);
    assert!(refused.stdout.contains("the key service is not available"), "{}", refused.stdout);
    assert!(site.backup().exits(1).stderr.contains("the key service is not available"));
    site.assert_restorable(&away);
}

#[test]
fn keys_of_the_service_are_managed_and_its_refusals_explained() {
    let site = Site::new();
    let backup = site.backup().id();
    let listed = || site.run(["kms", "ls", "--region", FIRST, "--json"]).json();
    // Of each of the two regions the default.
    assert_eq!(listed().as_array().map(Vec::len), Some(2));
    let key = site.run(["kms", "create", "--region", FIRST]).id();
    site.run(["kms", "rotate", &key, "--region", FIRST]).exits(0);
    site.run(["kms", "disable", &key, "--region", FIRST]).exits(0);
    let keys = listed();
    let of_key = keys.as_array().unwrap().iter().find(|listed| listed["id"] == key.as_str()).unwrap();
    assert_eq!((&of_key["state"], &of_key["default"]), (&"DISABLED".into(), &false.into()), "{keys}");
    site.run(["kms", "enable", &key, "--region", FIRST]).exits(0);
    site.run(["copy", &backup, "--to", FIRST, "--kms-key", &key]).exits(0);
    for (code, said) in [
        ("DisabledException", "`offsite kms enable` enables one"),
        ("AccessDeniedException", "check what they and the key's policy permit"),
    ] {
        site.link.refuse(Some(code));
        let refused = site.run(["backup", "restore", &backup, site.world.path("restored").to_str().unwrap()]).exits(1);
        assert!(refused.stderr.contains(said) && refused.stderr.contains(code), "{}", refused.stderr);
    }
    site.link.refuse(None);
    site.assert_restorable(&backup);
    for kms in ["awskms://", "awskms://key:secret@host?region=r", "kms://?region=r"] {
        let refused = site.add_region("eu-north-1", kms).exits(1);
        assert!(refused.stderr.contains("region eu-north-1: kms"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
}
