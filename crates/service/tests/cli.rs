//! The commands as a user meets them: the real binary, its output and its exit status.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with a configuration and a small tree to back up.
struct Scene {
    dir: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
struct Ended {
    status: i32,
    stdout: String,
    stderr: String,
}

fn offsite(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offsite"));
    command.args(args).env_remove("OFFSITE_CONFIG").env_remove("OFFSITE_LOG").stdin(Stdio::null());
    command
}

fn end(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

impl Ended {
    #[track_caller]
    fn with_status(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    #[track_caller]
    fn ok(self) -> Self {
        self.with_status(0)
    }

    /// The one line on standard output.
    #[track_caller]
    fn line(&self) -> String {
        assert_eq!(self.stdout.lines().count(), 1, "{self:#?}");
        self.stdout.trim_end().to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        end(offsite(&["init", "--dir", dir.path().to_str().expect("UTF-8")])).ok();
        let scene = Self { dir };
        let tree = scene.path("tree");
        fs::create_dir_all(tree.join("docs")).expect("a directory");
        fs::write(tree.join("docs/readme"), "read me\n").expect("a file");
        let numbers: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(tree.join("large"), numbers).expect("a file");
        std::os::unix::fs::symlink("nowhere", tree.join("docs/link")).expect("a link");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = offsite(args);
        command.current_dir(self.dir.path());
        end(command)
    }

    /// As `run`, with nobody to read standard output.
    fn run_unread(&self, args: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = offsite(args);
        command.current_dir(self.dir.path()).stdout(writer);
        end(command)
    }

    fn add_tree(&self) -> String {
        self.run(&["resource", "add", "tree", "--region", "us-east-1", "--name", "a tree"]).ok().line()
    }

    fn back_up(&self, resource: &str) -> String {
        self.run(&["backup", "create", resource, "-q"]).ok().line()
    }
}

fn same_trees(a: &Path, b: &Path) {
    let compared = Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]).output().expect("diff runs");
    assert!(compared.status.success(), "{compared:?}");
}

const COMMANDS: [&[&str]; 31] = [
    &[],
    &["init"],
    &["resource"],
    &["resource", "add"],
    &["resource", "ls"],
    &["resource", "show"],
    &["resource", "rm"],
    &["backup"],
    &["backup", "create"],
    &["backup", "ls"],
    &["backup", "show"],
    &["backup", "files"],
    &["backup", "cat"],
    &["backup", "rm"],
    &["backup", "verify"],
    &["backup", "restore"],
    &["copy"],
    &["verify"],
    &["gc"],
    &["rebuild"],
    &["kms"],
    &["kms", "ls"],
    &["kms", "create"],
    &["kms", "disable"],
    &["kms", "enable"],
    &["kms", "rotate"],
    &["demo"],
    &["completions"],
    &["man"],
    &["help"],
    &["help", "copy"],
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS {
        let mut args = command.to_vec();
        if command.first() != Some(&"help") {
            args.push("--help");
        }
        let help = end(offsite(&args)).ok();
        assert!(help.stdout.contains("Usage: offsite"), "{args:?}: {help:?}");
        assert!(help.stderr.is_empty(), "{args:?}: {help:?}");
    }
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let scene = Scene::new();
    let id = "backup-0123456789abcdef0";
    for args in [
        &["frobnicate"][..],
        &["backup", "show"],
        &["backup", "show", "not-an-id"],
        &["backup", "rm"],
        &["backup", "verify", id, "--quick", "--read-data"],
        &["backup", "cat", id, "../etc/passwd"],
        &["backup", "restore", id, "out", "--path", "/etc"],
        &["backup", "create", "fs-0123456789abcdef0", "--tag", "novalue"],
        &["copy", id],
        &["copy", "--to", "us-west-2"],
        &["copy", "--missing", "--to", "us-west-2"],
        &["copy", id, "--missing", "--from", "us-east-1", "--to", "us-west-2"],
        &["copy", id, "--from", "us-east-1", "--to", "us-west-2"],
        &["copy", id, "--to", "us-west-2", "--resource", "fs-0123456789abcdef0"],
        &["copy", id, "--to", "us-west-2", "--bandwidth", "0"],
        &["gc", "--region", "us-east-1", "--grace", "soon"],
        &["gc"],
        &["resource", "add", "tree", "--region", "us-east-1", "--type", "tape"],
        &["kms", "enable", "key", "--region", "us-east-1"],
    ] {
        let ended = scene.run(args).with_status(2);
        assert!(ended.stdout.is_empty() && ended.stderr.contains("error: "), "{args:?}: {ended:?}");
    }
    let resource = scene.add_tree();
    scene.run(&["backup", "create", &resource, "--tag", "a=1", "--tag", "a=2"]).with_status(2);
}

#[test]
fn init_makes_private_files_and_refuses_to_run_twice() {
    let scene = Scene::new();
    for private in ["identities.toml", "us-east-1/kms.json"] {
        assert_eq!(fs::metadata(scene.path(private)).unwrap().permissions().mode() & 0o777, 0o600, "{private}");
    }
    let before = fs::read(scene.path("offsite.toml")).unwrap();
    let again = scene.run(&["init"]).with_status(1);
    assert!(again.stderr.contains("offsite.toml is there already"), "{again:?}");
    assert!(again.stderr.contains("\nhint: "), "{again:?}");
    assert_eq!(fs::read(scene.path("offsite.toml")).unwrap(), before);
}

#[test]
fn init_goes_on_after_a_crash_and_keeps_what_was_made() {
    let scene = Scene::new();
    let kept = ["identities.toml", "us-east-1/kms.json", "us-east-1/store/format.json"];
    let before = kept.map(|name| fs::read(scene.path(name)).unwrap());
    fs::remove_file(scene.path("offsite.toml")).unwrap();
    fs::remove_dir_all(scene.path("ap-beijing")).unwrap();
    scene.run(&["init"]).ok();
    assert_eq!(kept.map(|name| fs::read(scene.path(name)).unwrap()), before);
    scene.run(&["kms", "ls", "--region", "ap-beijing"]).ok();
}

#[test]
fn a_region_is_added_to_a_site_and_copied_to() {
    let scene = Scene::new();
    let before = fs::read_to_string(scene.path("offsite.toml")).unwrap();
    let mut command = offsite(&["region", "add", "eu-central-1", "--partition", "aws", "--dir", "far/away"]);
    command.arg("--config").arg(scene.path("offsite.toml")).current_dir("/");
    let added = end(command).ok();
    assert!(added.stderr.contains(scene.path("far/away").to_str().unwrap()), "{added:?}");
    let after = fs::read_to_string(scene.path("offsite.toml")).unwrap();
    assert!(after.starts_with(before.trim_end()), "{after}");
    assert!(scene.path("far/away/store").is_dir());
    let listed = scene.run(&["region", "ls", "--json"]).ok().json();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|region| region["region"].as_str().unwrap()).collect();
    assert_eq!(names.last(), Some(&"eu-central-1"));
    assert!(scene.run(&["region", "ls"]).ok().stdout.contains("eu-central-1"));
    let backup = scene.back_up(&scene.add_tree());
    let copy = scene.run(&["copy", &backup, "--to", "eu-central-1"]).ok().line();
    scene.run(&["backup", "verify", &copy, "--read-data"]).ok();
    let again = scene.run(&["region", "add", "eu-central-1", "--partition", "aws"]).with_status(1);
    assert!(again.stderr.contains("has a region eu-central-1 already"), "{again:?}");
    scene.run(&["region", "add", "No_Region", "--partition", "aws"]).with_status(2);
}

/// A server of another user could not read its identities any more, once root had made an account.
#[test]
fn what_root_changes_stays_its_owners() {
    let scene = Scene::new();
    let (kept, named) = (scene.path("kept"), scene.path("identities.toml"));
    fs::create_dir(&kept).unwrap();
    fs::rename(&named, kept.join("identities.toml")).unwrap();
    std::os::unix::fs::symlink("kept/identities.toml", &named).unwrap();
    let changed = Command::new("chown").args(["-R", "65534:65533"]).arg(scene.dir.path()).status().unwrap();
    assert!(changed.success());
    for (file, mode) in [("kept/identities.toml", 0o640), ("offsite.toml", 0o604)] {
        fs::set_permissions(scene.path(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    // Version 2; the owner may read and write, user 12345 read, the group nothing, the mask is reading, others nothing.
    let entries = [(1_u16, 6_u16, u32::MAX), (2, 4, 12345), (4, 0, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
    let entry =
        |(tag, may, id): (u16, u16, u32)| [&tag.to_le_bytes()[..], &may.to_le_bytes(), &id.to_le_bytes()].concat();
    let acl = [2_u32.to_le_bytes().to_vec()].into_iter().chain(entries.map(entry)).collect::<Vec<_>>().concat();
    let (named_acl, identities) = ("system.posix_acl_access", scene.path("kept/identities.toml"));
    rustix::fs::setxattr(&identities, named_acl, &acl, rustix::fs::XattrFlags::empty()).unwrap();
    let owned = |file: &str| {
        let file = scene.path(file).symlink_metadata().unwrap();
        (file.uid(), file.gid(), file.permissions().mode() & 0o777, file.is_file())
    };
    scene.run(&["account", "create", "of-root"]).ok();
    scene.run(&["region", "add", "eu-central-1", "--partition", "aws"]).ok();
    assert_eq!(owned("kept/identities.toml"), (65534, 65533, 0o640, true));
    assert_eq!(owned("offsite.toml"), (65534, 65533, 0o604, true));
    assert!(named.is_symlink());
    let mut command = offsite(&["account", "create", "of-theirs"]);
    std::os::unix::process::CommandExt::uid(command.current_dir(scene.dir.path()), 65534);
    std::os::unix::process::CommandExt::gid(&mut command, 65533);
    end(command).ok();
    let listed = scene.run(&["account", "ls"]).ok().stdout;
    assert!(listed.contains("of-root") && listed.contains("of-theirs"), "{listed}");
    let mut kept_acl = [0; 128];
    let len = rustix::fs::getxattr(&identities, named_acl, &mut kept_acl[..]).unwrap();
    assert_eq!(kept_acl[..len], acl);
    assert_eq!(owned("kept/identities.toml"), (65534, 65533, 0o640, true));
}

#[test]
fn a_missing_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = offsite(&["backup", "ls"]);
    command.current_dir(dir.path()).env("OFFSITE_CONFIG", "elsewhere.toml");
    let ended = end(command).with_status(1);
    assert!(ended.stderr.contains("elsewhere.toml") && ended.stderr.contains("offsite init"), "{ended:?}");
}

/// A mistyped name became an empty site, whose secrets were printed.
#[test]
fn a_server_makes_a_site_only_where_none_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let serve = |named: &[&str]| {
        let mut command = offsite(&[&["serve", "--listen", "127.0.0.1:0"], named].concat());
        command.current_dir(dir.path());
        command
    };
    let mut by_variable = serve(&[]);
    by_variable.env("OFFSITE_CONFIG", "offsit.toml");
    for refused in [serve(&["--config", "offsit.toml"]), serve(&["--config", "sub/offsite.toml"]), by_variable] {
        let refused = end(refused).with_status(1);
        assert!(refused.stderr.contains("there is no configuration at") && refused.stderr.contains("offsite init"));
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);

    let mut server = serve(&[]).stderr(Stdio::piped()).spawn().unwrap();
    let said = std::io::BufReader::new(server.stderr.take().unwrap());
    let listens = std::io::BufRead::lines(said).any(|line| line.unwrap().starts_with("listening on "));
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(listens && dir.path().join("client.env").exists());
}

#[test]
fn a_configuration_that_may_not_be_seen_is_not_taken_for_none() {
    let scene = Scene::new();
    let config = scene.path("offsite.toml");
    for command in [&["backup", "ls"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let mut command = offsite(command);
        command.arg("--config").arg(&config).current_dir("/");
        std::os::unix::process::CommandExt::uid(&mut command, 65534);
        let refused = end(command).with_status(1);
        assert!(refused.stderr.contains("Permission denied") && !refused.stderr.contains("no configuration"));
    }
}

#[test]
fn a_resource_gets_the_type_its_path_calls_for() {
    let scene = Scene::new();
    fs::write(scene.path("disk.img"), vec![1; 10_000]).unwrap();
    let odd = scene.path("").join(std::ffi::OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    let tree = scene.add_tree();
    assert!(tree.starts_with("fs-"), "{tree}");
    let disk = scene.run(&["resource", "add", "disk.img", "--region", "us-east-1"]).ok().line();
    assert!(disk.starts_with("disk-"), "{disk}");
    let refused = scene.run(&["resource", "add", "disk.img", "--region", "us-east-1", "--type", "hsm"]).with_status(1);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("a directory"), "{refused:?}");

    let shown = scene.run(&["resource", "show", &tree, "--json"]).ok().json();
    let path = scene.path("tree").canonicalize().unwrap();
    assert_eq!(shown["path"], path.to_str().unwrap());
    assert_eq!((&shown["type"], &shown["name"]), (&"openzfs".into(), &"a tree".into()));

    let mut command = offsite(&["resource", "add", "--region", "us-east-1"]);
    let odd_id = end({
        command.arg(&odd).current_dir(scene.dir.path());
        command
    });
    let shown = scene.run(&["resource", "show", &odd_id.ok().line(), "--json"]).ok().json();
    assert!(shown["path"].as_str().unwrap().ends_with("odd\\xff"), "{shown}");
    assert!(shown["path_hex"].as_str().unwrap().ends_with("6f6464ff"), "{shown}");

    assert_eq!(scene.run(&["resource", "ls", "--json"]).ok().json().as_array().unwrap().len(), 3);
    scene.run(&["resource", "rm", &disk]).ok();
    scene.run(&["resource", "show", &disk]).with_status(1);
    assert_eq!(scene.run(&["resource", "ls", "--json"]).ok().json().as_array().unwrap().len(), 2);
}

#[test]
fn a_backup_is_made_listed_read_restored_and_removed() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let backup = scene.run(&["backup", "create", &resource, "--tag", "day=1", "--tag", "by=me"]).ok().line();
    assert!(backup.starts_with("backup-"), "{backup}");

    let listed = scene.run(&["backup", "ls", "--json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], backup.as_str());
    assert_eq!((&listed[0]["state"], &listed[0]["region"]), (&"AVAILABLE".into(), &"us-east-1".into()));
    assert!(scene.run(&["backup", "ls"]).ok().stdout.contains(&backup));
    assert_eq!(scene.run(&["backup", "ls", "--region", "us-west-2", "--json"]).ok().json(), Value::Array(vec![]));

    let again = scene.run(&["backup", "create", &resource, "--json"]).ok().json();
    assert_eq!(again["backup"]["parent_id"], backup.as_str());
    assert!(again["bytes_stored"].as_u64().unwrap() < 10_000, "{again}");
    let shown = scene.run(&["backup", "show", &backup, "--json"]).ok().json();
    assert_eq!((&shown["tags"]["day"], &shown["tags"]["by"]), (&"1".into(), &"me".into()));
    assert_eq!(shown["omissions"], Value::Array(vec![]));

    let files = scene.run(&["backup", "files", &backup, "--json"]).ok().json();
    let paths: Vec<&str> = files.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, [".", "docs", "docs/link", "docs/readme", "large"]);
    let below = scene.run(&["backup", "files", &backup, "./docs/"]).ok();
    assert_eq!(below.stdout.lines().count(), 3, "{below:?}");
    assert!(below.stdout.contains("docs/link -> nowhere"), "{below:?}");
    scene.run(&["backup", "files", &backup, "nowhere"]).with_status(1);

    assert_eq!(scene.run(&["backup", "cat", &backup, "docs/readme"]).ok().stdout, "read me\n");
    scene.run(&["backup", "cat", &backup, "docs"]).with_status(1);
    for depth in [&[][..], &["--quick"], &["--read-data"]] {
        scene.run(&[&["backup", "verify", &backup], depth].concat()).ok();
    }

    scene.run(&["backup", "restore", &backup, "restored"]).ok();
    same_trees(&scene.path("tree"), &scene.path("restored"));
    scene.run(&["backup", "restore", &backup, "part", "--path", "docs/readme"]).ok();
    assert!(scene.path("part/docs/readme").exists() && !scene.path("part/large").exists());
    fs::write(scene.path("restored/docs/readme"), "changed").unwrap();
    scene.run(&["backup", "restore", &backup, "restored"]).with_status(1);
    scene.run(&["backup", "restore", &backup, "restored", "--overwrite"]).ok();
    same_trees(&scene.path("tree"), &scene.path("restored"));

    scene.run(&["backup", "rm", &backup]).ok();
    let gone = scene.run(&["backup", "show", &backup]).with_status(1);
    assert!(gone.stderr.contains(&backup) && gone.stderr.contains("hint: "), "{gone:?}");
}

#[test]
fn several_backups_are_removed_at_once_or_none_when_one_is_not_there() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let [first, second, third] = [(); 3].map(|()| scene.back_up(&resource));
    let copy = scene.run(&["copy", &first, "--to", "us-west-2"]).ok().line();
    let left = || scene.run(&["backup", "ls", "--json"]).ok().json().as_array().unwrap().len();

    let (unknown, other) = ("backup-0123456789abcdef0", "backup-0123456789abcdef1");
    let refused = scene.run(&["backup", "rm", &first, other, &copy, unknown]).with_status(1);
    assert!(refused.stderr.contains(&format!("there is no backup {unknown}, {other} in any region")), "{refused:?}");
    assert_eq!(left(), 4, "none is removed");

    // The store of one region is away; what is in the others goes nevertheless.
    let store = scene.path("us-east-1/store");
    fs::rename(&store, scene.path("away")).unwrap();
    let ended = scene.run(&["backup", "rm", &first, &copy, &first]).with_status(1);
    assert!(
        ended.stderr.contains(&format!("error: {first} could not be removed: the store of us-east-1")),
        "{ended:?}"
    );
    assert!(ended.stderr.contains(&format!("{copy} is removed")), "{ended:?}");
    fs::rename(scene.path("away"), &store).unwrap();
    assert_eq!(left(), 3);
    scene.run(&["backup", "rm", &first, &first, &third, &second, "-q"]).ok();
    assert_eq!(left(), 0);
}

#[test]
fn a_copy_outlives_the_region_it_came_from() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let planned = scene.run(&["copy", &backup, "--to", "us-west-2", "--dry-run", "--json"]).ok().json();
    fs::remove_dir_all(scene.path("us-gov-west-1")).unwrap();
    let copied = scene.run(&["copy", &backup, "--to", "us-west-2", "--to", "us-gov-west-1", "--to", "eu-west-1"]);
    let copied = copied.with_status(1);
    assert!(copied.stderr.contains("the copy to us-gov-west-1 failed: the catalog"), "{copied:?}");
    let [west, europe] = copied.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{copied:?}") };
    let shown = scene.run(&["backup", "show", west, "--json"]).ok().json();
    assert_eq!(shown["moved_bytes"], planned[0]["bytes_to_move"]);
    assert_eq!((&shown["source_backup"], &shown["source_region"]), (&backup.as_str().into(), &"us-east-1".into()));

    let planned = scene.run(&["copy", &backup, "--to", "us-west-2", "--dry-run", "--json"]).ok().json();
    assert_eq!(planned[0]["bytes_to_move"], 0);
    let refused = scene.run(&["copy", &backup, "--to", "cn-north-1"]).with_status(1);
    assert!(refused.stderr.contains("aws-cn"), "{refused:?}");
    scene.run(&["copy", &backup, "--to", "nowhere-1"]).with_status(1);

    fs::remove_dir_all(scene.path("us-east-1")).unwrap();
    let listed = scene.run(&["backup", "ls", "--json"]).with_status(3);
    assert!(listed.stderr.contains("us-east-1 is skipped"), "{listed:?}");
    let quiet = scene.run(&["backup", "ls", "-q"]).with_status(3);
    assert!(quiet.stderr.contains("us-east-1 is skipped"), "{quiet:?}");
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    let unknown = scene.run(&["backup", "show", &backup]).with_status(1);
    assert!(unknown.stderr.contains("it may be in us-east-1"), "{unknown:?}");
    for (copy, target) in [(west, "from-west"), (europe, "from-europe")] {
        scene.run(&["backup", "restore", copy, target]).ok();
        same_trees(&scene.path("tree"), &scene.path(target));
    }
}

#[test]
fn a_region_is_brought_up_to_date_with_another() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let (first, second) = (scene.back_up(&resource), scene.back_up(&resource));
    fs::create_dir(scene.path("other")).unwrap();
    fs::write(scene.path("other/file"), "of another tree").unwrap();
    let other = scene.run(&["resource", "add", "other", "--region", "us-east-1"]).ok().line();
    let third = scene.back_up(&other);
    scene.run(&["copy", &second, "--to", "us-west-2"]).ok();
    let missing = |more: &[&str]| scene.run(&[&["copy", "--missing", "--from"], more].concat());
    let names = |array: &Value, name: &str| -> Vec<String> {
        array.as_array().unwrap().iter().map(|one| one[name].as_str().unwrap().to_owned()).collect()
    };

    let both = ["us-east-1", "--to", "us-west-2", "--to", "eu-west-1"];
    let planned = missing(&[&both[..], &["--dry-run", "--json"]].concat()).ok().json();
    assert_eq!(names(&planned, "backup"), [&first[..], &first, &second, &third, &third]);
    assert_eq!(names(&planned, "target"), ["us-west-2", "eu-west-1", "eu-west-1", "us-west-2", "eu-west-1"]);
    assert_eq!(missing(&[&both[..], &["--dry-run"]].concat()).ok().stdout.lines().count(), 6);
    let bytes_of =
        |region: &str| packs(&scene.path(region)).iter().map(|pack| pack.metadata().unwrap().len()).sum::<u64>();
    let to_move = |region: &str| -> u64 {
        let of_region = planned.as_array().unwrap().iter().filter(|plan| plan["target"] == region);
        of_region.map(|plan| plan["bytes_to_move"].as_u64().unwrap()).sum()
    };
    let expected: [u64; 2] = [bytes_of("us-west-2") + to_move("us-west-2"), to_move("eu-west-1")];

    let of_one = missing(&[&both[..], &["--resource", &other, "--tag", "a=1", "--json"]].concat()).ok().json();
    let copies: Vec<&Value> = of_one.as_array().unwrap().iter().map(|report| &report["backup"]).collect();
    assert!(copies.len() == 2 && copies.iter().all(|copy| copy["source_backup"] == third.as_str()), "{of_one}");
    assert!(copies.iter().all(|copy| copy["tags"]["a"] == "1"), "{of_one}");
    // The rest, oldest first.
    let made = missing(&both).ok();
    let sources: Vec<Value> = made
        .stdout
        .lines()
        .map(|copy| scene.run(&["backup", "show", copy, "--json"]).ok().json()["source_backup"].clone())
        .collect();
    assert_eq!(sources, [&first[..], &first, &second], "{made:?}");
    assert_eq!([bytes_of("us-west-2"), bytes_of("eu-west-1")], expected, "what a dry run says is so to the byte");

    let again = missing(&both).ok();
    assert!(again.stdout.is_empty() && again.stderr.contains("us-west-2 has all"), "{again:?}");
    assert_eq!(missing(&[&both[..], &["--json"]].concat()).ok().json(), Value::Array(vec![]));
    // Neither back nor around.
    for from in ["us-west-2", "eu-west-1"] {
        assert!(missing(&[from, "--to", "us-east-1"]).ok().stdout.is_empty());
    }
    assert!(missing(&["us-west-2", "--to", "eu-west-1"]).ok().stdout.is_empty());

    let fourth = scene.back_up(&resource);
    fs::rename(scene.path("eu-west-1"), scene.path("away")).unwrap();
    let one_is_away = missing(&both).with_status(1);
    assert!(
        one_is_away.stderr.contains("error: eu-west-1 cannot be brought up to date: the catalog"),
        "{one_is_away:?}"
    );
    let copy = scene.run(&["backup", "show", &one_is_away.line(), "--json"]).ok().json();
    assert_eq!(copy["source_backup"], fourth.as_str());
    let refused = missing(&["us-east-1", "--to", "cn-north-1"]).with_status(1);
    assert!(refused.stderr.contains("aws-cn"), "{refused:?}");
    let unknown = missing(&["us-east-1", "--to", "us-west-2", "--resource", "fs-0123456789abcdef0"]).with_status(1);
    assert!(unknown.stderr.contains("there is no resource fs-0123456789abcdef0 in us-east-1"), "{unknown:?}");
    missing(&["us-east-1", "--to", "us-east-1"]).with_status(2);
}

#[test]
fn a_backup_that_cannot_be_copied_keeps_none_of_the_others() {
    let scene = Scene::new();
    let resource = scene.add_tree();
    let first = scene.back_up(&resource);
    let kept = packs(&scene.path("us-east-1"));
    fs::write(scene.path("tree/more"), "more").unwrap();
    let damaged = scene.back_up(&resource);
    let pack = packs(&scene.path("us-east-1")).into_iter().find(|pack| !kept.contains(pack)).unwrap();
    fs::remove_file(&pack).unwrap();
    fs::remove_file(scene.path("tree/more")).unwrap();
    let third = scene.back_up(&resource);
    let ended = scene.run(&["copy", "--missing", "--from", "us-east-1", "--to", "us-west-2", "--json"]).with_status(1);
    assert!(ended.stderr.contains(&format!("the copy of {damaged} to us-west-2 failed")), "{ended:?}");
    let made: Vec<Value> =
        ended.json().as_array().unwrap().iter().map(|report| report["backup"]["source_backup"].clone()).collect();
    assert_eq!(made, [&first[..], &third]);
}

/// Every pack in a region's store.
fn packs(region: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![region.join("store")];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() { left.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| path.components().any(|part| part.as_os_str() == "packs"));
    found
}

#[test]
fn a_mistyped_path_leaves_the_target_of_a_restore_as_it_was() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let restore = |more: &[&str]| scene.run(&[&["backup", "restore", &backup, "target"], more].concat());
    let refused = restore(&["--path", "docs", "--path", "dosc"]).with_status(1);
    assert!(refused.stderr.contains("has nothing at dosc"), "{refused:?}");
    assert!(!scene.path("target").exists());
    restore(&["--path", "docs"]).ok();
    assert_eq!(fs::read(scene.path("target/docs/readme")).unwrap(), b"read me\n");
    let refused = restore(&[]).with_status(1);
    assert!(refused.stderr.contains("--overwrite"), "{refused:?}");
}

#[test]
fn damage_is_reported_and_mended_from_another_region() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    scene.run(&["copy", &backup, "--to", "us-west-2"]).ok();
    scene.run(&["verify", "--region", "us-east-1"]).ok();
    let pack = packs(&scene.path("us-east-1")).pop().unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();

    let damaged = scene.run(&["backup", "verify", &backup, "--json"]).with_status(1);
    assert_eq!(damaged.json()["faults"].as_array().unwrap().len(), 1, "{damaged:?}");
    assert!(damaged.stderr.contains("--repair-from"), "{damaged:?}");
    // Whosever they are, unless one account is named.
    let other = scene.run(&["account", "create", "other"]).ok().line();
    let verified = |account: &[&str]| scene.run(&[&["verify", "--region", "us-east-1"], account].concat());
    verified(&["--account", &other]).ok();
    verified(&[]).with_status(1);
    fs::create_dir(scene.path("theirs")).unwrap();
    fs::write(scene.path("theirs/file"), "of another account").unwrap();
    let theirs = ["resource", "add", "theirs", "--region", "us-east-1", "--account", &other];
    let theirs = scene.run(&theirs).ok().line();
    scene.run(&["backup", "create", &theirs, "--account", &other]).ok();
    let both = verified(&["--json"]).with_status(1).json();
    let owners: Vec<&Value> = both["backups"].as_array().unwrap().iter().map(|backup| &backup["account"]).collect();
    assert!(owners.len() == 2 && owners.contains(&&Value::from(other.as_str())), "{both}");
    let named = verified(&[]).with_status(1).stdout;
    assert!(named.contains(&format!("of account {other}:")), "{named}");
    let mended = scene.run(&["verify", "--region", "us-east-1", "--repair-from", "us-west-2", "--json"]).ok();
    assert_eq!(mended.json()["repaired"].as_array().unwrap().len(), 1, "{mended:?}");
    scene.run(&["backup", "verify", &backup, "--read-data"]).ok();
}

#[test]
fn gc_takes_what_no_backup_needs_after_its_grace() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    scene.run(&["backup", "rm", &backup]).ok();
    let gc = |more: &[&str]| scene.run(&[&["gc", "--region", "us-east-1", "--json"], more].concat()).ok().json();
    assert_eq!(gc(&["--grace", "1h"])["packs_deleted"], 0);
    assert!(!packs(&scene.path("us-east-1")).is_empty());
    gc(&["--grace", "0s"]);
    gc(&["--grace", "0s"]);
    assert!(packs(&scene.path("us-east-1")).is_empty());
}

#[test]
fn a_lost_catalog_comes_back_from_the_store() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let before = scene.run(&["backup", "show", &backup, "--json"]).ok().json();
    for lost in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        drop(fs::remove_file(scene.path("us-east-1").join(lost)));
    }
    let missing = scene.run(&["backup", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(missing.stderr.contains("hint: `offsite rebuild --region us-east-1`"), "{missing:?}");
    let rebuilt = scene.run(&["rebuild", "--region", "us-east-1", "--json"]).ok().json();
    assert_eq!((&rebuilt["backups"], &rebuilt["resources"]), (&1.into(), &1.into()));
    assert_eq!(scene.run(&["backup", "show", &backup, "--json"]).ok().json(), before);
    scene.run(&["rebuild", "--region", "us-east-1"]).ok();
    assert!(scene.path("us-east-1/catalog.db.before-rebuild-1").exists());
    assert_eq!(scene.run(&["backup", "show", &backup, "--json"]).ok().json(), before);
}

#[test]
fn a_store_of_another_making_is_refused() {
    let scene = Scene::new();
    let other = Scene::new();
    fs::remove_dir_all(scene.path("us-east-1/store")).unwrap();
    fs::rename(other.path("us-east-1/store"), scene.path("us-east-1/store")).unwrap();
    let refused = scene.run(&["kms", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(refused.stderr.contains("not the one its catalog was made for"), "{refused:?}");
}

#[test]
fn a_catalog_that_was_emptied_is_not_taken_for_an_empty_region() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    for companion in ["catalog.db-wal", "catalog.db-shm"] {
        drop(fs::remove_file(scene.path("us-east-1").join(companion)));
    }
    fs::write(scene.path("us-east-1/catalog.db"), "").unwrap();
    let refused = scene.run(&["backup", "ls", "--region", "us-east-1"]).with_status(1);
    assert!(refused.stderr.contains("hint: `offsite rebuild --region us-east-1`"), "{refused:?}");
    scene.run(&["rebuild", "--region", "us-east-1"]).ok();
    scene.run(&["backup", "verify", &backup]).ok();
}

#[test]
fn keys_are_made_disabled_enabled_and_rotated() {
    let scene = Scene::new();
    let place = ["--region", "us-east-1"];
    let key = scene.run(&[&["kms", "create"], &place[..]].concat()).ok().line();
    let resource = scene.add_tree();
    let backup = scene.run(&["backup", "create", &resource, "--kms-key", &key]).ok().line();
    scene.run(&[&["kms", "disable", &key], &place[..]].concat()).ok();
    let denied = scene.run(&["backup", "cat", &backup, "docs/readme"]).with_status(1);
    assert!(denied.stderr.contains(&key), "{denied:?}");
    scene.run(&[&["kms", "enable", &key], &place[..]].concat()).ok();
    scene.run(&[&["kms", "rotate", &key], &place[..]].concat()).ok();
    scene.run(&["backup", "cat", &backup, "docs/readme"]).ok();
    let keys = scene.run(&[&["kms", "ls", "--json"], &place[..]].concat()).ok().json();
    assert_eq!((&keys[1]["id"], &keys[1]["state"], &keys[1]["versions"]), (&key.into(), &"ENABLED".into(), &2.into()));
}

#[test]
fn a_socket_is_listed_as_left_out() {
    let scene = Scene::new();
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("tree/socket")).unwrap();
    let resource = scene.add_tree();
    let made = scene.run(&["backup", "create", &resource]);
    let backup = made.line();
    let restored = scene.run(&["backup", "restore", &backup, "out"]).with_status(3);
    assert!(restored.stderr.contains("left out: socket"), "{restored:?}");
}

#[test]
fn what_is_offsites_own_is_left_out_of_a_tree_and_is_no_resource() {
    let scene = Scene::new();
    let all = scene.run(&["resource", "add", ".", "--region", "us-east-1"]).ok().line();
    let first = scene.run(&["backup", "create", &all]).ok();
    assert!(first.stderr.contains("places, ap-beijing/catalog.db among them"), "{first:?}");
    let stored = || packs(&scene.path("us-east-1")).iter().map(|pack| pack.metadata().unwrap().len()).sum::<u64>();
    let before = stored();
    let second = scene.run(&["backup", "create", &all, "-q"]).ok();
    assert!(second.stderr.is_empty(), "{second:?}");
    assert!(stored() - before < 20_000, "{before} bytes became {}", stored());

    let backup = second.line();
    let files = scene.run(&["backup", "files", &backup, "--json"]).ok().json();
    let paths: Vec<&str> = files.as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    let is_own = |path: &&&str| path.contains("/store/") || path.contains("/catalog.db");
    assert_eq!(paths.iter().filter(is_own).collect::<Vec<_>>(), Vec::<&&str>::new());
    for kept in ["us-east-1/store", "us-east-1/kms.json", "offsite.toml", "tree/large"] {
        assert!(paths.contains(&kept), "{kept}: {paths:?}");
    }
    let listed = scene.run(&["backup", "show", &backup, "--omissions"]).ok().stdout;
    assert!(listed.contains("us-east-1/store is offsite's own, not backed up: the store of us-east-1\n"), "{listed}");
    scene.run(&["backup", "restore", &backup, "out"]).ok();
    same_trees(&scene.path("tree"), &scene.path("out/tree"));

    std::os::unix::fs::symlink("us-east-1/store", scene.path("link")).unwrap();
    let packs_of = packs(&scene.path("us-east-1"))[0].parent().unwrap().to_str().unwrap().to_owned();
    for own in ["us-west-2/store", &packs_of, "link", "us-east-1/catalog.db"] {
        let refused = scene.run(&["resource", "add", own, "--region", "us-east-1"]).with_status(1);
        assert!(refused.stderr.contains("which is not backed up\nhint: "), "{refused:?}");
    }
    scene.run(&["resource", "add", "us-east-1", "--region", "us-west-2"]).ok();
}

#[test]
fn a_resource_in_which_a_region_is_made_later_is_backed_up_as_before() {
    let scene = Scene::new();
    let mut resources = Vec::new();
    for path in ["far", "far/store", "far/store/deep"] {
        fs::create_dir_all(scene.path(path)).unwrap();
        fs::write(scene.path(path).join("file"), path).unwrap();
        resources.push(scene.run(&["resource", "add", path, "--region", "us-east-1"]).ok().line());
    }
    scene.run(&["region", "add", "eu-central-1", "--partition", "aws", "--dir", "far"]).ok();
    for resource in &resources {
        let backup = scene.back_up(resource);
        scene.run(&["backup", "cat", &backup, "file"]).ok();
    }
    let above = scene.run(&["backup", "create", &resources[0], "--json"]).ok().json();
    assert!(above["backup"]["omissions"].to_string().contains("the store of eu-central-1"), "{above}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    let ended = scene.run_unread(&["backup", "cat", &backup, "large"]).ok();
    assert_eq!(ended.stderr, "");
    scene.run_unread(&["backup", "ls"]).ok();
    scene.run_unread(&["backup", "verify", &backup]).ok();
}

/// `offsite verify | head -1` ended with 0 over a damaged region.
#[test]
fn a_reader_that_goes_away_makes_nothing_good() {
    let scene = Scene::new();
    let _socket = std::os::unix::net::UnixListener::bind(scene.path("tree/socket")).unwrap();
    let resource = scene.add_tree();
    let backup = scene.back_up(&resource);
    let restored = scene.run_unread(&["backup", "restore", &backup, "out", "--json"]).with_status(3);
    assert!(restored.stderr.contains("left out: socket"), "{restored:?}");
    fs::remove_dir_all(scene.path("us-gov-west-1")).unwrap();
    scene.run_unread(&["copy", &backup, "--to", "us-west-2", "--to", "us-gov-west-1"]).with_status(1);
    let to_both = ["copy", &backup, "--to", "us-west-2", "--to", "eu-west-1", "--detach"];
    scene.run_unread(&to_both).ok();
    let accepted = scene.run(&["backup", "ls", "--region", "eu-west-1", "--json"]).ok().json();
    assert_eq!(accepted.as_array().unwrap().len(), 1, "{accepted}");
    for pack in packs(&scene.path("us-east-1")) {
        fs::remove_file(pack).unwrap();
    }
    for verify in [&["backup", "verify", &backup][..], &["verify", "--region", "us-east-1"]] {
        for json in [&[][..], &["--json"]] {
            let damaged = scene.run_unread(&[verify, json].concat()).with_status(1);
            assert!(damaged.stderr.contains("error: ") && damaged.stderr.contains("hint: "), "{damaged:?}");
        }
    }
}

#[test]
fn what_a_signal_ended_says_so_in_its_status() {
    let scene = Scene::new();
    for (signal, status) in [("-INT", 130), ("-TERM", 143)] {
        // A service that never answers keeps the command busy.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let store = format!("s3://bucket?endpoint=http://{}&region=r", silent.local_addr().unwrap());
        let mut command = offsite(&["region", "add", "eu-central-1", "--partition", "aws", "--store", &store]);
        command.current_dir(scene.dir.path()).env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _asked = silent.accept().unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), &ended.stderr[..]), (Some(status), &b"interrupted\n"[..]), "{ended:?}");
    }
}

#[test]
fn names_cannot_speak_to_the_terminal() {
    let scene = Scene::new();
    scene.run(&["account", "create", "\u{1b}[2Jgone"]).ok();
    let listed = scene.run(&["account", "ls"]).ok().stdout;
    assert!(listed.contains("\\u{1b}[2Jgone") && !listed.contains('\u{1b}'), "{listed}");
}

#[test]
fn a_file_is_no_place_for_a_directory() {
    let scene = Scene::new();
    let backup = scene.back_up(&scene.add_tree());
    fs::write(scene.path("file"), "precious").unwrap();
    for more in [&[][..], &["--overwrite"]] {
        let refused = scene.run(&[&["backup", "restore", &backup, "file"], more].concat()).with_status(1);
        assert!(refused.stderr.contains("file is not a directory"), "{refused:?}");
        assert!(!refused.stderr.contains("--overwrite"), "{refused:?}");
    }
    assert_eq!(fs::read(scene.path("file")).unwrap(), b"precious");
}

#[test]
fn completions_and_manual_pages_are_made() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        assert!(end(offsite(&["completions", shell])).ok().stdout.contains("offsite"), "{shell}");
    }
    end(offsite(&["man", dir.path().to_str().unwrap()])).ok();
    assert!(dir.path().join("offsite-backup-create.1").exists());
}

#[test]
fn the_demo_ends_well() {
    let scene = Scene::new();
    let mut command = offsite(&["demo", "-q", "--size", "9MB"]);
    command.arg(scene.path("tree")).env("TMPDIR", scene.dir.path());
    let told = end(command).ok();
    assert!(told.stdout.ends_with("\nAll equal.\n"), "{told:?}");
    let left = fs::read_dir(scene.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().contains("demo")), "the scratch place was left behind");
}
