//! The permissions that each operation needs: those of "Actions, resources, and condition keys for Amazon FSx" in
//! AWS's Service Authorization Reference.
//!
//! Listings are decided as a whole, for the region. Tags that a new thing gets need `fsx::TagResource` in the region it
//! will be in.

use catalog::ResourceRow;
use engine::RegionContext;
use model::KmsKeyId;
use wire::aws::error::CommonCode;
use wire::fsx::request::{CopyBackup, Request, Subject};
use wire::fsx::{FsxCode, FsxError, tags};

use super::tagging::Named;
use super::{Call, as_pairs, as_tags, delete_file_system, keys, tagging};
use crate::api::authorize::Denied;
use crate::authorization::{Circumstances, Copying, Permission, Resource, ResourceType};
use crate::serve::Unserved;

/// Refuses what the policies do not allow. Returns the ids that they were asked about.
pub(super) async fn check(call: &Call, request: &Request) -> Result<Vec<String>, FsxError> {
    let needed = needed(call, request).await?;
    call.authorize(needed).await.map_err(|Denied { action, resource, .. }| {
        let message = format!("You are not authorized to perform {action} on {resource}.");
        FsxError::new(FsxCode::Common(CommonCode::AccessDenied), message)
    })
}

async fn needed(call: &Call, request: &Request) -> Result<Vec<Permission>, FsxError> {
    let here = || Resource::region(call.ctx.region.as_str(), &call.account.id);
    let mut circumstances = Circumstances::default();
    let (mut tagged, mut backed_up) = (Vec::new(), Vec::new());
    let resources = match request {
        Request::CopyBackup(request) => {
            let source = find_source(call, request).await?;
            circumstances.copying = Some(source.copying);
            tagged = source.tags;
            vec![source.resource, here()]
        }
        Request::CreateBackup(request) => {
            tagged = as_pairs(request.tags.as_deref().unwrap_or_default());
            match request.subject()? {
                Subject::FileSystem(id) => vec![file_system(call, id).await?, here()],
                // There are no volumes to have a policy about.
                Subject::Volume(_) => vec![here()],
            }
        }
        Request::DeleteBackup(request) => vec![backup(call, &request.backup_id).await?],
        Request::CreateFileSystem(request) => {
            tagged = as_pairs(request.tags.as_deref().unwrap_or_default());
            vec![here()]
        }
        Request::CreateFileSystemFromBackup(request) => {
            tagged = as_pairs(request.tags.as_deref().unwrap_or_default());
            vec![backup(call, &request.backup_id).await?, here()]
        }
        Request::UpdateFileSystem(request) => vec![file_system(call, &request.file_system_id).await?],
        Request::DeleteFileSystem(request) => {
            tagged = request.final_backup_tags().flat_map(as_pairs).collect();
            let id = &request.file_system_id;
            let row = call.find_file_system(id).await?;
            let this = file_system_of(call, id, row.as_ref());
            // Whoever may not back it up may not have that done by removing it. What is wrong with the wish is said
            // once it is known that it may be uttered.
            if row.is_some_and(|row| delete_file_system::last_backup(request, &row).is_ok_and(|wish| wish.is_some())) {
                backed_up = vec![this.clone(), here()];
            }
            vec![this]
        }
        Request::TagResource(request) => {
            circumstances.request_tags = as_pairs(&request.tags);
            vec![named(call, &request.resource_arn).await?]
        }
        Request::UntagResource(request) => {
            circumstances.removed_tags.clone_from(&request.tag_keys);
            vec![named(call, &request.resource_arn).await?]
        }
        Request::ListTagsForResource(request) => vec![named(call, &request.resource_arn).await?],
        Request::DescribeBackups(_)
        | Request::DescribeFileSystems(_)
        | Request::DescribeVolumes(_)
        | Request::DescribeStorageVirtualMachines(_) => vec![here()],
    };
    if !tagged.is_empty() {
        circumstances.request_tags.clone_from(&tagged);
    }
    let action = format!("fsx::{}", request.operation());
    let permission = |action: &str, resource| Permission {
        action: action.to_owned(),
        resource,
        circumstances: circumstances.clone(),
    };
    let own = resources.into_iter().map(|resource| permission(&action, resource));
    let of_last_backup = backed_up.into_iter().map(|resource| permission("fsx::CreateBackup", resource));
    let mut permissions: Vec<Permission> = own.chain(of_last_backup).collect();
    if !tagged.is_empty() {
        let circumstances = Circumstances { request_tags: tagged, ..Circumstances::default() };
        permissions.push(Permission { action: "fsx::TagResource".to_owned(), resource: here(), circumstances });
    }
    Ok(permissions)
}

/// What a copy is made of.
struct Source {
    resource: Resource,
    copying: Copying,
    /// The tags that the copy will have.
    tags: Vec<(String, String)>,
}

async fn find_source(call: &Call, request: &CopyBackup) -> Result<Source, FsxError> {
    let given = request.tags.as_deref().unwrap_or_default();
    let target_key = keys::find(&call.ctx, call.names(), request.kms_key_id.as_deref()).await?;
    let name = request.source_region.as_deref().unwrap_or(call.ctx.region.as_str());
    let mut copying = Copying {
        source_region: name.to_owned(),
        target_region: call.ctx.region.to_string(),
        source_key: None,
        target_key: target_key.map(|key| key.to_string()),
    };
    let found = match call.server.regions.get(name) {
        Ok(source) => call.find_backup(&source, &request.source_backup_id).await?.map(|row| (source, row)),
        Err(Unserved::Unknown) => None,
        // It may be there the next moment, with tags that policies would have looked at.
        Err(Unserved::Away) => return Err(FsxError::internal()),
    };
    let Some((source, row)) = found else {
        let resource = Resource::unknown(ResourceType::Backup, &request.source_backup_id, &call.account.id, name);
        return Ok(Source { resource, copying, tags: as_pairs(given) });
    };
    copying.source_key = Some(row.kms_key.to_string());
    // More tags than there can be are refused for that, later.
    let tags = tags::of_copy(&as_tags(&row.tags), request.copy_tags == Some(true), given);
    let tags = as_pairs(tags.as_deref().unwrap_or(given));
    Ok(Source { resource: Resource::backup(&row, &call.account.id, &source.region), copying, tags })
}

async fn backup(call: &Call, id: &str) -> Result<Resource, FsxError> {
    let (caller, region) = (&call.account.id, &call.ctx.region);
    Ok(match call.find_backup(&call.ctx, id).await? {
        Some(row) => Resource::backup(&row, caller, region),
        None => Resource::unknown(ResourceType::Backup, id, caller, region.as_str()),
    })
}

async fn file_system(call: &Call, id: &str) -> Result<Resource, FsxError> {
    Ok(file_system_of(call, id, call.find_file_system(id).await?.as_ref()))
}

fn file_system_of(call: &Call, id: &str, row: Option<&ResourceRow>) -> Resource {
    let region = &call.ctx.region;
    match row {
        Some(row) => Resource::of_row(row, region),
        None => Resource::unknown(ResourceType::FileSystem, id, &call.account.id, region.as_str()),
    }
}

/// What an ARN names. One that can be nothing of the caller's is refused as what it is: that tells nothing.
async fn named(call: &Call, name: &str) -> Result<Resource, FsxError> {
    match tagging::named(call, name)? {
        Named::Backup(id) => backup(call, &id).await,
        Named::FileSystem(id) => file_system(call, &id).await,
    }
}

/// The use of a key, which is asked about where the operations themselves look whether the key can be used.
pub(super) struct KeyUse<'a> {
    action: &'static str,
    ctx: &'a RegionContext,
    key: &'a KmsKeyId,
    copying: Option<Copying>,
}

impl<'a> KeyUse<'a> {
    /// To read what is sealed under a key of a region.
    pub(super) fn to_decrypt(ctx: &'a RegionContext, key: &'a KmsKeyId) -> Self {
        Self { action: "kms::Decrypt", ctx, key, copying: None }
    }

    /// To seal something new under a key of a region.
    pub(super) fn to_encrypt(ctx: &'a RegionContext, key: &'a KmsKeyId) -> Self {
        Self { action: "kms::Encrypt", ctx, key, copying: None }
    }

    /// As part of a copy.
    pub(super) fn in_copy(self, copying: &Copying) -> Self {
        Self { copying: Some(copying.clone()), ..self }
    }

    /// Asks whether the caller may use the key for this.
    pub(super) async fn ask(self, call: &Call) -> bool {
        let resource = Resource::kms_key(self.key, &call.account.id, &self.ctx.region);
        let circumstances = Circumstances { copying: self.copying, ..Circumstances::default() };
        let permission = Permission { action: self.action.to_owned(), resource, circumstances };
        call.authorize(vec![permission]).await.is_ok()
    }
}
