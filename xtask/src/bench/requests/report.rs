//! What the services were asked, as JSON and as tables, and whether that is few enough.

use serde::{Deserialize, Serialize};

use crate::bench::kind::CandidateKind;
use crate::bench::report::{Machine, Version, versions_table};
use crate::bench::row::Row;
use crate::bench::table;
use crate::bench::targets::Line as Target;

/// How many requests a copy may make besides two for each pack: one reads it, one writes it.
const REQUESTS_BESIDES: u64 = 10;

/// What goes into the JSON file.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::bench) struct RequestsReport {
    /// In UTC, `2026-11-21`.
    pub(in crate::bench) date: String,
    /// What measures the same.
    pub(in crate::bench) again: String,
    pub(in crate::bench) machine: Machine,
    pub(super) versions: Vec<Version>,
    /// What the services are.
    pub(super) servers: String,
    /// What the tree holds, and what its second day changed.
    pub(super) made: Vec<String>,
    pub(super) cells: Vec<Cell>,
    pub(super) failures: Vec<String>,
}

/// One candidate's command for one row.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) row: Row,
    pub(super) candidate: CandidateKind,
    /// What was run.
    pub(super) command: String,
    pub(super) asked: Asked,
    /// How many packs were copied, if that is known.
    pub(super) packs: Option<u64>,
    pub(super) wall_seconds: f64,
}

/// How many requests were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// By the service that backups go to, and copies come from.
    pub(super) source: u64,
    /// By the one that copies go to.
    pub(super) target: u64,
}

impl Asked {
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { source: self.source - earlier.source, target: self.target - earlier.target }
    }

    fn all(self) -> u64 {
        self.source + self.target
    }
}

impl RequestsReport {
    /// What was measured with, as lines of a list.
    pub(in crate::bench) fn heading(&self) -> String {
        let days = self.made.iter().enumerate().map(|(day, made)| format!("- day {}: {made}\n", day + 1));
        days.collect::<String>() + &format!("- both services: {}\n", self.servers)
    }

    /// The table of targets, and that of all rows, in Markdown.
    pub(in crate::bench) fn tables(&self) -> String {
        let mut text = format!("\n### requests: targets\n\n{}", self.targets());
        text += &format!("\n### requests: all\n\n{}", table::render(&self.lines()));
        for failure in &self.failures {
            text += &format!("\nfailed: {failure}\n");
        }
        text
    }

    /// The programs' versions, and their commands.
    pub(in crate::bench) fn what_was_run(&self) -> String {
        let mut text = format!("\n### requests: what was run\n\n{}\n```text\n", versions_table(&self.versions));
        for Cell { row, command, .. } in &self.cells {
            text += &format!("# {}\n{command}\n", row.name());
        }
        text + "```\n"
    }

    fn lines(&self) -> Vec<Vec<String>> {
        let heading = ["", "", "source", "target", "all", "packs moved", "wall s"].map(str::to_owned).to_vec();
        let line = |cell: &Cell| {
            vec![
                cell.row.name().to_owned(),
                cell.candidate.name().to_owned(),
                table::grouped(cell.asked.source),
                table::grouped(cell.asked.target),
                table::grouped(cell.asked.all()),
                cell.packs.map(table::grouped).unwrap_or_default(),
                format!("{:.2}", cell.wall_seconds),
            ]
        };
        std::iter::once(heading).chain(self.cells.iter().map(line)).collect()
    }

    fn targets(&self) -> String {
        let heading = ["", "target", "measured", ""].map(str::to_owned).to_vec();
        let copies = [Row::CopyDayOne, Row::CopyDayTwo, Row::CopyNothing];
        let backups = [Row::BackupDayOne, Row::BackupDayTwo];
        let fewer = backups.into_iter().chain(copies).map(|row| self.fewer(row));
        let besides = copies.into_iter().map(|row| self.besides(row));
        let lines = fewer.chain(besides).map(Target::cells);
        table::render(&std::iter::once(heading).chain(lines).collect::<Vec<_>>())
    }

    fn fewer(&self, row: Row) -> Target {
        let asked = |cell: &Cell| cell.asked.all() as f64;
        let ours = self.of_offsite(row).map(asked);
        let others = self.cells.iter().filter(|cell| cell.row == row && cell.candidate != CandidateKind::Offsite);
        let fewest = others.min_by_key(|cell| cell.asked.all());
        let whom = fewest.map_or("any other", |cell| cell.candidate.name());
        let found = ours.zip(fewest.map(asked).filter(|theirs| *theirs > 0.0)).map(|(ours, theirs)| ours / theirs);
        Target::new(row.name(), format!("fewer than {whom}, with the fewest measured"), found, |ratio| ratio < 1.0)
    }

    fn besides(&self, row: Row) -> Target {
        let cell = self.of_offsite(row);
        let found = cell.and_then(|cell| Some(cell.asked.all() as f64 - 2.0 * cell.packs? as f64));
        let wanted = format!("at most {REQUESTS_BESIDES} besides two a pack");
        Target::new(row.name(), wanted, found, |besides| besides <= REQUESTS_BESIDES as f64)
    }

    fn of_offsite(&self, row: Row) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.candidate == CandidateKind::Offsite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cells: &[(Row, CandidateKind, [u64; 2], Option<u64>)]) -> RequestsReport {
        let cell = |(row, candidate, [source, target], packs): &(Row, CandidateKind, [u64; 2], Option<u64>)| Cell {
            row: *row,
            candidate: *candidate,
            command: String::new(),
            asked: Asked { source: *source, target: *target },
            packs: *packs,
            wall_seconds: 1.0,
        };
        RequestsReport {
            date: String::new(),
            again: String::new(),
            machine: Machine {
                processor: String::new(),
                processors: 2,
                memory_bytes: 0,
                file_system: String::new(),
                kernel: String::new(),
            },
            versions: Vec::new(),
            servers: String::new(),
            made: Vec::new(),
            cells: cells.iter().map(cell).collect(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn requests_at_both_ends_are_held_against_the_packs_and_the_others() {
        let row = Row::CopyDayTwo;
        let cells = [
            (row, CandidateKind::Offsite, [10, 12], Some(6)),
            (row, CandidateKind::Restic, [30, 14], None),
            (row, CandidateKind::Rclone, [20, 20], None),
        ];
        let verdict = |target: Target| target.cells().split_off(1);
        let report = report(&cells);
        assert_eq!(verdict(report.fewer(row)), ["fewer than rclone, with the fewest measured", "0.550", "met"]);
        assert_eq!(verdict(report.besides(row)), ["at most 10 besides two a pack", "10.000", "met"]);
        assert_eq!(verdict(report.besides(Row::CopyNothing))[1..], ["", "not measured"]);
    }
}
