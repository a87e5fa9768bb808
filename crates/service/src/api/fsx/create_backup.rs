//! `CreateBackup`, and the last backup of a file system that is deleted.

use std::sync::Arc;

use catalog::{Quota, RequestToken, ResourceRow, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::{Acceptance, EngineError, ErrorKind, Progress};
use wire::fsx::reply::BackupReply;
use wire::fsx::request::{CreateBackup, Subject};
use wire::fsx::words::ServiceLimit;
use wire::fsx::{FsxCode, FsxError};

use super::{
    Call, as_pairs, backup_view, check_at_rest, check_same, file_system_view, internal, limit_exceeded,
    volume_not_found,
};
use crate::api::is_usable_key;

pub(super) async fn create(
    call: &Call,
    request: CreateBackup,
    token: Option<RequestToken>,
) -> Result<BackupReply, FsxError> {
    if let Some(earlier) = call.find_earlier(token.as_ref()).await? {
        return backup_view::reply(call, &call.load_backup(&earlier.subject).await?);
    }
    let id = match request.subject()? {
        Subject::FileSystem(id) => id,
        Subject::Volume(volume) => return Err(volume_not_found(volume)),
    };
    let file_system = call.load_file_system(id).await?;
    let described = file_system_view::described(&file_system).map_err(internal)?;
    if let Some(why) = file_system_view::why_no_backups(&described) {
        return Err(FsxError::new(FsxCode::UnsupportedOperation, why));
    }
    check_at_rest(&file_system)?;
    let tags = match request.tags.as_deref() {
        Some(tags) => as_pairs(tags),
        None => inherited(&file_system).map_err(internal)?,
    };
    accept(call, &file_system, tags, token).await
}

/// The tags that a backup gets when none are given.
pub(super) fn inherited(file_system: &ResourceRow) -> Result<Vec<(String, String)>, EngineError> {
    Ok(match file_system_view::copies_tags(&file_system_view::described(file_system)?) {
        true => file_system.tags.clone(),
        false => Vec::new(),
    })
}

pub(super) async fn accept(
    call: &Call,
    file_system: &ResourceRow,
    tags: Vec<(String, String)>,
    token: Option<RequestToken>,
) -> Result<BackupReply, FsxError> {
    let unusable = || {
        let id = &file_system.id;
        FsxError::bad_request(format!("The KMS key of file system '{id}' cannot be used: enable it to back it up."))
    };
    if !is_usable_key(&call.ctx, &file_system.kms_key).await.map_err(internal)? {
        return Err(unusable());
    }
    let request = BackupRequest {
        tags,
        attributes: backup_view::frozen(call.names(), file_system).map_err(internal)?,
        call: Some(call.request_id.clone()),
        ..BackupRequest::of(call.account.id.clone(), file_system.id.clone())
    };
    let max = call.account.limits.fsx_user_backups;
    let quotas = vec![
        Quota::BeingMade { resource: file_system.id.clone(), max: 1 },
        Quota::UserBackups { kinds: vec![file_system.kind], max },
    ];
    let (terms, progress) = (Terms { token, quotas }, Arc::new(Progress::measuring()));
    let accepted = accept_backup(&call.ctx, &call.server.worker, request, &terms, Arc::clone(&progress)).await;
    let accepted = accepted.map_err(|error| match error {
        // It was disabled since it was looked at, or the key service denies its use.
        EngineError::Key(_) if error.kind() == ErrorKind::Denied => unusable(),
        error => internal(error),
    })?;
    match accepted {
        Acceptance::New(job) => {
            let id = job.id().to_string();
            let reply = backup_view::reply(call, &call.load_backup(&id).await?)?;
            call.server.jobs.run_backup(job, progress);
            Ok(reply)
        }
        Acceptance::Earlier(earlier) => {
            check_same(&earlier, terms.token.as_ref())?;
            backup_view::reply(call, &call.load_backup(&earlier.subject).await?)
        }
        Acceptance::OverQuota(Quota::BeingMade { .. }) => {
            let message = format!("A backup of file system '{}' is in progress.", file_system.id);
            Err(FsxError::new(FsxCode::BackupInProgress, message))
        }
        Acceptance::OverQuota(_) => Err(limit_exceeded(ServiceLimit::TotalUserInitiatedBackups)),
    }
}
