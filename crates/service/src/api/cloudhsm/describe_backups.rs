//! `DescribeBackups`: the caller's own, or those that others share with the caller.
//!
//! The order is by the time at which contents were made, which a copy shares with its source. There is no index by that:
//! what the filters leave is read whole, which retention keeps to some hundreds for each of a few clusters.

use catalog::BackupFilter;
use model::{BackupId, BackupState as Stored, ResourceId, Service};
use wire::cloudhsm::CloudHsmError;
use wire::cloudhsm::filter::BackupFilters;
use wire::cloudhsm::reply::{Backup, DescribeBackupsReply};
use wire::cloudhsm::request::DescribeBackups;
use wire::cloudhsm::words::BackupState;

use super::{Call, backup_view, internal, policies};

/// More values than this of one filter are looked for in what was read, not in the catalog.
const VALUES_IN_QUERY_MAX: usize = 256;

pub(super) async fn describe(call: &Call, request: &DescribeBackups) -> Result<DescribeBackupsReply, CloudHsmError> {
    let (filters, page) = (request.backup_filters()?, request.page()?);
    let mut backups = match request.is_of_others() {
        true => policies::shared_backups(call).await?,
        false => own_backups(call, &filters).await?,
    };
    backups.retain(|backup| filters.lists(backup));
    backups.sort_by(|a, b| key(a).cmp(&key(b)));
    if !request.is_ascending() {
        backups.reverse();
    }
    if let Some(cursor) = &page.after {
        let after = parse_cursor(cursor)?;
        let is_before = |backup: &Backup| match request.is_ascending() {
            true => key(backup) <= (after.0, after.1),
            false => key(backup) >= (after.0, after.1),
        };
        backups.retain(|backup| !is_before(backup));
    }
    let is_last = backups.len() <= page.items_max;
    backups.truncate(page.items_max);
    let cursor = |backup: &Backup| format!("{}/{}", key(backup).0, backup.backup_id);
    let next_token = backups.last().filter(|_| !is_last).map(|backup| page.next_token(&cursor(backup)));
    Ok(DescribeBackupsReply { backups, next_token })
}

fn key(backup: &Backup) -> (i64, &str) {
    (backup.create_timestamp.0.0, &backup.backup_id)
}

fn parse_cursor(cursor: &str) -> Result<(i64, &str), CloudHsmError> {
    let parsed = cursor.split_once('/').and_then(|(time, id)| Some((time.parse().ok()?, id)));
    parsed.ok_or_else(|| CloudHsmError::invalid("The NextToken is not one of this request."))
}

async fn own_backups(call: &Call, filters: &BackupFilters) -> Result<Vec<Backup>, CloudHsmError> {
    let Some(filter) = as_filter(filters) else { return Ok(Vec::new()) };
    let rows = call.ctx.catalog.list_backups(&call.account.id, &filter).await.map_err(internal)?;
    Ok(rows.iter().map(|row| backup_view::view(call, row)).collect())
}

/// What of the filters the catalog can decide. `None` when nothing can match.
fn as_filter(filters: &BackupFilters) -> Option<BackupFilter> {
    let ids = |given: &Option<Vec<String>>| known(given, |id| id.parse::<BackupId>().ok());
    let states = filters.states.as_deref().unwrap_or(BackupState::ALL);
    let states: Vec<Stored> =
        Stored::ALL.into_iter().filter(|stored| states.iter().any(|s| is_of(*stored, *s))).collect();
    if states.is_empty() {
        return None;
    }
    Some(BackupFilter {
        service: Some(Service::CloudHsm),
        ids: ids(&filters.backup_ids)?,
        sources: ids(&filters.source_backup_ids)?,
        resources: known(&filters.cluster_ids, |id| id.parse::<ResourceId>().ok())?,
        states,
        limit: u32::MAX,
        ..BackupFilter::default()
    })
}

/// The values that there can be; none where the catalog is not to look at them. `None` when nothing can match.
fn known<T>(given: &Option<Vec<String>>, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let Some(given) = given.as_ref().filter(|given| given.len() <= VALUES_IN_QUERY_MAX) else {
        return Some(Vec::new());
    };
    let known: Vec<T> = given.iter().filter_map(|value| parse(value)).collect();
    (!known.is_empty()).then_some(known)
}

/// Whether a backup in that state of the catalog can be seen in this one.
fn is_of(stored: Stored, seen: BackupState) -> bool {
    match stored {
        Stored::Creating | Stored::Copying => seen == BackupState::CreateInProgress,
        Stored::Available => matches!(seen, BackupState::Ready | BackupState::PendingDeletion),
        Stored::Failed => seen == BackupState::Deleted,
        Stored::Deleting => false,
    }
}
