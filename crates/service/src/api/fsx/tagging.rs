//! `TagResource`, `UntagResource` and `ListTagsForResource`, for file systems and backups.

use catalog::{BackupRow, ResourceRow};
use engine::ErrorKind;
use engine::backups::try_edit_backup;
use wire::aws::arn::Arn;
use wire::aws::json::Empty;
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::ListTagsForResourceReply;
use wire::fsx::request::{ListTagsForResource, Tag, TagResource, UntagResource};
use wire::fsx::{FsxCode, FsxError, tags};

use super::{Call, DONE, as_pairs, as_tags, internal, is_listed};

const LIST: &str = "ListTagsForResource";

type Pairs = Vec<(String, String)>;

/// What an ARN names.
enum Tagged {
    Backup(Box<BackupRow>),
    FileSystem(Box<ResourceRow>),
}

pub(super) async fn tag(call: &Call, request: &TagResource) -> Result<Empty, FsxError> {
    let change = |current: &[Tag]| tags::after_tagging(current, &request.tags);
    edit(call, &request.resource_arn, change).await
}

pub(super) async fn untag(call: &Call, request: &UntagResource) -> Result<Empty, FsxError> {
    let change = |current: &[Tag]| Ok(tags::after_untagging(current, &request.tag_keys));
    edit(call, &request.resource_arn, change).await
}

pub(super) async fn list(call: &Call, request: &ListTagsForResource) -> Result<ListTagsForResourceReply, FsxError> {
    let tagged = find(call, &request.resource_arn).await?;
    // Where the page starts: a key may be longer than a token can be.
    let start = match &request.next_token {
        Some(token) => decode(LIST, request, token)?.parse().unwrap_or(usize::MAX),
        None => 0,
    };
    let mut pairs = tagged.tags().clone();
    pairs.sort();
    let end = start.saturating_add(page_items(request.max_results));
    let next_token = (end < pairs.len()).then(|| encode(LIST, request, &end.to_string()));
    let pairs: Vec<_> = pairs.into_iter().take(end).skip(start).collect();
    Ok(ListTagsForResourceReply { tags: as_tags(&pairs), next_token })
}

impl Tagged {
    fn tags(&self) -> &Pairs {
        match self {
            Self::Backup(row) => &row.tags,
            Self::FileSystem(row) => &row.tags,
        }
    }
}

/// Changes the tags of what an ARN names, as they are then, unless `change` refuses.
async fn edit(
    call: &Call,
    name: &str,
    change: impl FnOnce(&[Tag]) -> Result<Vec<Tag>, FsxError> + Send,
) -> Result<Empty, FsxError> {
    let change = |pairs: &mut Pairs| {
        *pairs = as_pairs(&change(&as_tags(pairs))?);
        Ok(())
    };
    match find(call, name).await? {
        Tagged::Backup(found) => {
            let edit = |row: &mut BackupRow| if is_listed(row) { change(&mut row.tags) } else { Err(unknown(name)) };
            let edited = try_edit_backup(&call.ctx, &call.account.id, &found.id, edit).await;
            edited.map_err(|error| match error.kind() {
                // It was removed since it was looked up.
                ErrorKind::NotFound => unknown(name),
                _ => internal(error),
            })??;
        }
        Tagged::FileSystem(found) => {
            let edit = |rows: &mut [ResourceRow]| {
                let row = rows.iter_mut().find(|row| row.id == found.id).ok_or_else(|| unknown(name))?;
                change(&mut row.tags)
            };
            call.edit_file_systems(None, edit).await?;
        }
    }
    Ok(DONE)
}

/// What an ARN can name.
pub(super) enum Named {
    Backup(String),
    FileSystem(String),
}

/// Reads the name of something of the caller's that has tags, whether it is there or not. What is refused here is
/// refused for the name alone.
pub(super) fn named(call: &Call, name: &str) -> Result<Named, FsxError> {
    let arn: Arn = name.parse().map_err(|_| FsxError::bad_request("The ResourceARN is malformed."))?;
    if arn.service != "fsx" {
        let code = FsxCode::NotServiceResourceError { resource_arn: name.to_owned() };
        return Err(FsxError::new(code, "The resource is another service's."));
    }
    if !call.names().contains(&arn) {
        return Err(unknown(name));
    }
    match arn.kind_and_id() {
        Some(("backup", id)) => Ok(Named::Backup(id.to_owned())),
        Some(("file-system", id)) => Ok(Named::FileSystem(id.to_owned())),
        Some(("volume" | "storage-virtual-machine" | "task", _)) => Err(unknown(name)),
        _ => {
            let code = FsxCode::ResourceDoesNotSupportTagging { resource_arn: name.to_owned() };
            Err(FsxError::new(code, "This kind of resource has no tags."))
        }
    }
}

fn unknown(name: &str) -> FsxError {
    let code = FsxCode::ResourceNotFound { resource_arn: name.to_owned() };
    FsxError::new(code, format!("Nothing has the name '{name}'."))
}

async fn find(call: &Call, name: &str) -> Result<Tagged, FsxError> {
    let found = match named(call, name)? {
        Named::Backup(id) => call.find_backup(&call.ctx, &id).await?.map(|row| Tagged::Backup(Box::new(row))),
        Named::FileSystem(id) => call.find_file_system(&id).await?.map(|row| Tagged::FileSystem(Box::new(row))),
    };
    found.ok_or_else(|| unknown(name))
}
