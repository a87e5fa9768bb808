//! Resources: what is backed up.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use capture::ExclusionRules;
use catalog::ResourceRow;
use model::{AccountId, Exclusions, KmsKeyId, ResourceId, ResourceKind, ResourceState, Service, SourceKind};

use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::managed::path_of;
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
    /// What its backups leave out.
    pub exclusions: Exclusions,
}

/// Adds a resource and returns its row.
///
/// # Errors
/// `Invalid` when the path does not fit the kind, or is a region's own, or an exclusion means nothing; `NotFound` for an unknown
/// KMS key.
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
    check_exclusions(new.kind, &new.path, &new.exclusions)?;
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
        exclusions: new.exclusions,
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

/// Sets what the backups of a resource leave out from now on, and returns its row.
///
/// # Errors
/// `NotFound` when there is none; `Invalid` when an exclusion means nothing.
pub async fn set_exclusions(
    ctx: &RegionContext,
    account: &AccountId,
    id: &ResourceId,
    exclusions: Exclusions,
) -> Result<ResourceRow, EngineError> {
    let row = find_resource(ctx, account, id).await?.ok_or_else(|| unknown(ctx, id))?;
    check_exclusions(row.kind, &path_of(&row), &exclusions)?;
    let row = ctx.catalog.edit_resource(account, id, |row| row.exclusions = exclusions).await?;
    ctx.catalog.record_event(account, "SetExclusions", id.as_str(), "").await?;
    Ok(row)
}

fn unknown(ctx: &RegionContext, id: &ResourceId) -> EngineError {
    EngineError::refused(ErrorKind::NotFound, format!("there is no resource {id} in {}", ctx.region))
}

/// Refuses what leaves nothing out: it would be backed up unnoticed.
fn check_exclusions(kind: ResourceKind, path: &Path, exclusions: &Exclusions) -> Result<(), EngineError> {
    if kind.source_kind() != SourceKind::Tree && !exclusions.is_empty() {
        let message = "of an image nothing can be left out: only directories have exclusions";
        return Err(EngineError::refused(ErrorKind::Invalid, message.to_owned()));
    }
    ExclusionRules::check(exclusions).map_err(|bad| EngineError::refused(ErrorKind::Invalid, bad.to_string()))?;
    for pattern in &exclusions.patterns {
        let named = Path::new(pattern.strip_prefix('!').unwrap_or(pattern));
        let Ok(below) = named.strip_prefix(path) else { continue };
        let is_there = path.join(named.strip_prefix("/").unwrap_or(named)).symlink_metadata().is_ok();
        if path.parent().is_some() && !is_there {
            let message = format!("the pattern {pattern} would be looked for below {}", path.display());
            let hint = format!("patterns begin at the directory that is backed up: write /{}", below.display());
            return Err(EngineError::refused(ErrorKind::Invalid, message).with_hint(hint));
        }
    }
    Ok(())
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
        return Err(unknown(ctx, id));
    }
    ctx.catalog.record_event(account, "RemoveResource", id.as_str(), "").await?;
    Ok(())
}
