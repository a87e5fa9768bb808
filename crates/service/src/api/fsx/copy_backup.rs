//! `CopyBackup`, which is sent to the target: what it refuses and in what order, and what it accepts.

use std::sync::Arc;

use catalog::{BackupRow, Quota, RequestToken, Terms};
use engine::copy::{CopyRequest, accept_copy};
use engine::{Acceptance, ErrorKind, RegionContext};
use model::{BackupState, KmsKeyId, Service};
use wire::fsx::reply::BackupReply;
use wire::fsx::request::CopyBackup;
use wire::fsx::words::{ServiceLimit, StorageType, WindowsDeploymentType};
use wire::fsx::{FsxCode, FsxError, tags};

use super::permissions::KeyUse;
use super::{Call, as_pairs, as_tags, backup_not_found, backup_view, check_same, internal, keys, limit_exceeded};
use crate::api::is_usable_key;
use crate::authorization::Copying;
use crate::serve::Unserved;

pub(super) async fn copy(
    call: &Call,
    request: CopyBackup,
    token: Option<RequestToken>,
) -> Result<BackupReply, FsxError> {
    if let Some(earlier) = call.find_earlier(token.as_ref()).await? {
        return backup_view::reply(call, &call.load_backup(&earlier.subject).await?);
    }
    let source = source_region(call, request.source_region.as_deref().unwrap_or(call.ctx.region.as_str()))?;
    check_opt_in(call, &source)?;
    let row = load_source(call, &source, &request.source_backup_id).await?;
    if row.state != BackupState::Available {
        return Err(unavailable(&row));
    }
    if backup_view::kept(&row)?.storage_type == Some(StorageType::IntelligentTiering) {
        let message = "Backups of Intelligent-Tiering file systems cannot be copied.";
        return Err(FsxError::new(FsxCode::UnsupportedOperation, message));
    }
    check_multi_az(call, &row)?;
    let target_key = keys::find(&call.ctx, call.names(), request.kms_key_id.as_deref()).await?;
    let copying = Copying {
        source_region: source.region.to_string(),
        target_region: call.ctx.region.to_string(),
        source_key: Some(row.kms_key.to_string()),
        target_key: target_key.as_ref().map(ToString::to_string),
    };
    let may_read = KeyUse::to_decrypt(&source, &row.kms_key).in_copy(&copying);
    if !is_usable_key(&source, &row.kms_key).await.map_err(internal)? || !may_read.ask(call).await {
        let message = format!("The key of backup '{}' cannot be used.", row.id);
        return Err(FsxError::new(FsxCode::InvalidSourceKmsKey, message));
    }
    let kms_key = find_target_key(call, target_key, &copying).await?;
    let given = request.tags.as_deref().unwrap_or_default();
    let tags = tags::of_copy(&as_tags(&row.tags), request.copy_tags == Some(true), given)?;
    let copy = CopyRequest {
        kms_key: Some(kms_key),
        tags: as_pairs(&tags),
        attributes: Some(backup_view::frozen_for_copy(call, &source, &row)?),
        call: Some(call.request_id.clone()),
        ..CopyRequest::of(call.account.id.clone(), row.id.clone())
    };
    accept(call, &source, copy, token, &row).await
}

fn unavailable(row: &BackupRow) -> FsxError {
    let code = FsxCode::SourceBackupUnavailable { backup_id: row.id.to_string() };
    FsxError::new(code, format!("Backup '{}' is not available to be copied.", row.id))
}

fn source_region(call: &Call, region: &str) -> Result<Arc<RegionContext>, FsxError> {
    match call.server.regions.get(region) {
        Ok(source) if source.partition == call.ctx.partition => Ok(source),
        Ok(_) | Err(Unserved::Unknown) => {
            Err(FsxError::new(FsxCode::InvalidRegion, format!("Backups cannot be copied from region '{region}'.")))
        }
        Err(Unserved::Away) => Err(FsxError::internal()),
    }
}

fn check_opt_in(call: &Call, source: &RegionContext) -> Result<(), FsxError> {
    let (from, to) = (&source.region, &call.ctx.region);
    let is_opt_in = |region| call.server.regions.settings(region).is_some_and(|settings| settings.opt_in);
    if from != to && (is_opt_in(from) || is_opt_in(to)) {
        let message = format!("Backups cannot be copied from '{from}' to '{to}', as one of them is an opt-in region.");
        return Err(FsxError::new(FsxCode::UnsupportedOperation, message));
    }
    Ok(())
}

fn check_multi_az(call: &Call, row: &BackupRow) -> Result<(), FsxError> {
    let windows = backup_view::kept(row)?.windows_configuration;
    let is_multi_az = windows.and_then(|known| known.deployment_type) == Some(WindowsDeploymentType::MultiAz1);
    let target = call.server.regions.settings(&call.ctx.region);
    if is_multi_az && target.is_some_and(|settings| settings.no_windows_multi_az) {
        let message = format!("There are no Multi-AZ file systems for Windows in '{}'.", call.ctx.region);
        return Err(FsxError::new(FsxCode::IncompatibleRegionForMultiAz, message));
    }
    Ok(())
}

/// The key for the copy, if it is there and the caller may use it. Which of the two it is not, is not told.
async fn find_target_key(call: &Call, key: Option<KmsKeyId>, copying: &Copying) -> Result<KmsKeyId, FsxError> {
    if let Some(key) = key
        && KeyUse::to_encrypt(&call.ctx, &key).in_copy(copying).ask(call).await
    {
        return Ok(key);
    }
    let message = "The key for the copy does not exist or cannot be used.";
    Err(FsxError::new(FsxCode::InvalidDestinationKmsKey, message))
}

async fn load_source(call: &Call, source: &RegionContext, id: &str) -> Result<BackupRow, FsxError> {
    call.find_backup(source, id).await?.ok_or_else(|| backup_not_found(id))
}

async fn accept(
    call: &Call,
    source: &Arc<RegionContext>,
    copy: CopyRequest,
    token: Option<RequestToken>,
    row: &BackupRow,
) -> Result<BackupReply, FsxError> {
    let limits = &call.account.limits;
    let quotas = vec![
        Quota::CopiesInProgress { service: Service::Fsx, max: limits.fsx_copies_in_progress },
        Quota::UserBackups { kinds: vec![row.resource_kind], max: limits.fsx_user_backups },
    ];
    let terms = Terms { token, quotas };
    let accepted = accept_copy(source, &call.ctx, &call.server.worker, &copy, &terms).await;
    let accepted = accepted.map_err(|error| match error.kind() {
        // It was removed, or its removal began, since it was looked up.
        ErrorKind::NotFound => backup_not_found(row.id.as_str()),
        ErrorKind::Conflict => unavailable(row),
        _ => internal(error),
    })?;
    match accepted {
        Acceptance::New(job) => {
            let id = job.id().to_string();
            let reply = backup_view::reply(call, &call.load_backup(&id).await?)?;
            call.server.jobs.run_copies(vec![job]);
            Ok(reply)
        }
        Acceptance::Earlier(earlier) => {
            check_same(&earlier, terms.token.as_ref())?;
            backup_view::reply(call, &call.load_backup(&earlier.subject).await?)
        }
        Acceptance::OverQuota(Quota::CopiesInProgress { .. }) => {
            Err(limit_exceeded(ServiceLimit::TotalInProgressCopyBackups))
        }
        Acceptance::OverQuota(_) => Err(limit_exceeded(ServiceLimit::TotalUserInitiatedBackups)),
    }
}
