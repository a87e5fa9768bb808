//! Regions whose servers do not answer.

use std::net::TcpListener;

use super::served::Served;
use crate::world::World;

/// A store and a catalog that take connections and say nothing: the worst that a server can do.
#[test]
fn regions_that_are_mute_keep_nobody_waiting() {
    let mute = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = mute.local_addr().unwrap();
    let world = World::new();
    let regions = ["eu-north-1", "eu-south-1"];
    for region in regions {
        world.run(["region", "add", region, "--partition", "aws"]).exits(0);
    }
    let config = world.site().join("offsite.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let changed = text
        .replace("file:eu-north-1/store", &format!("s3://store?endpoint=http://{address}"))
        .replace("sqlite:eu-south-1/catalog.db", &format!("postgres://offsite@{address}/catalog"));
    assert_eq!(changed.matches(&address.to_string()).count(), 2, "{changed}");
    std::fs::write(&config, changed).unwrap();
    let served = Served::of(world);
    served.assert_serves();
    for region in regions {
        let reply = served.ask(served.fsx(region, "DescribeBackups", "{}"));
        assert_eq!(reply.status, 503, "{}", reply.text());
    }
}
