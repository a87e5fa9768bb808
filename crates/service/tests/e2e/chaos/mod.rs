//! Chaos: clients at work on a cluster whose parts are killed, paused, cut off, slowed and refused, at random.
//!
//! What a server has acknowledged is there at the end, equal and once, whatever happened meanwhile. `cargo xtask chaos` runs
//! this for longer, and with another seed each time.

pub(crate) mod client;
mod judge;
pub(crate) mod trouble;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::cluster::{Cluster, ClusterPlan};
use testkit::corpus::Random;

use client::Client;

/// Nodes of each region.
const NODES: usize = 2;

/// Clients that work at the same time.
const CLIENTS: u64 = 2;

/// How long it takes at least where nobody says, and with which seed.
const SECONDS: u64 = 20;
const SEED: u64 = 20_261_122;

#[test]
fn what_was_acknowledged_is_there_after_chaos() {
    let (seed, seconds) = (number("OFFSITE_CHAOS_SEED", SEED), number("OFFSITE_CHAOS_SECONDS", SECONDS));
    eprintln!("{seconds} seconds of chaos with the seed {seed}");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target folder");
    let plan = ClusterPlan {
        offsite: PathBuf::from(env!("CARGO_BIN_EXE_offsite")),
        programs: target.join("venv/bin"),
        nodes_per_region: NODES,
        // What is left over goes soon, so that gc has something to do.
        settings: vec![("lease_seconds", "3"), ("gc_grace", "\"2s\"")],
    };
    let mut cluster = Cluster::start(&plan).unwrap();
    let end = Instant::now() + Duration::from_secs(seconds);
    let is_over = AtomicBool::new(false);
    let mut clients: Vec<Client> = (1..=CLIENTS).map(|number| Client::new(&cluster, seed ^ number, number)).collect();
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| client.work_until(&is_over));
        }
        // Also where making trouble fails.
        let _ending = Ending(&is_over);
        trouble::make(&mut cluster, &mut Random::new(seed), end);
    });
    judge::assert_all_is_there(&cluster, &mut clients);
}

/// Lets the clients end.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "how long to make trouble is for whoever runs the tests to say")]
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}
