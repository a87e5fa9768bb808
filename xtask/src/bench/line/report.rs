//! What was found over the lines, as JSON and as tables, and whether it is what it should be.

use serde::{Deserialize, Serialize};
use testkit::line::Traffic;

use super::candidate::LineCandidate;
use crate::bench::report::Machine;
use crate::bench::table;
use crate::bench::targets::Line as Target;

/// How many requests a copy may make besides two for each pack.
const REQUESTS_BESIDES: u64 = 10;

/// What goes into the JSON file.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::bench) struct LineReport {
    /// In UTC, `2026-11-21`.
    pub(in crate::bench) date: String,
    /// What measures the same.
    pub(in crate::bench) again: String,
    pub(in crate::bench) machine: Machine,
    pub(super) versions: Vec<LineVersion>,
    pub(super) source_bytes: u64,
    pub(super) bits_per_second: u64,
    /// The kernel's, for all connections.
    pub(super) congestion_control: String,
    pub(super) rounds: u32,
    pub(super) lines: Vec<MeasuredLine>,
}

/// What one program says it is.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct LineVersion {
    pub(super) name: String,
    pub(super) version: String,
}

/// What was found over one line.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MeasuredLine {
    round_trip_milliseconds: u64,
    queue_bytes: u64,
    cells: Vec<LineCell>,
    pub(super) failures: Vec<String>,
}

/// One candidate over one line.
#[derive(Clone, Serialize, Deserialize)]
struct LineCell {
    candidate: LineCandidate,
    /// What was run, if that was a program.
    command: Option<String>,
    /// How many packs were copied, if that is known.
    packs: Option<u64>,
    samples: Vec<LineSample>,
}

/// One copy over the line.
pub(super) struct LineMeasurement {
    pub(super) command: Option<String>,
    pub(super) packs: Option<u64>,
    pub(super) sample: LineSample,
}

/// What one copy took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct LineSample {
    /// Of a program, from start to exit.
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) peak_bytes: Option<u64>,
    /// That the server at the source's end answered.
    pub(super) far_requests: Option<u64>,
    /// That the server at the target's end answered.
    pub(super) near_requests: Option<u64>,
    /// Bytes of packets that came from the source's end.
    pub(super) carried_bytes: u64,
    /// Packets from there that found the queue full.
    pub(super) dropped_packets: u64,
    /// By how much the emulator handed packets over later than due, in the mean.
    pub(super) late_microseconds: f64,
}

impl LineSample {
    /// What the line has carried between two moments.
    pub(super) fn of_line(before: &Traffic, after: &Traffic) -> Self {
        let packets = after.packets - before.packets;
        Self {
            carried_bytes: after.bytes - before.bytes,
            dropped_packets: after.dropped - before.dropped,
            late_microseconds: (after.late - before.late).as_secs_f64() * 1e6 / packets.max(1) as f64,
            ..Self::default()
        }
    }

    fn requests(&self) -> Option<u64> {
        Some(self.far_requests? + self.near_requests?)
    }
}

impl LineReport {
    /// Whether every candidate did what it should.
    pub(super) fn is_complete(&self) -> bool {
        self.lines.iter().all(|line| line.failures.is_empty())
    }

    /// What all lines have in common, as lines of a list.
    pub(in crate::bench) fn heading(&self) -> String {
        let (mebibytes, control) = (self.source_bytes >> 20, &self.congestion_control);
        let packs = self.lines.iter().flat_map(|line| &line.cells).find_map(|cell| cell.packs);
        let packs = packs.map_or_else(String::new, |packs| format!(", {packs} packs"));
        let queues = self.lines.iter().map(|line| {
            let queued = table::grouped(line.queue_bytes);
            format!("{queued} at {} ms", line.round_trip_milliseconds)
        });
        let queues = queues.collect::<Vec<_>>().join(", ");
        format!(
            "- source: {mebibytes} MiB of random bytes in one file{packs}\n\
             - the queue's bytes: {queues}; congestion control: {control}\n"
        )
    }

    /// The programs' versions, and their commands.
    pub(in crate::bench) fn what_was_run(&self) -> String {
        let mut text = "\n### line: what was run\n\n| measured | version |\n|---|---|\n".to_owned();
        for LineVersion { name, version } in &self.versions {
            text += &format!("| {name} | {version} |\n");
        }
        text += "\n```text\n";
        // The same over every line, but for the region's number.
        for command in
            self.lines.first().into_iter().flat_map(|line| &line.cells).filter_map(|cell| cell.command.as_ref())
        {
            text += &format!("{command}\n");
        }
        text + "```\n"
    }

    /// A table of figures and one of targets for each line, in Markdown.
    pub(in crate::bench) fn tables(&self) -> String {
        let one = |line: &MeasuredLine| {
            let name = format!("{} ms, {} Mbit/s", line.round_trip_milliseconds, self.bits_per_second / 1_000_000);
            let figures = table::render(&self.figures(line));
            format!("\n### {name}: targets\n\n{}\n### {name}\n\n{figures}", self.targets(line))
        };
        self.lines.iter().map(one).collect()
    }

    fn figures(&self, line: &MeasuredLine) -> Vec<Vec<String>> {
        let heading = [
            "",
            "of the line",
            "× TCP × 4",
            "wall s",
            "lowest–highest",
            "far requests",
            "near requests",
            "CPU s",
            "peak MiB",
            "dropped",
            "late µs",
        ];
        let row = |cell: &LineCell| {
            let walls = || cell.samples.iter().map(|sample| sample.wall_seconds);
            let (lowest, highest) = (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max));
            let shown = |figure: Option<f64>, digits: usize| {
                figure.map_or_else(String::new, |figure| format!("{figure:.digits$}"))
            };
            let count =
                |figure: fn(&LineSample) -> Option<u64>| cell.median(|sample| figure(sample).map(|count| count as f64));
            let peak = cell.samples.iter().filter_map(|sample| sample.peak_bytes).max();
            vec![
                cell.candidate.name().to_owned(),
                shown(self.share(line, cell.candidate), 3),
                shown(line.beside_tcp(cell.candidate), 3),
                shown(cell.wall_seconds(), 2),
                format!("{lowest:.2}–{highest:.2}"),
                shown(count(|sample| sample.far_requests), 0),
                shown(count(|sample| sample.near_requests), 0),
                shown(cell.median(|sample| sample.cpu_seconds), 2),
                shown(peak.map(|bytes| bytes as f64 / f64::from(1 << 20)), 0),
                shown(cell.median(|sample| Some(sample.dropped_packets as f64)), 0),
                shown(cell.median(|sample| Some(sample.late_microseconds)), 0),
            ]
        };
        std::iter::once(heading.map(str::to_owned).to_vec()).chain(line.cells.iter().map(row)).collect()
    }

    /// How much of what the line can carry in that time the source's bytes are. Headers of packets take the rest, too.
    fn share(&self, line: &MeasuredLine, candidate: LineCandidate) -> Option<f64> {
        let at_least = self.source_bytes as f64 * 8.0 / self.bits_per_second as f64;
        Some(at_least / line.cell(candidate)?.wall_seconds()?)
    }

    fn targets(&self, line: &MeasuredLine) -> String {
        let offsite = line.cell(LineCandidate::Offsite);
        let requests = |cell: &LineCell| cell.median(|sample| sample.requests().map(|count| count as f64));
        let ours = offsite.and_then(requests);
        // The worst of all samples, since one request too many is one too many.
        let most = offsite.and_then(|cell| cell.samples.iter().filter_map(LineSample::requests).max());
        let besides =
            most.zip(offsite.and_then(|cell| cell.packs)).map(|(most, packs)| most as f64 - 2.0 * packs as f64);
        let others = [LineCandidate::Rclone, LineCandidate::Aws, LineCandidate::Restic];
        let fewest = others.iter().filter_map(|peer| Some((*peer, requests(line.cell(*peer)?)?)));
        let fewest = fewest.min_by(|one, other| one.1.total_cmp(&other.1));
        let whom = fewest.map_or("any other", |(peer, _)| peer.name());
        let than_peers = ours.zip(fewest).map(|(ours, (_, theirs))| ours / theirs);
        let targets = [
            Target::new(
                "speed",
                "at least 0.9 of the line".to_owned(),
                self.share(line, LineCandidate::Offsite),
                |share| share >= 0.9,
            ),
            Target::new(
                "speed",
                "at least 0.95 of four TCP connections".to_owned(),
                line.beside_tcp(LineCandidate::Offsite),
                |ratio| ratio >= 0.95,
            ),
            Target::new("requests", format!("fewer than {whom}, with the fewest measured"), than_peers, |ratio| {
                ratio < 1.0
            }),
            Target::new("requests", format!("at most {REQUESTS_BESIDES} besides two a pack"), besides, |besides| {
                besides <= REQUESTS_BESIDES as f64
            }),
        ];
        let heading = ["", "target", "measured", ""].map(str::to_owned).to_vec();
        table::render(&std::iter::once(heading).chain(targets.into_iter().map(Target::cells)).collect::<Vec<_>>())
    }
}

impl MeasuredLine {
    pub(super) fn new(round_trip_milliseconds: u64, queue_bytes: u64) -> Self {
        Self { round_trip_milliseconds, queue_bytes, cells: Vec::new(), failures: Vec::new() }
    }

    pub(super) fn add(&mut self, candidate: LineCandidate, measurement: LineMeasurement) {
        let LineMeasurement { command, packs, sample } = measurement;
        match self.cells.iter_mut().find(|cell| cell.candidate == candidate) {
            Some(cell) => cell.samples.push(sample),
            None => self.cells.push(LineCell { candidate, command, packs, samples: vec![sample] }),
        }
    }

    fn cell(&self, candidate: LineCandidate) -> Option<&LineCell> {
        self.cells.iter().find(|cell| cell.candidate == candidate)
    }

    /// How fast a candidate is beside four TCP connections.
    fn beside_tcp(&self, candidate: LineCandidate) -> Option<f64> {
        Some(self.cell(LineCandidate::Tcp4)?.wall_seconds()? / self.cell(candidate)?.wall_seconds()?)
    }
}

impl LineCell {
    fn wall_seconds(&self) -> Option<f64> {
        self.median(|sample| Some(sample.wall_seconds))
    }

    fn median(&self, figure: impl Fn(&LineSample) -> Option<f64>) -> Option<f64> {
        table::median(self.samples.iter().filter_map(figure).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LineCandidate as C;

    fn report(measured: &[(C, f64, Option<[u64; 2]>)]) -> LineReport {
        let mut line = MeasuredLine::new(80, 5_000_000);
        for (candidate, wall_seconds, requests) in measured {
            let [far_requests, near_requests] = [0, 1].map(|end: usize| requests.map(|both| both[end]));
            let sample =
                LineSample { wall_seconds: *wall_seconds, far_requests, near_requests, ..LineSample::default() };
            let packs = (*candidate == C::Offsite).then_some(32);
            line.add(*candidate, LineMeasurement { command: None, packs, sample });
        }
        LineReport {
            date: "2026-11-29".to_owned(),
            again: "cargo xtask bench --line".to_owned(),
            machine: Machine {
                processor: "Some CPU".to_owned(),
                processors: 2,
                memory_bytes: 24 << 30,
                file_system: "ext4".to_owned(),
                kernel: "6.18".to_owned(),
            },
            versions: Vec::new(),
            source_bytes: 1_250_000_000,
            bits_per_second: 500_000_000,
            congestion_control: "cubic".to_owned(),
            rounds: 2,
            lines: vec![line],
        }
    }

    /// The verdicts on speed beside the line, beside TCP, on requests beside others, and on those besides two a pack.
    fn verdicts(report: &LineReport) -> Vec<String> {
        let table = report.targets(&report.lines[0]);
        let cells = table.lines().skip(2).map(|line| line.trim_end_matches(" |").rsplit(" | ").take(2));
        cells.map(|cells| cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn speeds_and_requests_are_held_against_their_targets() {
        let fine = [
            (C::Tcp4, 21.0, None),
            (C::Offsite, 22.0, Some([36, 38])),
            (C::Rclone, 26.0, Some([60, 61])),
            (C::Aws, 29.0, Some([200, 0])),
        ];
        assert_eq!(verdicts(&report(&fine)), ["met 0.909", "met 0.955", "met 0.612", "met 10.000"]);
        let mut slow = fine;
        slow[1] = (C::Offsite, 23.0, Some([60, 61]));
        let missed = ["**missed** 0.870", "**missed** 0.913", "**missed** 1.000", "**missed** 57.000"];
        assert_eq!(verdicts(&report(&slow)), missed);
    }

    #[test]
    fn one_copy_with_too_many_requests_is_one_too_many() {
        let copies = [(C::Offsite, 22.0, Some([36, 38])), (C::Offsite, 22.0, Some([36, 39]))];
        assert_eq!(verdicts(&report(&copies))[3], "**missed** 11.000");
    }

    #[test]
    fn what_was_written_is_read_again() {
        let written = serde_json::to_string(&report(&[(C::Tcp1, 38.0, None)])).unwrap();
        let read: LineReport = serde_json::from_str(&written).unwrap();
        assert!(read.heading().contains("5,000,000 at 80 ms; congestion control: cubic"), "{}", read.heading());
        assert!(read.tables().contains("TCP × 1"), "{}", read.tables());
    }
}
