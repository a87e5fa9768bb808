//! `docs/benchmarks.md`, written by the benchmark itself: no figure in it was typed by a person.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::report::Report;
use crate::workspace;

/// What does not change from day to day: how the figures come about, and what the candidates promise.
const METHOD: &str = include_str!("page/method.md");
const PROMISES: &str = include_str!("page/promises.md");

/// Options that say where things are put, each with a path that means nothing on another machine.
const WITH_PATHS: [&str; 2] = ["--dir", "--json"];

/// Replaces the page.
pub(super) fn write(report: &Report) -> Result<PathBuf> {
    let path = path();
    let command = command_line(std::env::args().skip(1));
    fs::write(&path, page(report, &command)).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

fn path() -> PathBuf {
    workspace::root().join("docs/benchmarks.md")
}

/// The whole page. Pure.
fn page(report: &Report, command: &str) -> String {
    let Report { machine, date, runs, .. } = report;
    let cache = if report.cold { "cold: emptied before each process" } else { "warm" };
    let gibibytes = machine.memory_bytes as f64 / f64::from(1 << 30);
    let mut text = format!(
        "# Benchmarks\n\nWritten by `{command}` on {date}: every figure was measured in that one call. Times hold for that machine \
         and that day; what is worth comparing are the ratios.\n\n\
         | | |\n|---|---|\n\
         | processors | {} × {} |\n| memory | {gibibytes:.1} GiB |\n| file system | {} |\n| kernel | Linux {} |\n\
         | page cache | {cache} |\n| runs | {runs} |\n\n",
        machine.processors, machine.processor, machine.file_system, machine.kernel
    );
    text += "| measured | version |\n|---|---|\n";
    for version in &report.versions {
        text += &format!("| {} | {} |\n", version.candidate.name(), version.version);
    }
    text += &format!("\n{METHOD}\n{PROMISES}");
    for measured in &report.corpora {
        text += &measured.tables();
        text += &format!("\nWhat was run:\n\n```text\n{}```\n", measured.commands());
    }
    text
}

/// How the benchmark was called, without paths.
fn command_line(arguments: impl Iterator<Item = String>) -> String {
    let mut words = vec!["cargo xtask".to_owned()];
    let mut is_path = false;
    for word in arguments {
        let names_path = WITH_PATHS.iter().any(|option| word == *option);
        let holds_path = WITH_PATHS.iter().any(|option| word.starts_with(&format!("{option}=")));
        if !is_path && !names_path && !holds_path {
            words.push(word);
        }
        is_path = names_path;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::corpus::Corpus;
    use crate::bench::kind::CandidateKind;
    use crate::bench::measured::Measured;
    use crate::bench::report::{Machine, Version};

    fn sample_report() -> Report {
        let machine = Machine {
            processor: "Some CPU".to_owned(),
            processors: 2,
            memory_bytes: 24 << 30,
            file_system: "ext4".to_owned(),
            kernel: "6.1".to_owned(),
        };
        let version = Version { candidate: CandidateKind::Borg, version: "borg 1.2.4".to_owned() };
        let corpora = vec![Measured::new(Corpus::Tree, &[])];
        let date = "2026-11-21".to_owned();
        Report { scale: "quick", runs: 2, cold: false, date, machine, versions: vec![version], corpora }
    }

    #[test]
    fn the_page_says_when_where_and_with_what_it_was_measured() {
        let page = page(&sample_report(), "cargo xtask bench");
        for part in ["2026-11-21", "2 × Some CPU", "24.0 GiB", "ext4", "Linux 6.1", "| borg | borg 1.2.4 |", "## tree"]
        {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
    }

    #[test]
    fn what_the_page_links_to_is_there() {
        let text = page(&sample_report(), "cargo xtask bench");
        let targets: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(path().with_file_name(target).exists(), "{target} does not exist");
        }
    }

    #[test]
    fn no_path_of_this_machine_gets_into_the_page() {
        let called = ["bench", "--full", "--dir", "/mnt/x", "--json=/tmp/y", "--write-docs"].map(str::to_owned);
        assert_eq!(command_line(called.into_iter()), "cargo xtask bench --full --write-docs");
    }
}
