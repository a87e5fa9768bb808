//! AWS CloudHSM v2: clusters, their HSMs and their backups, one file per group of operations.
//!
//! A cluster is a resource whose bytes are a directory of tokens. What CloudHSM knows of one beside that is a description
//! in its row. A call changes the row, in the state that it finds it in, and the region's keeper takes every further step:
//! see [`tending`]. A backup that was removed and can be restored is one with a time to go by itself.

mod attributes;
mod backup_view;
mod backups;
mod cluster_view;
mod clusters;
mod copy_backup;
mod create_cluster;
mod describe_backups;
mod hsms;
mod initialize_cluster;
mod keys;
mod permissions;
mod policies;
mod retention;
mod tagging;
mod tending;

use catalog::{BackupRow, ResourceRow};
use engine::{EngineError, ErrorKind, RegionContext};
use model::{BackupId, ResourceId, Service, Timestamp};
use wire::aws::error::CommonCode;
use wire::aws::json::{Empty, success};
use wire::cloudhsm::copy::is_offered;
use wire::cloudhsm::request::Tag;
use wire::cloudhsm::{CloudHsmError, ErrorCode, Operation, Request, RequestError, parse};
use wire::http::Reply;

use self::attributes::ClusterAttributes;
use super::aws::refused;
use super::{Call, Trace};

pub(crate) use backup_view::kept_by_backup;
pub(crate) use retention::retain_cluster_backups;

/// Answers a call.
pub(super) async fn answer(call: &Call, operation: &str, body: &[u8], trace: &mut Trace) -> Reply {
    let id = &call.request_id;
    let Some(operation) = Operation::find(operation) else {
        return refused(CommonCode::UnknownOperation.into(), id, trace);
    };
    if !is_offered(&call.ctx.region, &call.ctx.partition) {
        return refused(CommonCode::OptInRequired.into(), id, trace);
    }
    let answered = match parse(operation, body) {
        Ok(request) => run(call, request).await,
        Err(RequestError::Common(refusal)) => return refused(refusal, id, trace),
        Err(RequestError::CloudHsm(refusal)) => Err(refusal),
    };
    match answered {
        Ok(reply) => {
            "Success".clone_into(&mut trace.code);
            reply
        }
        Err(refusal) => {
            refusal.code.as_str().clone_into(&mut trace.code);
            refusal.reply(id)
        }
    }
}

async fn run(call: &Call, request: Request) -> Result<Reply, CloudHsmError> {
    let asked_about = permissions::check(call, &request).await?;
    let action = format!("cloudhsm::{}", request.operation());
    let id = &call.request_id;
    let reply = match request {
        Request::CopyBackupToRegion(request) => success(&copy_backup::copy(call, request).await?, id),
        Request::DescribeBackups(request) => success(&describe_backups::describe(call, &request).await?, id),
        Request::DeleteBackup(request) => success(&backups::delete(call, &request).await?, id),
        Request::RestoreBackup(request) => success(&backups::restore(call, &request).await?, id),
        Request::ModifyBackupAttributes(request) => success(&backups::modify(call, &request).await?, id),
        Request::CreateCluster(request) => success(&create_cluster::create(call, request).await?, id),
        Request::DescribeClusters(request) => success(&clusters::describe(call, &request).await?, id),
        Request::ModifyCluster(request) => success(&clusters::modify(call, &request).await?, id),
        Request::DeleteCluster(request) => success(&clusters::delete(call, &request).await?, id),
        Request::InitializeCluster(request) => success(&initialize_cluster::initialize(call, request).await?, id),
        Request::CreateHsm(request) => success(&hsms::create(call, &request).await?, id),
        Request::DeleteHsm(request) => success(&hsms::delete(call, &request).await?, id),
        Request::TagResource(request) => success(&tagging::tag(call, &request).await?, id),
        Request::UntagResource(request) => success(&tagging::untag(call, &request).await?, id),
        Request::ListTags(request) => success(&tagging::list(call, &request).await?, id),
        Request::PutResourcePolicy(request) => success(&policies::put(call, request).await?, id),
        Request::GetResourcePolicy(request) => success(&policies::get(call, &request).await?, id),
        Request::DeleteResourcePolicy(request) => success(&policies::delete(call, request).await?, id),
    };
    call.record(&action, asked_about, &reply).await;
    Ok(reply)
}

/// A cluster that is being changed, as it is then.
struct Changing<'a> {
    row: &'a mut ResourceRow,
    known: &'a mut ClusterAttributes,
    /// What is known of the account's other clusters in the region.
    others: &'a [ClusterAttributes],
}

/// Changes one of the caller's clusters, unless `edit` refuses it in the light of what the account's clusters are then.
/// Of calls that change clusters at the same time, each sees what the one before it has left.
async fn edit_cluster(
    call: &Call,
    id: &str,
    edit: impl FnOnce(Changing<'_>) -> Result<(), CloudHsmError> + Send,
) -> Result<ResourceRow, CloudHsmError> {
    let ctx = &call.ctx;
    let edit = |rows: &mut [ResourceRow]| {
        let (of_it, others): (Vec<_>, Vec<_>) = rows.iter_mut().partition(|row| row.id.as_str() == id);
        let row = of_it.into_iter().next().ok_or_else(|| cluster_not_found(id))?;
        let mut known = ClusterAttributes::of(ctx, row);
        let others: Vec<ClusterAttributes> = others.iter().map(|row| ClusterAttributes::of(ctx, row)).collect();
        edit(Changing { row: &mut *row, known: &mut known, others: &others })?;
        known.put(row);
        Ok(row.clone())
    };
    ctx.catalog.edit_resources_of(&call.account.id, Service::CloudHsm, None, edit).await.map_err(internal)?
}

/// The caller's cluster of that id.
async fn load_cluster(call: &Call, id: &str) -> Result<ResourceRow, CloudHsmError> {
    find_cluster(call, id).await?.ok_or_else(|| cluster_not_found(id))
}

async fn find_cluster(call: &Call, id: &str) -> Result<Option<ResourceRow>, CloudHsmError> {
    let Ok(id) = id.parse::<ResourceId>() else { return Ok(None) };
    let found = call.ctx.catalog.find_resource(&call.account.id, &id).await.map_err(internal)?;
    Ok(found.filter(|row| row.kind.service() == Service::CloudHsm))
}

/// The backup of that id in a region, if it is the caller's.
async fn find_backup(call: &Call, ctx: &RegionContext, id: &str) -> Result<Option<BackupRow>, CloudHsmError> {
    let Ok(id) = id.parse::<BackupId>() else { return Ok(None) };
    let found = ctx.catalog.find_backup(&call.account.id, &id).await.map_err(internal)?;
    Ok(found.filter(backup_view::is_listed))
}

/// The caller's backup of that id.
async fn load_backup(call: &Call, id: &str) -> Result<BackupRow, CloudHsmError> {
    find_backup(call, &call.ctx, id).await?.ok_or_else(|| backup_not_found(id))
}

/// The present time, by the clock that rows are dated with.
async fn now(call: &Call) -> Result<Timestamp, CloudHsmError> {
    call.ctx.catalog.now().await.map_err(internal)
}

fn backup_not_found(id: &str) -> CloudHsmError {
    CloudHsmError::new(ErrorCode::ResourceNotFound, format!("Backup {id} was not found."))
}

fn cluster_not_found(id: &str) -> CloudHsmError {
    CloudHsmError::new(ErrorCode::ResourceNotFound, format!("Cluster {id} was not found."))
}

/// Tags as rows hold them.
fn as_pairs(tags: &[Tag]) -> Vec<(String, String)> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

/// Tags as requests and replies have them.
fn as_tags(pairs: &[(String, String)]) -> Vec<Tag> {
    pairs.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// What went wrong below; the details stay in the log.
fn internal(error: impl Into<EngineError>) -> CloudHsmError {
    let error = error.into();
    tracing::error!(kind = ?error.kind(), error = engine::describe(&error), "a request failed");
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Full => {
            CloudHsmError::new(ErrorCode::Service, "The request cannot be processed now. Try again later.")
        }
        _ => CloudHsmError::new(ErrorCode::InternalFailure, "The request failed because of an internal error."),
    }
}

/// The reply of operations that have nothing to say.
const DONE: Empty = Empty {};
