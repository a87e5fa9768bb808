//! The tables and the JSON: medians, and each peer's ratio to offsite.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::corpus::Corpus;
use super::kind::CandidateKind;
use super::measure::Sample;
use super::row::Row;

/// Everything that one call of the benchmark found.
#[derive(Serialize)]
pub(super) struct Report {
    scale: &'static str,
    machine: Machine,
    versions: Vec<Version>,
    pub(super) corpora: Vec<Measured>,
}

#[derive(Serialize)]
struct Machine {
    processors: usize,
    memory_bytes: u64,
    kernel: String,
}

#[derive(Serialize)]
struct Version {
    candidate: CandidateKind,
    version: String,
}

impl Report {
    pub(super) fn new(scale: &'static str, chosen: &[CandidateKind], target: &Path) -> Self {
        let versions = chosen.iter().map(|kind| Version { candidate: *kind, version: kind.version(target) });
        let memory = rustix::system::sysinfo();
        let machine = Machine {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory.totalram as u64 * u64::from(memory.mem_unit),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        };
        Self { scale, machine, versions: versions.collect(), corpora: Vec::new() }
    }

    /// Whether every command did what it should.
    pub(super) fn is_complete(&self) -> bool {
        self.corpora.iter().all(|measured| measured.failures.is_empty())
    }

    pub(super) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// What was found with one corpus.
#[derive(Serialize)]
pub(super) struct Measured {
    corpus: &'static str,
    /// What the corpus holds, and what its second day changed.
    pub(super) made: Vec<String>,
    cells: Vec<Cell>,
    pub(super) failures: Vec<Failure>,
    #[serde(skip)]
    chosen: Vec<CandidateKind>,
}

#[derive(Serialize)]
struct Cell {
    row: Row,
    candidate: CandidateKind,
    samples: Vec<Sample>,
}

/// A command that did not do what it should.
#[derive(Serialize)]
pub(super) struct Failure {
    pub(super) row: Row,
    pub(super) candidate: CandidateKind,
    pub(super) cause: String,
}

/// One figure of a sample, and how a table shows it.
struct Figure {
    title: &'static str,
    of: fn(&Sample) -> Option<f64>,
    decimals: usize,
}

const FIGURES: [Figure; 4] = [
    Figure { title: "wall seconds, with the sync after", of: |sample| Some(sample.wall_seconds), decimals: 2 },
    Figure { title: "processor seconds", of: |sample| Some(sample.cpu_seconds), decimals: 2 },
    Figure { title: "peak MiB", of: |sample| Some(sample.peak_bytes as f64 / f64::from(1 << 20)), decimals: 0 },
    Figure { title: "MB stored", of: |sample| Some(sample.stored_bytes? as f64 / 1e6), decimals: 2 },
];

const ROW_WIDTH: usize = 22;
const COLUMN_WIDTH: usize = 20;

impl Measured {
    pub(super) fn new(corpus: Corpus, chosen: &[CandidateKind]) -> Self {
        let chosen = chosen.to_vec();
        Self { corpus: corpus.name(), made: Vec::new(), cells: Vec::new(), failures: Vec::new(), chosen }
    }

    pub(super) fn add(&mut self, row: Row, candidate: CandidateKind, sample: Sample) {
        match self.cells.iter_mut().find(|cell| cell.row == row && cell.candidate == candidate) {
            Some(cell) => cell.samples.push(sample),
            None => self.cells.push(Cell { row, candidate, samples: vec![sample] }),
        }
    }

    /// One table a figure; in brackets how many times the first column's.
    pub(super) fn tables(&self) -> String {
        let mut text = format!("\n# {}\n", self.corpus);
        for line in &self.made {
            text += &format!("{line}\n");
        }
        for figure in &FIGURES {
            text += &self.table(figure);
        }
        for Failure { row, candidate, cause } in &self.failures {
            text += &format!("failed: {} of {}: {cause}\n", row.name(), candidate.name());
        }
        text
    }

    fn table(&self, figure: &Figure) -> String {
        let mut text = format!("\n{:<ROW_WIDTH$}", figure.title.split(',').next().unwrap_or_default());
        for kind in &self.chosen {
            text += &format!("{:>COLUMN_WIDTH$}", kind.name());
        }
        text.push('\n');
        for row in Row::ORDER {
            let medians: Vec<_> = self.chosen.iter().map(|kind| self.median(row, *kind, figure.of)).collect();
            if medians.iter().all(Option::is_none) {
                continue;
            }
            text += &format!("{:<ROW_WIDTH$}", row.name());
            for (column, median) in medians.iter().enumerate() {
                let base = medians[0].filter(|_| column > 0);
                text += &format!("{:>COLUMN_WIDTH$}", shown(*median, base, figure.decimals));
            }
            text.push('\n');
        }
        text
    }

    fn median(&self, row: Row, kind: CandidateKind, of: fn(&Sample) -> Option<f64>) -> Option<f64> {
        let cell = self.cells.iter().find(|cell| cell.row == row && cell.candidate == kind)?;
        median(cell.samples.iter().filter_map(of).collect())
    }
}

/// `3.21 (x4.5)`: the figure, and how many times `base` it is.
fn shown(figure: Option<f64>, base: Option<f64>, decimals: usize) -> String {
    let Some(figure) = figure else { return "-".to_owned() };
    let mut text = format!("{figure:.decimals$}");
    if let Some(base) = base.filter(|base| *base > 0.0) {
        text += &format!(" (x{:.2})", figure / base);
    }
    text
}

/// The middle figure; of an even number the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let upper = *figures.get(figures.len() / 2)?;
    let lower = figures[(figures.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 3.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_table_shows_ratios_to_the_first_column() {
        let mut measured =
            Measured::new(Corpus::Tree, &[CandidateKind::Offsite, CandidateKind::Restic, CandidateKind::Cp]);
        for (kind, wall_seconds) in [(CandidateKind::Offsite, 2.0), (CandidateKind::Restic, 9.0)] {
            measured.add(Row::CopyDayOne, kind, Sample { wall_seconds, ..Sample::default() });
        }
        let tables = measured.tables();
        let words: Vec<_> =
            tables.lines().find(|line| line.starts_with("copy day 1")).unwrap().split_whitespace().collect();
        assert_eq!(words, ["copy", "day", "1", "2.00", "9.00", "(x4.50)", "-"]);
    }
}
