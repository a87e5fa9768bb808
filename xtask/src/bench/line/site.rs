//! The two ends of the line: a network and an S3 server at each, and what lies in the far one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use testkit::corpus::{Content, Random};
use testkit::line::{FAR, Line, LinePlan, NEAR, Network};
use testkit::seaweed::Seaweed;

use super::candidate::{COPY_BUCKET, Call, LineCandidate, SOURCE_BUCKET};
use super::report::{LineMeasurement, LineSample, LineVersion};
use super::tcp;
use crate::bench::kind::CandidateKind;
use crate::bench::measure::Meter;
use crate::bench::report::version_of_workspace;

/// The region at the far end.
const SOURCE_REGION: &str = "far";

/// What the random bytes start from.
const SEED: u64 = 4;

/// Memory that is touched before each program, for the server at the near end to write to.
const TOUCHED_BYTES: u64 = 2 << 30;

/// Where the programs are.
pub(in crate::bench) struct Programs {
    pub(in crate::bench) offsite: PathBuf,
    pub(in crate::bench) rclone: PathBuf,
    pub(in crate::bench) restic: PathBuf,
    pub(in crate::bench) aws: PathBuf,
    pub(in crate::bench) weed: PathBuf,
}

impl Programs {
    /// Those that are installed or built into `target`.
    pub(in crate::bench) fn in_target(target: &Path) -> Self {
        Self {
            offsite: CandidateKind::Offsite.program(target),
            rclone: CandidateKind::Rclone.program(target),
            restic: CandidateKind::Restic.program(target),
            aws: target.join("venv/bin/aws"),
            weed: target.join("venv/bin/weed"),
        }
    }

    /// What the servers say their version is.
    pub(in crate::bench) fn server_version(&self) -> String {
        format!("SeaweedFS {}", first_line(Command::new(&self.weed).arg("version")))
    }

    /// What each candidate that is a program says its version is, and the servers.
    pub(super) fn versions(&self, chosen: &[LineCandidate]) -> Vec<LineVersion> {
        let of = |candidate: &LineCandidate| {
            let (program, argument) = match candidate {
                LineCandidate::Offsite => (&self.offsite, "--version"),
                LineCandidate::Rclone => (&self.rclone, "version"),
                LineCandidate::Aws => (&self.aws, "--version"),
                LineCandidate::Restic => (&self.restic, "version"),
                LineCandidate::Tcp1 | LineCandidate::Tcp2 | LineCandidate::Tcp4 => return None,
            };
            let mut version = first_line(Command::new(program).arg(argument));
            if *candidate == LineCandidate::Offsite {
                version = format!("{version}, commit {}", version_of_workspace());
            }
            Some(LineVersion { name: candidate.name().to_owned(), version })
        };
        let server = LineVersion { name: "S3 servers".to_owned(), version: self.server_version() };
        chosen.iter().filter_map(of).chain([server]).collect()
    }
}

/// Both ends, with backups at the far one.
pub(super) struct Site {
    near: Network,
    far: Network,
    far_server: Seaweed,
    programs: Programs,
    folder: PathBuf,
    source_bytes: u64,
    /// offsite's, in the far region.
    backup: String,
    /// How many measurements there have been, for names.
    measured: u32,
}

impl Site {
    /// Makes the ends, and backups of the same source by those of `chosen` that copy one.
    pub(super) fn prepare(
        folder: &Path,
        programs: Programs,
        source_bytes: u64,
        plan: &LinePlan,
        chosen: &[LineCandidate],
    ) -> Result<Self> {
        let (near, far) = (Network::create()?, Network::create()?);
        let far_server = far.run(|| Seaweed::start_within_reach(&programs.weed))??;
        let folder = folder.to_owned();
        let mut site =
            Self { near, far, far_server, programs, folder, source_bytes, backup: String::new(), measured: 0 };
        let source = site.folder.join("source");
        fs::create_dir(&source).with_context(|| format!("failed to make {}", source.display()))?;
        let mut file = File::create(source.join("random")).context("failed to make the source")?;
        Content::Incompressible.write(&mut file, &mut Random::new(SEED), source_bytes)?;
        // Not used, but it gives the far end the address by which the servers are known.
        let _line = site.join(plan)?;
        site.back_up(&source, chosen)?;
        Ok(site)
    }

    fn back_up(&mut self, source: &Path, chosen: &[LineCandidate]) -> Result<()> {
        let far = self.far_server.endpoint_at(FAR);
        let call = Call { programs: &self.programs, near: "", far: &far, folder: &self.folder };
        let meter = self.meter();
        let run = |mut command: Command| self.far.run(|| meter.prepare(&mut command))?;
        let mut init = Command::new(&self.programs.offsite);
        init.args(["-q", "init", "--dir"]).arg(&self.folder);
        run(init)?;
        let store = format!("s3://{SOURCE_BUCKET}?endpoint={far}");
        run(call.offsite(&["region", "add", SOURCE_REGION, "--partition", "aws", "--store", &store]))?;
        let mut add = call.offsite(&["resource", "add", "--region", SOURCE_REGION]);
        add.arg(source);
        let resource = run(add)?;
        let backup = run(call.offsite(&["backup", "create", resource.trim()]))?;
        if chosen.contains(&LineCandidate::Restic) {
            run(call.restic_far(&["init"]))?;
            let mut restic = call.restic_far(&["backup"]);
            restic.arg(source);
            run(restic)?;
        }
        backup.trim().clone_into(&mut self.backup);
        Ok(())
    }

    /// Makes a line between the ends.
    pub(super) fn join(&self, plan: &LinePlan) -> Result<Line> {
        Line::join(&self.near, &self.far, plan).context("failed to make the line")
    }

    /// Has one candidate copy everything over `line`.
    pub(super) fn measure(&mut self, candidate: LineCandidate, line: &Line) -> Result<LineMeasurement> {
        self.measured += 1;
        self.near.forget_paths()?;
        self.far.forget_paths()?;
        if let Some(connections) = candidate.connections() {
            let before = line.homeward();
            let wall_seconds = tcp::transfer(&self.near, &self.far, connections, self.source_bytes)?;
            let sample = LineSample { wall_seconds, ..LineSample::of_line(&before, &line.homeward()) };
            return Ok(LineMeasurement { command: None, packs: None, sample });
        }
        self.measure_program(candidate, line)
    }

    fn measure_program(&self, candidate: LineCandidate, line: &Line) -> Result<LineMeasurement> {
        let server = self.near.run(|| Seaweed::start_within_reach(&self.programs.weed))??;
        let (near, far) = (server.endpoint_at(NEAR), self.far_server.endpoint_at(FAR));
        let call = Call { programs: &self.programs, near: &near, far: &far, folder: &self.folder };
        let mut command = self.ready(candidate, &call)?;
        let requests = || -> Result<[u64; 2]> {
            Ok([self.far.run(|| self.far_server.requests())??, self.near.run(|| server.requests())??])
        };
        let (carried, asked) = (line.homeward(), requests()?);
        let finished = self.near.run(|| self.meter().run(&mut command))??;
        let [far_requests, near_requests] = requests()?;
        let sample = LineSample {
            wall_seconds: finished.sample.wall_seconds,
            cpu_seconds: Some(finished.sample.cpu_seconds),
            peak_bytes: Some(finished.sample.peak_bytes),
            far_requests: Some(far_requests - asked[0]),
            near_requests: Some(near_requests - asked[1]),
            ..LineSample::of_line(&carried, &line.homeward())
        };
        for left in ["synced", "restic-cache"] {
            // Only one of them has made each.
            drop(fs::remove_dir_all(self.folder.join(left)));
        }
        let packs = if candidate == LineCandidate::Offsite { Some(packs_moved(&finished.stdout)?) } else { None };
        Ok(LineMeasurement { command: Some(self.shown(&command, &near, &far)), packs, sample })
    }

    /// Makes what is copied to, and says what is to be measured.
    fn ready(&self, candidate: LineCandidate, call: &Call<'_>) -> Result<Command> {
        let run = |mut command: Command| self.near.run(|| self.meter().prepare(&mut command))?;
        Ok(match candidate {
            LineCandidate::Rclone => call.rclone(),
            LineCandidate::Aws => call.aws(),
            LineCandidate::Restic => {
                run(call.restic_both(&["--no-cache", "init", "--copy-chunker-params"]))?;
                call.restic_both(&["copy"])
            }
            _ => {
                let region = format!("near-{}", self.measured);
                let store = format!("s3://{COPY_BUCKET}?endpoint={}", call.near);
                run(call.offsite(&["region", "add", &region, "--partition", "aws", "--store", &store]))?;
                call.offsite(&["copy", &self.backup, "--to", &region, "--json"])
            }
        })
    }

    fn meter(&self) -> Meter {
        Meter::new(&self.folder, TOUCHED_BYTES, false).until_exit()
    }

    /// What was run, without the folders and ports that are only this run's.
    fn shown(&self, command: &Command, near: &str, far: &str) -> String {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words: Vec<_> =
            std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ").replace(&format!("{}/", self.folder.display()), "");
        text.replace(near, "http://near").replace(far, "http://far")
    }
}

/// How the kernel decides how much to send; each network starts as the machine is.
pub(super) fn congestion_control() -> String {
    let set = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control");
    set.map_or_else(|_| "unknown".to_owned(), |set| set.trim().to_owned())
}

/// How many packs a copy has moved, which it says itself.
pub(in crate::bench) fn packs_moved(stdout: &str) -> Result<u64> {
    let said: serde_json::Value = serde_json::from_str(stdout).context("the copy printed no JSON")?;
    let report = said.get(0).unwrap_or(&said);
    report["packs_moved"].as_u64().with_context(|| format!("no packs_moved in {stdout}"))
}

fn first_line(command: &mut Command) -> String {
    let stdout = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&stdout).lines().next().unwrap_or("unknown").trim().to_owned()
}
