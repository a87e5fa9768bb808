//! `offsite resource`: what is registered to be backed up.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use catalog::ResourceRow;
use clap::{ArgGroup, Args, Subcommand};
use engine::EngineError;
use engine::resources::{NewResource, add_resource, remove_resource, set_exclusions};
use model::{Exclusions, KmsKeyId, Region, ResourceId, ResourceKind, Timestamp};
use serde::Serialize;

use super::Format;
use super::arguments::ExclusionArgs;
use crate::app::App;
use crate::exit::Outcome;
use crate::output::{Table, json_text, print_fields, print_json, print_line, printable};

/// The `offsite resource` commands.
#[derive(Debug, Subcommand)]
pub(crate) enum ResourceCommand {
    /// Register a directory, an image file or a block device, and print its id.
    Add(AddArgs),
    /// List resources.
    Ls {
        /// Only those of this region.
        #[arg(long)]
        region: Option<Region>,
        #[command(flatten)]
        format: Format,
    },
    /// Show a resource.
    Show {
        /// Its id.
        #[arg(value_name = "RESOURCE")]
        id: ResourceId,
        #[command(flatten)]
        format: Format,
    },
    /// Say what the backups of a directory leave out from now on, in place of what was said before.
    #[command(group = ArgGroup::new("change").required(true).multiple(true).args([
        "patterns", "exclude_from", "exclude_caches", "exclude_nothing",
    ]))]
    Set {
        /// Its id.
        #[arg(value_name = "RESOURCE")]
        id: ResourceId,
        #[command(flatten)]
        exclusions: ExclusionArgs,
        /// Leave nothing out.
        #[arg(long, conflicts_with_all = ["patterns", "exclude_from", "exclude_caches"])]
        exclude_nothing: bool,
    },
    /// Forget a resource. Its files and its backups stay.
    Rm {
        /// Its id.
        #[arg(value_name = "RESOURCE")]
        id: ResourceId,
    },
}

/// Arguments of `offsite resource add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// What to back up: a directory, an image file or a block device. Stores, catalogs and key files of the regions are left out
    /// of a directory.
    path: PathBuf,
    /// The region its backups are stored in.
    #[arg(long)]
    region: Region,
    /// lustre, windows, openzfs, disk or hsm [default: openzfs for a directory, disk for the rest].
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<ResourceKind>,
    /// A name for people.
    #[arg(long)]
    name: Option<String>,
    /// The KMS key that protects its backups [default: the region's].
    #[arg(long, value_name = "KEY")]
    kms_key: Option<KmsKeyId>,
    #[command(flatten)]
    exclusions: ExclusionArgs,
}

pub(super) async fn run(app: &App, command: ResourceCommand) -> anyhow::Result<Outcome> {
    match command {
        ResourceCommand::Add(args) => add(app, args).await,
        ResourceCommand::Ls { region, format } => list(app, region.as_ref(), format).await,
        ResourceCommand::Show { id, format } => show(app, &id, format).await,
        ResourceCommand::Set { id, exclusions, exclude_nothing } => {
            let (ctx, _) = app.find_resource(&id).await?.open().await?;
            let exclusions = exclusions.read()?;
            if exclusions.is_empty() && !exclude_nothing {
                bail!("there is no pattern in the files that were named; to leave nothing out, say --exclude-nothing");
            }
            let row = set_exclusions(&ctx, &app.account, &id, exclusions).await?;
            app.note(format_args!("the backups of {id} leave out: {}", excluded(&row.exclusions)));
            Ok(Outcome::Done)
        }
        ResourceCommand::Rm { id } => {
            let (ctx, _) = app.find_resource(&id).await?.open().await?;
            remove_resource(&ctx, &app.account, &id).await?;
            app.note(format_args!("{id} is forgotten; its backups stay"));
            Ok(Outcome::Done)
        }
    }
}

async fn add(app: &App, args: AddArgs) -> anyhow::Result<Outcome> {
    let exclusions = args.exclusions.read()?;
    let path = args.path.canonicalize().with_context(|| format!("failed to find {}", args.path.display()))?;
    let kind = match args.kind {
        Some(kind) => kind,
        None => default_kind(&path)?,
    };
    let ctx = app.open(&args.region).await?;
    let new = NewResource { kind, path, name: args.name, kms_key: args.kms_key, exclusions };
    let added = add_resource(&ctx, &app.account, new).await?;
    print_line(added.id)?;
    Ok(Outcome::Done)
}

fn default_kind(path: &Path) -> anyhow::Result<ResourceKind> {
    let meta = std::fs::metadata(path).with_context(|| format!("failed to look at {}", path.display()))?;
    let kind = meta.file_type();
    match kind {
        _ if kind.is_dir() => Ok(ResourceKind::OpenZfs),
        _ if kind.is_file() || kind.is_block_device() => Ok(ResourceKind::Disk),
        _ => bail!("{} is neither a directory nor an image file nor a block device", path.display()),
    }
}

async fn list(app: &App, region: Option<&Region>, format: Format) -> anyhow::Result<Outcome> {
    let (catalogs, skipped) = app.catalogs(region).await?;
    let mut found = Vec::new();
    for (settings, catalog) in &catalogs {
        let rows = catalog.list_resources(&app.account).await.map_err(EngineError::from)?;
        found.extend(rows.into_iter().map(|row| (&settings.region, row)));
    }
    if format.json {
        print_json(&found.iter().map(|(region, row)| ResourceView::new(region, row)).collect::<Vec<_>>())?;
    } else {
        let mut table = Table::new(&["RESOURCE", "REGION", "TYPE", "CREATED", "NAME", "PATH"]);
        for (region, row) in found {
            let name = row.name.unwrap_or_default();
            let words = [row.id.to_string(), region.to_string(), row.kind.to_string(), row.created_at.to_string()];
            table.push(words.into_iter().chain([printable(name.as_bytes()), printable(&row.path)]));
        }
        table.print()?;
    }
    Ok(Outcome::of_left_out(skipped > 0))
}

async fn show(app: &App, id: &ResourceId, format: Format) -> anyhow::Result<Outcome> {
    let found = app.find_resource(id).await?;
    let row = &found.row;
    if format.json {
        print_json(&ResourceView::new(found.region(), row))?;
    } else {
        print_fields(&[
            ("Resource", row.id.to_string()),
            ("Region", found.region().to_string()),
            ("Account", row.account.to_string()),
            ("Type", row.kind.to_string()),
            ("Name", printable(row.name.as_deref().unwrap_or("-").as_bytes())),
            ("Path", printable(&row.path)),
            ("KMS key", row.kms_key.to_string()),
            ("Excluded", excluded(&row.exclusions)),
            ("Created", row.created_at.to_string()),
        ])?;
    }
    Ok(Outcome::Done)
}

fn excluded(exclusions: &Exclusions) -> String {
    let patterns = exclusions.patterns.iter().map(|pattern| printable(pattern.as_bytes()));
    let caches = exclusions.caches.then(|| "(what is in directories tagged as caches)".to_owned());
    let all: Vec<String> = patterns.chain(caches).collect();
    if all.is_empty() { "-".to_owned() } else { all.join("  ") }
}

/// A resource as JSON.
#[derive(Debug, Serialize)]
struct ResourceView<'a> {
    id: &'a ResourceId,
    region: &'a Region,
    account: &'a str,
    #[serde(rename = "type")]
    kind: ResourceKind,
    name: Option<&'a str>,
    path: String,
    /// The path's bytes, where they are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    kms_key: &'a KmsKeyId,
    exclusions: &'a Exclusions,
    created_at: Timestamp,
}

impl<'a> ResourceView<'a> {
    fn new(region: &'a Region, row: &'a ResourceRow) -> Self {
        let (path, path_hex) = json_text(&row.path);
        Self {
            id: &row.id,
            region,
            account: row.account.as_str(),
            kind: row.kind,
            name: row.name.as_deref(),
            path,
            path_hex,
            kms_key: &row.kms_key,
            exclusions: &row.exclusions,
            created_at: row.created_at,
        }
    }
}
