//! Project chores, run as `cargo xtask <task>`.
//!
//! Compiled before anything else, so it depends on little and on no crate of the product.

mod bench;
mod cluster;
mod corpus;
mod instructions;
mod python;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Project chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Checks everything: formatting, lints, documentation, layers, tests.
    Test(test::Options),
    /// Times whole processes beside restic, rustic, borg, conserve, rclone, rsync and cp.
    Bench(bench::Options),
    /// Counts the instructions of the inner loops and compares them with those that are kept.
    Instructions(instructions::Options),
    /// Runs two regions with two nodes each on PostgreSQL, SeaweedFS and moto, until Ctrl-C.
    Cluster(cluster::ClusterOptions),
    /// Kills, pauses and cuts off parts of such a cluster at random while clients work, and checks that nothing is lost.
    Chaos(cluster::ChaosOptions),
    /// Makes the trees and images that tests and benchmarks use.
    #[command(subcommand)]
    Corpus(corpus::Task),
    /// Touches so much memory, for the benchmark.
    #[command(hide = true)]
    TouchMemory {
        /// How much.
        bytes: usize,
    },
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Instructions(options) => instructions::run(&options),
        Task::Cluster(options) => cluster::run(&options),
        Task::Chaos(options) => cluster::chaos(&options),
        Task::Corpus(task) => corpus::run(&task),
        Task::TouchMemory { bytes } => {
            bench::touch_memory(bytes);
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
