//! Rebuilding a region's catalog from its store alone.

use std::collections::{BTreeMap, HashMap, HashSet};

use catalog::{BackupRow, Fence, NewPack, ResourceRow, RestoredBackup};
use model::{AccountId, BackupState, ObjectName, ResourceId, ResourceState};
use store::manifest::Root;
use store::{Record, StoreErrorKind};

use crate::backup::describe;
use crate::context::RegionContext;
use crate::error::EngineError;
use crate::keys::{open_root, unwrap_all};
use crate::resources::is_pending;

/// What was found in the store.
#[derive(Clone, Debug, Default)]
pub struct RebuildReport {
    /// Backups that are in the catalog again.
    pub backups: u64,
    /// Packs they name.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Resources they are of.
    pub resources: u64,
    /// Records that were left out, or are in without their names, and why.
    pub faults: Vec<String>,
}

/// Fills an empty catalog with what the store's records say, and gives it the store.
///
/// The store is the new catalog's before anything of it is read, so that nothing is published or removed behind its
/// back by those who still work with an old one.
///
/// A record that is damaged, or that names a pack which is not there, is left out and listed: a
/// backup is only shown as available when it is whole. What no record names is left to gc.
///
/// # Errors
/// When the store cannot be read, be it for one record alone, or the catalog cannot be written, and when another rebuild took the store meanwhile.
pub async fn rebuild(ctx: &RegionContext) -> Result<RebuildReport, EngineError> {
    ctx.store.take_over().await?;
    let mut report = RebuildReport::default();
    let mut objects: HashMap<AccountId, HashMap<ObjectName, u64>> = HashMap::new();
    let mut resources: BTreeMap<ResourceId, (model::Timestamp, ResourceRow)> = BTreeMap::new();
    let mut packs = HashSet::new();
    for (account, backup) in ctx.store.list_records().await? {
        let record = match ctx.store.read_record(&account, &backup).await {
            Ok(record) => record,
            // Whoever asks again has the same answer.
            Err(error) if matches!(error.kind, StoreErrorKind::Corrupt | StoreErrorKind::NotFound) => {
                report.faults.push(describe(&error));
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !objects.contains_key(&account) {
            let listed = ctx.store.list_packs(&account).await?.into_iter().collect();
            objects.insert(account.clone(), listed);
        }
        let there = &objects[&account];
        if let Some(lost) = record.packs.iter().find(|pack| there.get(&pack.object_name) != Some(&pack.bytes)) {
            let cause = format!("pack {} ({}) is missing or has another size", lost.id, lost.object_name);
            report.faults.push(format!("backup {backup} is left out: {cause}"));
            continue;
        }
        let root = match open(ctx, &record).await {
            Ok(root) => Some(root),
            Err(error) => {
                report.faults.push(format!("the names of backup {backup} cannot be read: {}", describe(&error)));
                None
            }
        };
        insert(ctx, &record, root.as_ref()).await?;
        report.backups += 1;
        for pack in &record.packs {
            if packs.insert((account.clone(), pack.id)) {
                report.packs += 1;
                report.bytes += pack.bytes;
            }
        }
        if let Some(row) = root.and_then(|root| resource_of(&record, root)) {
            let newest = resources.get(&row.id).is_none_or(|(at, _)| *at < record.head.created_at);
            if newest {
                resources.insert(row.id.clone(), (record.head.created_at, row));
            }
        }
    }
    for (_, row) in resources.into_values() {
        ctx.catalog.insert_resource(&row).await?;
        report.resources += 1;
    }
    ctx.store.check_owner().await?;
    Ok(report)
}

async fn open(ctx: &RegionContext, record: &Record) -> Result<Root, EngineError> {
    open_root(record, &unwrap_all(ctx, record).await?)
}

async fn insert(ctx: &RegionContext, record: &Record, root: Option<&Root>) -> Result<(), EngineError> {
    let head = &record.head;
    let row = BackupRow {
        id: head.backup.clone(),
        account: head.account.clone(),
        resource_id: head.resource.clone(),
        resource_kind: head.resource_kind,
        resource_name: root.and_then(|root| root.resource_name.clone()),
        state: BackupState::Available,
        snapshot_id: Some(head.snapshot),
        parent_id: head.lineage.parent.clone(),
        kms_key: head.kms_key.clone(),
        data_key: head.root_key,
        created_at: head.created_at,
        completed_at: Some(head.completed_at),
        source_region: head.lineage.source_region.clone(),
        source_backup: head.lineage.source_backup.clone(),
        request: String::new(),
        failure: None,
        size_bytes: head.totals.size_bytes,
        stored_bytes: head.totals.stored_bytes,
        moved_bytes: head.totals.moved_bytes,
        deduplicated_bytes: head.totals.deduplicated_bytes,
        entry_count: head.totals.entry_count,
        omission_count: head.totals.omission_count,
        done_bytes: 0,
        total_bytes: 0,
        lease_owner: None,
        lease_fence: Fence(0),
        lease_expires_at: model::Timestamp(0),
        origin: head.origin,
        attributes: head.attributes.clone(),
        expires_at: head.expires_at,
        source_taken_at: head.lineage.taken_at,
        tags: head.tags.clone(),
    };
    let pack = |pack: &store::PackRef| NewPack {
        pack_id: pack.id,
        object_name: pack.object_name,
        bytes: pack.bytes,
        data_key: pack.data_key,
    };
    let key = |key: &store::record::RecordedKey| (key.data_key, head.kms_key.clone(), key.wrapped.clone());
    let restored = RestoredBackup {
        row,
        packs: record.packs.iter().map(pack).collect(),
        wrapped_keys: head.wrapped_keys.iter().map(key).collect(),
    };
    ctx.catalog.restore_backup(&restored).await?;
    Ok(())
}

/// The resource that a backup is of. A copy's resource is in its source region.
fn resource_of(record: &Record, root: Root) -> Option<ResourceRow> {
    let head = &record.head;
    head.lineage.source_backup.is_none().then(|| ResourceRow {
        id: head.resource.clone(),
        account: head.account.clone(),
        kind: head.resource_kind,
        path: root.source_path,
        name: root.resource_name,
        kms_key: head.kms_key.clone(),
        created_at: root.resource_created_at,
        state: ResourceState::Available,
        failure: None,
        managed: false,
        made_from: None,
        rolls_back: false,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: None,
        pending: is_pending(head.resource_kind),
        exclusions: root.exclusions,
    })
}
