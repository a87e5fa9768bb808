//! Snapshots that are there: `DescribeSnapshots`, `DeleteSnapshots`, `ModifySnapshotAttribute`.

use std::collections::HashMap;

use catalog::{BackupFilter, BackupRow, HoldRow};
use engine::backups::{delete_backups, edit_backup};
use engine::managed::restored_resource;
use model::{BackupId, BackupState, ResourceId, Service};
use wire::cbs::filter::SnapshotField;
use wire::cbs::listing::Order;
use wire::cbs::reply::{DescribeSnapshotOverviewReply, DescribeSnapshotsReply, Empty, Placement, Snapshot};
use wire::cbs::request::{DeleteSnapshots, DescribeSnapshots, ModifySnapshotAttribute};
use wire::cbs::time::{date, date_time, utc_plus_8};
use wire::cbs::values::{SnapshotState, SnapshotType};
use wire::cbs::{CbsCode, CbsError, UNNAMED};

use super::attributes::SnapshotAttributes;
use super::disks::as_tags;
use super::{Call, internal, is_listed};

/// More ids than this are looked for in what was read, not in the catalog.
const IDS_IN_QUERY_MAX: usize = 256;

pub(super) async fn describe(call: &Call, request: &DescribeSnapshots) -> Result<DescribeSnapshotsReply, CbsError> {
    let (catalog, page) = (&call.ctx.catalog, request.page);
    let shared = catalog.backups_shared_with(&call.account.id).await.map_err(internal)?;
    let plain = request.ids.is_empty() && request.filters.is_empty() && shared.is_empty();
    let filter = as_filter(request);
    // Without conditions of CBS's own, the catalog counts, and reads no more than the page and what is before it.
    let limit = if plain { u32::try_from(page.offset + page.limit).unwrap_or(u32::MAX) } else { u32::MAX };
    let Some(filter) = filter else {
        return Ok(DescribeSnapshotsReply { total_count: 0, snapshot_set: Vec::new() });
    };
    let filter = BackupFilter { limit, ..filter };
    let mut rows = catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    if !shared.is_empty() {
        rows.extend(shared);
        rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        if request.order == Order::Desc {
            rows.reverse();
        }
    }
    let holds = catalog.shown_holds(&call.account.id).await.map_err(internal)?;
    let held = holds.chunk_by(|a, b| a.backup == b.backup).map(|on_one| (&on_one[0].backup, on_one));
    let held: HashMap<&BackupId, &[HoldRow]> = held.collect();
    let holds_on = |row: &BackupRow| held.get(&row.id).copied().unwrap_or_default();
    let seen = rows.iter().map(|row| (row, view(call, row, holds_on(row))));
    let seen: Vec<_> = seen.filter(|(row, view)| request.selects(row.id.as_str(), view)).collect();
    let total_count = match plain {
        true => usize::try_from(catalog.count_backups(&call.account.id, &filter).await.map_err(internal)?)
            .unwrap_or(usize::MAX),
        false => seen.len(),
    };
    let mut snapshot_set = Vec::new();
    for (row, view) in page.of_items(&seen) {
        let view = view.clone();
        snapshot_set.push(if is_own(call, row) {
            with_owners_view(call, row, holds_on(row), view).await?
        } else {
            view
        });
    }
    Ok(DescribeSnapshotsReply { total_count, snapshot_set })
}

/// What of a listing the catalog can decide. `None` when nothing can match.
fn as_filter(request: &DescribeSnapshots) -> Option<BackupFilter> {
    let disks = request.filters.iter().find(|filter| filter.field == SnapshotField::DiskId);
    let resources: Vec<ResourceId> =
        disks.iter().flat_map(|filter| &filter.values).filter_map(|value| value.parse().ok()).collect();
    let ids: Vec<BackupId> = request.ids.iter().filter_map(|id| id.parse().ok()).collect();
    let impossible = (!request.ids.is_empty() && ids.is_empty()) || (disks.is_some() && resources.is_empty());
    (!impossible).then(|| BackupFilter {
        service: Some(Service::Cbs),
        states: vec![BackupState::Creating, BackupState::Copying, BackupState::Available],
        ascending: request.order == Order::Asc,
        resources,
        ids: if ids.len() <= IDS_IN_QUERY_MAX { ids } else { Vec::new() },
        ..BackupFilter::default()
    })
}

/// A snapshot with all that filters ask about. `holds` are those on it that the caller may know of, as its owner.
fn view(call: &Call, row: &BackupRow, holds: &[HoldRow]) -> Snapshot {
    let (known, zone) = (SnapshotAttributes::of(row), utc_plus_8());
    let (snapshot_state, percent) = progress(call, row, holds);
    Snapshot {
        snapshot_id: row.id.to_string(),
        snapshot_name: known.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
        snapshot_state,
        percent,
        copy_from_remote: row.is_copy(),
        disk_id: row.resource_id.to_string(),
        disk_size: known.disk_size(row),
        disk_usage: known.disk_usage(),
        encrypt: known.encrypted,
        is_permanent: row.expires_at.is_none(),
        deadline_time: row.expires_at.map(|time| date_time(time, &zone)).unwrap_or_default(),
        create_time: date_time(row.created_at, &zone),
        snapshot_type: match is_own(call, row) {
            true => SnapshotType::PrivateSnapshot,
            false => SnapshotType::SharedSnapshot,
        },
        placement: Placement {
            zone: known.zone.unwrap_or_else(|| call.first_zone()),
            project_id: known.project_id,
            ..Placement::default()
        },
        ..Snapshot::default()
    }
}

/// Whether a snapshot is the caller's, rather than shared with the caller.
fn is_own(call: &Call, row: &BackupRow) -> bool {
    row.account == call.account.id
}

/// The state, and how far the work on it is.
fn progress(call: &Call, row: &BackupRow, holds: &[HoldRow]) -> (SnapshotState, i64) {
    let known = call.server.jobs.progress(&row.id).map(|progress| (progress.done_bytes(), progress.total_bytes()));
    let (done, total) = known.unwrap_or((row.done_bytes, row.total_bytes));
    let percent = i64::try_from((done.min(total) * 100).checked_div(total).unwrap_or(0)).unwrap_or(0);
    match row.state {
        // All has landed; what is left is to check it against the source's list.
        BackupState::Copying if total > 0 && done >= total => (SnapshotState::CheckingCopied, 99),
        BackupState::Copying => (SnapshotState::CopyingFromRemote, percent.min(99)),
        BackupState::Creating => (SnapshotState::Creating, percent.min(99)),
        BackupState::Available if rolls_back(holds, row) => (SnapshotState::Rollbacking, 100),
        BackupState::Available | BackupState::Failed | BackupState::Deleting => (SnapshotState::Normal, 100),
    }
}

/// Whether one of the holds on a snapshot is that of putting it back onto its disk.
fn rolls_back(holds: &[HoldRow], row: &BackupRow) -> bool {
    holds.iter().any(|hold| restored_resource(&hold.holder).as_ref() == Some(&row.resource_id))
}

/// Adds what is the owner's alone to know, and no filter asks about: whom it is shared with, and where it is being copied
/// to.
async fn with_owners_view(
    call: &Call,
    row: &BackupRow,
    holds: &[HoldRow],
    mut view: Snapshot,
) -> Result<Snapshot, CbsError> {
    view.tags = as_tags(&row.tags);
    view.auto_snapshot_policy_id = SnapshotAttributes::of(row).policy.map(String::from);
    if row.state != BackupState::Available {
        return Ok(view);
    }
    let shares = call.ctx.catalog.list_shares(&row.id).await.map_err(internal)?;
    view.share_reference = i64::try_from(shares.len()).unwrap_or(i64::MAX);
    view.time_start_share = shares.first().map(|share| date(share.created_at, &utc_plus_8())).unwrap_or_default();
    let copies = holds.iter().filter(|hold| restored_resource(&hold.holder).is_none());
    view.copying_to_regions = copies.filter_map(|copy| copy.holder.split('/').next()).map(str::to_owned).collect();
    Ok(view)
}

/// What an image that is filled from a snapshot is taken to need. Holes need nothing, so that its size is too much for most.
/// What is stored is about what is not holes; it counts whole packs, which also hold what other snapshots have.
pub(super) fn filled_bytes(row: &BackupRow) -> u64 {
    row.stored_bytes.min(row.size_bytes)
}

/// Whether a snapshot is being rolled back onto its disk.
pub(super) async fn is_rolled_back(call: &Call, row: &BackupRow) -> Result<bool, CbsError> {
    let holds = call.ctx.catalog.active_holds(&row.id).await.map_err(internal)?;
    Ok(rolls_back(&holds, row))
}

pub(super) async fn overview(call: &Call) -> Result<DescribeSnapshotOverviewReply, CbsError> {
    let filter = BackupFilter {
        service: Some(Service::Cbs),
        states: vec![BackupState::Creating, BackupState::Copying, BackupState::Available],
        limit: u32::MAX,
        ..BackupFilter::default()
    };
    let rows = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    // A float is what the API has; a store beyond 2^53 bytes is off by a few.
    #[expect(clippy::cast_precision_loss, reason = "shown to people in GiB")]
    let total_size = rows.iter().map(|row| row.moved_bytes).sum::<u64>() as f64 / f64::from(1 << 30);
    let total_nums = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    Ok(DescribeSnapshotOverviewReply { total_nums, total_size, free_quota: 0.0, real_trade_size: total_size })
}

/// Removes snapshots, all or none. What failed after the removal of all had begun can be repeated, and is gone on with.
pub(super) async fn delete(call: &Call, request: &DeleteSnapshots) -> Result<Empty, CbsError> {
    let mut ids = Vec::new();
    for id in &request.snapshot_ids {
        let row = call.load_removable_snapshot(id).await?;
        match row.state {
            BackupState::Available => {
                check_unheld(call, &row).await?;
                check_unshared(call, &row).await?;
            }
            BackupState::Deleting => {}
            BackupState::Creating => return Err(CbsCode::ResourceUnavailableSnapshotCreating.into()),
            BackupState::Copying | BackupState::Failed => return Err(CbsCode::ResourceBusy.into()),
        }
        ids.push(row.id);
    }
    delete_backups(&call.ctx, &call.account.id, &ids).await.map_err(internal)?;
    Ok(Empty {})
}

/// Refuses to remove a snapshot that is being read.
pub(super) async fn check_unheld(call: &Call, row: &BackupRow) -> Result<(), CbsError> {
    match call.ctx.catalog.active_holds(&row.id).await.map_err(internal)?.is_empty() {
        true => Ok(()),
        false => Err(CbsCode::ResourceBusy.into()),
    }
}

/// Refuses what would take a snapshot away from accounts that it is shared with.
async fn check_unshared(call: &Call, row: &BackupRow) -> Result<(), CbsError> {
    match call.ctx.catalog.list_shares(&row.id).await.map_err(internal)?.is_empty() {
        true => Ok(()),
        false => Err(CbsCode::UnsupportedOperationSnapHasShared.into()),
    }
}

pub(super) async fn modify(call: &Call, request: ModifySnapshotAttribute) -> Result<Empty, CbsError> {
    let row = call.load_snapshot(&request.snapshot_id).await?;
    if request.deadline.is_some() && row.expires_at.is_none() {
        check_unshared(call, &row).await?;
    }
    let edit = |row: &mut BackupRow| {
        let mut known = SnapshotAttributes::of(row);
        if let Some(name) = request.snapshot_name {
            known.name = Some(name);
        }
        row.attributes = known.text();
        match (request.is_permanent, request.deadline) {
            (_, Some(deadline)) => row.expires_at = Some(deadline),
            (Some(true), None) => row.expires_at = None,
            _ => {}
        }
    };
    edit_backup(&call.ctx, &call.account.id, &row.id, edit).await.map_err(internal)?;
    Ok(Empty {})
}

/// Snapshots of a disk that go when it does.
pub(super) async fn passing_snapshots(call: &Call, disk: &ResourceId) -> Result<Vec<BackupRow>, CbsError> {
    let filter = BackupFilter { resources: vec![disk.clone()], limit: u32::MAX, ..BackupFilter::default() };
    let mut rows = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    rows.retain(|row| is_listed(row) && row.expires_at.is_some() && !row.is_copy());
    Ok(rows)
}
