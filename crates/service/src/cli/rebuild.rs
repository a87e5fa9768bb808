//! `offsite rebuild`: a new catalog from the store alone.
//!
//! A file is built beside the old one and takes its place only when it is whole. The old one
//! is kept under another name, with SQLite's two companion files: left behind, they would be taken for
//! the new one's. Between the two renames there is no catalog, and running the command again makes one.
//! From its beginning the store is the new catalog's: servers that still use the old one notice, and refuse. A rebuild
//! that was interrupted has to be run again before anything else.
//! In PostgreSQL the catalog is built in the database that the configuration names, which has none yet.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use catalog::{Catalog, Missing, sqlite_url};
use clap::Args;
use engine::EngineError;
use engine::rebuild::{RebuildReport, rebuild};
use model::effect::effect;
use model::{ByteSize, Region};
use serde_json::json;

use super::Format;
use crate::app::App;
use crate::config::{CatalogPlace, META_REGION, META_STORE_ID, RegionSettings};
use crate::exit::{Outcome, after_printing, hinted};
use crate::output::{counted, print_json, print_line, say};

/// What SQLite keeps beside a database: `-wal` holds committed changes, `-shm` its index.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// Arguments of `offsite rebuild`.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// The region whose catalog to make. Servers that are at work in it refuse from then on, until they are started again
    /// with the new one.
    #[arg(long)]
    region: Region,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &RebuildArgs) -> anyhow::Result<Outcome> {
    let settings = app.config.region(&args.region)?;
    let report = match &settings.catalog {
        CatalogPlace::File(file) => rebuild_file(app, settings, file).await?,
        CatalogPlace::Server(url) => rebuild_in_server(app, settings, url).await?,
    };
    after_printing(present(args, &report), Ok(Outcome::of_left_out(!report.faults.is_empty())))
}

async fn rebuild_file(app: &App, settings: &RegionSettings, file: &Path) -> anyhow::Result<RebuildReport> {
    let new = with_suffix(file, ".rebuilding");
    for name in companions(&new) {
        remove_if_there(&name).with_context(|| format!("failed to remove {}", name.display()))?;
    }
    let catalog = Catalog::open(&sqlite_url(&new), Missing::Create).await.map_err(EngineError::from)?;
    let report = build(app, settings, catalog).await?;
    let failed = || format!("failed to put the new catalog of {} in place", settings.region);
    let kept = put_in_place(&new, file).with_context(failed)?;
    if let Some(kept) = kept {
        app.note(format_args!("the catalog that was there is kept as {}", kept.display()));
    }
    Ok(report)
}

/// Nobody uses a catalog that was not finished, as it does not say of which region it is.
async fn rebuild_in_server(app: &App, settings: &RegionSettings, url: &str) -> anyhow::Result<RebuildReport> {
    let catalog = Catalog::open(url, Missing::Create).await.map_err(EngineError::from)?;
    if let Some(region) = catalog.meta(META_REGION).await.map_err(EngineError::from)? {
        let error = anyhow::anyhow!("{} holds the catalog of {region}, which may be in use", settings.catalog);
        return Err(hinted(error, "name a new database in the configuration, and rebuild into that"));
    }
    if !catalog.list_accounts().await.map_err(EngineError::from)?.is_empty() {
        let error = anyhow::anyhow!("{} holds a part of a catalog: making it was interrupted", settings.catalog);
        return Err(hinted(error, "name an empty database in the configuration, and rebuild into that"));
    }
    build(app, settings, catalog).await
}

async fn build(app: &App, settings: &RegionSettings, catalog: Catalog) -> anyhow::Result<RebuildReport> {
    // Whosever the store was, it becomes this catalog's.
    let (ctx, _) = settings.open_unchecked(catalog).await?;
    app.note(format_args!("reading the records of {}", settings.region));
    let report = rebuild(&ctx).await?;
    // The region comes last: with it, the catalog is one that is used.
    let facts = [(META_STORE_ID, ctx.store.store_id()), (META_REGION, settings.region.as_str())];
    for (key, value) in facts {
        ctx.catalog.set_meta(key, value).await.map_err(EngineError::from)?;
    }
    // Moves everything from the companion files into the database.
    ctx.catalog.close().await;
    Ok(report)
}

/// Renames `new` to `current`; what was there is kept under the name that is returned.
fn put_in_place(new: &Path, current: &Path) -> io::Result<Option<PathBuf>> {
    let old: Vec<PathBuf> = companions(current).filter(|name| name.symlink_metadata().is_ok()).collect();
    let kept = if old.is_empty() { None } else { Some(free_name(current)) };
    if let Some(kept) = &kept {
        effect("rebuild.keep_old.before");
        for (from, to) in companions(current).zip(companions(kept)).filter(|(from, _)| old.contains(from)) {
            fs::rename(from, to)?;
        }
        effect("rebuild.keep_old.after");
    }
    // Empty or gone by now; a database must not be renamed without what belongs to it.
    for (from, to) in companions(new).zip(companions(current)).skip(1) {
        if from.exists() {
            fs::rename(from, to)?;
        }
    }
    fs::rename(new, current)?;
    effect("rebuild.put_in_place.after");
    if let Some(dir) = current.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(kept)
}

/// The first `<current>.before-rebuild-<n>` under which nothing is kept yet.
fn free_name(current: &Path) -> PathBuf {
    let names = (1_u32..).map(|n| with_suffix(current, &format!(".before-rebuild-{n}")));
    let is_free = |name: &PathBuf| companions(name).all(|name| name.symlink_metadata().is_err());
    names.into_iter().find(is_free).unwrap_or_else(|| with_suffix(current, ".before-rebuild"))
}

fn companions(database: &Path) -> impl Iterator<Item = PathBuf> {
    COMPANIONS.into_iter().map(|suffix| with_suffix(database, suffix))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn present(args: &RebuildArgs, report: &RebuildReport) -> anyhow::Result<()> {
    for fault in &report.faults {
        say(format_args!("left out: {fault}"));
    }
    if args.format.json {
        return print_json(&json!({
            "region": args.region,
            "backups": report.backups,
            "packs": report.packs,
            "bytes": report.bytes,
            "resources": report.resources,
            "faults": report.faults,
        }));
    }
    let (backups, resources) = (counted(report.backups, "backup"), counted(report.resources, "resource"));
    let (packs, bytes) = (counted(report.packs, "pack"), ByteSize(report.bytes));
    Ok(print_line(format_args!("{}: {backups}, {resources}, {packs}, {bytes}", args.region))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_kept_with_its_companions() {
        let dir = tempfile::tempdir().unwrap();
        let (current, new) = (dir.path().join("c.db"), dir.path().join("c.db.rebuilding"));
        for round in 1..=2 {
            fs::write(&current, "old").unwrap();
            fs::write(with_suffix(&current, "-wal"), "log").unwrap();
            fs::write(&new, "new").unwrap();
            let kept = put_in_place(&new, &current).unwrap().unwrap();
            assert_eq!(kept, dir.path().join(format!("c.db.before-rebuild-{round}")));
            assert_eq!(fs::read(&kept).unwrap(), b"old");
            assert_eq!(fs::read(with_suffix(&kept, "-wal")).unwrap(), b"log");
            assert_eq!(fs::read(&current).unwrap(), b"new");
            assert!(!with_suffix(&current, "-wal").exists());
        }
    }

    #[test]
    fn a_log_that_lost_its_database_is_moved_away() {
        let dir = tempfile::tempdir().unwrap();
        let (current, new) = (dir.path().join("c.db"), dir.path().join("n.db"));
        fs::write(with_suffix(&current, "-wal"), "log").unwrap();
        fs::write(&new, "new").unwrap();
        assert!(put_in_place(&new, &current).unwrap().is_some());
        assert!(!with_suffix(&current, "-wal").exists());
    }
}
