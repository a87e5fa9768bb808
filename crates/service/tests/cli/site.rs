//! Making a site, its configuration, its regions and its keys.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use crate::scene::{Scene, end, offsite};

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
