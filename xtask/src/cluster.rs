//! `cargo xtask cluster` and `cargo xtask chaos`: two regions on real servers, for a person to play with, and for trouble.

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use testkit::cluster::{Cluster, ClusterPlan};
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY};

use crate::{test, workspace};

/// Options of `cargo xtask cluster`.
#[derive(Args)]
pub(crate) struct ClusterOptions {
    /// Nodes of each region.
    #[arg(long, value_name = "N", default_value_t = 2)]
    nodes: usize,
}

/// Options of `cargo xtask chaos`.
#[derive(Args)]
pub(crate) struct ChaosOptions {
    /// How long there is trouble.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u64,
    /// What the trouble and the work follow from, as far as time allows [default: another one each time].
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// Runs a cluster until Ctrl-C.
pub(crate) fn run(options: &ClusterOptions) -> Result<ExitCode> {
    // The servers get what the terminal sends, too, and end by themselves; what is left of them goes with the cluster.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("failed to wait for signals")?;
    test::install()?;
    let status = workspace::cargo(&["build", "--release", "--package", "offsite"]).status()?;
    ensure!(status.success(), "{status}");
    let target = workspace::target_dir()?;
    let plan = ClusterPlan {
        offsite: target.join("release/offsite"),
        programs: target.join("venv/bin"),
        nodes_per_region: options.nodes,
        settings: vec![("lease_seconds", "10")],
    };
    let cluster = Cluster::start(&plan).context("the cluster did not come up")?;
    let folder = cluster.folder().display();
    println!("\na cluster in {folder}, until Ctrl-C\n");
    for site in &cluster.sites {
        println!("region {}", site.region);
        for node in cluster.nodes.iter().filter(|node| node.region == site.region) {
            println!("  node     http://{}   log {}", node.host, node.log.display());
        }
        println!("  store    {} (SeaweedFS)", site.store.endpoint());
        println!("  catalog  {}", site.catalog.address("offsite"));
        println!("  keys     http://{} (moto)", site.keys.address());
    }
    println!("\nclients need\n  . {}", cluster.client_env().display());
    println!("commands need\n  export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
    println!("  {} --config {} region ls", plan.offsite.display(), cluster.config().display());
    signals.forever().next();
    println!("stopping");
    drop(cluster);
    Ok(ExitCode::SUCCESS)
}

/// Runs the test of that name for longer.
pub(crate) fn chaos(options: &ChaosOptions) -> Result<ExitCode> {
    test::install()?;
    let seed = options.seed.unwrap_or_else(|| RandomState::new().hash_one(()));
    let mut command = workspace::cargo(&["test", "--release", "--workspace", "--all-features", "--test", "e2e"]);
    command.args(["--", "--exact", "chaos::what_was_acknowledged_is_there_after_chaos", "--nocapture"]);
    command.env("OFFSITE_CHAOS_SEED", seed.to_string());
    command.env("OFFSITE_CHAOS_SECONDS", options.minutes.saturating_mul(60).to_string());
    let status = command.status()?;
    if !status.success() {
        eprintln!("again: cargo xtask chaos --minutes {} --seed {seed}", options.minutes);
    }
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
