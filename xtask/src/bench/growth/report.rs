//! What was found with few and with many, as JSON and as tables, and whether it grew by no more than it may.

use serde::{Deserialize, Serialize};

use crate::bench::kind::CandidateKind;
use crate::bench::measured::{Cell, Measured};
use crate::bench::report::{Machine, Version, versions_table};
use crate::bench::row::Row;
use crate::bench::table;
use crate::bench::targets::Line as Target;

/// What there is few of or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    /// Files of up to a kibibyte.
    Files,
    /// Packs of some kibibytes.
    Packs,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Packs => "packs",
        }
    }
}

/// What was found with so many.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) what: What,
    pub(super) count: u64,
    pub(super) measured: Measured,
}

/// What goes into the JSON file.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::bench) struct GrowthReport {
    /// In UTC, `2026-11-21`.
    pub(in crate::bench) date: String,
    /// What measures the same.
    pub(in crate::bench) again: String,
    pub(in crate::bench) machine: Machine,
    pub(super) versions: Vec<Version>,
    pub(super) edited_files: u64,
    /// Few before many.
    pub(super) sides: Vec<Side>,
}

/// The same edits store the same files, the pages that name them, and those that lead there: with more files fewer edits share
/// a page.
const FILES_BYTES_MAX: f64 = 2.0;

/// A copy of the same edits moves these. It has no business with the files.
const FILES_COPY_TIME_MAX: f64 = 2.0;

/// For each pack that a backup names, its region's catalog keeps a row, which is what keeps the pack, and the record
/// names it. To move 32 MiB, which is a pack's usual size, takes a thousand times as long.
const PACK_CPU_MICROSECONDS_MAX: f64 = 50.0;

impl GrowthReport {
    /// Whether every candidate did what it should.
    pub(super) fn is_complete(&self) -> bool {
        self.sides.iter().all(|side| side.measured.failures.is_empty())
    }

    /// What was measured with, as lines of a list.
    pub(in crate::bench) fn heading(&self) -> String {
        let made = self.sides.iter().filter(|side| side.what == What::Files).map(|side| {
            let made = side.measured.made.first().map_or("", String::as_str);
            format!("- {} files: {made}\n", table::grouped(side.count))
        });
        made.collect::<String>() + &format!("- day 2: the same {} files edited\n", table::grouped(self.edited_files))
    }

    /// The table of targets, and one for each row, in Markdown.
    pub(in crate::bench) fn tables(&self) -> String {
        let mut text = format!("\n### growth: targets\n\n{}", self.targets());
        for what in [What::Files, What::Packs] {
            let Some([few, many]) = self.pair(what) else { continue };
            for row in Row::ORDER {
                let lines = lines(few, many, row);
                if lines.len() > 1 {
                    let (name, about) = (what.name(), row.name());
                    text += &format!("\n### growth: {about} with more {name}\n\n{}", table::render(&lines));
                }
            }
        }
        for side in &self.sides {
            for failure in &side.measured.failures {
                let (row, candidate, cause) = (failure.row.name(), failure.candidate.name(), &failure.cause);
                text += &format!("\nfailed: {row} of {candidate} with {} {}: {cause}\n", side.count, side.what.name());
            }
        }
        text
    }

    /// The programs' versions, and their commands.
    pub(in crate::bench) fn what_was_run(&self) -> String {
        let mut text = format!("\n### growth: what was run\n\n{}\n```text\n", versions_table(&self.versions));
        for what in [What::Files, What::Packs] {
            let commands = self.pair(what).map(|[few, _]| few.measured.commands()).unwrap_or_default();
            text += &format!("## {}\n{commands}", what.name());
        }
        text + "```\n"
    }

    fn pair(&self, what: What) -> Option<[&Side; 2]> {
        let mut sides = self.sides.iter().filter(|side| side.what == what);
        Some([sides.next()?, sides.next()?])
    }

    fn targets(&self) -> String {
        let heading = ["", "target", "measured", ""].map(str::to_owned).to_vec();
        let files = self.pair(What::Files).into_iter().flat_map(file_targets);
        let packs = self.pair(What::Packs).into_iter().flat_map(pack_targets);
        table::render(&std::iter::once(heading).chain(files.chain(packs).map(Target::cells)).collect::<Vec<_>>())
    }
}

/// One line a candidate: each figure with few, with many, and how many times as much that is.
fn lines(few: &Side, many: &Side, row: Row) -> Vec<Vec<String>> {
    let counts = [few, many].map(|side| table::grouped(side.count));
    let [few_count, many_count] = &counts;
    let mut heading = vec![String::new()];
    for figure in ["wall s", "CPU s", "bytes stored"] {
        heading.extend([format!("{figure}, {few_count}"), many_count.clone(), "×".to_owned()]);
    }
    heading.extend([format!("peak MiB, {few_count}"), many_count.clone()]);
    let line = |kind: CandidateKind| {
        let cells = [few, many].map(|side| side.measured.cell(row, kind));
        let [Some(few), Some(many)] = cells else { return None };
        let mut line = vec![kind.name().to_owned()];
        let seconds = |figure: Option<f64>| figure.map_or_else(String::new, |figure| format!("{figure:.2}"));
        for figure in [Cell::wall_seconds, Cell::cpu_seconds] {
            line.extend([seconds(figure(few)), seconds(figure(many)), seconds(ratio(few, many, figure))]);
        }
        let bytes = |cell: &Cell| cell.stored_bytes().map(table::grouped).unwrap_or_default();
        line.extend([bytes(few), bytes(many), seconds(ratio(few, many, stored_bytes))]);
        let peak = |cell: &Cell| cell.peak_bytes_max().map_or_else(String::new, |peak| format!("{}", peak >> 20));
        line.extend([peak(few), peak(many)]);
        Some(line)
    };
    std::iter::once(heading).chain(CandidateKind::ALL.into_iter().filter_map(line)).collect()
}

fn stored_bytes(cell: &Cell) -> Option<f64> {
    cell.stored_bytes().map(|bytes| bytes as f64)
}

fn ratio(few: &Cell, many: &Cell, figure: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
    Some(figure(many)? / figure(few).filter(|few| *few > 0.0)?)
}

fn file_targets([few, many]: [&Side; 2]) -> Vec<Target> {
    let times = |row: Row, what: &str, max: f64, figure: fn(&Cell) -> Option<f64>| {
        let cells = [few, many].map(|side| side.measured.cell(row, CandidateKind::Offsite));
        let found = if let [Some(few), Some(many)] = cells { ratio(few, many, figure) } else { None };
        let counts = [many, few].map(|side| table::grouped(side.count));
        let wanted = format!("{} files: at most {max} × the {what} of {}", counts[0], counts[1]);
        Target::new(row.name(), wanted, found, move |found| found <= max)
    };
    // Everyone looks at every file.
    let looked_at = many.count as f64 / few.count as f64;
    vec![
        times(Row::BackupDayTwo, "CPU s", looked_at, Cell::cpu_seconds),
        times(Row::BackupDayTwo, "bytes", FILES_BYTES_MAX, stored_bytes),
        times(Row::CopyDayTwo, "time", FILES_COPY_TIME_MAX, Cell::wall_seconds),
        times(Row::CopyDayTwo, "bytes", FILES_BYTES_MAX, stored_bytes),
        times(Row::CopyNothing, "time", FILES_COPY_TIME_MAX, Cell::wall_seconds),
    ]
}

fn pack_targets([few, many]: [&Side; 2]) -> Vec<Target> {
    let each = |row: Row| {
        let seconds = |side: &Side| side.measured.cell(row, CandidateKind::Offsite)?.cpu_seconds();
        let packs = many.count - few.count;
        let found = seconds(many).zip(seconds(few)).map(|(many, few)| (many - few) * 1e6 / packs as f64);
        let wanted = format!("at most {PACK_CPU_MICROSECONDS_MAX} CPU µs for each pack that is there already");
        Target::new(row.name(), wanted, found, |found| found <= PACK_CPU_MICROSECONDS_MAX)
    };
    vec![each(Row::CopyDayTwo), each(Row::CopyNothing)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::corpus::Corpus;
    use crate::bench::measure::Sample;
    use crate::bench::peers::Measurement;

    fn side(what: What, count: u64, row: Row, sample: Sample) -> Side {
        let mut measured = Measured::new(Corpus::Tree);
        measured.add(row, CandidateKind::Offsite, Measurement { command: "offsite copy".to_owned(), sample });
        Side { what, count, measured }
    }

    fn verdicts(targets: Vec<Target>, about: &str) -> Vec<[String; 2]> {
        let cells = targets.into_iter().map(Target::cells).filter(|cells| cells[0] == about);
        cells.map(|cells| [cells[2].clone(), cells[3].clone()]).collect()
    }

    #[test]
    fn many_files_are_held_against_few() {
        let sample = |cpu_seconds, bytes| Sample { cpu_seconds, stored_bytes: Some(bytes), ..Sample::default() };
        let few = side(What::Files, 100, Row::BackupDayTwo, sample(0.5, 1000));
        let many = side(What::Files, 1000, Row::BackupDayTwo, sample(5.0, 2100));
        let found = verdicts(file_targets([&few, &many]), Row::BackupDayTwo.name());
        assert_eq!(found, [["10.000", "met"], ["2.100", "**missed**"]]);
        let lines = lines(&few, &many, Row::BackupDayTwo);
        assert_eq!(lines[1][4..10], ["0.50", "5.00", "10.00", "1,000", "2,100", "2.10"]);
    }

    #[test]
    fn each_pack_that_is_there_may_cost_some_microseconds() {
        let sample = |cpu_seconds| Sample { cpu_seconds, ..Sample::default() };
        let few = side(What::Packs, 1_000, Row::CopyNothing, sample(0.04));
        let many = side(What::Packs, 101_000, Row::CopyNothing, sample(2.04));
        let found = verdicts(pack_targets([&few, &many]), Row::CopyNothing.name());
        assert_eq!(found, [["20.000", "met"]]);
        assert_eq!(verdicts(pack_targets([&few, &many]), Row::CopyDayTwo.name()), [["", "not measured"]]);
    }
}
