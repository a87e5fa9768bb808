//! Automatic daily backups: when each is due, how long they stay, and what the region's keeper does about them.
//!
//! A file system's row says when its next one is due. The token of a backup names file system and time, so that it
//! is accepted once whatever number of servers, and of crashes, there are on the way.

use std::sync::Arc;

use catalog::{BackupFilter, Quota, RequestToken, ResourceRow, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::backups::{delete_backup, edit_backup};
use engine::{Acceptance, EngineError, ErrorKind, Progress, RegionContext, describe};
use model::{BackupState, Origin, Service, Timestamp};
use wire::fsx::reply::FileSystem;

use super::super::aws::names_of;
use super::{backup_view, create_backup, file_system_view};
use crate::serve::Server;

const MINUTE_MILLISECONDS: i64 = 60 * 1000;
const DAY_MILLISECONDS: i64 = 24 * 60 * MINUTE_MILLISECONDS;

/// For how many days automatic backups are kept; 0 where none are taken.
pub(super) fn retention_days(file_system: &FileSystem) -> i64 {
    let windows = file_system.windows_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    let lustre = file_system.lustre_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    let openzfs = file_system.openzfs_configuration.as_ref().and_then(|s| s.automatic_backup_retention_days);
    windows.or(lustre).or(openzfs).unwrap_or_default()
}

/// The minute of the day, in UTC, at which the daily window opens.
fn opening_minute(file_system: &FileSystem) -> i64 {
    let windows = file_system.windows_configuration.as_ref().map(|s| &s.daily_automatic_backup_start_time);
    let lustre = file_system.lustre_configuration.as_ref().map(|s| &s.daily_automatic_backup_start_time);
    let openzfs = file_system.openzfs_configuration.as_ref().map(|s| &s.daily_automatic_backup_start_time);
    let time = windows.or(lustre).or(openzfs).and_then(Option::as_deref).unwrap_or(file_system_view::DAILY_TIME);
    let parts = time.split_once(':').and_then(|(hour, minute)| Some((hour.parse().ok()?, minute.parse().ok()?)));
    parts.map_or(0, |(hour, minute): (i64, i64)| hour * 60 + minute)
}

/// When the first daily backup after `now` is due. Pure.
pub(super) fn first_after(file_system: &FileSystem, now: Timestamp) -> Option<Timestamp> {
    if retention_days(file_system) == 0 || file_system_view::why_no_backups(file_system).is_some() {
        return None;
    }
    let opening = opening_minute(file_system) * MINUTE_MILLISECONDS;
    let days = now.0.saturating_sub(opening).div_euclid(DAY_MILLISECONDS).saturating_add(1);
    Some(Timestamp(days.saturating_mul(DAY_MILLISECONDS).saturating_add(opening)))
}

/// When the next one is due once settings have changed; one whose time has come already stays due.
pub(super) fn after_update(
    (before, due): (&FileSystem, Option<Timestamp>),
    after: &FileSystem,
    now: Timestamp,
) -> Option<Timestamp> {
    let next = first_after(after, now);
    let is_same_time = opening_minute(before) == opening_minute(after);
    next.map(|next| due.filter(|_| is_same_time).unwrap_or(next))
}

/// Lets the automatic backups of a file system expire by its present retention; those that are beyond it go now.
pub(super) async fn apply_retention(ctx: &RegionContext, row: &ResourceRow, days: i64) -> Result<(), EngineError> {
    let filter = BackupFilter {
        resources: vec![row.id.clone()],
        states: vec![BackupState::Creating, BackupState::Available],
        origin: Some(Origin::Automatic),
        limit: u32::MAX,
        ..BackupFilter::default()
    };
    let now = ctx.catalog.now().await?;
    for backup in ctx.catalog.list_backups(&row.account, &filter).await? {
        if backup.is_copy() {
            continue;
        }
        let expires_at = kept_until(backup.created_at, days);
        if backup.expires_at != Some(expires_at) {
            let edited = edit_backup(ctx, &row.account, &backup.id, |row| row.expires_at = Some(expires_at)).await;
            match edited {
                // It was removed since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                edited => edited.map(drop)?,
            }
        }
        if expires_at < now
            && let Err(error) = delete_backup(ctx, &row.account, &backup.id, None).await
        {
            // One that is being copied goes as soon as that has ended, by the region's keeper.
            tracing::info!(backup = %backup.id, %error, "a backup beyond its retention stays for now");
        }
    }
    Ok(())
}

fn kept_until(created_at: Timestamp, days: i64) -> Timestamp {
    Timestamp(created_at.0.saturating_add(days.saturating_mul(DAY_MILLISECONDS)))
}

/// What became of a backup that was due.
enum Taken {
    /// It is accepted, or is not to be made, for this reason.
    Done(&'static str),
    /// It has to wait for another backup of the file system.
    Later,
}

impl Server {
    /// Takes the daily backups of file systems that are due by now. Safe to repeat, and to run beside others.
    ///
    /// One that was missed while no server was up is made up for until the next one's time.
    ///
    /// # Errors
    /// When the catalog fails. What fails about one file system for a passing reason is tried again.
    pub(crate) async fn take_daily_backups(&self, ctx: &Arc<RegionContext>) -> Result<(), EngineError> {
        for row in ctx.catalog.due_resources(Service::Fsx).await? {
            let Some(due) = row.next_backup_at else { continue };
            let (region, id) = (&ctx.region, &row.id);
            let now = ctx.catalog.now().await?;
            let file_system = match file_system_view::described(&row) {
                Ok(file_system) => file_system,
                // A person has to mend it; meanwhile this is said once an hour.
                Err(error) => {
                    tracing::error!(%region, file_system = %id, error = describe(&error), "no daily backup is taken");
                    let next = Timestamp(now.0.saturating_add(60 * MINUTE_MILLISECONDS));
                    ctx.catalog.move_next_backup(&row, Some(next)).await?;
                    continue;
                }
            };
            let taken = match due.0.saturating_add(DAY_MILLISECONDS) <= now.0 {
                true => Ok(Taken::Done("it was missed for too long")),
                false => self.take_daily(ctx, &row, &file_system, now).await,
            };
            match taken {
                Ok(Taken::Later) => continue,
                Ok(Taken::Done(outcome)) => tracing::info!(%region, file_system = %id, %due, outcome, "a daily backup"),
                Err(error) => {
                    let is_passing = error.is_worth_retrying();
                    tracing::warn!(%region, file_system = %id, error = describe(&error), "no daily backup was accepted");
                    if is_passing {
                        continue;
                    }
                }
            }
            ctx.catalog.move_next_backup(&row, first_after(&file_system, now)).await?;
        }
        Ok(())
    }

    async fn take_daily(
        &self,
        ctx: &Arc<RegionContext>,
        row: &ResourceRow,
        file_system: &FileSystem,
        now: Timestamp,
    ) -> Result<Taken, EngineError> {
        if !self.identities.get().accounts().iter().any(|account| account.id == row.account) {
            return Ok(Taken::Done("its account is away"));
        }
        let call = format!("{}/{}", row.id, row.next_backup_at.unwrap_or_default().0);
        let request = BackupRequest {
            tags: create_backup::inherited(row)?,
            origin: Origin::Automatic,
            attributes: backup_view::frozen(names_of(ctx, &row.account), row)?,
            expires_at: Some(kept_until(now, retention_days(file_system))),
            call: Some(call.clone()),
            ..BackupRequest::of(row.account.clone(), row.id.clone())
        };
        let token = RequestToken {
            operation: "fsx::DailyBackup".to_owned(),
            token: call,
            parameters: String::new(),
            // A backup that was removed meanwhile is not taken again.
            outlives_subject: true,
        };
        let terms = Terms { token: Some(token), quotas: vec![Quota::BeingMade { resource: row.id.clone(), max: 1 }] };
        let progress = Arc::new(Progress::measuring());
        Ok(match accept_backup(ctx, &self.worker, request, &terms, Arc::clone(&progress)).await? {
            Acceptance::New(job) => {
                self.jobs.run_backup(job, progress);
                Taken::Done("it is being taken")
            }
            Acceptance::Earlier(_) => Taken::Done("it was accepted before"),
            Acceptance::OverQuota(_) => Taken::Later,
        })
    }
}

#[cfg(test)]
mod tests {
    use wire::fsx::reply::FileSystem;

    use super::*;

    const HOUR: i64 = 60 * MINUTE_MILLISECONDS;

    fn lustre(settings: &str) -> FileSystem {
        let text = format!(
            r#"{{"FileSystemType":"LUSTRE","LustreConfiguration":{{"DeploymentType":"PERSISTENT_1",{settings}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn daily_at(time: &str) -> FileSystem {
        lustre(&format!(r#""AutomaticBackupRetentionDays":7,"DailyAutomaticBackupStartTime":"{time}""#))
    }

    #[test]
    fn the_next_is_due_when_the_window_opens_next() {
        let file_system = daily_at("05:30");
        let opening = 5 * HOUR + HOUR / 2;
        for (now, due) in [
            (0, opening),
            (opening - 1, opening),
            (opening, opening + DAY_MILLISECONDS),
            (10 * DAY_MILLISECONDS + opening + 1, 11 * DAY_MILLISECONDS + opening),
            (-1, opening),
        ] {
            assert_eq!(first_after(&file_system, Timestamp(now)), Some(Timestamp(due)), "{now}");
        }
    }

    #[test]
    fn nothing_is_due_without_a_retention_or_where_no_backups_can_be_taken() {
        assert_eq!(first_after(&lustre(r#""AutomaticBackupRetentionDays":0"#), Timestamp(0)), None);
        let mut scratch = daily_at("05:00");
        scratch.lustre_configuration.as_mut().unwrap().deployment_type =
            Some(wire::fsx::words::LustreDeploymentType::Scratch2);
        assert_eq!(first_after(&scratch, Timestamp(0)), None);
    }

    #[test]
    fn a_changed_retention_leaves_what_is_due_and_a_changed_time_does_not() {
        let (now, due) = (Timestamp(6 * HOUR), Some(Timestamp(5 * HOUR)));
        let before = daily_at("05:00");
        assert_eq!(after_update((&before, due), &before, now), due);
        assert_eq!(after_update((&before, due), &daily_at("07:00"), now), Some(Timestamp(7 * HOUR)));
        let off = lustre(r#""AutomaticBackupRetentionDays":0,"DailyAutomaticBackupStartTime":"05:00""#);
        assert_eq!(after_update((&before, due), &off, now), None);
        assert_eq!(after_update((&off, None), &before, now), Some(Timestamp(5 * HOUR + DAY_MILLISECONDS)));
    }
}
