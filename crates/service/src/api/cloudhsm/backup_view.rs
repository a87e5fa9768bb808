//! Backups as callers see them.

use catalog::{BackupRow, ResourceRow};
use engine::RegionContext;
use model::{BackupState as Stored, ResourceKind, Service};
use wire::cloudhsm::reply::{Backup, BackupReply};
use wire::cloudhsm::words::{BackupState, ClusterMode, HsmType};

use super::super::aws::names_of;
use super::attributes::{BackupAttributes, ClusterAttributes};
use super::{Call, as_tags};

/// The reply that describes a backup.
pub(super) fn reply(call: &Call, row: &BackupRow) -> BackupReply {
    BackupReply { backup: view(call, row) }
}

/// A backup as it is now.
pub(super) fn view(call: &Call, row: &BackupRow) -> Backup {
    let known = BackupAttributes::of(row);
    let is_own = row.account == call.account.id;
    let names = names_of(&call.ctx, &row.account);
    let cluster = row.resource_id.to_string();
    let (cluster_id, source_cluster) = if row.is_copy() { (None, Some(cluster)) } else { (Some(cluster), None) };
    let state = state(row);
    Backup {
        backup_id: row.id.to_string(),
        backup_arn: names.cloudhsm_backup(row.id.as_str()),
        backup_state: state,
        cluster_id,
        create_timestamp: known.content_made_at.unwrap_or(row.created_at).into(),
        copy_timestamp: row.is_copy().then(|| row.created_at.into()),
        never_expires: known.never_expires.unwrap_or(row.is_copy()),
        source_region: row.source_region.as_ref().map(ToString::to_string),
        source_backup: row.source_backup.as_ref().map(ToString::to_string),
        source_cluster,
        delete_timestamp: row.expires_at.filter(|_| state == BackupState::PendingDeletion).map(Into::into),
        // An owner's tags are nobody else's.
        tag_list: if is_own { as_tags(&row.tags) } else { Vec::new() },
        hsm_type: Some(hsm_type(&known)),
        mode: Some(mode(&known)),
    }
}

/// Where a backup is in its life.
pub(super) fn state(row: &BackupRow) -> BackupState {
    match row.state {
        Stored::Creating | Stored::Copying => BackupState::CreateInProgress,
        Stored::Available if row.expires_at.is_some() => BackupState::PendingDeletion,
        Stored::Available => BackupState::Ready,
        Stored::Failed | Stored::Deleting => BackupState::Deleted,
    }
}

/// Whether a row is one of this API's.
pub(super) fn is_listed(row: &BackupRow) -> bool {
    row.resource_kind.service() == Service::CloudHsm && row.state != Stored::Deleting
}

/// The type of the cluster; a backup that does not tell is of one that was registered without one.
pub(super) fn hsm_type(known: &BackupAttributes) -> HsmType {
    known.hsm_type.unwrap_or(HsmType::Hsm2mMedium)
}

/// The mode of the cluster.
pub(super) fn mode(known: &BackupAttributes) -> ClusterMode {
    known.mode.unwrap_or(ClusterMode::NonFips)
}

/// What a new backup keeps of its resource, whoever makes it: JSON, empty where the resource is no cluster.
pub(crate) fn kept_by_backup(ctx: &RegionContext, row: &ResourceRow) -> String {
    match row.kind {
        ResourceKind::Hsm => BackupAttributes::of_cluster(&ClusterAttributes::of(ctx, row)).text(),
        _ => "{}".to_owned(),
    }
}
