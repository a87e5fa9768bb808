//! `offsite region`: the regions of a site, and another one.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use model::{Partition, Region};
use serde::Serialize;
use serde_json::json;

use super::init::{entry, make_region};
use super::{Format, Global};
use crate::config::{Config, RegionEntry, replace_text};
use crate::exit::Outcome;
use crate::output::{Table, print_json, say};

/// Commands of `offsite region`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegionCommand {
    /// Make a region: a directory with store, catalog and keys, and its lines in the configuration.
    Add(AddArgs),
    /// List the regions.
    Ls(Format),
}

/// Arguments of `offsite region add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// Its name, as clients will ask for it.
    region: Region,
    /// The partition it belongs to: copies never leave one. The cloud APIs know aws, aws-cn, aws-us-gov and tencent.
    #[arg(long)]
    partition: Partition,
    /// The directory to make it in, on storage of its own; a relative one starts at the configuration's directory, not at the
    /// current one [default: one of its name there].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// A bucket for its store: of an S3-compatible service, as `s3://BUCKET[/PREFIX][?endpoint=URL][&region=NAME]`, of Google
    /// Cloud Storage, as `gs://BUCKET[/PREFIX][?endpoint=URL]`, or of Azure Blob Storage, as
    /// `az://CONTAINER[/PREFIX][?endpoint=URL][&account=NAME]`. The credentials are those in the environment, as
    /// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_ACCOUNT_KEY
    /// [default: a directory].
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// A database of PostgreSQL for its catalog, as `postgres://USER@HOST/DATABASE` [default: a file in the directory].
    #[arg(long, value_name = "URL")]
    catalog: Option<String>,
    /// AWS's key service or another of its protocol for its keys, as `awskms://?[endpoint=URL][&region=NAME][&alias=NAME]`;
    /// the credentials are those for `s3://` [default: a key file in the directory].
    #[arg(long, value_name = "URL")]
    kms: Option<String>,
}

pub(super) async fn run(global: &Global, command: RegionCommand) -> anyhow::Result<Outcome> {
    let config = Config::load(global.config())?;
    match command {
        RegionCommand::Add(args) => add(global.config(), &config, args, global.quiet).await?,
        RegionCommand::Ls(format) => list(&config, format)?,
    }
    Ok(Outcome::Done)
}

async fn add(file: &Path, config: &Config, args: AddArgs, quiet: bool) -> anyhow::Result<()> {
    if config.regions.iter().any(|known| known.region == args.region) {
        bail!("{} has a region {} already", file.display(), args.region);
    }
    let dir = args.dir.unwrap_or_else(|| args.region.as_str().into());
    let shown = dir.to_str().context("the directory's name is not UTF-8, which the configuration is written in")?;
    let mut added = entry(args.region.clone(), args.partition, shown);
    if let Some(url) = args.catalog {
        added.catalog = url;
        // Where they are beside a catalog that is a file.
        added.scratch = Some(dir.join("scratch"));
        added.resources = Some(dir.join("resources"));
    }
    if let Some(url) = args.store {
        added.store = url;
    }
    if let Some(url) = args.kms {
        added.kms = url;
    }
    let file = &std::path::absolute(file)?;
    make_region(&added.check(file)?).await?;
    append(file, &added)?;
    if !quiet {
        let made_in = file.parent().unwrap_or(Path::new("/")).join(&dir);
        say(format_args!(
            "made {} in {}; a server that runs serves it once it is started again",
            args.region,
            made_in.display()
        ));
    }
    Ok(())
}

/// Adds a region's table at the end of the configuration, whose text stays as it is.
fn append(file: &Path, region: &RegionEntry) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Added<'a> {
        region: [&'a RegionEntry; 1],
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let text = format!("{}\n\n{}", text.trim_end(), toml::to_string(&Added { region: [region] })?);
    replace_text(file, &text).with_context(|| format!("failed to write {}", file.display()))
}

fn list(config: &Config, format: Format) -> anyhow::Result<()> {
    if format.json {
        let view = config.regions.iter().map(|region| {
            json!({ "region": region.region, "partition": region.partition, "store": region.store.to_string(), "catalog": region.catalog.to_string(), "kms": region.kms.to_string() })
        });
        return print_json(&view.collect::<Vec<_>>());
    }
    let mut table = Table::new(&["REGION", "PARTITION", "STORE"]);
    for region in &config.regions {
        table.push([region.region.to_string(), region.partition.to_string(), region.store.to_string()]);
    }
    Ok(table.print()?)
}
