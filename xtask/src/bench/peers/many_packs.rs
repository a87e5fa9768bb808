//! offsite with a backup of many packs, which a program of its own makes small.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::offsite::{self, Offsite};
use super::{Candidate, Place};
use crate::bench::measure::{Finished, Meter};
use crate::bench::row::Row;
use crate::workspace;

/// Packs that the second day adds.
const CHANGED_PACKS: u64 = 10;

/// Built with the features that the tests are built with, which spares building its crates again.
const BUILD: [&str; 6] = ["build", "--release", "--workspace", "--all-features", "--example", "many_packs"];

/// The same as [`Offsite`], but for its backups.
pub(super) struct ManyPacks {
    offsite: Offsite,
    place: Place,
    packs: u64,
}

impl ManyPacks {
    pub(super) fn new(place: Place, packs: u64) -> Self {
        Self { offsite: Offsite::new(place.clone()), place, packs }
    }

    fn program(&self) -> PathBuf {
        program(&self.place.target)
    }
}

/// Builds the program that makes packs.
pub(in crate::bench) fn build() -> Result<()> {
    let status = workspace::cargo(&BUILD).arg("--quiet").status().context("failed to run cargo")?;
    ensure!(status.success(), "many_packs did not build: see above");
    Ok(())
}

fn program(target: &Path) -> PathBuf {
    target.join("release/examples/many_packs")
}

impl Candidate for ManyPacks {
    /// Makes a backup of one file besides, from which the others go on.
    fn prepare(&mut self, meter: &Meter) -> Result<()> {
        let source = &self.place.source;
        fs::create_dir(source)
            .and_then(|()| fs::write(source.join("file"), "bytes"))
            .with_context(|| format!("failed to make {}", source.display()))?;
        self.offsite.prepare(meter)?;
        let first = self.offsite.command(Row::BackupDayOne)?;
        meter.prepare(&mut first.context("offsite has every row")?)?;
        Ok(())
    }

    fn command(&mut self, row: Row) -> Result<Option<Command>> {
        let packs = match row {
            Row::BackupDayOne => self.packs,
            Row::BackupDayTwo => CHANGED_PACKS,
            _ => return self.offsite.command(row),
        };
        let mut command = Command::new(self.program());
        command.arg(offsite::source_store(&self.place)).arg(offsite::SOURCE_REGION).arg(packs.to_string());
        Ok(Some(command))
    }

    fn copy_source(&self) -> Option<PathBuf> {
        Some(offsite::source_store(&self.place).join("store"))
    }

    /// Without the catalog, whose log grows and shrinks when it likes: the others copy none either.
    fn copy_store(&self) -> Option<PathBuf> {
        Some(self.offsite.copy_store()?.join("store"))
    }

    /// Has the catalog learn of what was put into the store.
    fn finish(&mut self, row: Row, finished: &mut Finished) -> Result<()> {
        if matches!(row, Row::BackupDayOne | Row::BackupDayTwo) {
            let rebuilt = self.offsite.call(&["rebuild", "--region", offsite::SOURCE_REGION]).output();
            let rebuilt = rebuilt.context("failed to run offsite")?;
            let stderr = String::from_utf8_lossy(&rebuilt.stderr);
            ensure!(rebuilt.status.success(), "the catalog could not be rebuilt: {}", stderr.trim());
        }
        self.offsite.finish(row, finished)
    }
}
