//! Managed resources: directories and images that callers have made, filled from backups and removed.
//!
//! A call changes the row and returns; [`settle`] does what the row says, under a lease, and is safe to repeat after a
//! crash at any point. Only what lies in the region's own directory for it is ever removed.

mod settle;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::{Accepted, BackupRow, ResourceRow, Terms};
use model::{AccountId, BackupId, KmsKeyId, ResourceId, ResourceKind, ResourceState, SourceKind, Timestamp};

use crate::acceptance::Acceptance;
use crate::backups::{load_available, load_readable};
use crate::context::RegionContext;
use crate::error::{EngineError, ErrorKind};
use crate::resources::{choose_key, is_pending};

pub use settle::{is_due, settle};

/// How long a backup stays held for a restore that has stopped renewing.
const HOLD: Duration = Duration::from_secs(15 * 60);

/// A resource to be made.
#[derive(Clone, Debug)]
pub struct NewManaged {
    /// What kind of thing it is.
    pub kind: ResourceKind,
    /// A name for people.
    pub name: Option<String>,
    /// The KMS key for its backups; the region's default where none is named.
    pub kms_key: Option<KmsKeyId>,
    /// The backup that it is filled from: the account's own, or one that is shared with it.
    pub made_from: Option<BackupId>,
    /// Whose that backup is, where its API has decided by rules of its own that the account may use it.
    pub lender: Option<AccountId>,
    /// For an image that is not filled from a backup: its size in bytes.
    pub size_bytes: u64,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// What only its API knows of it: a JSON object.
    pub attributes: String,
    /// When it is to be backed up for the first time without anyone asking.
    pub next_backup_at: Option<Timestamp>,
}

/// Accepts a resource: its row says `CREATING` until [`settle`] has made it.
///
/// # Errors
/// `NotFound` for an unknown backup or key; `Conflict` when the backup is not available.
pub async fn accept_managed(
    ctx: &RegionContext,
    account: &AccountId,
    new: NewManaged,
    terms: &Terms,
) -> Result<Acceptance<ResourceRow>, EngineError> {
    let mut accepted = accept_all_managed(ctx, account, &new, std::slice::from_ref(terms)).await?;
    Ok(accepted.pop().expect("what became of the one is returned"))
}

/// [`accept_managed`] for as many that are alike as there are terms, all or none. Returns what became of each, in their
/// order; one that is over a quota, or whose token was used with other parameters, is returned alone, and none is made.
///
/// # Errors
/// As those of [`accept_managed`].
pub async fn accept_all_managed(
    ctx: &RegionContext,
    account: &AccountId,
    new: &NewManaged,
    terms: &[Terms],
) -> Result<Vec<Acceptance<ResourceRow>>, EngineError> {
    use std::os::unix::ffi::OsStrExt;
    let source = match (&new.made_from, &new.lender) {
        (Some(backup), Some(lender)) => Some(load_available(ctx, lender, backup).await?),
        (Some(backup), None) => Some(load_readable(ctx, account, backup).await?),
        (None, _) => None,
    };
    let (kms_key, created_at) = (choose_key(ctx, new.kms_key.clone()).await?, ctx.catalog.now().await?);
    let row = || {
        let id = ResourceId::random(&mut rand::rng(), new.kind);
        ResourceRow {
            path: ctx.managed.join(id.as_str()).as_os_str().as_bytes().to_vec(),
            id,
            account: account.clone(),
            kind: new.kind,
            name: new.name.clone(),
            kms_key: kms_key.clone(),
            created_at,
            state: ResourceState::Creating,
            failure: None,
            managed: true,
            made_from: new.made_from.clone(),
            rolls_back: false,
            tags: new.tags.clone(),
            attributes: new.attributes.clone(),
            next_backup_at: new.next_backup_at,
            pending: is_pending(new.kind),
            exclusions: Default::default(),
        }
    };
    let rows: Vec<(ResourceRow, Terms)> = terms.iter().map(|terms| (row(), terms.clone())).collect();
    let mut begun = Vec::new();
    let accepted = async {
        for (row, _) in &rows {
            begin(ctx, row, source.as_ref(), new.size_bytes).await?;
            begun.push(row);
        }
        Ok::<_, EngineError>(ctx.catalog.accept_resources(&rows).await?)
    }
    .await;
    let accepted = match accepted {
        // What may be registered needs what was begun. If it is not, the hold runs out, and what was made is empty.
        Err(EngineError::Catalog(error)) if begun.len() == rows.len() && error.is_in_doubt() => {
            return Err(error.into());
        }
        accepted => accepted,
    };
    // A refusal is alone.
    let all = accepted.as_ref().ok().filter(|all| all.len() == rows.len());
    let is_new = |number: usize| all.is_some_and(|all| all[number] == Accepted::New(()));
    let mut undone = Ok(());
    for (number, row) in begun.iter().enumerate() {
        if !is_new(number) {
            undone = undone.and(undo(ctx, row, source.as_ref()).await);
        }
    }
    let accepted = accepted?;
    undone?;
    let each = accepted.into_iter().zip(rows).map(|(accepted, (row, _))| match accepted {
        Accepted::New(()) => Acceptance::New(row),
        Accepted::Earlier(earlier) => Acceptance::Earlier(earlier),
        Accepted::OverQuota(quota) => Acceptance::OverQuota(quota),
    });
    Ok(each.collect())
}

/// Does what has to be done before a resource is registered: holds the backup that it is made from, or makes it.
async fn begin(
    ctx: &RegionContext,
    row: &ResourceRow,
    source: Option<&BackupRow>,
    size_bytes: u64,
) -> Result<(), EngineError> {
    match source {
        Some(backup) => Ok(ctx.catalog.place_hold(&backup.account, &backup.id, &holder(&row.id), HOLD).await?),
        None => make(ctx, row, size_bytes),
    }
}

/// Undoes what was begun for a resource that is not registered.
async fn undo(ctx: &RegionContext, row: &ResourceRow, source: Option<&BackupRow>) -> Result<(), EngineError> {
    if let Some(backup) = source {
        drop(ctx.catalog.release_hold(&backup.id, &holder(&row.id)).await);
    }
    remove_path(ctx, row)
}

/// Begins to put a backup's contents in place of a resource's own: [`settle`] does it. `mark` changes what else of
/// the row tells of it.
///
/// # Errors
/// `Conflict` when the backup is not available, or the resource is not.
pub async fn roll_back(
    ctx: &RegionContext,
    resource: &ResourceRow,
    backup: &BackupId,
    mark: impl FnOnce(&mut ResourceRow) + Send,
) -> Result<(), EngineError> {
    ctx.catalog.place_hold(&resource.account, backup, &holder(&resource.id), HOLD).await?;
    let mut mark = Some(mark);
    let edit = |row: &mut ResourceRow| {
        if row.state != ResourceState::Available {
            return Err((row.state, row.made_from.clone()));
        }
        row.state = ResourceState::Creating;
        row.made_from = Some(backup.clone());
        row.rolls_back = true;
        mark.take().into_iter().for_each(|mark| mark(row));
        Ok(())
    };
    let ids = std::slice::from_ref(&resource.id);
    if let Err((state, filled_from)) = ctx.catalog.edit_resources(&resource.account, ids, edit).await? {
        // The hold may be that of another call, which came first.
        if filled_from.as_ref() != Some(backup) {
            drop(ctx.catalog.release_hold(backup, &holder(&resource.id)).await);
        }
        let message = format!("{} is {}", resource.id, state.as_str());
        return Err(EngineError::refused(ErrorKind::Conflict, message));
    }
    ctx.catalog.record_event(&resource.account, "RollBack", resource.id.as_str(), "").await?;
    Ok(())
}

/// Who holds a backup while a resource is filled from it.
fn holder(id: &ResourceId) -> String {
    format!("{RESTORE}{id}")
}

const RESTORE: &str = "restore/";

/// The resource that a hold's holder fills from the backup, if that is what it does.
pub fn restored_resource(holder: &str) -> Option<ResourceId> {
    holder.strip_prefix(RESTORE)?.parse().ok()
}

/// Makes an empty directory, or an image that is one hole.
fn make(ctx: &RegionContext, row: &ResourceRow, size_bytes: u64) -> Result<(), EngineError> {
    let path = path_of(row);
    let failed = || EngineError::file(format!("make {}", path.display()));
    std::fs::create_dir_all(&ctx.managed).map_err(failed())?;
    match row.kind.source_kind() {
        SourceKind::Tree => std::fs::DirBuilder::new().mode(mode_of(row.kind)).create(&path).map_err(failed())?,
        SourceKind::Image => std::fs::File::create_new(&path).and_then(|f| f.set_len(size_bytes)).map_err(failed())?,
    }
    sync_managed(ctx)
}

/// Makes the names in the directory of managed resources durable.
fn sync_managed(ctx: &RegionContext) -> Result<(), EngineError> {
    let synced = std::fs::File::open(&ctx.managed).and_then(|dir| dir.sync_all());
    synced.map_err(EngineError::file(format!("sync {}", ctx.managed.display())))
}

/// Who may look into a directory besides its owner: nobody where it holds keys.
fn mode_of(kind: ResourceKind) -> u32 {
    if kind == ResourceKind::Hsm { 0o700 } else { 0o777 }
}

/// Removes a resource's bytes if they are ours.
fn remove_path(ctx: &RegionContext, row: &ResourceRow) -> Result<(), EngineError> {
    let path = path_of(row);
    if row.managed && path.parent() == Some(ctx.managed.as_path()) { remove_at(&path) } else { Ok(()) }
}

fn remove_at(path: &Path) -> Result<(), EngineError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EngineError::file(format!("remove {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// Where a resource is on this machine.
pub fn path_of(row: &ResourceRow) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(&row.path)).to_owned()
}
