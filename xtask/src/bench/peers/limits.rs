//! What the machine can do with the same bytes: reading, hashing, encrypting and compressing them, and nothing else.

use std::process::Command;

use anyhow::{Context, Result};

use super::{Candidate, Place};
use crate::bench::kind::CandidateKind;
use crate::bench::measure::{self, Finished, Meter};
use crate::bench::row::Row;

/// Uses every processor, which `-T0` alone takes for every core, and keeps nothing.
const ZSTD: [&str; 6] = ["-T0", "--auto-threads=logical", "-q", "-f", "-o", "/dev/null"];

/// One program that does one of these to the corpus as one file, without holes.
pub(super) struct Limit {
    pub(super) place: Place,
    pub(super) kind: CandidateKind,
}

impl Candidate for Limit {
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        // The limits of one run share it.
        if self.place.corpus_file().exists() {
            return Ok(());
        }
        let source = &self.place.source;
        let mut tar = Command::new("tar");
        tar.args(["--create", "--sparse", "--file"]).arg(self.place.corpus_file());
        tar.arg("--directory").arg(source.parent().context("a corpus lies in a folder")?);
        meter.prepare(tar.arg(source.file_name().context("a corpus has a name")?))?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        if row != Row::Limits {
            return Ok(None);
        }
        let mut command = self.place.call(self.kind);
        match self.kind {
            CandidateKind::Blake3 => command.arg(self.place.corpus_file()),
            CandidateKind::Zstd1 => command.arg("-1").args(ZSTD).arg(self.place.corpus_file()),
            CandidateKind::Zstd3 => command.arg("-3").args(ZSTD).arg(self.place.corpus_file()),
            // No common program encrypts a file in this mode; how fast it goes does not depend on the bytes.
            CandidateKind::Aes256Gcm => {
                command.args(["speed", "-mr", "-seconds", "3", "-bytes", "131072", "-evp", "aes-256-gcm"])
            }
            _ => command
                .args(["of=/dev/null", "bs=1M", "status=none"])
                .arg(format!("if={}", self.place.corpus_file().display())),
        };
        Ok(Some(command))
    }

    fn finish(&mut self, _row: Row, finished: &mut Finished) -> Result<()> {
        if self.kind == CandidateKind::Aes256Gcm {
            let seconds =
                measure::stored_bytes(&self.place.corpus_file())? as f64 / bytes_per_second(&finished.stdout)?;
            finished.sample.wall_seconds = seconds;
            finished.sample.cpu_seconds = seconds;
        }
        Ok(())
    }
}

/// Finds the rate in what `openssl speed -mr` prints: `+F:25:AES-256-GCM:3024913808.70`.
fn bytes_per_second(stdout: &str) -> Result<f64> {
    let line = stdout.lines().find(|line| line.starts_with("+F:"));
    let rate = line.and_then(|line| line.rsplit(':').next()?.parse().ok());
    rate.with_context(|| format!("openssl speed printed no rate, but {stdout:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_last_field_of_the_line_with_results() {
        assert_eq!(bytes_per_second("+H:131072\n+F:25:AES-256-GCM:3024913808.70\n").unwrap(), 3_024_913_808.70);
        assert!(bytes_per_second("+H:131072\n").is_err());
    }
}
