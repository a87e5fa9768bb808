//! `DescribeBackups`: by id, or page by page along the catalog's index.

use catalog::{BackupFilter, BackupRow};
use model::{BackupId, BackupState, Origin, ResourceKind, Service, Timestamp};
use wire::fsx::FsxError;
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::DescribeBackupsReply;
use wire::fsx::request::{DescribeBackups, Filter};
use wire::fsx::words::{FileSystemType, FilterName};

use super::{Call, backup_view, internal, kind_of};

const DESCRIBE: &str = "DescribeBackups";

pub(super) async fn describe(call: &Call, request: &DescribeBackups) -> Result<DescribeBackupsReply, FsxError> {
    if let Some(ids) = request.backup_ids.as_ref().filter(|ids| !ids.is_empty()) {
        let mut backups = Vec::new();
        for id in ids {
            backups.push(backup_view::view(call, &call.load_backup(id).await?));
        }
        return Ok(DescribeBackupsReply { backups, next_token: None });
    }
    let after = match &request.next_token {
        Some(token) => Some(parse_cursor(&decode(DESCRIBE, request, token)?)?),
        None => None,
    };
    let items = page_items(request.max_results);
    let mut filter = BackupFilter {
        service: Some(Service::Fsx),
        states: vec![BackupState::Creating, BackupState::Copying, BackupState::Available, BackupState::Failed],
        after,
        // One more than the page tells whether there is another.
        limit: u32::try_from(items + 1).unwrap_or(u32::MAX),
        ..BackupFilter::default()
    };
    for given in request.filters.iter().flatten() {
        if !narrow(&mut filter, given)? {
            return Ok(DescribeBackupsReply { backups: Vec::new(), next_token: None });
        }
    }
    let mut rows = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    let is_last = rows.len() <= items;
    rows.truncate(items);
    let cursor = |row: &BackupRow| format!("{}/{}", row.created_at.0, row.id);
    let next_token = rows.last().filter(|_| !is_last).map(|row| encode(DESCRIBE, request, &cursor(row)));
    Ok(DescribeBackupsReply { backups: rows.iter().map(|row| backup_view::view(call, row)).collect(), next_token })
}

fn parse_cursor(cursor: &str) -> Result<(Timestamp, BackupId), FsxError> {
    let parsed = cursor.split_once('/').and_then(|(time, id)| Some((Timestamp(time.parse().ok()?), id.parse().ok()?)));
    parsed.ok_or_else(|| FsxError::bad_request("The NextToken is not valid for this request."))
}

/// Adds a condition. `false` when nothing can fulfil it.
fn narrow(filter: &mut BackupFilter, given: &Filter) -> Result<bool, FsxError> {
    let Some(name) = given.name else { return Err(FsxError::bad_request("A filter must have a name.")) };
    let values = given.values.as_deref().unwrap_or_default();
    match name {
        FilterName::FileSystemId => {
            let ids: Vec<_> = values.iter().filter_map(|value| value.parse().ok()).collect();
            // Two filters of one name must both hold.
            let fits = |id: &model::ResourceId| filter.resources.is_empty() || filter.resources.contains(id);
            filter.resources = ids.into_iter().filter(fits).collect();
            Ok(!filter.resources.is_empty())
        }
        FilterName::FileSystemType => {
            let kinds: Vec<_> =
                values.iter().filter_map(|value| FileSystemType::find(value).and_then(kind_of)).collect();
            let fits = |kind: &ResourceKind| filter.kinds.is_empty() || filter.kinds.contains(kind);
            filter.kinds = kinds.into_iter().filter(fits).collect();
            Ok(!filter.kinds.is_empty())
        }
        FilterName::BackupType => {
            let wanted = [("USER_INITIATED", Origin::User), ("AUTOMATIC", Origin::Automatic)];
            let mut wanted: Vec<_> = wanted
                .into_iter()
                .filter(|(word, _)| values.iter().any(|value| value == word))
                .map(|(_, o)| o)
                .collect();
            if let Some(before) = filter.origin {
                wanted.retain(|origin| *origin == before);
            }
            if let [only] = wanted[..] {
                filter.origin = Some(only);
            }
            Ok(!wanted.is_empty())
        }
        // There are no volumes.
        FilterName::VolumeId => Ok(false),
        other => Err(FsxError::bad_request(format!("The filter {other} is for other operations."))),
    }
}
