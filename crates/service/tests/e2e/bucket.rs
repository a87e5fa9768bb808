//! Regions whose stores are buckets: of an S3 service, and in short of the other kinds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testkit::bucket::BucketKind;
use testkit::corpus::{self, TreeShape};
use testkit::link::Link;
use testkit::program;
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY, Seaweed};

use crate::world::{Ran, SOURCE, TARGET, World, assert_same_to_rsync};

/// In which backups are made.
const FIRST: &str = "ca-central-1";
/// To which they are copied.
const SECOND: &str = "sa-east-1";

/// So long a service is silent at least before it is asked once more, by `region_store/habits.rs` of `store`.
const SILENCE_MIN: Duration = Duration::from_secs(2);

/// A world whose commands have the key of the services.
struct Site {
    world: World,
    tree: PathBuf,
    resource: String,
}

fn service() -> Seaweed {
    Seaweed::start(&program::installed(Path::new(env!("CARGO_TARGET_TMPDIR")), "weed")).unwrap()
}

impl Site {
    fn new(first: &Seaweed, second: &Seaweed) -> Self {
        Self::at(&first.endpoint(), &second.endpoint())
    }

    /// The same for services at these endpoints.
    fn at(first: &str, second: &str) -> Self {
        let world = World::new();
        let tree = world.path("tree");
        corpus::tree(&tree, 91, &TreeShape::small()).unwrap();
        let mut site = Self { world, tree, resource: String::new() };
        site.add_region(FIRST, &format!("s3://first?endpoint={first}")).exits(0);
        site.add_region(SECOND, &format!("s3://second/site/b?endpoint={second}&region=sa-east-1")).exits(0);
        let tree = site.tree.clone();
        let added = [OsStr::new("resource"), "add".as_ref(), tree.as_ref(), "--region".as_ref(), FIRST.as_ref()];
        site.resource = site.run(added).id();
        site
    }

    fn add_region(&self, name: &str, store: &str) -> Ran {
        self.run(["region", "add", name, "--partition", "aws", "--store", store])
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        self.run_with_secret(arguments, SECRET_KEY)
    }

    fn run_with_secret<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, secret: &str) -> Ran {
        let mut command = self.world.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", secret);
        // Where requests go is the configuration's to say.
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_REGION", "nowhere");
        command.output().expect("the binary runs").into()
    }

    fn backup(&self) -> String {
        self.run(["backup", "create", &self.resource]).id()
    }

    fn state(&self, backup: &str) -> String {
        self.run(["backup", "show", backup, "--json"]).json()["state"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn assert_restorable(&self, backup: &str, name: &str) {
        let restored = self.world.path(name);
        let arguments = [OsStr::new("backup"), "restore".as_ref(), backup.as_ref(), restored.as_ref()];
        self.run(arguments).exits(0);
        assert_same_to_rsync(&self.tree, &restored);
    }
}

/// The whole story, whose end needs nothing of the service that is lost.
#[test]
fn backups_are_made_copied_verified_and_restored() {
    let (mut first, second) = (service(), service());
    let site = Site::new(&first, &second);
    site.backup();
    corpus::day_two(&site.tree, 92).unwrap();
    let backup = site.backup();
    let copy = site.run(["copy", &backup, "--to", SECOND]).id();
    // What the target has is not sent again.
    let again = site.run(["copy", &backup, "--to", SECOND]).id();
    let moved = site.run(["backup", "show", &again, "--json"]).json()["moved_bytes"].clone();
    assert_eq!(moved, 0, "{moved}");
    site.run(["backup", "rm", &again]).exits(0);
    site.run(["backup", "verify", &backup]).exits(0);
    first.stop();
    site.run(["gc", "--region", SECOND]).exits(0);
    site.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    site.assert_restorable(&copy, "restored");
}

/// A copy to a service that has gone stays where it is, and goes on when the service is back.
#[test]
fn a_copy_waits_for_a_service_that_is_away() {
    let (first, mut second) = (service(), service());
    let site = Site::new(&first, &second);
    let backup = site.backup();
    second.stop();
    let failed = site.run(["copy", &backup, "--to", SECOND]).exits(1);
    assert!(failed.stderr.contains("the store is not available"), "{}", failed.stderr);
    second.run().unwrap();
    let copy = site.run(["copy", &backup, "--to", SECOND]).id();
    assert_eq!(site.state(&copy), "AVAILABLE");
    let listed = site.run(["backup", "ls", "--region", SECOND, "--json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "it is the copy that was begun: {listed}");
    site.run(["backup", "verify", &copy, "--read-data"]).exits(0);
}

/// Three of ten requests fail, to the source and to the target. As each is sent again, there are 1/0.7 times as many, and no
/// more.
#[test]
fn copies_finish_though_requests_fail() {
    let server = service();
    let link = || Link::to(server.endpoint().trim_start_matches("http://")).unwrap();
    let source = link();
    let site = Site::at(&format!("http://{}", source.address()), &server.endpoint());
    let backup = |day: u8| {
        std::fs::write(site.tree.join(format!("day {day}")), [day; 1000]).unwrap();
        site.backup()
    };
    let backups: Vec<String> = (0..6).map(backup).collect();
    let (mut requests, mut slow_copies) = (Vec::new(), 0);
    for (region, failing) in [("eu-north-1", 0), ("eu-south-1", 3)] {
        let target = link();
        site.add_region(region, &format!("s3://{region}?endpoint=http://{}", target.address())).exits(0);
        let links = [&source, &target];
        for link in links {
            link.fail(failing);
            link.requests();
        }
        let mut copy = |backup: &String| {
            let began = Instant::now();
            let copy = site.run(["copy", backup, "--to", region]).id();
            slow_copies += u64::from(began.elapsed() >= SILENCE_MIN);
            copy
        };
        let copies: Vec<String> = backups.iter().map(&mut copy).collect();
        requests.push(links.map(Link::requests));
        for copy in &copies {
            site.run(["backup", "verify", copy, "--read-data"]).exits(0);
        }
        site.assert_restorable(copies.last().unwrap(), region);
    }
    // A process that reads so little asks each store once more at most, and that may fail once.
    let silences = 2 * slow_copies;
    for (sure, failing) in requests[0].iter().zip(&requests[1]) {
        assert!(
            failing > sure && 10 * failing <= 15 * sure + 10 * silences,
            "[source, target] with and without failures, {silences} after silences: {requests:?}"
        );
    }
}

/// Between regions that ask for it the service copies, and what it copied is as good as what went through this machine.
#[test]
fn the_service_of_both_buckets_copies_where_it_is_to() {
    let server = service();
    let link = Link::to(server.endpoint().trim_start_matches("http://")).unwrap();
    let site = Site::new(&server, &server);
    let regions = ["ap-south-1", "ap-south-2"];
    for region in regions {
        site.add_region(region, &format!("s3://{region}/below?endpoint=http://{}", link.address())).exits(0);
    }
    let config = site.world.path("site/offsite.toml");
    let added = [OsStr::new("resource"), "add".as_ref(), site.tree.as_ref(), "--region".as_ref(), regions[0].as_ref()];
    let resource = site.run(added).id();
    let backup = site.run(["backup", "create", &resource]).id();
    let copy = |to: &str| {
        link.carried();
        let said = site.run(["copy", &backup, "--to", to, "--json"]).json();
        let copied = said.get(0).unwrap_or(&said).clone();
        let moved = copied["bytes_moved"].as_u64().expect("a copy says what it moved");
        assert!(moved > 1 << 20, "{copied}");
        (copied["backup"]["id"].as_str().expect("a copy has an id").to_owned(), moved, link.carried())
    };
    let (sent, moved, carried) = copy(regions[1]);
    assert!(carried > 2 * moved, "{carried} bytes went by for {moved}");
    site.run(["backup", "rm", &sent]).exits(0);
    site.run(["gc", "--region", regions[1], "--grace", "0s"]).exits(0);
    let text = std::fs::read_to_string(&config).unwrap();
    let asked = regions.iter().fold(text, |text, region| {
        let name = format!("name = \"{region}\"");
        text.replace(&name, &format!("{name}\nserver_side_copies = true"))
    });
    std::fs::write(&config, asked).unwrap();
    let (copied, moved, carried) = copy(regions[1]);
    assert!(carried < moved / 4, "{carried} bytes went by for {moved}");
    site.run(["backup", "verify", &copied, "--read-data"]).exits(0);
    site.run(["backup", "rm", &backup]).exits(0);
    site.assert_restorable(&copied, "restored");
}

#[test]
fn a_catalog_is_rebuilt_from_a_bucket() {
    let server = service();
    let site = Site::new(&server, &server);
    let backup = site.backup();
    std::fs::remove_file(site.world.region(FIRST).join("catalog.db")).unwrap();
    let refused = site.run(["backup", "ls", "--region", FIRST]).exits(1);
    assert!(refused.stderr.contains("offsite rebuild"), "{}", refused.stderr);
    site.run(["rebuild", "--region", FIRST]).exits(0);
    site.assert_restorable(&backup, "restored");
}

#[test]
fn what_is_wrong_with_a_bucket_is_said() {
    let server = service();
    let site = Site::new(&server, &server);
    let backup = site.backup();
    // A store that has backups is not made the store of an empty catalog, whose gc would remove them.
    let again = World::new();
    let store = format!("s3://first?endpoint={}", server.endpoint());
    let mut command = again.command(["region", "add", FIRST, "--partition", "aws", "--store", &store]);
    let adopted =
        command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).output().unwrap();
    let adopted = Ran::from(adopted).exits(1);
    assert!(adopted.stderr.contains("there are backups") && adopted.stderr.contains("rebuild"), "{}", adopted.stderr);
    let denied = site.run_with_secret(["backup", "verify", &backup], "another secret").exits(1);
    assert!(denied.stderr.contains("access was denied"), "{}", denied.stderr);
    let taken = site.add_region("eu-north-1", &format!("s3://first?endpoint={}", server.endpoint())).exits(1);
    assert!(taken.stderr.contains("it is the store of ca-central-1"), "{}", taken.stderr);
    for store in [
        "s3://bucket",
        "s3://key:secret@bucket?region=r",
        "gs://bucket?account=secret",
        "az://container?account=a&sas=secret",
        "ftp://bucket",
    ] {
        let refused = site.add_region("eu-north-1", store).exits(1);
        assert!(refused.stderr.contains("region eu-north-1: store"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
    let nobodys = site.add_region("eu-north-1", "az://container").exits(1);
    assert!(nobodys.stderr.contains("account=NAME"), "{}", nobodys.stderr);
    let listed = site.run(["region", "ls"]).exits(0);
    assert!(listed.stdout.contains(&format!("s3://first?endpoint={}", server.endpoint())), "{}", listed.stdout);
}

/// A backup goes from a directory to a bucket of another kind and back, and is read there.
#[test]
fn backups_go_to_buckets_of_any_kind_and_back() {
    for kind in [BucketKind::Gcs, BucketKind::Azure] {
        let server = kind.start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let world = World::new();
        let run_with = |arguments: &[&str], secret: &str| {
            let mut command = world.command(arguments);
            // Where requests go is the configuration's to say.
            command.env("GOOGLE_BASE_URL", "http://127.0.0.1:9").env("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:9");
            Ran::from(command.envs(kind.credentials(secret)).output().expect("the binary runs"))
        };
        let run = |arguments: &[&str]| run_with(arguments, kind.secret());
        let store = server.address("offsite/site/b").unwrap();
        run(&["region", "add", FIRST, "--partition", "aws", "--store", &store]).exits(0);
        let tree = world.path("tree");
        corpus::tree(&tree, 93, &TreeShape::small()).unwrap();
        let resource = world.add(&tree);
        world.backup(&resource);
        corpus::day_two(&tree, 94).unwrap();
        let backup = world.backup(&resource);
        let there = run(&["copy", &backup, "--to", FIRST]).id();
        run(&["verify", "--region", FIRST]).exits(0);
        run(&["backup", "verify", &there, "--read-data"]).exits(0);
        let back = run(&["copy", &there, "--to", TARGET]).id();
        let moved = run(&["copy", &there, "--to", SOURCE]).id();
        assert_eq!(world.show(&moved)["moved_bytes"], 0, "{kind:?}: the source has it all");
        world.lose(SOURCE);
        for (copy, name) in [(&there, "from the bucket"), (&back, "from the directory")] {
            let restored = world.path(name);
            run(&["backup", "restore", copy, restored.to_str().unwrap()]).exits(0);
            assert_same_to_rsync(&tree, &restored);
        }
        let denied = run_with(&["backup", "verify", &there], "c3RyYW5nZXI=").exits(1);
        assert!(denied.stderr.contains("access was denied"), "{kind:?}: {}", denied.stderr);
        std::fs::remove_file(world.region(FIRST).join("catalog.db")).unwrap();
        run(&["rebuild", "--region", FIRST]).exits(0);
        run(&["backup", "rm", &there]).exits(0);
        run(&["gc", "--region", FIRST]).exits(0);
    }
}
