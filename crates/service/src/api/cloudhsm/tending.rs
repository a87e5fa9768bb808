//! What the region's keeper does about clusters whose time has come: every step that no call waits for.
//!
//! A step is decided by [`advance`] inside the transaction that writes it, from what the row says then, so that of any
//! number of servers one takes it and a crash loses none. A backup that a step asks for is written down as owed in the
//! same transaction. It is accepted under a token that names its cluster and occasion, once however often that is tried.

use std::sync::Arc;
use std::time::Duration;

use catalog::{BackupFilter, Quota, RequestToken, ResourceRow, Terms};
use engine::backup::{BackupRequest, accept_backup};
use engine::backups::{edit_backup, edit_backups_of};
use engine::managed::path_of;
use engine::{Acceptance, EngineError, Progress, RegionContext, describe};
use model::{BackupId, BackupState, HsmId, Origin, ResourceState, Service, Timestamp};
use wire::cloudhsm::words::{ClusterState, HsmState};

use super::attributes::{BackupAttributes, ClusterAttributes, HsmAttributes, Identity, Occasion};
use super::keys;
use crate::serve::Server;

const DAY_MILLISECONDS: i64 = 24 * 60 * 60 * 1000;

/// For how long a backup that could not be made is shown as `DELETED` to those who ask for it.
const FAILURE_SHOWN_MILLISECONDS: i64 = DAY_MILLISECONDS;

/// What was found out about a cluster before its row is changed.
#[derive(Debug)]
struct Facts {
    now: Timestamp,
    /// After how long the cluster is activated although nobody has made a token.
    activation: Duration,
    holds_token: bool,
    identity: Option<Identity>,
    /// HSMs whose backup has ended, and why it failed if it did.
    backed_up: Vec<(HsmId, Result<(), String>)>,
}

impl Server {
    /// Takes the steps that the clusters of a region are due for. Safe to repeat, and to run beside others.
    ///
    /// # Errors
    /// When the catalog fails. What fails about one cluster is tried again.
    pub(crate) async fn tend_clusters(&self, ctx: &Arc<RegionContext>) -> Result<(), EngineError> {
        let mut rows = ctx.catalog.pending_resources(Service::CloudHsm).await?;
        rows.extend(ctx.catalog.due_resources(Service::CloudHsm).await?.into_iter().filter(|row| !row.pending));
        for row in rows {
            if let Err(error) = self.tend(ctx, &row).await {
                let error = describe(&error);
                tracing::warn!(region = %ctx.region, cluster = %row.id, error, "a cluster's step was not taken");
            }
        }
        note_failures(ctx).await
    }

    async fn tend(&self, ctx: &Arc<RegionContext>, row: &ResourceRow) -> Result<(), EngineError> {
        let facts = self.look_at(ctx, row).await?;
        let step = |row: &mut ResourceRow| {
            let mut known = ClusterAttributes::of(ctx, row);
            advance(row, &mut known, &facts);
            known.put(row);
        };
        let mut after = row.clone();
        step(&mut after);
        if after != *row {
            after = ctx.catalog.edit_resource(&row.account, &row.id, step).await?;
        }
        let known = ClusterAttributes::of(ctx, &after);
        for occasion in &known.owed {
            self.back_up(ctx, &after, &known, occasion).await?;
        }
        if after.state == ResourceState::Deleting && known.owed.is_empty() {
            take_leave(ctx, &after, &known).await?;
        }
        Ok(())
    }

    async fn look_at(&self, ctx: &RegionContext, row: &ResourceRow) -> Result<Facts, EngineError> {
        let known = ClusterAttributes::of(ctx, row);
        let (now, path) = (ctx.catalog.now().await?, path_of(row));
        let needs_identity =
            known.state == ClusterState::Uninitialized && known.identity.is_none() && !known.hsms.is_empty();
        let is_initialized = known.state == ClusterState::Initialized;
        let (id, mode) = (row.id.clone(), known.mode);
        let files = tokio::task::spawn_blocking(move || {
            let identity = needs_identity.then(|| keys::make_identity(&path, id.as_str(), mode, now)).transpose()?;
            Ok::<_, EngineError>((identity, is_initialized && keys::holds_token(&path)))
        });
        let (identity, holds_token) = files.await.expect("looking at files does not panic")?;
        let mut backed_up = Vec::new();
        for hsm in known.hsms.iter().filter(|hsm| hsm.is_changing()) {
            let Some(id) = &hsm.backup else { continue };
            let backup = ctx.catalog.find_backup(&row.account, id).await?;
            match backup.map(|backup| (backup.state, backup.failure)) {
                Some((state, _)) if state.is_in_progress() => {}
                Some((BackupState::Failed, why)) => backed_up.push((hsm.id.clone(), Err(why.unwrap_or_default()))),
                _ => backed_up.push((hsm.id.clone(), Ok(()))),
            }
        }
        Ok(Facts { now, activation: self.cloudhsm_activation, holds_token, identity, backed_up })
    }

    /// Accepts a backup that is owed, unless another of the cluster is being made.
    async fn back_up(
        &self,
        ctx: &Arc<RegionContext>,
        row: &ResourceRow,
        known: &ClusterAttributes,
        occasion: &Occasion,
    ) -> Result<(), EngineError> {
        let name = format!("{}/{occasion}", row.id);
        let request = BackupRequest {
            origin: Origin::Automatic,
            attributes: BackupAttributes::of_cluster(known).text(),
            call: Some(name.clone()),
            ..BackupRequest::of(row.account.clone(), row.id.clone())
        };
        let token = RequestToken {
            operation: "cloudhsm::Backup".to_owned(),
            token: name,
            parameters: String::new(),
            // A backup that was removed meanwhile is not made again.
            outlives_subject: true,
        };
        let terms = Terms { token: Some(token), quotas: vec![Quota::BeingMade { resource: row.id.clone(), max: 1 }] };
        let progress = Arc::<Progress>::default();
        let accepted = match accept_backup(ctx, &self.worker, request, &terms, Arc::clone(&progress)).await {
            Ok(Acceptance::New(job)) => {
                let id = job.id().clone();
                self.jobs.run_backup(job, progress);
                tracing::info!(region = %ctx.region, cluster = %row.id, %occasion, backup = %id, "a backup is being made");
                Ok(Some(id))
            }
            Ok(Acceptance::Earlier(earlier)) => Ok(earlier.subject.parse::<BackupId>().ok()),
            Ok(Acceptance::OverQuota(_)) => return Ok(()),
            Err(error) if error.is_worth_retrying() => return Err(error),
            Err(error) => Err(describe(&error)),
        };
        if let Err(error) = &accepted {
            tracing::warn!(region = %ctx.region, cluster = %row.id, %occasion, error, "a backup was not accepted");
        }
        let settle = |row: &mut ResourceRow| {
            let mut known = ClusterAttributes::of(ctx, row);
            known.owed.retain(|owed| owed != occasion);
            match (occasion.hsm(), accepted) {
                (Some(hsm), Ok(Some(backup))) => {
                    known.hsms.iter_mut().filter(|it| it.id == *hsm).for_each(|it| it.backup = Some(backup.clone()));
                }
                (Some(hsm), ended) => finish(&mut known, hsm, &ended.map(drop)),
                (None, _) => {}
            }
            known.put(row);
        };
        ctx.catalog.edit_resource(&row.account, &row.id, settle).await?;
        Ok(())
    }
}

/// Takes whatever steps a cluster can take. Pure: no I/O, no clock.
fn advance(row: &mut ResourceRow, known: &mut ClusterAttributes, facts: &Facts) {
    use ClusterState as S;
    if !matches!(row.state, ResourceState::Creating | ResourceState::Available) {
        return;
    }
    for (hsm, ended) in &facts.backed_up {
        finish(known, hsm, ended);
    }
    if known.state == S::Uninitialized && known.identity.is_none() {
        known.identity.clone_from(&facts.identity);
    }
    if matches!(known.state, S::Uninitialized | S::InitializeInProgress | S::Initialized) {
        move_hsms_at_once(known);
    }
    let (is_there, is_from_backup) = (row.state == ResourceState::Available, row.made_from.is_some());
    match known.state {
        S::CreateInProgress if is_from_backup => known.state = S::InitializeInProgress,
        S::CreateInProgress if is_there => known.state = S::Uninitialized,
        S::InitializeInProgress if is_from_backup && is_there => known.state = S::Active,
        S::InitializeInProgress if is_there => {
            known.state = S::Initialized;
            known.initialized_at = Some(facts.now);
        }
        S::Initialized if is_activated(known, facts) => {
            known.state = S::Active;
            known.owed.push(Occasion::Activation);
        }
        S::ModifyInProgress | S::RollbackInProgress => known.state = S::Active,
        _ => {}
    }
    if is_there && known.is_active() {
        owe_daily(row, known, facts.now);
    }
}

/// Real clusters are activated on their HSM, outside of this API: by whoever initializes a token in the directory. A client
/// that has nothing but the API is not kept waiting for that.
fn is_activated(known: &ClusterAttributes, facts: &Facts) -> bool {
    let waited = facts.now.0.saturating_sub(known.initialized_at.map_or(0, |time| time.0));
    let is_over = i64::try_from(facts.activation.as_millis()).is_ok_and(|wait| waited >= wait);
    known.hsms.iter().any(|hsm| hsm.state == HsmState::Active) && (facts.holds_token || is_over)
}

/// Before a cluster is active there is nothing to back up, so its HSM comes and goes at once; but the first has to bring
/// the cluster's identity.
fn move_hsms_at_once(known: &mut ClusterAttributes) {
    known.hsms.retain(|hsm| hsm.state != HsmState::DeleteInProgress);
    if known.state != ClusterState::Uninitialized || known.identity.is_some() {
        known.hsms.iter_mut().for_each(|hsm| hsm.state = HsmState::Active);
    }
}

/// Ends the wait of an HSM for its backup. One that was to go stays if there is none.
fn finish(known: &mut ClusterAttributes, hsm: &HsmId, ended: &Result<(), String>) {
    let goes = |it: &HsmAttributes| it.id == *hsm && it.state == HsmState::DeleteInProgress && ended.is_ok();
    known.hsms.retain(|it| !goes(it));
    for it in known.hsms.iter_mut().filter(|it| it.id == *hsm && it.is_changing()) {
        it.state = HsmState::Active;
        it.backup = None;
        it.state_message = ended.as_ref().err().map(|why| format!("The backup of the cluster failed: {why}"));
    }
}

/// Of days that were missed while no server was up, one is made up for.
fn owe_daily(row: &mut ResourceRow, known: &mut ClusterAttributes, now: Timestamp) {
    let next = Some(Timestamp(now.0.saturating_add(DAY_MILLISECONDS)));
    let is_owed = known.owed.iter().any(|occasion| matches!(occasion, Occasion::Daily(_)));
    match row.next_backup_at {
        None => row.next_backup_at = next,
        Some(due) if due <= now && !is_owed => {
            known.owed.push(Occasion::Daily(due));
            row.next_backup_at = next;
        }
        Some(_) => {}
    }
}

/// Writes into the backups of a cluster that is being removed for how long they are kept, as they can ask it no longer.
/// Only then the rest of it is removed.
async fn take_leave(ctx: &RegionContext, row: &ResourceRow, known: &ClusterAttributes) -> Result<(), EngineError> {
    let being_made = BackupFilter {
        resources: vec![row.id.clone()],
        states: vec![BackupState::Creating],
        limit: 1,
        ..BackupFilter::default()
    };
    if !ctx.catalog.list_backups(&row.account, &being_made).await?.is_empty() {
        return Ok(());
    }
    edit_backups_of(ctx, &row.account, &row.id, |backups| {
        for backup in backups {
            let retention_days = Some(known.retention_days);
            backup.attributes = BackupAttributes { retention_days, ..BackupAttributes::of(backup) }.text();
        }
    })
    .await?;
    ctx.catalog.edit_resource(&row.account, &row.id, |row| row.pending = false).await?;
    Ok(())
}

/// Gives backups that could not be made the time after which nobody is told of them any more.
async fn note_failures(ctx: &RegionContext) -> Result<(), EngineError> {
    let failed = ctx.catalog.failed_backups(Service::CloudHsm).await?;
    for row in failed.iter().filter(|row| row.expires_at.is_none()) {
        let end = Timestamp(ctx.catalog.now().await?.0.saturating_add(FAILURE_SHOWN_MILLISECONDS));
        edit_backup(ctx, &row.account, &row.id, |row| row.expires_at = Some(end)).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use catalog::ResourceRow;
    use model::ResourceKind;

    use super::*;

    const NOW: Timestamp = Timestamp(1_768_478_400_000);

    fn row(state: ResourceState, made_from: Option<&str>) -> ResourceRow {
        ResourceRow {
            id: "cluster-aaaaaaaaaaa".parse().unwrap(),
            account: "123456789012".parse().unwrap(),
            kind: ResourceKind::Hsm,
            path: b"/clusters/a".to_vec(),
            name: None,
            kms_key: "0f0e0d0c-0b0a-4908-8706-050403020100".parse().unwrap(),
            created_at: NOW,
            state,
            failure: None,
            managed: true,
            made_from: made_from.map(|id| id.parse().unwrap()),
            rolls_back: false,
            tags: Vec::new(),
            attributes: "{}".to_owned(),
            next_backup_at: None,
            pending: true,
            exclusions: Default::default(),
        }
    }

    fn cluster(state: ClusterState, hsms: &[HsmState]) -> ClusterAttributes {
        let text = r#"{"state":"ACTIVE","hsm_type":"hsm2m.medium","mode":"FIPS","network_type":"IPV4",
            "retention_days":90,"subnets":{},"security_group":"sg-01234567"}"#;
        let hsm = |(number, state): (usize, &HsmState)| HsmAttributes {
            id: format!("hsm-{}", "abcdefg".chars().nth(number).unwrap().to_string().repeat(11)).parse().unwrap(),
            state: *state,
            state_message: None,
            zone: String::new(),
            subnet: String::new(),
            eni_id: String::new(),
            eni_ip: String::new(),
            eni_ip_v6: None,
            backup: None,
        };
        let hsms = hsms.iter().enumerate().map(hsm).collect();
        ClusterAttributes { state, hsms, ..serde_json::from_str(text).unwrap() }
    }

    fn facts() -> Facts {
        let activation = Duration::from_secs(5);
        Facts { now: NOW, activation, holds_token: false, identity: None, backed_up: Vec::new() }
    }

    fn identity() -> Identity {
        let none = String::new;
        Identity {
            csr: none(),
            hsm_certificate: none(),
            aws_hardware_certificate: none(),
            manufacturer_hardware_certificate: none(),
        }
    }

    /// The states that a cluster takes, a step at a time, until it stays as it is.
    fn walk(mut row: ResourceRow, mut known: ClusterAttributes, facts: &Facts) -> Vec<ClusterState> {
        let mut states = vec![known.state];
        loop {
            advance(&mut row, &mut known, facts);
            if states.last() == Some(&known.state) {
                return states;
            }
            states.push(known.state);
        }
    }

    #[test]
    fn an_empty_cluster_waits_for_its_owner_and_one_from_a_backup_for_its_contents() {
        use {ClusterState as S, ResourceState as R};
        let new = || cluster(S::CreateInProgress, &[]);
        assert_eq!(walk(row(R::Creating, None), new(), &facts()), [S::CreateInProgress]);
        assert_eq!(walk(row(R::Available, None), new(), &facts()), [S::CreateInProgress, S::Uninitialized]);
        let from = Some("backup-aaaaaaaaaaa");
        assert_eq!(walk(row(R::Creating, from), new(), &facts()), [S::CreateInProgress, S::InitializeInProgress]);
        let all = [S::CreateInProgress, S::InitializeInProgress, S::Active];
        assert_eq!(walk(row(R::Available, from), new(), &facts()), all);
        for gone in [R::Deleting, R::Failed] {
            assert_eq!(walk(row(gone, from), new(), &facts()), [S::CreateInProgress]);
        }
    }

    #[test]
    fn a_cluster_is_activated_by_a_token_or_by_time_and_on_an_hsm() {
        use {ClusterState as S, HsmState as H};
        let at = |milliseconds| Some(Timestamp(NOW.0 - milliseconds));
        let step = |initialized_at, hsms: &[H], facts: &Facts| {
            let mut known = ClusterAttributes { initialized_at, ..cluster(S::Initialized, hsms) };
            let mut row = row(ResourceState::Available, None);
            advance(&mut row, &mut known, facts);
            (known.state, known.owed, row.next_backup_at.is_some())
        };
        let active = (S::Active, vec![Occasion::Activation], true);
        let waiting = (S::Initialized, Vec::new(), false);
        assert_eq!(step(at(4_999), &[H::Active], &facts()), waiting);
        assert_eq!(step(at(5_000), &[H::Active], &facts()), active);
        assert_eq!(step(at(0), &[H::Active], &Facts { holds_token: true, ..facts() }), active);
        assert_eq!(step(at(5_000), &[], &Facts { holds_token: true, ..facts() }), waiting);
    }

    #[test]
    fn the_first_hsm_brings_the_identity() {
        let mut known = cluster(ClusterState::Uninitialized, &[HsmState::CreateInProgress]);
        let mut row = row(ResourceState::Available, None);
        advance(&mut row, &mut known, &facts());
        assert_eq!((known.hsms[0].state, &known.identity), (HsmState::CreateInProgress, &None));
        advance(&mut row, &mut known, &Facts { identity: Some(identity()), ..facts() });
        assert_eq!((known.hsms[0].state, &known.identity), (HsmState::Active, &Some(identity())));
        known.hsms[0].state = HsmState::DeleteInProgress;
        advance(&mut row, &mut known, &facts());
        assert_eq!((known.hsms.len(), known.owed.len()), (0, 0));
    }

    #[test]
    fn hsms_of_an_active_cluster_wait_for_their_backups() {
        let mut known = cluster(
            ClusterState::Active,
            &[HsmState::CreateInProgress, HsmState::DeleteInProgress, HsmState::DeleteInProgress],
        );
        let ids: Vec<HsmId> = known.hsms.iter().map(|hsm| hsm.id.clone()).collect();
        let mut row = row(ResourceState::Available, None);
        advance(&mut row, &mut known, &facts());
        assert!(known.hsms.iter().all(HsmAttributes::is_changing));
        let backed_up =
            vec![(ids[0].clone(), Ok(())), (ids[1].clone(), Ok(())), (ids[2].clone(), Err("no space".to_owned()))];
        advance(&mut row, &mut known, &Facts { backed_up, ..facts() });
        let left: Vec<_> = known.hsms.iter().map(|hsm| (&hsm.id, hsm.state, hsm.state_message.is_some())).collect();
        assert_eq!(left, [(&ids[0], HsmState::Active, false), (&ids[2], HsmState::Active, true)]);
    }

    #[test]
    fn of_days_that_were_missed_one_is_made_up_for() {
        let mut known = cluster(ClusterState::Active, &[]);
        let mut row = ResourceRow {
            next_backup_at: Some(Timestamp(NOW.0 - 10 * DAY_MILLISECONDS)),
            ..row(ResourceState::Available, None)
        };
        let due = row.next_backup_at.unwrap();
        for _ in 0..3 {
            advance(&mut row, &mut known, &facts());
            assert_eq!(known.owed, [Occasion::Daily(due)]);
            assert_eq!(row.next_backup_at, Some(Timestamp(NOW.0 + DAY_MILLISECONDS)));
        }
        // One that is still owed is not asked for twice.
        row.next_backup_at = Some(NOW);
        advance(&mut row, &mut known, &facts());
        assert_eq!((known.owed.len(), row.next_backup_at), (1, Some(NOW)));
    }
}
