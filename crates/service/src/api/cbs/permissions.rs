//! The permissions that each operation needs: the operation itself, on every resource that it names.
//!
//! Listings are decided as a whole, for the region, and so is what makes something new. Tencent's front door asks for
//! permission before it looks at parameters; here they are read first, as they name what is asked about.

use std::sync::Arc;

use catalog::BackupRow;
use engine::RegionContext;
use wire::cbs::request::{CopySnapshotCrossRegions, TerminateDisks};
use wire::cbs::{Action, CbsCode, CbsError, Code, Request};
use wire::tencent::CommonCode;

use super::attributes::DiskAttributes;
use super::disks::tags;
use super::snapshots::passing_snapshots;
use super::{Call, internal, is_removable};
use crate::api::authorize::Denied;
use crate::api::default_key;
use crate::authorization::{Circumstances, Copying, Permission, Resource, ResourceType};

/// Refuses what the policies do not allow. Returns the ids that they were asked about.
pub(super) async fn check(call: &Call, request: &Request) -> Result<Vec<String>, CbsError> {
    let needed = needed(call, request).await?;
    call.authorize(needed).await.map_err(|denied| {
        let Denied { action, resource, .. } = &denied;
        let message = format!("You are not authorized to perform {action} on {resource}.");
        CbsError::new(code(request.action(), &denied), message)
    })
}

/// The front door's code, unless the operation has one of its own for just this.
fn code(action: Action, denied: &Denied) -> Code {
    match action {
        // CBS asks the key service for the caller, who may well make disks.
        Action::CreateDisks if denied.action.starts_with("kms:") => CommonCode::UnauthorizedOperation.into(),
        // Nobody has denied it: a policy could not be evaluated, and might have.
        Action::DeleteAutoSnapshotPolicies if denied.is_undecided => CbsCode::AuthFailure.into(),
        _ => CommonCode::AuthFailureUnauthorizedOperation.into(),
    }
}

async fn needed(call: &Call, request: &Request) -> Result<Vec<Permission>, CbsError> {
    let here = || Resource::region(call.ctx.region.as_str(), &call.account.id);
    let mut circumstances = Circumstances::default();
    let mut keys = Vec::new();
    let resources = match request {
        Request::CopySnapshotCrossRegions(request) => return needed_to_copy(call, request).await,
        Request::CreateSnapshot(request) => {
            circumstances.request_tags = tags(request.tags.as_deref());
            // What is not made of a disk is refused as not supported.
            disks(call, request.disk_id.as_slice()).await?.into_iter().chain([here()]).collect()
        }
        Request::DeleteSnapshots(request) => removable_snapshots(call, &request.snapshot_ids).await?,
        Request::ModifySnapshotAttribute(request) => vec![snapshot(call, &request.snapshot_id).await?.resource],
        Request::DescribeSnapshotSharePermission(request) => vec![snapshot(call, &request.snapshot_id).await?.resource],
        Request::ModifySnapshotsSharePermission(request) => snapshots(call, &request.snapshot_ids).await?,
        Request::ApplySnapshot(request) => {
            let snapshot = snapshot(call, &request.snapshot_id).await?;
            keys.extend(to_decrypt(call, snapshot.row.as_ref()));
            vec![snapshot.resource, disk(call, &request.disk_id).await?]
        }
        Request::CreateDisks(request) => {
            circumstances.request_tags = tags(request.tags.as_deref());
            keys.extend(to_encrypt(call, &call.ctx, request.kms_key_id.as_deref()).await?);
            let mut resources = vec![here()];
            if let Some(id) = &request.snapshot_id {
                let snapshot = snapshot(call, id).await?;
                keys.extend(to_decrypt(call, snapshot.row.as_ref()));
                resources.push(snapshot.resource);
            }
            resources
        }
        Request::TerminateDisks(request) => {
            keys = needed_for_passing_snapshots(call, request).await?;
            disks(call, &request.disk_ids).await?
        }
        Request::AttachDisks(request) => disks(call, &request.disk_ids).await?,
        Request::DetachDisks(request) => disks(call, &request.disk_ids).await?,
        Request::DescribeDiskAssociatedAutoSnapshotPolicy(request) => vec![disk(call, &request.disk_id).await?],
        Request::ModifyAutoSnapshotPolicyAttribute(request) => {
            policies(call, std::slice::from_ref(&request.auto_snapshot_policy_id)).await?
        }
        Request::DeleteAutoSnapshotPolicies(request) => policies(call, &request.auto_snapshot_policy_ids).await?,
        Request::BindAutoSnapshotPolicy(request) => {
            let policy = policies(call, std::slice::from_ref(&request.auto_snapshot_policy_id)).await?;
            policy.into_iter().chain(disks(call, &request.disk_ids).await?).collect()
        }
        Request::UnbindAutoSnapshotPolicy(request) => {
            let policy = policies(call, std::slice::from_ref(&request.auto_snapshot_policy_id)).await?;
            let disks = disks(call, request.disk_ids.as_deref().unwrap_or_default()).await?;
            policy.into_iter().chain(disks).collect()
        }
        Request::DescribeSnapshots(_)
        | Request::DescribeSnapshotOverview(_)
        | Request::DescribeDisks(_)
        | Request::CreateAutoSnapshotPolicy(_)
        | Request::DescribeAutoSnapshotPolicies(_) => vec![here()],
    };
    let action = format!("cbs::{}", request.action());
    let permission = |resource| Permission { action: action.clone(), resource, circumstances: circumstances.clone() };
    Ok(resources.into_iter().map(permission).chain(keys).collect())
}

/// To read the source and its key, to write into each target, and to use its key.
async fn needed_to_copy(call: &Call, request: &CopySnapshotCrossRegions) -> Result<Vec<Permission>, CbsError> {
    let snapshot = snapshot(call, &request.snapshot_id).await?;
    let mut needed = Vec::new();
    for target in &request.destination_regions {
        let known = call.region(target);
        let target_key = match &known {
            Some(target) => default_key(target).await.map_err(internal)?,
            None => None,
        };
        let copying = Copying {
            source_region: call.ctx.region.to_string(),
            target_region: target.clone(),
            source_key: snapshot.row.as_ref().map(|row| row.kms_key.to_string()),
            target_key: target_key.as_ref().map(ToString::to_string),
        };
        let circumstances = Circumstances { copying: Some(copying), ..Circumstances::default() };
        let permission = |action: &str, resource| Permission {
            action: action.to_owned(),
            resource,
            circumstances: circumstances.clone(),
        };
        needed.push(permission("cbs::CopySnapshotCrossRegions", snapshot.resource.clone()));
        needed.push(permission("cbs::CopySnapshotCrossRegions", Resource::region(target, &call.account.id)));
        if let Some(row) = &snapshot.row {
            needed
                .push(permission("kms::Decrypt", Resource::kms_key(&row.kms_key, &call.account.id, &call.ctx.region)));
        }
        if let (Some(target), Some(key)) = (known, target_key) {
            needed.push(permission("kms::Encrypt", Resource::kms_key(&key, &call.account.id, &target.region)));
        }
    }
    Ok(needed)
}

/// To delete the snapshots that go with their disks.
async fn needed_for_passing_snapshots(call: &Call, request: &TerminateDisks) -> Result<Vec<Permission>, CbsError> {
    let mut needed = Vec::new();
    for id in &request.disk_ids {
        let Some(disk) = call.find_disk(id).await? else { continue };
        if request.delete_snapshot != Some(1) && !DiskAttributes::of(&disk).delete_snapshot {
            continue;
        }
        for row in passing_snapshots(call, &disk.id).await? {
            let resource = Resource::backup(&row, &call.account.id, &call.ctx.region);
            let (action, circumstances) = ("cbs::DeleteSnapshots".to_owned(), Circumstances::default());
            needed.push(Permission { action, resource, circumstances });
        }
    }
    Ok(needed)
}

/// To read what is sealed under a snapshot's key.
fn to_decrypt(call: &Call, snapshot: Option<&BackupRow>) -> Option<Permission> {
    let resource = Resource::kms_key(&snapshot?.kms_key, &call.account.id, &call.ctx.region);
    Some(Permission { action: "kms::Decrypt".to_owned(), resource, circumstances: Circumstances::default() })
}

/// To seal something new under the key that is named, or a region's default.
async fn to_encrypt(
    call: &Call,
    ctx: &Arc<RegionContext>,
    named: Option<&str>,
) -> Result<Option<Permission>, CbsError> {
    let key = match named {
        Some(named) => named.parse().ok(),
        None => default_key(ctx).await.map_err(internal)?,
    };
    Ok(key.map(|key| {
        let resource = Resource::kms_key(&key, &call.account.id, &ctx.region);
        Permission { action: "kms::Encrypt".to_owned(), resource, circumstances: Circumstances::default() }
    }))
}

/// A snapshot that is asked about, and its row if the caller can see one.
struct Asked {
    resource: Resource,
    row: Option<BackupRow>,
}

async fn snapshot(call: &Call, id: &str) -> Result<Asked, CbsError> {
    let row = call.find_readable_snapshot(id).await?;
    Ok(Asked { resource: resource_of(call, id, row.as_ref()), row })
}

fn resource_of(call: &Call, id: &str, row: Option<&BackupRow>) -> Resource {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    match row {
        Some(row) => Resource::backup(row, caller, region),
        None => Resource::unknown(ResourceType::Snapshot, id, caller, region.as_str()),
    }
}

/// Those whose removal a call before this one has begun are still what they were to whoever wrote the policies.
async fn removable_snapshots(call: &Call, ids: &[String]) -> Result<Vec<Resource>, CbsError> {
    let mut resources = Vec::new();
    for id in ids {
        let row = call.find_snapshot(id).await?.filter(is_removable);
        resources.push(resource_of(call, id, row.as_ref()));
    }
    Ok(resources)
}

async fn snapshots(call: &Call, ids: &[String]) -> Result<Vec<Resource>, CbsError> {
    let mut resources = Vec::new();
    for id in ids {
        resources.push(snapshot(call, id).await?.resource);
    }
    Ok(resources)
}

async fn disk(call: &Call, id: &str) -> Result<Resource, CbsError> {
    let region = &call.ctx.region;
    Ok(match call.find_disk(id).await? {
        Some(row) => Resource::of_row(&row, region),
        None => Resource::unknown(ResourceType::Disk, id, &call.account.id, region.as_str()),
    })
}

async fn disks(call: &Call, ids: &[String]) -> Result<Vec<Resource>, CbsError> {
    let mut resources = Vec::new();
    for id in ids {
        resources.push(disk(call, id).await?);
    }
    Ok(resources)
}

async fn policies(call: &Call, ids: &[String]) -> Result<Vec<Resource>, CbsError> {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    let known = call.ctx.catalog.list_policies(caller).await.map_err(internal)?;
    let resource = |id: &String| match known.iter().find(|policy| policy.id.as_str() == id) {
        Some(row) => Resource::snapshot_policy(row, region),
        None => Resource::unknown(ResourceType::AutoSnapshotPolicy, id, caller, region.as_str()),
    };
    Ok(ids.iter().map(resource).collect())
}
