//! Disks that are there: `DescribeDisks` and `TerminateDisks`.

use catalog::{BackupFilter, BackupRow, ResourceRow};
use engine::backups::delete_backup;
use engine::medium::Outline;
use futures::future::join_all;
use model::{PolicyId, ResourceId, ResourceState, Service};
use wire::cbs::listing::{Order, OrderField};
use wire::cbs::reply::{DescribeDisksReply, Disk, Empty, Placement, Tag};
use wire::cbs::request::{DescribeDisks, TerminateDisks};
use wire::cbs::time::{date_time, days_until, utc_plus_8};
use wire::cbs::values::{DiskState, EncryptType};
use wire::cbs::{CbsCode, CbsError, UNNAMED};
use wire::tencent::CommonCode;

use super::attributes::{DiskAttributes, in_gib};
use super::snapshots::{check_unheld, passing_snapshots};
use super::{Call, internal, is_listed};

/// Disks that are looked at together.
const PAGE: u32 = 1000;

/// Tags of a request.
pub(super) fn tags(given: Option<&[Tag]>) -> Vec<(String, String)> {
    given.unwrap_or_default().iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

/// Tags of a reply.
pub(super) fn as_tags(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

pub(super) async fn describe(call: &Call, request: &DescribeDisks) -> Result<DescribeDisksReply, CbsError> {
    let mut rows = all(call).await?;
    rows.sort_by_cached_key(|row| {
        let deadline = match request.order_field {
            OrderField::CreateTime => None,
            OrderField::Deadline => DiskAttributes::of(row).deadline(row),
        };
        // One without a deadline outlasts those that have one.
        (deadline.is_none(), deadline, row.created_at, row.id.clone())
    });
    if request.listing.order == Order::Desc {
        rows.reverse();
    }
    let seen: Vec<(&ResourceRow, Disk)> = rows.iter().map(|row| (row, view(call, row))).collect();
    let seen: Vec<_> = seen.into_iter().filter(|(row, disk)| request.listing.selects(row.id.as_str(), disk)).collect();
    let bound = match request.return_bind_auto_snapshot_policy {
        true => Some(call.ctx.catalog.bound_resources(&call.account.id).await.map_err(internal)?),
        false => None,
    };
    let page = request.listing.page.of_items(&seen);
    // At once, as each may take its time.
    let outlines = join_all(page.iter().map(|(row, _)| Outline::of(row))).await;
    let mut disk_set = Vec::new();
    for ((row, disk), outline) in page.iter().zip(outlines) {
        let mut disk = with_snapshots(call, row, with_outline(disk.clone(), row, outline)).await?;
        let of_disk = |bound: &Vec<(PolicyId, ResourceId)>| {
            bound.iter().filter(|(_, disk)| *disk == row.id).map(|(policy, _)| policy.to_string()).collect()
        };
        disk.auto_snapshot_policy_ids = bound.as_ref().map(of_disk);
        disk_set.push(disk);
    }
    Ok(DescribeDisksReply { total_count: seen.len(), disk_set })
}

async fn all(call: &Call) -> Result<Vec<ResourceRow>, CbsError> {
    let mut rows: Vec<ResourceRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.id.to_string()).unwrap_or_default();
        let page = call.ctx.catalog.page_of_resources(&call.account.id, Service::Cbs, &after, PAGE).await;
        let page = page.map_err(internal)?;
        let is_last = page.len() < PAGE as usize;
        rows.extend(page);
        if is_last {
            rows.retain(|row| !matches!(row.state, ResourceState::Deleting | ResourceState::Failed));
            return Ok(rows);
        }
    }
}

/// A disk as its row tells of it.
fn view(call: &Call, row: &ResourceRow) -> Disk {
    let (known, zone) = (DiskAttributes::of(row), utc_plus_8());
    let deadline = known.deadline(row);
    let rollbacking = known.rollback && row.state == ResourceState::Creating;
    Disk {
        disk_id: row.id.to_string(),
        disk_name: row.name.clone().unwrap_or_else(|| UNNAMED.to_owned()),
        disk_type: known.disk_type(),
        disk_size: known.size_gib.unwrap_or_default(),
        // There is no state for a disk that is being filled from a snapshot; until it is, it cannot be used.
        disk_state: match row.state {
            ResourceState::Creating if rollbacking => DiskState::Rollbacking,
            ResourceState::Creating => DiskState::Dumping,
            _ if known.is_attached() => DiskState::Attached,
            _ => DiskState::Unattached,
        },
        disk_charge_type: known.charge_type(),
        portable: true,
        placement: Placement {
            zone: known.zone.clone().unwrap_or_else(|| call.first_zone()),
            project_id: known.project_id,
            ..Placement::default()
        },
        create_time: date_time(row.created_at, &zone),
        deadline_time: deadline.map(|time| date_time(time, &zone)).unwrap_or_default(),
        differ_days_of_deadline: deadline.and_then(|time| days_until(call.server.clock.now(), time, &zone)),
        renew_flag: known.renew_flag(),
        attached: known.is_attached(),
        instance_id: known.instances.first().cloned().unwrap_or_default(),
        instance_type: if known.is_attached() { "CVM" } else { "" },
        last_attach_ins_id: known.last_instance.clone(),
        delete_with_instance: known.delete_with_instance,
        delete_snapshot: i64::from(known.delete_snapshot),
        encrypt: known.encrypted,
        encrypt_type: known.encrypt_type.as_deref().and_then(EncryptType::find),
        kms_key_id: known.encrypted.then(|| row.kms_key.to_string()),
        shareable: known.shareable,
        rollbacking,
        tags: as_tags(&row.tags),
        throughput_performance: known.throughput,
        burst_performance: known.burst,
        disk_backup_quota: known.backup_quota,
        instance_id_list: known.instances,
        ..Disk::default()
    }
}

/// Adds what the image tells: whether there can be snapshots, and the size, where no other was asked for.
fn with_outline(mut disk: Disk, row: &ResourceRow, outline: Option<Outline>) -> Disk {
    disk.snapshot_ability = outline.is_none_or(|outline| outline.is_image);
    if DiskAttributes::of(row).size_gib.is_none() {
        disk.disk_size = in_gib(outline.map_or(0, |outline| outline.bytes));
    }
    disk
}

/// Adds what has to be looked up for each disk: its snapshots.
async fn with_snapshots(call: &Call, row: &ResourceRow, mut disk: Disk) -> Result<Disk, CbsError> {
    let filter = BackupFilter { resources: vec![row.id.clone()], limit: PAGE, ..BackupFilter::default() };
    let mut snapshots = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    snapshots.retain(|snapshot| is_listed(snapshot) && !snapshot.is_copy());
    disk.snapshot_count = i64::try_from(snapshots.len()).unwrap_or(i64::MAX);
    let bytes: u64 = snapshots.iter().map(|snapshot| snapshot.moved_bytes).sum();
    disk.snapshot_size = i64::try_from(bytes.div_ceil(1 << 20)).unwrap_or(i64::MAX);
    Ok(disk)
}

/// Removes disks, all or none; the region's keeper does what the rows then say. The snapshots that go with them are
/// deleted after that: one that cannot be, as it began to be read meanwhile, stays until its deadline.
pub(super) async fn terminate(call: &Call, request: &TerminateDisks) -> Result<Empty, CbsError> {
    let mut going = Vec::new();
    for id in &request.disk_ids {
        let unknown = || CbsError::new(CommonCode::InvalidParameterValue, format!("There is no disk {id}."));
        let disk = call.find_disk(id).await?.ok_or_else(unknown)?;
        if disk.state == ResourceState::Creating || call.is_being_taken(&disk.id).await? {
            return Err(CbsCode::ResourceBusy.into());
        }
        check_unattached(&disk)?;
        if request.delete_snapshot == Some(1) || DiskAttributes::of(&disk).delete_snapshot {
            going.extend(passing_snapshots(call, &disk.id).await?);
        }
    }
    for snapshot in &going {
        check_goes(call, snapshot).await?;
    }
    let remove = |row: &mut ResourceRow| {
        // One may have been attached since.
        check_unattached(row)?;
        row.state = ResourceState::Deleting;
        Ok(())
    };
    call.edit_disks(&request.disk_ids, remove).await?;
    for snapshot in going {
        // The disks are gone, and so nothing is refused any more.
        if let Err(error) = delete_backup(&call.ctx, &call.account.id, &snapshot.id, None).await {
            let (snapshot, error) = (snapshot.id.as_str(), engine::describe(&error));
            tracing::warn!(snapshot, error, "a snapshot did not go with its disk, and will at its deadline");
        }
    }
    Ok(Empty {})
}

/// Whether a snapshot can go with its disk: nobody reads it, and it is shared with nobody.
async fn check_goes(call: &Call, snapshot: &BackupRow) -> Result<(), CbsError> {
    check_unheld(call, snapshot).await?;
    if !call.ctx.catalog.list_shares(&snapshot.id).await.map_err(internal)?.is_empty() {
        let message = format!("{}, which would go with its disk, is shared with other accounts.", snapshot.id);
        return Err(CbsError::new(CommonCode::UnsupportedOperation, message));
    }
    Ok(())
}

/// Refuses a disk that an instance uses. None can use one that has failed, which nothing but this removes.
fn check_unattached(disk: &ResourceRow) -> Result<(), CbsError> {
    match disk.state != ResourceState::Failed && DiskAttributes::of(disk).is_attached() {
        true => Err(CbsCode::ResourceUnavailableNotSupported.into()),
        false => Ok(()),
    }
}
