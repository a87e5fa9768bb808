//! The candidates: what each runs for each row of the tables.
//!
//! What is measured is one whole process a row. A candidate only says which; preparing and measuring
//! it is done here for all of them in the same way.

mod borg;
mod conserve;
mod limits;
mod many_packs;
mod mirrors;
mod offsite;
mod restic;
mod rustic;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::corpus::Corpus;
use super::kind::CandidateKind;
use super::measure::{self, Finished, Meter, Sample};
use super::row::Row;
use super::scratch;
use borg::Borg;
use conserve::Conserve;
use limits::Limit;
use many_packs::ManyPacks;
use mirrors::{Cp, Rclone, Rsync};
use offsite::Offsite;
use restic::Restic;
use rustic::Rustic;

pub(super) use many_packs::build as build_many_packs;

/// Where one run of every candidate finds and puts things.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) source: PathBuf,
    pub(super) corpus: Corpus,
    /// Where cargo builds to, and programs are installed.
    pub(super) target: PathBuf,
}

impl Place {
    fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn restored(&self, kind: CandidateKind) -> PathBuf {
        self.join(&format!("{kind:?}-restored").to_lowercase())
    }

    /// The source as one file, for the limits of the machine.
    fn corpus_file(&self) -> PathBuf {
        self.join("corpus.tar")
    }

    fn call(&self, kind: CandidateKind) -> Command {
        Command::new(kind.program(&self.target))
    }

    /// What was run, without the folders that are only this run's.
    fn shown(&self, command: &Command) -> String {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy);
        words.collect::<Vec<_>>().join(" ").replace(&format!("{}/", self.folder.display()), "")
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

    /// What a copy reads.
    fn copy_source(&self) -> Option<PathBuf> {
        self.backup_store()
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

/// A candidate in its place.
pub(super) struct Contender {
    pub(super) kind: CandidateKind,
    place: Place,
    candidate: Box<dyn Candidate>,
}

/// What one row of one candidate took, and what was run.
pub(super) struct Measurement {
    pub(super) command: String,
    pub(super) sample: Sample,
}

/// The chosen candidates, each before its first row.
pub(super) fn contenders(chosen: &[CandidateKind], place: &Place) -> Vec<Contender> {
    use CandidateKind as K;
    let with_offsite = chosen.contains(&K::Offsite);
    let (store, repository) = (offsite::source_store(place), restic::repository(place));
    let contender = |kind: CandidateKind| {
        let own = place.clone();
        let candidate: Box<dyn Candidate> = match kind {
            K::Offsite => Box::new(Offsite::new(own)),
            K::Restic => Box::new(Restic { place: own }),
            K::Rustic => Box::new(Rustic { place: own }),
            K::Borg => Box::new(Borg { place: own }),
            K::Conserve => Box::new(Conserve { place: own }),
            K::Rclone | K::RcloneChecksum | K::RcloneDebian => {
                Box::new(Rclone { place: own, kind, source: repository.clone() })
            }

            K::Rsync => Box::new(Rsync { place: own, source: repository.clone() }),
            K::Cp => Box::new(Cp { place: own, source: if with_offsite { store.clone() } else { repository.clone() } }),
            K::Read | K::Blake3 | K::Aes256Gcm | K::Zstd1 | K::Zstd3 => Box::new(Limit { place: own, kind }),
        };
        Contender { kind, place: place.clone(), candidate }
    };
    chosen.iter().copied().map(contender).collect()
}

/// Those that are measured with a backup of many packs. Its packs, and the next day's, come with the rows of backups, which are
/// no figures of offsite's here.
pub(super) fn pack_contenders(place: &Place, packs: u64) -> Vec<Contender> {
    use CandidateKind as K;
    let source = offsite::source_store(place).join("store");
    let contender =
        |kind: CandidateKind, candidate: Box<dyn Candidate>| Contender { kind, place: place.clone(), candidate };
    let own = || place.clone();
    vec![
        contender(K::Offsite, Box::new(ManyPacks::new(own(), packs))),
        contender(K::Rclone, Box::new(Rclone { place: own(), kind: K::Rclone, source: source.clone() })),
        contender(K::Rsync, Box::new(Rsync { place: own(), source: source.clone() })),
        contender(K::Cp, Box::new(Cp { place: own(), source })),
    ]
}

impl Contender {
    /// Runs one row; `None` when the candidate has no such row.
    pub(super) fn measure(&mut self, row: Row, meter: &Meter) -> Result<Option<Measurement>> {
        if row == Row::ORDER[0] {
            self.candidate.prepare(meter)?;
        }
        let Some(mut command) = self.candidate.command(row)? else { return Ok(None) };
        let store = match row {
            Row::BackupDayOne | Row::BackupDayTwo => self.candidate.backup_store(),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => self.candidate.copy_store(),
            Row::Verify | Row::VerifyReadData | Row::Restore | Row::Limits => None,
        };
        let size = || store.as_deref().map(measure::stored_bytes).transpose();
        let before = size()?;
        if let Some(input) = self.input(row) {
            meter.warm(&input)?;
        }
        let mut finished = meter.run(&mut command)?;
        let after = size()?;
        finished.sample.stored_bytes = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        self.candidate.finish(row, &mut finished)?;
        if row == Row::Restore {
            scratch::empty(&self.place.restored(self.kind))?;
        }
        Ok(Some(Measurement { command: self.place.shown(&command), sample: finished.sample }))
    }

    /// What the process of a row reads.
    fn input(&self, row: Row) -> Option<PathBuf> {
        match row {
            Row::BackupDayOne | Row::BackupDayTwo => Some(self.place.source.clone()),
            Row::CopyDayOne | Row::CopyDayTwo | Row::CopyNothing => self.candidate.copy_source(),
            // The source as it is stands for what is restored.
            Row::Restore if self.kind == CandidateKind::Cp => Some(self.place.source.clone()),
            Row::Verify | Row::VerifyReadData | Row::Restore => {
                self.candidate.copy_store().or_else(|| self.candidate.backup_store())
            }
            Row::Limits => Some(self.place.corpus_file()),
        }
    }
}
