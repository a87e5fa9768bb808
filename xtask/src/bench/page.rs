//! `docs/benchmarks.md`, written by the benchmark itself: no figure in it was typed by a person.
//!
//! Beside it, `docs/benchmarks/` keeps the newest results of each corpus with every sample. The page is made of these
//! alone, so measuring one corpus again leaves what it says of the others.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::de::DeserializeOwned;

use super::corpus::Corpus;
use super::growth::GrowthReport;
use super::line::LineReport;
use super::measured::Measured;
use super::report::{self, Machine, Report};
use super::requests::RequestsReport;
use super::targets;
use crate::workspace;

/// What does not change from day to day: how the figures come about, and what the candidates promise.
const METHOD: &str = include_str!("page/method.md");
const PROMISES: &str = include_str!("page/promises.md");
const LINE: &str = include_str!("page/line.md");
const GROWTH: &str = include_str!("page/growth.md");
const REQUESTS: &str = include_str!("page/requests.md");

/// Replaces what is kept of the corpora in `report`, and the page.
pub(super) fn write(report: &Report) -> Result<PathBuf> {
    for measured in &report.corpora {
        report.only(measured).save(&kept_at(measured.corpus.name()))?;
    }
    write_page()
}

/// Replaces what is kept of the long lines, and the page.
pub(super) fn write_line(report: &LineReport) -> Result<PathBuf> {
    report::save(report, &kept_at(KEPT_LINE))?;
    write_page()
}

/// Replaces what is kept of growth, and the page.
pub(super) fn write_growth(report: &GrowthReport) -> Result<PathBuf> {
    report::save(report, &kept_at(KEPT_GROWTH))?;
    write_page()
}

/// Replaces what is kept of requests, and the page.
pub(super) fn write_requests(report: &RequestsReport) -> Result<PathBuf> {
    report::save(report, &kept_at(KEPT_REQUESTS))?;
    write_page()
}

fn write_page() -> Result<PathBuf> {
    let path = path();
    let text = page(&Kept::load()?);
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(path)
}

fn path() -> PathBuf {
    workspace::root().join("docs/benchmarks.md")
}

/// Names the file of what is kept of the long lines.
const KEPT_LINE: &str = "line";

/// The same of growth.
const KEPT_GROWTH: &str = "growth";

/// The same of requests.
const KEPT_REQUESTS: &str = "requests";

fn kept_at(name: &str) -> PathBuf {
    workspace::root().join("docs/benchmarks").join(name).with_extension("json")
}

fn load_if_kept<T: DeserializeOwned>(name: &str) -> Result<Option<T>> {
    let path = kept_at(name);
    if path.exists() { report::load(&path).map(Some) } else { Ok(None) }
}

/// What was measured so far.
#[derive(Default)]
struct Kept {
    /// One for each corpus.
    reports: Vec<Report>,
    growth: Option<GrowthReport>,
    requests: Option<RequestsReport>,
    line: Option<LineReport>,
}

impl Kept {
    fn load() -> Result<Self> {
        let reports = Corpus::value_variants().iter().filter_map(|corpus| load_if_kept(corpus.name()).transpose());
        let reports = reports.collect::<Result<_>>()?;
        let (growth, requests) = (load_if_kept(KEPT_GROWTH)?, load_if_kept(KEPT_REQUESTS)?);
        Ok(Self { reports, growth, requests, line: load_if_kept(KEPT_LINE)? })
    }
}

/// The whole page. Pure.
fn page(kept: &Kept) -> String {
    let mut text = format!("{METHOD}\n{PROMISES}");
    for report in &kept.reports {
        for measured in &report.corpora {
            text += &section(report, measured);
        }
    }
    text += &kept.growth.as_ref().map(growth_section).unwrap_or_default();
    text += &kept.requests.as_ref().map(requests_section).unwrap_or_default();
    text += &kept.line.as_ref().map(line_section).unwrap_or_default();
    text
}

fn growth_section(report: &GrowthReport) -> String {
    let about = about(&report.date, &report.again, &report.machine);
    format!("\n{GROWTH}{about}{}{}{}", report.heading(), report.tables(), report.what_was_run())
}

fn requests_section(report: &RequestsReport) -> String {
    let about = about(&report.date, &report.again, &report.machine);
    format!("\n{REQUESTS}{about}{}{}{}", report.heading(), report.tables(), report.what_was_run())
}

fn line_section(report: &LineReport) -> String {
    let about = about(&report.date, &report.again, &report.machine);
    format!("\n{LINE}{about}{}{}{}", report.heading(), report.tables(), report.what_was_run())
}

/// When, how and where something was measured, as lines of a list.
fn about(date: &str, again: &str, machine: &Machine) -> String {
    format!("- measured on {date}; again with `{again}`\n- machine: {}\n", shown(machine))
}

fn shown(machine: &Machine) -> String {
    let gibibytes = machine.memory_bytes as f64 / f64::from(1 << 30);
    format!(
        "{} × {}, {gibibytes:.1} GiB of memory, {}, Linux {}",
        machine.processors, machine.processor, machine.file_system, machine.kernel
    )
}

fn section(report: &Report, measured: &Measured) -> String {
    let Report { machine, date, scale, runs, .. } = report;
    let corpus = measured.corpus.name();
    let (cold, cache) = if report.cold { (" --cold", "emptied before each process") } else { ("", "warm") };
    let mut text = measured.heading();
    text += &format!(
        "- measured on {date}, page cache {cache}; again with \
         `cargo xtask bench --{scale} --corpus {corpus} --runs {runs}{cold}`\n\
         - machine: {}\n",
        shown(machine)
    );
    text += &format!("\n### {corpus}: targets\n\n{}", targets::table(measured));
    text += &measured.tables();
    text += &format!("\n### {corpus}: what was run\n\n{}", report::versions_table(&report.versions));
    text + &format!("\n```text\n{}```\n", measured.commands())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::kind::CandidateKind;
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
        let corpora = vec![Measured::new(Corpus::Image), Measured::new(Corpus::Tree)];
        let (scale, date) = ("medium".to_owned(), "2026-11-21".to_owned());
        Report { scale, runs: 2, cold: false, date, machine, versions: vec![version], corpora }
    }

    #[test]
    fn each_corpus_has_a_section_that_says_when_where_and_with_what_it_was_measured() {
        let page = page(&Kept { reports: vec![sample_report()], ..Kept::default() });
        for (heading, command) in
            [("\n## image\n", "--medium --corpus image"), ("\n## tree\n", "--corpus tree --runs 2`")]
        {
            let section = page.split(heading).nth(1).unwrap();
            for part in
                [command, "2026-11-21", "2 × Some CPU", "24.0 GiB", "ext4", "Linux 6.1", "| borg | borg 1.2.4 |"]
            {
                assert!(section.contains(part), "{part} is missing in {section}");
            }
        }
    }

    #[test]
    fn the_page_is_made_of_what_is_kept_and_what_it_links_to_is_there() {
        let text = fs::read_to_string(path()).unwrap();
        let again = "run `cargo xtask bench --docs-from docs/benchmarks/tree.json`, which makes the page again";
        assert!(text == page(&Kept::load().unwrap()), "{again}");
        let targets: Vec<&str> = text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(path().with_file_name(target).exists(), "{target} does not exist");
        }
    }
}
