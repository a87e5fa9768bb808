//! Regions whose catalogs are in PostgreSQL.

use std::ffi::OsStr;
use std::path::PathBuf;

use testkit::corpus::{self, TreeShape};
use testkit::postgres::Postgres;

use crate::world::{World, assert_same_to_rsync};

/// In which backups are made.
const FIRST: &str = "ca-central-1";
/// To which they are copied.
const SECOND: &str = "sa-east-1";

fn add_region(world: &World, name: &str, catalog: &str) {
    world.run(["region", "add", name, "--partition", "aws", "--catalog", catalog]).exits(0);
}

/// Two regions, and a tree that is a resource of the first.
fn site(server: &Postgres) -> (World, PathBuf, String) {
    let world = World::new();
    add_region(&world, FIRST, &server.new_database("first").unwrap());
    add_region(&world, SECOND, &server.new_database("second").unwrap());
    let tree = world.path("tree");
    corpus::tree(&tree, 71, &TreeShape::small()).unwrap();
    let added = [OsStr::new("resource"), "add".as_ref(), tree.as_ref(), "--region".as_ref(), FIRST.as_ref()];
    let resource = world.run(added).id();
    (world, tree, resource)
}

/// The whole story, whose end needs nothing of the region that is lost.
#[test]
fn backups_are_made_copied_verified_and_restored() {
    let server = Postgres::start().unwrap();
    let (world, tree, resource) = site(&server);
    world.backup(&resource);
    corpus::day_two(&tree, 72).unwrap();
    let backup = world.backup(&resource);
    assert_eq!(world.show(&backup)["parent_id"].as_str().map(|id| id.starts_with("backup-")), Some(true));
    let copy = world.run(["copy", &backup, "--to", SECOND]).id();
    world.run(["backup", "verify", &copy, "--read-data"]).exits(0);
    world.run(["gc", "--region", SECOND]).exits(0);
    world.lose(FIRST);
    let restored = world.path("restored");
    world.restore(&copy, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
    let events = world.run(["event", "ls", "--region", SECOND, "--json"]).json();
    assert!(events.as_array().unwrap().iter().any(|event| event["subject"] == *copy), "{events}");
}

#[test]
fn a_catalog_is_rebuilt_into_a_new_database_only() {
    let server = Postgres::start().unwrap();
    let (world, tree, resource) = site(&server);
    let backup = world.backup(&resource);
    let config = world.site().join("offsite.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let again = server.new_database("again").unwrap();
    std::fs::write(&config, text.replace("/first?", "/again?")).unwrap();
    let refused = world.run(["gc", "--region", FIRST, "--dry-run"]).exits(1);
    assert!(refused.stderr.contains("there is no catalog in the database"), "{}", refused.stderr);
    world.run(["rebuild", "--region", FIRST]).exits(0);
    let restored = world.path("restored");
    world.restore(&backup, &restored).exits(0);
    assert_same_to_rsync(&tree, &restored);
    let refused = world.run(["rebuild", "--region", FIRST]).exits(1);
    assert!(refused.stderr.contains("which may be in use"), "{}", refused.stderr);
    // One catalog is of one region.
    let refused = world.run(["region", "add", "eu-north-1", "--partition", "aws", "--catalog", &again]).exits(1);
    assert!(refused.stderr.contains("is the catalog of another region"), "{}", refused.stderr);
    let listed = world.run(["region", "ls", "--json"]).exits(0);
    assert!(listed.stdout.contains("postgres://offsite@localhost/again"), "{}", listed.stdout);
    for shown in [listed.stdout, listed.stderr, refused.stderr] {
        assert!(!shown.contains("secret"), "{shown}");
    }
}
