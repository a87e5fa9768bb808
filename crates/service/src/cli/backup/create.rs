//! `offsite backup create`.

use std::sync::Arc;
use std::time::Instant;

use catalog::Terms;
use clap::Args;
use engine::backup::{BackupReport, BackupRequest, accept_backup, create_backup};
use engine::{Acceptance, EngineError, RegionContext};
use model::{ByteSize, KmsKeyId, Omission, OmissionKind, Region, ResourceId};
use serde_json::{Value, json};

use super::view::BackupView;
use crate::api::kept_by_backup;
use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::TagArgs;
use crate::exit::{Outcome, after_printing};
use crate::output::{counted, print_json, print_line, say_each, say_omissions};
use crate::progress::rate;

/// Arguments of `offsite backup create`.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The resource to back up.
    #[arg(value_name = "RESOURCE")]
    resource: ResourceId,
    #[command(flatten)]
    tags: TagArgs,
    /// The KMS key that protects the backup [default: the resource's].
    #[arg(long, value_name = "KEY")]
    kms_key: Option<KmsKeyId>,
    /// Leave out what cannot be read and list it, instead of failing.
    #[arg(long)]
    allow_incomplete: bool,
    /// Also read file systems that are mounted inside the tree.
    #[arg(long)]
    cross_mounts: bool,
    /// Print the id at once, and leave the work to a running server (`offsite serve`).
    #[arg(long, conflicts_with = "json")]
    detach: bool,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: CreateArgs) -> anyhow::Result<Outcome> {
    let (ctx, resource) = app.find_resource(&args.resource).await?.open().await?;
    let request = BackupRequest {
        attributes: kept_by_backup(&ctx, &resource),
        tags: args.tags.into_tags()?,
        kms_key: args.kms_key,
        allow_incomplete: args.allow_incomplete,
        cross_mounts: args.cross_mounts,
        ..BackupRequest::of(app.account.clone(), args.resource)
    };
    if args.detach {
        let terms = Terms::default();
        let accepted = accept_backup(&ctx, &app.worker(), request, &terms, Arc::default()).await?;
        if let Acceptance::New(job) = accepted {
            let printed = print_line(job.id());
            job.leave().await?;
            return after_printing(printed, Ok(Outcome::Done));
        }
        return Ok(Outcome::Done);
    }
    let started = Instant::now();
    let report = create(app, &ctx, request).await.inspect_err(say_unreadable)?;
    let took = started.elapsed();
    app.note(format_args!(
        "read {} of {} ({} in {:.1} s, {}/s), stored {}",
        ByteSize(report.bytes_read),
        ByteSize(report.backup.size_bytes),
        counted(report.files_read, "file"),
        took.as_secs_f64(),
        ByteSize(rate(report.bytes_read, took)),
        ByteSize(report.bytes_stored)
    ));
    let printed = match args.format.json {
        true => print_json(&to_json(&ctx.region, &report)),
        false => print_line(&report.backup.id).map_err(Into::into),
    };
    let more = format!("`offsite backup show {} --omissions`", report.backup.id);
    // Left out of every backup alike, it makes none incomplete.
    let (expected, omissions): (Vec<Omission>, _) =
        report.omissions.into_iter().partition(|omission| omission.kind.is_expected());
    let (own, excluded): (Vec<Omission>, Vec<_>) =
        expected.into_iter().partition(|omission| omission.kind == OmissionKind::OwnPlace);
    if let Some(first) = own.first() {
        let all = counted(own.len() as u64, "place");
        app.note(format_args!("left out as offsite's own: {all}, {} among them: {more}", first.path));
    }
    if !excluded.is_empty() {
        let each: Vec<String> = excluded.into_iter().map(|omission| omission.detail).collect();
        app.note(format_args!("left out as excluded: {}", each.join(", ")));
    }
    after_printing(printed, Ok(say_omissions(&omissions, &more)))
}

/// The error itself names only the first: it has to fit in a line.
fn say_unreadable(error: &EngineError) {
    if let EngineError::Incomplete { unreadable, .. } = error {
        say_each("unreadable", unreadable, "they are listed once these are mended");
    }
}

fn to_json(region: &Region, report: &BackupReport) -> Value {
    json!({
        "backup": BackupView::new(region, &report.backup).with_omissions(&report.omissions),
        "files_read": report.files_read,
        "bytes_read": report.bytes_read,
        "bytes_stored": report.bytes_stored,
    })
}

/// Makes one backup and shows the progress.
pub(in crate::cli) async fn create(
    app: &App,
    ctx: &RegionContext,
    request: BackupRequest,
) -> Result<BackupReport, EngineError> {
    let worker = app.worker();
    app.watch(|progress| create_backup(ctx, &worker, request, progress)).await
}
