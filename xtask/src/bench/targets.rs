//! What offsite's figures should be beside its peers', and whether they were: the table of targets.
//!
//! Pure: figures in, lines out. A target is neither met nor missed when one of its figures was not measured.

use super::corpus::Corpus;
use super::kind::CandidateKind;
use super::measured::{Cell, Measured};
use super::row::Row;
use super::table;

/// Among whom the fastest is looked for: those that make backups of their own.
const BACKUP_TOOLS: &[CandidateKind] =
    &[CandidateKind::Restic, CandidateKind::Rustic, CandidateKind::Borg, CandidateKind::Conserve];

/// The targets of one corpus, in Markdown.
pub(super) fn table(measured: &Measured) -> String {
    let heading = ["", "target", "measured", ""].map(str::to_owned).to_vec();
    let lines = lines(&Figures(measured)).into_iter().map(Line::cells);
    table::render(&std::iter::once(heading).chain(lines).collect::<Vec<_>>())
}

fn lines(figures: &Figures<'_>) -> Vec<Line> {
    use CandidateKind as K;
    use Row as R;
    let copies = [R::CopyDayOne, R::CopyDayTwo, R::CopyNothing];
    let others = [R::BackupDayOne, R::BackupDayTwo, R::Verify, R::VerifyReadData, R::Restore];
    let mut lines = vec![
        figures.faster(R::BackupDayOne, 2.5, &[K::Restic]),
        figures.faster(R::BackupDayOne, 2.5, &[K::Rustic]),
        figures.faster(R::BackupDayOne, 2.0, &[K::Conserve]),
        figures.bytes(R::BackupDayOne, 1.0, K::Restic),
        figures.bytes(R::BackupDayOne, 1.0, K::Rustic),
        figures.time(R::CopyDayOne, 1.3, K::Cp),
        figures.faster(R::CopyDayOne, 15.0, &[K::Restic]),
        figures.faster(R::CopyDayOne, 12.0, &[K::Rustic]),
        figures.faster(R::CopyDayOne, 3.0, &[K::RcloneChecksum]),
        figures.cpu_per_gigabyte(R::CopyDayOne, 0.8),
        figures.faster(R::BackupDayTwo, 2.5, &[K::Restic]),
        figures.bytes(R::BackupDayTwo, 1.0, K::Restic),
        figures.faster(R::CopyDayTwo, 10.0, &[K::Restic]),
        figures.faster(R::CopyDayTwo, 5.0, &[K::Rustic]),
        figures.faster(R::CopyDayTwo, 1.0, &[K::Rclone]),
        figures.cpu(R::CopyNothing, 0.1),
        // Without `--read-data`, restic's check reads no pack.
        figures.faster_than_their(R::Verify, 5.0, &[K::Restic], R::VerifyReadData),
        figures.faster(R::VerifyReadData, 2.0, BACKUP_TOOLS),
        figures.faster(R::Restore, 1.5, BACKUP_TOOLS),
        figures.time(R::Restore, 1.3, K::Cp),
        figures.peak("copies", &copies, 64.0),
        figures.peak("all but copies", &others, 256.0),
    ];
    if figures.0.corpus == Corpus::Image {
        lines.push(figures.bytes(R::BackupDayTwo, 0.333, K::Restic));
    }
    lines
}

/// One target and what was found.
pub(super) struct Line {
    about: &'static str,
    wanted: String,
    found: Option<f64>,
    is_met: bool,
}

impl Line {
    pub(super) fn new(about: &'static str, wanted: String, found: Option<f64>, is_met: impl Fn(f64) -> bool) -> Self {
        Self { about, wanted, found, is_met: found.is_some_and(is_met) }
    }

    pub(super) fn cells(self) -> Vec<String> {
        let (found, verdict) = match self.found {
            None => (String::new(), "not measured"),
            Some(found) => (format!("{found:.3}"), if self.is_met { "met" } else { "**missed**" }),
        };
        vec![self.about.to_owned(), self.wanted, found, verdict.to_owned()]
    }
}

struct Figures<'a>(&'a Measured);

impl Figures<'_> {
    /// The fastest of `peers` takes at least so many times as long as offsite.
    fn faster(&self, row: Row, times: f64, peers: &[CandidateKind]) -> Line {
        self.faster_than_their(row, times, peers, row)
    }

    /// The same, with another row of the peers'.
    fn faster_than_their(&self, row: Row, times: f64, peers: &[CandidateKind], theirs: Row) -> Line {
        let timed = |peer: &CandidateKind| Some((*peer, self.0.cell(theirs, *peer)?.wall_seconds()?));
        let fastest = peers.iter().filter_map(timed).min_by(|one, other| one.1.total_cmp(&other.1));
        let whom = match (peers, fastest) {
            ([peer], _) => peer.name().to_owned(),
            (_, Some((peer, _))) => format!("{}, the fastest measured", peer.name()),
            (_, None) => "the fastest".to_owned(),
        };
        let what = if row == theirs { String::new() } else { format!("'s {}", theirs.name()) };
        let found = ratio(fastest.map(|(_, seconds)| seconds), self.of_offsite(row, Cell::wall_seconds));
        Line::new(row.name(), format!("at least {times} × as fast as {whom}{what}"), found, |found| found >= times)
    }

    fn time(&self, row: Row, times: f64, peer: CandidateKind) -> Line {
        let theirs = self.0.cell(row, peer).and_then(Cell::wall_seconds);
        let found = ratio(self.of_offsite(row, Cell::wall_seconds), theirs);
        Line::new(row.name(), format!("at most {times} × the time of {}", peer.name()), found, |found| found <= times)
    }

    fn bytes(&self, row: Row, times: f64, peer: CandidateKind) -> Line {
        let theirs = self.0.cell(row, peer).and_then(stored_bytes);
        let found = ratio(self.of_offsite(row, stored_bytes), theirs);
        Line::new(row.name(), format!("at most {times} × the bytes of {}", peer.name()), found, |found| found <= times)
    }

    fn cpu(&self, row: Row, seconds: f64) -> Line {
        let found = self.of_offsite(row, Cell::cpu_seconds);
        Line::new(row.name(), format!("under {seconds} CPU s"), found, |found| found < seconds)
    }

    /// Of what is stored, a gigabyte being 10⁹ bytes.
    fn cpu_per_gigabyte(&self, row: Row, seconds: f64) -> Line {
        let gigabytes = self.of_offsite(row, stored_bytes).map(|bytes| bytes / 1e9);
        let found = ratio(self.of_offsite(row, Cell::cpu_seconds), gigabytes);
        Line::new(row.name(), format!("under {seconds} CPU s per GB stored"), found, |found| found < seconds)
    }

    /// The highest of all these rows, once all of them were measured.
    fn peak(&self, about: &'static str, rows: &[Row], mebibytes: f64) -> Line {
        let peaks: Option<Vec<f64>> = rows.iter().map(|row| self.of_offsite(*row, peak_mebibytes)).collect();
        let found = peaks.and_then(|peaks| peaks.into_iter().max_by(f64::total_cmp));
        Line::new(about, format!("peak under {mebibytes} MiB"), found, |found| found < mebibytes)
    }

    fn of_offsite(&self, row: Row, figure: impl Fn(&Cell) -> Option<f64>) -> Option<f64> {
        self.0.cell(row, CandidateKind::Offsite).and_then(figure)
    }
}

fn stored_bytes(cell: &Cell) -> Option<f64> {
    cell.stored_bytes().map(|bytes| bytes as f64)
}

fn peak_mebibytes(cell: &Cell) -> Option<f64> {
    cell.peak_bytes_max().map(|bytes| bytes as f64 / f64::from(1 << 20))
}

fn ratio(of: Option<f64>, to: Option<f64>) -> Option<f64> {
    of.zip(to.filter(|to| *to > 0.0)).map(|(of, to)| of / to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::Sample;
    use crate::bench::peers::Measurement;
    use CandidateKind as K;

    fn measured(corpus: Corpus, samples: &[(Row, CandidateKind, Sample)]) -> Measured {
        let mut measured = Measured::new(corpus);
        for (row, candidate, sample) in samples {
            measured.add(*row, *candidate, Measurement { command: String::new(), sample: *sample });
        }
        measured
    }

    fn took(wall_seconds: f64) -> Sample {
        Sample { wall_seconds, ..Sample::default() }
    }

    fn stored(bytes: u64) -> Sample {
        Sample { stored_bytes: Some(bytes), ..Sample::default() }
    }

    /// Of the targets that start so: what was measured, and the verdict.
    fn found(measured: &Measured, about: &str, wanted: &str) -> Vec<[String; 2]> {
        let lines = lines(&Figures(measured)).into_iter().map(Line::cells);
        let wanted = lines.filter(|cells| cells[0] == about && cells[1].starts_with(wanted));
        wanted.map(|cells| [cells[2].clone(), cells[3].clone()]).collect()
    }

    #[test]
    fn a_speed_is_held_against_the_fastest_that_was_measured() {
        let row = Row::VerifyReadData;
        let samples = [(row, K::Offsite, took(4.0)), (row, K::Borg, took(9.0)), (row, K::Restic, took(7.0))];
        let measured = measured(Corpus::Tree, &samples);
        let wanted = "at least 2 × as fast as restic, the fastest measured";
        assert_eq!(found(&measured, row.name(), wanted), [["1.750", "**missed**"]]);
        let wanted = "at least 1.5 × as fast as the fastest";
        assert_eq!(found(&measured, "restore", wanted), [["", "not measured"]]);
    }

    #[test]
    fn sealed_packs_are_verified_beside_a_check_of_all_data() {
        let samples = [(Row::Verify, K::Offsite, took(2.0)), (Row::VerifyReadData, K::Restic, took(11.0))];
        let measured = measured(Corpus::Tree, &samples);
        let wanted = "at least 5 × as fast as restic's verify --read-data";
        assert_eq!(found(&measured, "verify", wanted), [["5.500", "met"]]);
    }

    #[test]
    fn what_meets_its_limit_exactly_is_met() {
        let row = Row::CopyDayOne;
        let samples = [(row, K::Offsite, took(13.0)), (row, K::Restic, took(195.0)), (row, K::Cp, took(10.0))];
        let measured = measured(Corpus::Tree, &samples);
        assert_eq!(found(&measured, row.name(), "at least 15 "), [["15.000", "met"]]);
        assert_eq!(found(&measured, row.name(), "at most 1.3 "), [["1.300", "met"]]);
        assert_eq!(found(&measured, row.name(), "at least 12 "), [["", "not measured"]]);
    }

    #[test]
    fn only_an_image_has_to_store_a_third() {
        let row = Row::BackupDayTwo;
        let samples = [(row, K::Offsite, stored(40)), (row, K::Restic, stored(100))];
        let verdicts = |corpus| found(&measured(corpus, &samples), row.name(), "at most");
        assert_eq!(verdicts(Corpus::Tree), [["0.400", "met"]]);
        assert_eq!(verdicts(Corpus::Image), [["0.400", "met"], ["0.400", "**missed**"]]);
    }

    #[test]
    fn processor_time_counts_by_what_is_stored_and_memory_by_the_worst_run() {
        let copy = |peak: u64| Sample { cpu_seconds: 1.5, peak_bytes: peak << 20, ..stored(2_000_000_000) };
        let rows = [Row::CopyDayOne, Row::CopyDayTwo, Row::CopyNothing];
        let mut samples: Vec<_> = rows.map(|row| (row, K::Offsite, copy(30))).to_vec();
        samples.push((Row::CopyDayTwo, K::Offsite, copy(64)));
        let measured = measured(Corpus::Tree, &samples);
        assert_eq!(found(&measured, "copy day 1", "under 0.8 CPU s per GB"), [["0.750", "met"]]);
        assert_eq!(found(&measured, "copies", "peak"), [["64.000", "**missed**"]]);
        assert_eq!(found(&measured, "all but copies", "peak"), [["", "not measured"]]);
    }
}
