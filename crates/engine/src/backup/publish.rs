//! Publishing a backup: its record, then the row that says `AVAILABLE`.

use std::collections::{BTreeSet, HashMap};

use catalog::{BackupRow, Fence, PackRow, Published};
use model::{BackupState, DataKeyId, PackId, SnapshotId};
use store::manifest::Root;
use store::record::Totals;
use store::{Lineage, PackRef, Record, RecordHead, StoreErrorKind};

use super::read::Taken;
use super::{BackupReport, Job};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::keys::{record_keys, rewrap_any};
use crate::lease::is_lost;

/// How often a record is written: first where there should be none, then over an earlier worker's; and once more where a
/// connection was lost.
const WRITE_TRIES: u32 = 3;

/// Makes a backup visible. Every pack it names has landed by now.
pub(crate) async fn publish(job: &Job, snapshot: SnapshotId, taken: Taken) -> Result<BackupReport, EngineError> {
    let (ctx, account) = (&job.ctx, &job.request.account);
    let used: Vec<PackId> = taken.assembled.packs.iter().copied().collect();
    ctx.catalog.keep_only(&job.id, job.fence, &used).await?;
    let packs = named_packs(job, &taken).await?;
    let totals = totals(job, &taken, &packs);
    let root = Root {
        kind: job.resource.kind.source_kind(),
        source_path: job.resource.path.clone(),
        resource_name: job.resource.name.clone(),
        resource_created_at: job.resource.created_at,
        entry_pages: taken.assembled.entry_pages,
        omission_pages: taken.assembled.omission_pages,
        exclusions: job.resource.exclusions.clone(),
    };
    let needed: BTreeSet<DataKeyId> = packs.iter().map(|pack| pack.data_key).chain([job.data_key.id()]).collect();
    let by = &job.kms_key;
    let wrapped_keys = record_keys(ctx, account, by, &needed, |key| rewrap_any(ctx, account, key, by)).await?;
    let row = ctx.catalog.find_backup(account, &job.id).await?.ok_or_else(gone)?;
    let head = RecordHead {
        backup: job.id.clone(),
        account: account.clone(),
        region: ctx.region.clone(),
        resource: job.resource.id.clone(),
        resource_kind: job.resource.kind,
        snapshot,
        created_at: row.created_at,
        completed_at: ctx.catalog.now().await?,
        lineage: Lineage { parent: taken.parent, ..Lineage::default() },
        kms_key: job.kms_key.clone(),
        root_key: job.data_key.id(),
        wrapped_keys,
        tags: row.tags,
        origin: row.origin,
        attributes: row.attributes,
        expires_at: row.expires_at,
        totals,
    };
    let record = Record { head, packs, sealed_root: root.seal(&job.data_key, snapshot) };
    write_record(ctx, &record, job.fence).await?;
    let backup = show(ctx, record, job.fence).await?;
    Ok(BackupReport {
        backup,
        omissions: taken.omissions,
        files_read: taken.counts.files_read,
        bytes_read: taken.counts.bytes_read,
        bytes_stored: taken.counts.bytes_stored,
    })
}

fn gone() -> EngineError {
    EngineError::refused(ErrorKind::Conflict, "the backup was removed while it was being made")
}

/// Says `AVAILABLE`, once [`write_record`] has written the record. In this order, so that what is shown as done is done, and is
/// seen by who takes the store over. Returns the row as it is then.
pub(crate) async fn show(ctx: &RegionContext, record: Record, fence: Fence) -> Result<BackupRow, EngineError> {
    let head = &record.head;
    let published = Published {
        snapshot_id: head.snapshot,
        parent_id: head.lineage.parent.clone(),
        completed_at: head.completed_at,
        size_bytes: head.totals.size_bytes,
        stored_bytes: head.totals.stored_bytes,
        moved_bytes: head.totals.moved_bytes,
        deduplicated_bytes: head.totals.deduplicated_bytes,
        entry_count: head.totals.entry_count,
        omission_count: head.totals.omission_count,
    };
    ctx.catalog.publish(&head.backup, fence, &published).await?;
    let row = ctx.catalog.find_backup(&head.account, &head.backup).await?.ok_or_else(gone)?;
    // Tags and attributes may have been edited since the record was put together.
    crate::backups::update_record(ctx, &row, record).await?;
    Ok(row)
}

/// Writes the record, over that of an earlier holder of the lease, if it came that far, but not over a later one's, and makes
/// sure that the store is still the one that took the packs and still this catalog's.
pub(crate) async fn write_record(ctx: &RegionContext, record: &Record, fence: Fence) -> Result<(), EngineError> {
    let backup = &record.head.backup;
    let (mut seen, mut tries) = (None, 1);
    loop {
        // In this order: what was seen before the lease was still held is no later holder's.
        ctx.catalog.check_lease(backup, fence).await?;
        ctx.store.check_owner().await?;
        match ctx.store.publish_record(record, seen.as_ref()).await {
            Ok(None) => {
                ctx.store.check_owner().await?;
                return check_wanted(ctx, record, fence).await;
            }
            Ok(there) => seen = there,
            // Whether it was written shows in the next try. A write that has a condition is not sent again by itself.
            Err(error) if error.kind == StoreErrorKind::Unavailable && tries < WRITE_TRIES => {}
            Err(error) => return Err(error.into()),
        }
        if tries == WRITE_TRIES {
            let message = format!("another worker writes the record of {backup}");
            return Err(EngineError::refused(ErrorKind::Conflict, message));
        }
        tries += 1;
    }
}

/// Checks that the lease was not lost while the record was on its way. If it was, and the backup was removed since, the record
/// goes as well: a rebuild would bring the backup back.
async fn check_wanted(ctx: &RegionContext, record: &Record, fence: Fence) -> Result<(), EngineError> {
    let (account, backup) = (&record.head.account, &record.head.backup);
    let Err(error) = ctx.catalog.check_lease(backup, fence).await else { return Ok(()) };
    if is_lost(&error) {
        let state = ctx.catalog.find_backup(account, backup).await?.map(|row| row.state);
        if matches!(state, None | Some(BackupState::Deleting | BackupState::Failed)) {
            crate::backups::remove_record(ctx, account, backup).await?;
        }
    }
    Err(error.into())
}

/// A catalog's row as a record's.
pub(crate) fn pack_ref(row: &PackRow) -> PackRef {
    PackRef { id: row.pack_id, object_name: row.object_name, bytes: row.bytes, data_key: row.data_key }
}

/// Where every pack that the manifest names lies.
async fn named_packs(job: &Job, taken: &Taken) -> Result<Vec<PackRef>, EngineError> {
    let rows = job.ctx.catalog.backup_packs(&job.id).await?;
    let landed: HashMap<PackId, PackRef> =
        rows.into_iter().filter(|row| row.landed && !row.deleting).map(|row| (row.pack_id, pack_ref(&row))).collect();
    let find = |id: &PackId| {
        landed.get(id).copied().ok_or_else(|| {
            let message = format!("pack {id} has not landed in {}, so the backup is not complete", job.ctx.region);
            EngineError::refused(ErrorKind::Failed, message)
        })
    };
    let mut packs: Vec<PackRef> = taken.assembled.packs.iter().map(find).collect::<Result<_, _>>()?;
    packs.sort_by_key(|pack| pack.id);
    Ok(packs)
}

fn totals(job: &Job, taken: &Taken, packs: &[PackRef]) -> Totals {
    let stored_bytes = packs.iter().map(|pack| pack.bytes).sum();
    let own = packs.iter().filter(|pack| pack.data_key == job.data_key.id());
    let moved_bytes = own.map(|pack| pack.bytes).sum();
    Totals {
        size_bytes: taken.counts.size_bytes,
        stored_bytes,
        moved_bytes,
        deduplicated_bytes: stored_bytes - moved_bytes,
        entry_count: taken.counts.entries,
        omission_count: taken.omissions.len() as u64,
    }
}
