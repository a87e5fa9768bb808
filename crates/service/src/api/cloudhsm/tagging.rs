//! `TagResource`, `UntagResource` and `ListTags`, for clusters and backups.

use catalog::BackupRow;
use engine::ErrorKind;
use engine::backups::try_edit_backup;
use wire::aws::json::Empty;
use wire::cloudhsm::reply::ListTagsReply;
use wire::cloudhsm::request::{ListTags, Tag, TagResource, UntagResource};
use wire::cloudhsm::words::BackupState;
use wire::cloudhsm::{CloudHsmError, tags};

use super::{
    Call, DONE, as_pairs, as_tags, backup_not_found, backup_view, edit_cluster, internal, load_backup, load_cluster,
};

pub(super) async fn tag(call: &Call, request: &TagResource) -> Result<Empty, CloudHsmError> {
    let change = |current: &[Tag]| tags::after_tagging(current, &request.tag_list);
    edit(call, &request.resource_id, change).await
}

pub(super) async fn untag(call: &Call, request: &UntagResource) -> Result<Empty, CloudHsmError> {
    let change = |current: &[Tag]| Ok(tags::after_untagging(current, &request.tag_key_list));
    edit(call, &request.resource_id, change).await
}

pub(super) async fn list(call: &Call, request: &ListTags) -> Result<ListTagsReply, CloudHsmError> {
    let page = request.page()?;
    let mut pairs = match is_cluster(&request.resource_id) {
        true => load_cluster(call, &request.resource_id).await?.tags,
        false => load_tagged_backup(call, &request.resource_id).await?.tags,
    };
    pairs.sort();
    // Where the page starts: a key may be longer than a token can be.
    let start = page.after.as_deref().map_or(0, |start| start.parse().unwrap_or(usize::MAX));
    let end = start.saturating_add(page.items_max);
    let next_token = (end < pairs.len()).then(|| page.next_token(&end.to_string()));
    let pairs: Vec<_> = pairs.into_iter().take(end).skip(start).collect();
    Ok(ListTagsReply { tag_list: as_tags(&pairs), next_token })
}

async fn edit(
    call: &Call,
    id: &str,
    change: impl FnOnce(&[Tag]) -> Result<Vec<Tag>, CloudHsmError> + Send,
) -> Result<Empty, CloudHsmError> {
    let change = |pairs: &mut Vec<(String, String)>| {
        *pairs = as_pairs(&change(&as_tags(pairs))?);
        Ok(())
    };
    if is_cluster(id) {
        edit_cluster(call, id, |cluster| change(&mut cluster.row.tags)).await?;
    } else {
        let row = load_tagged_backup(call, id).await?;
        let edit = |row: &mut BackupRow| change(&mut row.tags);
        let edited = try_edit_backup(&call.ctx, &call.account.id, &row.id, edit).await;
        edited.map_err(|error| match error.kind() {
            ErrorKind::NotFound => backup_not_found(id),
            _ => internal(error),
        })??;
    }
    Ok(DONE)
}

pub(super) fn is_cluster(id: &str) -> bool {
    id.starts_with("cluster-")
}

/// A backup that is not gone.
async fn load_tagged_backup(call: &Call, id: &str) -> Result<BackupRow, CloudHsmError> {
    let row = load_backup(call, id).await?;
    if backup_view::state(&row) == BackupState::Deleted { Err(backup_not_found(id)) } else { Ok(row) }
}
