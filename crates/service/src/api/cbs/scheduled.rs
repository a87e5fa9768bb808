//! Scheduled snapshots: what the region's keeper does about policies whose time has come.
//!
//! A run is claimed in the catalog first, for every disk that is bound, and then taken disk by disk. The token
//! of each snapshot names policy, run and disk, so that it is accepted once whatever number of servers, and of
//! crashes, there are on the way.

use std::sync::Arc;

use catalog::{PolicyRow, Quota, RequestToken, ResourceRow, ScheduledRun, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::{Acceptance, EngineError, Progress, RegionContext, describe};
use model::{Origin, ResourceState, Timestamp};

use super::attributes::{DiskAttributes, SnapshotAttributes};
use super::create_snapshot::quotas;
use super::policies::next_run;
use crate::config::Account;
use crate::serve::Server;

const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// What a run whose time has come comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// It is taken; the policy runs next at this time.
    Take(Option<Timestamp>),
    /// It is passed over; the policy runs next at this time.
    Skip(Option<Timestamp>),
}

/// Decides about the run at `run_at` of a policy. Pure.
///
/// A run that was missed while no server was up is taken as soon as one is back, if its time passed less than one
/// interval ago: if the run that follows it is still to come. Otherwise it is passed over, with all that followed and
/// were missed as well, and the next one is the first that is still to come.
fn plan(policy: &PolicyRow, run_at: Timestamp, now: Timestamp) -> Plan {
    match next_run(policy, run_at) {
        Some(following) if following <= now => Plan::Skip(next_run(policy, now)),
        following => Plan::Take(following),
    }
}

/// What became of one disk's part of a run.
enum Taken {
    /// Its snapshot is accepted, or there is not to be one, for this reason.
    Done(&'static str),
    /// It has to wait for other snapshots to be made.
    Later,
}

impl Server {
    /// Takes the snapshots that the policies of a region ask for by now. Safe to repeat, and to run beside others.
    ///
    /// # Errors
    /// When the catalog fails. What fails about one disk for a passing reason is tried again, until the policy's next
    /// run takes its place.
    pub(crate) async fn take_scheduled_snapshots(&self, ctx: &Arc<RegionContext>) -> Result<(), EngineError> {
        for policy in ctx.catalog.due_policies().await? {
            let Some(run_at) = policy.next_run_at else { continue };
            match plan(&policy, run_at, ctx.catalog.now().await?) {
                Plan::Take(next) => drop(ctx.catalog.claim_run(&policy, next).await?),
                Plan::Skip(next) => {
                    if ctx.catalog.skip_run(&policy, next).await? {
                        tracing::warn!(policy = %policy.id, %run_at, "a policy's run was missed for too long");
                    }
                }
            }
        }
        for run in ctx.catalog.scheduled_runs().await? {
            let (policy, disk) = (&run.policy.id, &run.resource);
            match self.take_scheduled(ctx, &run).await {
                Ok(Taken::Later) => {}
                Ok(Taken::Done(outcome)) => {
                    ctx.catalog.finish_run(&run).await?;
                    tracing::info!(region = %ctx.region, %policy, %disk, outcome, "a policy has run");
                }
                Err(error) => {
                    // What will not pass would only be said again, twice a second.
                    if !error.is_worth_retrying() {
                        ctx.catalog.finish_run(&run).await?;
                    }
                    let error = describe(&error);
                    tracing::warn!(region = %ctx.region, %policy, %disk, error, "a policy's snapshot was not accepted");
                }
            }
        }
        Ok(())
    }

    async fn take_scheduled(&self, ctx: &Arc<RegionContext>, run: &ScheduledRun) -> Result<Taken, EngineError> {
        let identities = self.identities.get();
        let owner = identities.accounts().iter().find(|account| account.id == run.policy.account);
        let Some(account) = owner.filter(|account| !account.limits.in_arrears) else {
            return Ok(Taken::Done("the account is away or in arrears"));
        };
        let disk = ctx.catalog.find_resource(&account.id, &run.resource).await?;
        let Some(disk) = disk.filter(is_in_use) else { return Ok(Taken::Done("the disk is not in use")) };
        let (request, terms) = (request(run, &disk, ctx.catalog.now().await?), terms(run, account));
        let progress = Arc::<Progress>::default();
        match accept_backup(ctx, &self.worker, request, &terms, Arc::clone(&progress)).await? {
            Acceptance::New(job) => {
                self.jobs.run_backup(job, progress);
                Ok(Taken::Done("a snapshot is being taken"))
            }
            Acceptance::Earlier(_) => Ok(Taken::Done("its snapshot was accepted before")),
            Acceptance::OverQuota(Quota::BeingMade { .. } | Quota::AllBeingMade { .. }) => Ok(Taken::Later),
            Acceptance::OverQuota(quota) => {
                let (disk, detail) = (run.resource.as_str(), format!("{}: {quota:?}", run.policy.id));
                ctx.catalog.record_event(&account.id, "SkipScheduledSnapshot", disk, &detail).await?;
                Ok(Taken::Done("a quota is used up"))
            }
        }
    }
}

/// Scheduled snapshots are only taken of disks that an instance uses.
fn is_in_use(disk: &ResourceRow) -> bool {
    disk.state == ResourceState::Available && DiskAttributes::of(disk).is_attached()
}

fn request(run: &ScheduledRun, disk: &ResourceRow, now: Timestamp) -> BackupRequest {
    let policy = &run.policy;
    let attributes = SnapshotAttributes {
        name: Some(format!("auto_{}", disk.id)),
        policy: Some(policy.id.clone()),
        ..SnapshotAttributes::of_disk(disk)
    };
    let expires_at = Timestamp(now.0.saturating_add(policy.retention_days.saturating_mul(DAY_MILLISECONDS)));
    BackupRequest {
        origin: Origin::Automatic,
        attributes: attributes.text(),
        expires_at: (!policy.permanent).then_some(expires_at),
        call: Some(format!("{}/{}", policy.id, run.run_at.0)),
        ..BackupRequest::of(policy.account.clone(), disk.id.clone())
    }
}

fn terms(run: &ScheduledRun, account: &Account) -> Terms {
    let token = RequestToken {
        operation: "cbs::ScheduledSnapshot".to_owned(),
        token: format!("{}/{}/{}", run.policy.id, run.run_at.0, run.resource),
        parameters: String::new(),
        // A snapshot that was removed meanwhile is not taken again.
        outlives_subject: true,
    };
    Terms { token: Some(token), quotas: quotas(&run.resource, account) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1000;
    /// 2026-01-15, 20:00 in China.
    const MADE: i64 = 1_768_478_400_000;

    /// A policy that runs daily at midnight in China.
    fn daily() -> PolicyRow {
        PolicyRow {
            id: "asp-00000000".parse().unwrap(),
            account: "123456789012".parse().unwrap(),
            name: None,
            rules: r#"[{"Hour": [0], "IntervalDays": 1}]"#.to_owned(),
            rules_since: Timestamp(MADE),
            activated: true,
            permanent: false,
            retention_days: 7,
            created_at: Timestamp(MADE),
            next_run_at: Some(Timestamp(MADE + 4 * HOUR)),
        }
    }

    fn plan_at(now: i64) -> Plan {
        plan(&daily(), daily().next_run_at.unwrap(), Timestamp(now))
    }

    #[test]
    fn a_run_is_made_up_for_until_the_one_that_follows_it() {
        let (run, following) = (MADE + 4 * HOUR, MADE + 28 * HOUR);
        for now in [run, run + 1, following - 1] {
            assert_eq!(plan_at(now), Plan::Take(Some(Timestamp(following))));
        }
    }

    #[test]
    fn a_run_that_was_missed_for_longer_is_passed_over_up_to_the_next_that_comes() {
        let following = MADE + 28 * HOUR;
        assert_eq!(plan_at(following), Plan::Skip(Some(Timestamp(following + 24 * HOUR))));
        assert_eq!(plan_at(following + 49 * HOUR), Plan::Skip(Some(Timestamp(following + 72 * HOUR))));
    }

    #[test]
    fn what_can_never_run_again_is_taken_for_the_last_time() {
        let never = PolicyRow { rules: "[]".to_owned(), ..daily() };
        assert_eq!(plan(&never, Timestamp(MADE), Timestamp(MADE)), Plan::Take(None));
    }
}
