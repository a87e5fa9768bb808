//! What holds for every command: its help, its usage, its output and its exit status.

use std::fs;
use std::process::{Command, Stdio};

use crate::scene::{Scene, end, offsite, packs};

const COMMANDS: [&[&str]; 33] = [
    &[],
    &["init"],
    &["resource"],
    &["resource", "add"],
    &["resource", "ls"],
    &["resource", "show"],
    &["resource", "set"],
    &["resource", "rm"],
    &["backup"],
    &["backup", "create"],
    &["backup", "ls"],
    &["backup", "show"],
    &["backup", "files"],
    &["backup", "cat"],
    &["backup", "rm"],
    &["backup", "forget"],
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
        &["backup", "verify", id, "--part", "4/3"],
        &["backup", "forget"],
        &["backup", "forget", "--keep-last", "0"],
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
