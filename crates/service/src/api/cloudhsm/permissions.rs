//! The permissions that each operation needs: those of "Actions, resources, and condition keys for AWS CloudHSM" in AWS's
//! Service Authorization Reference.
//!
//! Listings are decided as a whole, for the region. Tags that a new thing gets need to be allowed in the region it will be
//! in, and are refused with an error of their own.

use catalog::BackupRow;
use wire::aws::arn::Arn;
use wire::cloudhsm::request::{CopyBackupToRegion, CreateCluster, SourceBackup};
use wire::cloudhsm::{CloudHsmError, ErrorCode, Request, tags};

use super::tagging::is_cluster;
use super::{Call, as_pairs, as_tags, find_backup, find_cluster, internal, policies};
use crate::api::authorize::Denied;
use crate::authorization::{Circumstances, Copying, Permission, Resource, ResourceType};

/// Refuses what the policies do not allow. Returns the ids that they were asked about.
pub(super) async fn check(call: &Call, request: &Request) -> Result<Vec<String>, CloudHsmError> {
    let needed = match request {
        Request::CopyBackupToRegion(request) => needed_to_copy(call, request).await?,
        Request::CreateCluster(request) => needed_to_create(call, request).await?,
        request => vec![needed(call, request).await?],
    };
    call.authorize(needed).await.map_err(|Denied { action, resource, .. }| {
        let is_for_tags = ["cloudhsm:TagResource", "cloudhsm:UntagResource"].contains(&action.as_str());
        let code = if is_for_tags { ErrorCode::Tag } else { ErrorCode::AccessDenied };
        CloudHsmError::new(code, format!("You are not authorized to perform {action} on {resource}."))
    })
}

/// What all but two operations need.
async fn needed(call: &Call, request: &Request) -> Result<Permission, CloudHsmError> {
    let mut circumstances = Circumstances::default();
    let resource = match request {
        Request::CopyBackupToRegion(_)
        | Request::CreateCluster(_)
        | Request::DescribeBackups(_)
        | Request::DescribeClusters(_) => here(call),
        Request::DeleteBackup(request) => backup(call, &request.backup_id).await?,
        Request::RestoreBackup(request) => backup(call, &request.backup_id).await?,
        Request::ModifyBackupAttributes(request) => backup(call, &request.backup_id).await?,
        Request::ModifyCluster(request) => cluster(call, &request.cluster_id).await?,
        Request::DeleteCluster(request) => cluster(call, &request.cluster_id).await?,
        Request::InitializeCluster(request) => cluster(call, &request.cluster_id).await?,
        Request::CreateHsm(request) => cluster(call, &request.cluster_id).await?,
        Request::DeleteHsm(request) => cluster(call, &request.cluster_id).await?,
        Request::TagResource(request) => {
            circumstances.request_tags = as_pairs(&request.tag_list);
            tagged(call, &request.resource_id).await?
        }
        Request::UntagResource(request) => {
            circumstances.removed_tags.clone_from(&request.tag_key_list);
            tagged(call, &request.resource_id).await?
        }
        Request::ListTags(request) => tagged(call, &request.resource_id).await?,
        Request::PutResourcePolicy(request) => named_backup(call, &request.backup_arn()?).await?,
        Request::GetResourcePolicy(request) => named_backup(call, &request.backup_arn()?).await?,
        Request::DeleteResourcePolicy(request) => named_backup(call, &request.backup_arn()?).await?,
    };
    let action = format!("cloudhsm::{}", request.operation());
    Ok(Permission { action, resource, circumstances })
}

/// To read the source and its key, to write into the target, to use its key, and to tag the copy.
async fn needed_to_copy(call: &Call, request: &CopyBackupToRegion) -> Result<Vec<Permission>, CloudHsmError> {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    let row = find_backup(call, &call.ctx, &request.backup_id).await?;
    let target = call.region(&request.destination_region);
    let target_key = match &target {
        Some(target) => {
            Some(target.keys.default_key().await.map_err(|error| internal(engine::EngineError::from(error)))?)
        }
        None => None,
    };
    let source_tags = row.as_ref().map(|row| as_tags(&row.tags)).unwrap_or_default();
    let tags = as_pairs(&tags::of_copy(&source_tags, request.tag_list.as_deref()));
    let copying = Copying {
        source_region: region.to_string(),
        target_region: request.destination_region.clone(),
        source_key: row.as_ref().map(|row| row.kms_key.to_string()),
        target_key: target_key.as_ref().map(ToString::to_string),
    };
    let circumstances =
        Circumstances { request_tags: tags.clone(), copying: Some(copying), ..Circumstances::default() };
    let permission = |action: &str, resource| Permission {
        action: action.to_owned(),
        resource,
        circumstances: circumstances.clone(),
    };
    let there = Resource::region(&request.destination_region, caller);
    let mut needed = vec![
        permission("cloudhsm::CopyBackupToRegion", as_resource(call, &request.backup_id, row.as_ref())),
        permission("cloudhsm::CopyBackupToRegion", there.clone()),
    ];
    if let Some(row) = &row {
        needed.push(permission("kms::Decrypt", Resource::kms_key(&row.kms_key, caller, region)));
    }
    if let (Some(target), Some(key)) = (target, target_key) {
        needed.push(permission("kms::Encrypt", Resource::kms_key(&key, caller, &target.region)));
    }
    if !tags.is_empty() {
        // Both are named as what the operation depends on: tags that are given take the place of the source's.
        needed.extend(["cloudhsm::TagResource", "cloudhsm::UntagResource"].map(|action| to_tag(action, &there, &tags)));
    }
    Ok(needed)
}

/// To make a cluster in the region and seal it under its key, to read the backup that it is made from, and to tag it.
async fn needed_to_create(call: &Call, request: &CreateCluster) -> Result<Vec<Permission>, CloudHsmError> {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    let tags = as_pairs(request.tag_list.as_deref().unwrap_or_default());
    let circumstances = Circumstances { request_tags: tags.clone(), ..Circumstances::default() };
    let permission = |action: &str, resource| Permission {
        action: action.to_owned(),
        resource,
        circumstances: circumstances.clone(),
    };
    let key = call.ctx.keys.default_key().await.map_err(|error| internal(engine::EngineError::from(error)))?;
    let mut needed = vec![
        permission("cloudhsm::CreateCluster", here(call)),
        permission("kms::Encrypt", Resource::kms_key(&key, caller, region)),
    ];
    if let Some(source) = request.source_backup() {
        let row = find_source(call, &source).await?;
        needed.push(permission("cloudhsm::CreateCluster", as_resource(call, source.id(), row.as_ref())));
        if let Some(row) = &row {
            needed.push(permission("kms::Decrypt", Resource::kms_key(&row.kms_key, caller, region)));
        }
    }
    if !tags.is_empty() {
        needed.push(to_tag("cloudhsm::TagResource", &here(call), &tags));
    }
    Ok(needed)
}

async fn find_source(call: &Call, source: &SourceBackup) -> Result<Option<BackupRow>, CloudHsmError> {
    match source {
        SourceBackup::Own(id) => find_backup(call, &call.ctx, id).await,
        SourceBackup::Named(arn) if arn.account != call.account.id.as_str() => {
            match policies::load_lent(call, arn).await {
                Ok(row) => Ok(Some(row)),
                Err(error) if error.code == ErrorCode::AccessDenied => Ok(None),
                Err(error) => Err(error),
            }
        }
        SourceBackup::Named(arn) if call.names().contains(arn) => find_backup(call, &call.ctx, source.id()).await,
        SourceBackup::Named(_) => Ok(None),
    }
}

fn to_tag(action: &str, place: &Resource, tags: &[(String, String)]) -> Permission {
    let circumstances = Circumstances { request_tags: tags.to_vec(), ..Circumstances::default() };
    Permission { action: action.to_owned(), resource: place.clone(), circumstances }
}

fn here(call: &Call) -> Resource {
    Resource::region(call.ctx.region.as_str(), &call.account.id)
}

fn as_resource(call: &Call, id: &str, row: Option<&BackupRow>) -> Resource {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    match row {
        Some(row) => Resource::backup(row, caller, region),
        None => Resource::unknown(ResourceType::Backup, id, caller, region.as_str()),
    }
}

async fn backup(call: &Call, id: &str) -> Result<Resource, CloudHsmError> {
    Ok(as_resource(call, id, find_backup(call, &call.ctx, id).await?.as_ref()))
}

async fn named_backup(call: &Call, arn: &Arn) -> Result<Resource, CloudHsmError> {
    let id = arn.kind_and_id().map_or("", |(_, id)| id);
    if call.names().contains(arn) { backup(call, id).await } else { Ok(as_resource(call, id, None)) }
}

async fn cluster(call: &Call, id: &str) -> Result<Resource, CloudHsmError> {
    let region = &call.ctx.region;
    Ok(match find_cluster(call, id).await? {
        Some(row) => Resource::of_row(&row, region),
        None => Resource::unknown(ResourceType::Cluster, id, &call.account.id, region.as_str()),
    })
}

async fn tagged(call: &Call, id: &str) -> Result<Resource, CloudHsmError> {
    if is_cluster(id) { cluster(call, id).await } else { backup(call, id).await }
}
