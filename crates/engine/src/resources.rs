//! Resources: what is backed up.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use catalog::ResourceRow;
use model::{AccountId, KmsKeyId, ResourceId, ResourceKind, ResourceState, Service, SourceKind};

use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::own::check_not_own;

/// A resource to be added.
#[derive(Clone, Debug)]
pub struct NewResource {
    /// What kind of thing it is.
    pub kind: ResourceKind,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// A name for people.
    pub name: Option<String>,
    /// The KMS key for its backups; the region's default where none is named.
    pub kms_key: Option<KmsKeyId>,
}

/// Adds a resource and returns its row.
///
/// # Errors
/// `Invalid` when the path does not fit the kind, or is a region's own; `NotFound` for an unknown KMS key.
pub async fn add_resource(
    ctx: &RegionContext,
    account: &AccountId,
    new: NewResource,
) -> Result<ResourceRow, EngineError> {
    let shown = new.path.display();
    let meta = std::fs::metadata(&new.path).map_err(EngineError::file(format!("find {shown}")))?;
    if meta.is_dir() != (new.kind.source_kind() == SourceKind::Tree) {
        let wanted = if meta.is_dir() { "an image file or block device" } else { "a directory" };
        return Err(EngineError::refused(
            ErrorKind::Invalid,
            format!("a resource of type {} needs {wanted}, and {shown} is not one", new.kind),
        ));
    }
    check_not_own(ctx, &new.path).await?;
    let row = ResourceRow {
        id: ResourceId::random(&mut rand::rng(), new.kind),
        account: account.clone(),
        kind: new.kind,
        path: new.path.as_os_str().as_bytes().to_vec(),
        name: new.name,
        kms_key: choose_key(ctx, new.kms_key).await?,
        created_at: ctx.catalog.now().await?,
        state: ResourceState::Available,
        failure: None,
        managed: false,
        made_from: None,
        rolls_back: false,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: None,
        pending: is_pending(new.kind),
    };
    ctx.catalog.insert_resource(&row).await?;
    ctx.catalog.record_event(account, "AddResource", row.id.as_str(), &shown.to_string()).await?;
    Ok(row)
}

/// Whether the API that knows a kind of resource has steps to take about a new one.
pub(crate) fn is_pending(kind: ResourceKind) -> bool {
    kind.service() == Service::CloudHsm
}

/// The key that was named, if the region has it, or the region's default.
pub(crate) async fn choose_key(ctx: &RegionContext, named: Option<KmsKeyId>) -> Result<KmsKeyId, EngineError> {
    let Some(named) = named else { return Ok(ctx.keys.default_key().await?) };
    if ctx.keys.find(&named).await?.is_some() {
        return Ok(named);
    }
    let message = format!("there is no KMS key {named} in {}", ctx.region);
    let hint = format!("`offsite kms ls --region {}` shows those there are", ctx.region);
    Err(EngineError::refused(ErrorKind::NotFound, message).with_hint(hint))
}

/// All resources of an account in a region.
///
/// # Errors
/// When the catalog fails.
pub async fn list_resources(ctx: &RegionContext, account: &AccountId) -> Result<Vec<ResourceRow>, EngineError> {
    Ok(ctx.catalog.list_resources(account).await?)
}

/// One resource.
///
/// # Errors
/// When the catalog fails.
pub async fn find_resource(
    ctx: &RegionContext,
    account: &AccountId,
    id: &ResourceId,
) -> Result<Option<ResourceRow>, EngineError> {
    Ok(ctx.catalog.find_resource(account, id).await?)
}

/// Forgets a resource; its backups and its files stay.
///
/// # Errors
/// `NotFound` when there is none.
pub async fn remove_resource(ctx: &RegionContext, account: &AccountId, id: &ResourceId) -> Result<(), EngineError> {
    if !ctx.catalog.delete_resource(account, id).await? {
        return Err(EngineError::refused(ErrorKind::NotFound, format!("there is no resource {id} in {}", ctx.region)));
    }
    ctx.catalog.record_event(account, "RemoveResource", id.as_str(), "").await?;
    Ok(())
}
