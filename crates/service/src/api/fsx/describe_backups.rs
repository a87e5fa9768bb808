//! `DescribeBackups`: by id, or page by page along the catalog's index.

use catalog::{BackupFilter, BackupRow};
use model::{BackupId, BackupState, Origin, Service, Timestamp};
use wire::fsx::FsxError;
use wire::fsx::paging::{decode, encode, page_items};
use wire::fsx::reply::DescribeBackupsReply;
use wire::fsx::request::{BackupCondition, BackupProperty, DescribeBackups};
use wire::fsx::words::FileSystemType;

use super::{Call, backup_view, internal, kind_of};

const DESCRIBE: &str = "DescribeBackups";

pub(super) async fn describe(call: &Call, request: &DescribeBackups) -> Result<DescribeBackupsReply, FsxError> {
    if let Some(ids) = request.backup_ids.as_ref().filter(|ids| !ids.is_empty()) {
        let mut backups = Vec::new();
        for id in ids {
            backups.push(backup_view::view(call, &call.load_backup(id).await?)?);
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
    for condition in request.conditions()? {
        if !narrow(&mut filter, condition) {
            return Ok(DescribeBackupsReply { backups: Vec::new(), next_token: None });
        }
    }
    let mut rows = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    let is_last = rows.len() <= items;
    rows.truncate(items);
    let cursor = |row: &BackupRow| format!("{}/{}", row.created_at.0, row.id);
    let next_token = rows.last().filter(|_| !is_last).map(|row| encode(DESCRIBE, request, &cursor(row)));
    let backups = rows.iter().map(|row| backup_view::view(call, row)).collect::<Result<_, _>>()?;
    Ok(DescribeBackupsReply { backups, next_token })
}

fn parse_cursor(cursor: &str) -> Result<(Timestamp, BackupId), FsxError> {
    let parsed = cursor.split_once('/').and_then(|(time, id)| Some((Timestamp(time.parse().ok()?), id.parse().ok()?)));
    parsed.ok_or_else(|| FsxError::bad_request("The NextToken is not valid for this request."))
}

/// Adds a condition. `false` when nothing can fulfil it.
fn narrow(filter: &mut BackupFilter, condition: BackupCondition<'_>) -> bool {
    match condition.property {
        BackupProperty::FileSystemId => {
            let ids = condition.values.iter().filter_map(|value| value.parse().ok());
            narrow_to(&mut filter.resources, ids.collect())
        }
        BackupProperty::FileSystemType => {
            let kinds = condition.values.iter().filter_map(|value| FileSystemType::find(value).and_then(kind_of));
            narrow_to(&mut filter.kinds, kinds.collect())
        }
        BackupProperty::BackupType => {
            let known = [("USER_INITIATED", Origin::User), ("AUTOMATIC", Origin::Automatic)];
            let wanted = known.into_iter().filter(|(word, _)| condition.holds(Some(word))).map(|(_, origin)| origin);
            let mut origins: Vec<Origin> = filter.origin.into_iter().collect();
            let any = narrow_to(&mut origins, wanted.collect());
            filter.origin = origins.first().copied().filter(|_| origins.len() == 1);
            any
        }
        // There are no volumes.
        BackupProperty::VolumeId => false,
    }
}

/// Keeps what is wanted of what was wanted before; both of two conditions must hold.
fn narrow_to<T: PartialEq>(before: &mut Vec<T>, wanted: Vec<T>) -> bool {
    let first = before.is_empty();
    let both = wanted.into_iter().filter(|value| first || before.contains(value)).collect();
    *before = both;
    !before.is_empty()
}
