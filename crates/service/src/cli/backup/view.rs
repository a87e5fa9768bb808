//! A backup as people and programs see it.

use std::collections::BTreeMap;

use catalog::BackupRow;
use model::{
    BackupId, BackupState, ByteSize, KmsKeyId, Omission, Region, ResourceId, ResourceKind, SnapshotId, Timestamp,
};
use serde::Serialize;

use crate::output::printable;

/// A backup as JSON.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct BackupView<'a> {
    id: &'a BackupId,
    region: &'a Region,
    account: &'a str,
    state: BackupState,
    failure: Option<&'a str>,
    resource_id: &'a ResourceId,
    resource_type: ResourceKind,
    resource_name: Option<&'a str>,
    snapshot_id: Option<SnapshotId>,
    parent_id: Option<&'a BackupId>,
    source_region: Option<&'a Region>,
    source_backup: Option<&'a BackupId>,
    kms_key: &'a KmsKeyId,
    created_at: Timestamp,
    /// When its contents were asked for: of a copy, what that is of its source; `None` where that is not known.
    taken_at: Option<Timestamp>,
    completed_at: Option<Timestamp>,
    size_bytes: u64,
    stored_bytes: u64,
    moved_bytes: u64,
    deduplicated_bytes: u64,
    entry_count: u64,
    omission_count: u64,
    /// Only while work on it is under way: how far that is, and how far it has to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    done_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_bytes: Option<u64>,
    tags: BTreeMap<&'a str, &'a str>,
    /// Only where a single backup is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    omissions: Option<&'a [Omission]>,
}

impl<'a> BackupView<'a> {
    /// The view of a backup in a list.
    pub(in crate::cli) fn new(region: &'a Region, row: &'a BackupRow) -> Self {
        Self {
            id: &row.id,
            region,
            account: row.account.as_str(),
            state: row.state,
            failure: row.failure.as_deref(),
            resource_id: &row.resource_id,
            resource_type: row.resource_kind,
            resource_name: row.resource_name.as_deref(),
            snapshot_id: row.snapshot_id,
            parent_id: row.parent_id.as_ref(),
            source_region: row.source_region.as_ref(),
            source_backup: row.source_backup.as_ref(),
            kms_key: &row.kms_key,
            created_at: row.created_at,
            taken_at: row.taken_at(),
            completed_at: row.completed_at,
            size_bytes: row.size_bytes,
            stored_bytes: row.stored_bytes,
            moved_bytes: row.moved_bytes,
            deduplicated_bytes: row.deduplicated_bytes,
            entry_count: row.entry_count,
            omission_count: row.omission_count,
            done_bytes: row.state.is_in_progress().then_some(row.done_bytes),
            total_bytes: row.state.is_in_progress().then_some(row.total_bytes),
            tags: row.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
            omissions: None,
        }
    }

    /// The same with what the backup left out.
    pub(super) fn with_omissions(self, omissions: &'a [Omission]) -> Self {
        Self { omissions: Some(omissions), ..self }
    }
}

/// A backup's names and values for people.
pub(super) fn fields(region: &Region, row: &BackupRow) -> Vec<(&'static str, String)> {
    let name = row.resource_name.as_deref().map(|name| format!(" \"{}\"", printable(name.as_bytes())));
    let mut fields = vec![
        ("Backup", row.id.to_string()),
        ("Region", region.to_string()),
        ("Account", row.account.to_string()),
        ("State", row.state.to_string()),
        ("Resource", format!("{} ({}){}", row.resource_id, row.resource_kind, name.unwrap_or_default())),
        ("KMS key", row.kms_key.to_string()),
        ("Created", row.created_at.to_string()),
    ];
    let mut also = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    also("Completed", row.completed_at.map(|at| at.to_string()));
    also("Failure", row.failure.as_ref().map(|why| printable(why.as_bytes())));
    also("Parent", row.parent_id.as_ref().map(ToString::to_string));
    let copied = row.source_backup.as_ref().zip(row.source_region.as_ref());
    also("Taken", row.source_taken_at.map(|at| at.to_string()));
    also("Copy of", copied.map(|(backup, region)| format!("{backup} in {region}")));
    if row.state.is_in_progress() {
        also("Progress", Some(format!("{} of {}", ByteSize(row.done_bytes), ByteSize(row.total_bytes))));
    }
    for (name, bytes) in [
        ("Size", row.size_bytes),
        ("Stored", row.stored_bytes),
        ("Moved", row.moved_bytes),
        ("There already", row.deduplicated_bytes),
    ] {
        also(name, Some(format!("{} ({bytes} bytes)", ByteSize(bytes))));
    }
    also("Entries", Some(row.entry_count.to_string()));
    also("Left out", Some(row.omission_count.to_string()));
    for (key, value) in &row.tags {
        also("Tag", Some(format!("{}={}", printable(key.as_bytes()), printable(value.as_bytes()))));
    }
    fields
}
