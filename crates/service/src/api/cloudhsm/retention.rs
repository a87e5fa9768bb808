//! Retention: backups that their cluster has kept for long enough are removed, as by hand.
//!
//! Copies are nobody's to remove but their owner's, and the last backup of a cluster stays, as do those that are exempt.
//! What is decided about one backup depends on the others, so it is decided in the transaction that writes it.

use std::collections::BTreeMap;

use catalog::{BackupFilter, BackupRow};
use engine::backups::edit_backups_of;
use engine::{EngineError, RegionContext};
use model::{AccountId, BackupState as Stored, ResourceId, Service, Timestamp};
use wire::cloudhsm::retention::{RetentionDays, delete_timestamp};
use wire::cloudhsm::words::BackupState;

use super::attributes::{BackupAttributes, ClusterAttributes};
use super::backup_view;

/// Rows that are read at a time.
const PAGE: u32 = 1000;

/// Removes what is beyond its retention in a region, whoever's it is. Safe to repeat, and to run beside others.
///
/// # Errors
/// When the catalog or the store fails.
pub(crate) async fn retain_cluster_backups(ctx: &RegionContext) -> Result<(), EngineError> {
    let now = ctx.catalog.now().await?;
    for account in ctx.catalog.list_accounts().await? {
        for (cluster, backups) in taken_of(ctx, &account).await? {
            if !beyond(&backups, live_retention(ctx, &account, &cluster).await?, now).is_empty() {
                retain_of(ctx, &account, &cluster).await?;
            }
        }
    }
    Ok(())
}

/// Removes what is beyond the retention of one cluster, which may be gone.
///
/// # Errors
/// As those of [`retain_cluster_backups`].
pub(super) async fn retain_of(
    ctx: &RegionContext,
    account: &AccountId,
    cluster: &ResourceId,
) -> Result<(), EngineError> {
    let (live, now) = (live_retention(ctx, account, cluster).await?, ctx.catalog.now().await?);
    let removed = edit_backups_of(ctx, account, cluster, |backups| {
        for at in beyond(backups, live, now) {
            backups[at].expires_at = Some(delete_timestamp(now));
        }
    })
    .await?;
    for row in removed {
        ctx.catalog.record_event(account, "RetainBackups", row.id.as_str(), cluster.as_str()).await?;
        tracing::info!(region = %ctx.region, backup = %row.id, %cluster, "a backup is beyond its retention");
    }
    Ok(())
}

/// Which backups of a cluster have been kept for long enough. `live` is what the cluster says, if it is still there. Pure.
fn beyond(backups: &[BackupRow], live: Option<RetentionDays>, now: Timestamp) -> Vec<usize> {
    let is_ready = |row: &BackupRow| !row.is_copy() && backup_view::state(row) == BackupState::Ready;
    let ready: Vec<usize> = (0..backups.len()).filter(|&at| is_ready(&backups[at])).collect();
    let is_beyond = |row: &BackupRow| {
        let known = BackupAttributes::of(row);
        let last = known.retention_days.and_then(RetentionDays::new).unwrap_or_default();
        let since = known.restored_at.unwrap_or(row.created_at).max(row.created_at);
        known.never_expires != Some(true) && live.unwrap_or(last).end(since) <= now
    };
    let mut beyond: Vec<usize> = ready.iter().copied().filter(|&at| is_beyond(&backups[at])).collect();
    if beyond.len() == ready.len() {
        // They come oldest first.
        beyond.pop();
    }
    beyond
}

async fn live_retention(
    ctx: &RegionContext,
    account: &AccountId,
    cluster: &ResourceId,
) -> Result<Option<RetentionDays>, EngineError> {
    let found = ctx.catalog.find_resource(account, cluster).await?;
    Ok(found.map(|row| ClusterAttributes::of(ctx, &row).retention()))
}

/// An account's backups that were taken in the region, by cluster, oldest first.
async fn taken_of(
    ctx: &RegionContext,
    account: &AccountId,
) -> Result<BTreeMap<ResourceId, Vec<BackupRow>>, EngineError> {
    let mut filter = BackupFilter {
        service: Some(Service::CloudHsm),
        states: vec![Stored::Available],
        ascending: true,
        limit: PAGE,
        ..BackupFilter::default()
    };
    let mut of: BTreeMap<ResourceId, Vec<BackupRow>> = BTreeMap::new();
    loop {
        let rows = ctx.catalog.list_backups(account, &filter).await?;
        let Some(last) = rows.last() else { return Ok(of) };
        filter.after = Some((last.created_at, last.id.clone()));
        for row in rows.into_iter().filter(|row| !row.is_copy()) {
            of.entry(row.resource_id.clone()).or_default().push(row);
        }
    }
}
