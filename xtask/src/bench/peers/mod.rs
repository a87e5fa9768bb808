//! The candidates: what each runs for each row of the tables.
//!
//! What is measured is one whole process a row. A candidate only says which; preparing and measuring
//! it is done here for all of them in the same way.

mod borg;
mod conserve;
mod mirrors;
mod offsite;
mod restic;
mod rustic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::corpus::Corpus;
use super::kind::CandidateKind;
use super::measure::{self, Finished, Meter, Sample};
use super::row::Row;
use borg::Borg;
use conserve::Conserve;
use mirrors::{Cp, Rclone, Rsync};
use restic::Restic;
use rustic::Rustic;

pub(super) use offsite::Offsite;

/// Where one run of every candidate finds and puts things.
#[derive(Clone)]
pub(super) struct Place {
    folder: PathBuf,
    source: PathBuf,
    corpus: Corpus,
    /// Where cargo builds to, and programs are installed.
    target: PathBuf,
}

impl Place {
    /// Makes the folder of run `number`.
    pub(super) fn create(folder: &Path, number: u32, source: &Path, corpus: Corpus, target: &Path) -> Result<Self> {
        let folder = folder.join(format!("run-{number}"));
        fs::create_dir(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        Ok(Self { folder, source: source.to_owned(), corpus, target: target.to_owned() })
    }

    fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn restored(&self, kind: CandidateKind) -> PathBuf {
        self.join(&format!("{kind:?}-restored").to_lowercase())
    }

    fn call(&self, kind: CandidateKind) -> Command {
        Command::new(kind.program(&self.target))
    }
}

/// One candidate in one run; keeps what it needs from row to row.
pub(super) trait Candidate {
    /// Makes repositories and whatever else the rows start from; not timed.
    fn prepare(&mut self, _meter: &Meter) -> Result<()> {
        Ok(())
    }

    /// What to run for `row`; `None` when the candidate has no such thing.
    fn command(&mut self, row: Row) -> Result<Option<Command>>;

    /// What a backup makes larger.
    fn backup_store(&self) -> Option<PathBuf> {
        None
    }

    /// What a copy makes larger.
    fn copy_store(&self) -> Option<PathBuf> {
        None
    }

    /// Takes in what came of the command.
    fn finish(&mut self, _row: Row, _finished: &mut Finished) -> Result<()> {
        Ok(())
    }
}

/// The chosen candidates, each before its first row.
pub(super) fn candidates(chosen: &[CandidateKind], place: &Place) -> Vec<(CandidateKind, Box<dyn Candidate>)> {
    use CandidateKind as K;
    let with_offsite = chosen.contains(&K::Offsite);
    let candidate = |kind: CandidateKind| -> Box<dyn Candidate> {
        let place = place.clone();
        match kind {
            K::Offsite => Box::new(Offsite::new(place)),
            K::Restic => Box::new(Restic { place }),
            K::Rustic => Box::new(Rustic { place }),
            K::Borg => Box::new(Borg { place }),
            K::Conserve => Box::new(Conserve { place }),
            K::Rclone | K::RcloneChecksum | K::RcloneDebian => Box::new(Rclone { place, kind }),
            K::Rsync => Box::new(Rsync { place }),
            K::Cp => Box::new(Cp { place, with_offsite }),
        }
    };
    chosen.iter().map(|kind| (*kind, candidate(*kind))).collect()
}

/// Runs one row of one candidate; `None` when it has no such row.
pub(super) fn measure(candidate: &mut dyn Candidate, row: Row, meter: &Meter) -> Result<Option<Sample>> {
    if row == Row::ORDER[0] {
        candidate.prepare(meter)?;
    }
    let Some(mut command) = candidate.command(row)? else { return Ok(None) };
    let store = match row {
        Row::BackupDayOne | Row::BackupDayTwo => candidate.backup_store(),
        Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => candidate.copy_store(),
        Row::Verify | Row::VerifyReadData | Row::Restore => None,
    };
    let size = || store.as_deref().map(measure::stored_bytes).transpose();
    let before = size()?;
    let mut finished = meter.run(&mut command)?;
    let after = size()?;
    finished.sample.stored_bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    candidate.finish(row, &mut finished)?;
    Ok(Some(finished.sample))
}
