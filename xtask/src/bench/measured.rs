//! What was found with one corpus, and its tables: one a row, with a line for each candidate.

use serde::{Deserialize, Serialize};

use super::corpus::Corpus;
use super::kind::CandidateKind;
use super::measure::Sample;
use super::peers::Measurement;
use super::row::Row;
use super::table;

/// What was found with one corpus.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) corpus: Corpus,
    /// What the corpus holds, and what its second day changed.
    pub(super) made: Vec<String>,
    cells: Vec<Cell>,
    pub(super) failures: Vec<Failure>,
}

/// What one candidate took for one row, in all runs.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cell {
    row: Row,
    candidate: CandidateKind,
    /// What was run.
    command: String,
    samples: Vec<Sample>,
}

/// A command that did not do what it should.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) row: Row,
    pub(super) candidate: CandidateKind,
    pub(super) cause: String,
}

const HEADING: [&str; 7] = ["", "wall s", "lowest–highest", "× the first", "CPU s", "peak MiB", "bytes stored"];

impl Measured {
    pub(super) fn new(corpus: Corpus) -> Self {
        Self { corpus, made: Vec::new(), cells: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn add(&mut self, row: Row, candidate: CandidateKind, measurement: Measurement) {
        let Measurement { command, sample } = measurement;
        match self.cells.iter_mut().find(|cell| cell.row == row && cell.candidate == candidate) {
            Some(cell) => cell.samples.push(sample),
            None => self.cells.push(Cell { row, candidate, command, samples: vec![sample] }),
        }
    }

    /// The heading and what was made, in Markdown.
    pub(super) fn heading(&self) -> String {
        let mut text = format!("\n## {}\n\n", self.corpus.name());
        for (day, line) in self.made.iter().enumerate() {
            text += &format!("- day {}: {line}\n", day + 1);
        }
        text
    }

    /// All tables, in Markdown.
    pub(super) fn tables(&self) -> String {
        let mut text = String::new();
        for row in Row::ORDER {
            let lines = self.lines(row);
            if lines.len() > 1 {
                text += &format!("\n### {}: {}\n\n{}", self.corpus.name(), row.name(), table::render(&lines));
            }
        }
        for Failure { row, candidate, cause } in &self.failures {
            text += &format!("\nfailed: {} of {}: {cause}\n", row.name(), candidate.name());
        }
        text
    }

    /// What was run for each row, one command a line.
    pub(super) fn commands(&self) -> String {
        let mut text = String::new();
        for row in Row::ORDER {
            let commands: Vec<&str> = self.cells_of(row).map(|cell| cell.command.as_str()).collect();
            if !commands.is_empty() {
                text += &format!("# {}\n{}\n", row.name(), commands.join("\n"));
            }
        }
        text
    }

    /// What one candidate took for one row, if it has such a row.
    pub(super) fn cell(&self, row: Row, candidate: CandidateKind) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.candidate == candidate)
    }

    fn lines(&self, row: Row) -> Vec<Vec<String>> {
        let cells: Vec<&Cell> = self.cells_of(row).collect();
        let base = cells.first().and_then(|cell| cell.wall_seconds());
        let mut lines = vec![HEADING.map(str::to_owned).to_vec()];
        lines.extend(cells.iter().enumerate().map(|(index, cell)| cell.line(base.filter(|_| index > 0))));
        if cells.iter().all(|cell| cell.stored_bytes().is_none()) {
            lines.iter_mut().for_each(|line| line.truncate(HEADING.len() - 1));
        }
        lines
    }

    /// In the order of the candidates, which the runs have changed.
    fn cells_of(&self, row: Row) -> impl Iterator<Item = &Cell> {
        CandidateKind::ALL.into_iter().filter_map(move |kind| self.cell(row, kind))
    }
}

impl Cell {
    /// Medians; the spread of the wall time, and how many times `base` it is.
    fn line(&self, base: Option<f64>) -> Vec<String> {
        let seconds = |figure: Option<f64>| figure.map(|figure| format!("{figure:.2}")).unwrap_or_default();
        let wall = self.wall_seconds();
        let walls = || self.samples.iter().map(|sample| sample.wall_seconds);
        let ratio = wall.zip(base.filter(|base| *base > 0.0)).map(|(wall, base)| wall / base);
        let peak = self.median(|sample| sample.peak_bytes as f64 / f64::from(1 << 20));
        vec![
            self.candidate.name().to_owned(),
            seconds(wall),
            format!("{:.2}–{:.2}", walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max)),
            seconds(ratio),
            seconds(self.cpu_seconds()),
            peak.map(|peak| format!("{peak:.0}")).unwrap_or_default(),
            self.stored_bytes().map(table::grouped).unwrap_or_default(),
        ]
    }

    /// The median.
    pub(super) fn wall_seconds(&self) -> Option<f64> {
        self.median(|sample| sample.wall_seconds)
    }

    /// The median.
    pub(super) fn cpu_seconds(&self) -> Option<f64> {
        self.median(|sample| sample.cpu_seconds)
    }

    /// The highest of all runs.
    pub(super) fn peak_bytes_max(&self) -> Option<u64> {
        self.samples.iter().map(|sample| sample.peak_bytes).max()
    }

    fn median(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        table::median(self.samples.iter().map(of).collect())
    }

    /// The first run's: seeded sources fill each store the same but for some bytes.
    pub(super) fn stored_bytes(&self) -> Option<u64> {
        self.samples.first()?.stored_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(wall_seconds: f64, stored_bytes: Option<u64>) -> Measurement {
        let sample = Sample { wall_seconds, stored_bytes, ..Sample::default() };
        Measurement { command: "tool copy".to_owned(), sample }
    }

    fn line<'a>(tables: &'a str, start: &str) -> Vec<&'a str> {
        let line = tables.lines().find(|line| line.starts_with(start)).unwrap();
        line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect()
    }

    #[test]
    fn a_line_shows_median_spread_and_the_ratio_to_the_first() {
        let [offsite, restic] = [CandidateKind::Offsite, CandidateKind::Restic];
        let mut measured = Measured::new(Corpus::Tree);
        for seconds in [9.0, 8.0, 10.0] {
            measured.add(Row::CopyDayOne, restic, measurement(seconds, Some(1_234_567)));
        }
        measured.add(Row::CopyDayOne, offsite, measurement(2.0, None));
        let tables = measured.tables();
        assert_eq!(line(&tables, "| offsite"), ["offsite", "2.00", "2.00–2.00", "0.00", "0"]);
        assert_eq!(line(&tables, "| restic"), ["restic", "9.00", "8.00–10.00", "4.50", "0.00", "0", "1,234,567"]);
        assert!(!tables.contains("cp -r") && !tables.contains("restore"), "{tables}");
        assert_eq!(measured.commands(), "# copy day 1\ntool copy\ntool copy\n");
    }

    #[test]
    fn a_table_of_what_stores_nothing_has_no_such_column() {
        let mut measured = Measured::new(Corpus::Tree);
        measured.add(Row::Restore, CandidateKind::Offsite, measurement(2.0, None));
        assert!(!measured.tables().contains("bytes stored"), "{}", measured.tables());
    }
}
