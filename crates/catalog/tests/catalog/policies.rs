//! Policies: runs that are claimed once, bindings with their limit; and shares.

use catalog::{Binding, CatalogErrorKind as Kind, PolicyRow, ScheduledRun};
use model::{PolicyId, ResourceId, Timestamp};

use crate::support::{Fresh, account, assert_kind, other_account, pack};

const MANY: u64 = 1000;

fn policy_id(number: u8) -> PolicyId {
    format!("asp-{number:08}").parse().unwrap()
}

fn disk(number: u8) -> ResourceId {
    format!("disk-{number:08}").parse().unwrap()
}

/// A policy that was due at the beginning of time.
fn policy(number: u8) -> PolicyRow {
    PolicyRow {
        id: policy_id(number),
        account: account(),
        name: Some("nightly".to_owned()),
        rules: "[]".to_owned(),
        rules_since: Timestamp(1),
        activated: true,
        permanent: false,
        retention_days: 7,
        created_at: Timestamp(i64::from(number)),
        next_run_at: Some(Timestamp(1000)),
    }
}

/// A policy that is due, with two disks.
async fn due() -> (Fresh, PolicyRow) {
    let fresh = Fresh::new().await;
    assert!(fresh.insert_policy(&policy(1), MANY).await.unwrap());
    let bound = fresh.bind_policy(&account(), &policy_id(1), &[disk(1), disk(2)], MANY).await.unwrap();
    assert_eq!(bound, Binding::Bound);
    let found = fresh.due_policies().await.unwrap().remove(0);
    assert_eq!(found, policy(1));
    (fresh, found)
}

fn resources(runs: &[ScheduledRun]) -> Vec<ResourceId> {
    runs.iter().map(|run| run.resource.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_race_for_a_run_one_claims_it() {
    for _ in 0..20 {
        let (fresh, found) = due().await;
        let claim = |catalog: catalog::Catalog| {
            let found = found.clone();
            tokio::spawn(async move { catalog.claim_run(&found, Some(Timestamp(i64::MAX))).await.unwrap() })
        };
        let (one, other) = (claim(fresh.catalog.clone()), claim(fresh.open_again().await));
        let claimed = [one.await.unwrap(), other.await.unwrap()];
        assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), 1);
        assert_eq!(fresh.due_policies().await.unwrap(), []);
        assert_eq!(fresh.scheduled_runs().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_claimed_run_waits_for_each_resource_until_that_is_done() {
    let (fresh, found) = due().await;
    assert!(fresh.claim_run(&found, Some(Timestamp(2000))).await.unwrap());
    let runs = fresh.scheduled_runs().await.unwrap();
    assert!(runs.iter().all(|run| run.run_at == Timestamp(1000) && run.policy.next_run_at == Some(Timestamp(2000))));
    fresh.finish_run(&runs[0]).await.unwrap();
    assert_eq!(resources(&fresh.scheduled_runs().await.unwrap()), [runs[1].resource.clone()]);
    // The next run takes the place of what is left of this one, whose late end no longer counts.
    let found = fresh.due_policies().await.unwrap().remove(0);
    assert!(fresh.claim_run(&found, None).await.unwrap());
    fresh.finish_run(&runs[1]).await.unwrap();
    assert_eq!(fresh.scheduled_runs().await.unwrap().len(), 2);
    assert_eq!(fresh.due_policies().await.unwrap(), [], "there is no further run");
}

#[tokio::test]
async fn a_run_that_is_passed_over_leaves_nothing_to_do() {
    let (fresh, found) = due().await;
    assert!(fresh.skip_run(&found, Some(Timestamp(2000))).await.unwrap());
    assert!(!fresh.claim_run(&found, Some(Timestamp(2000))).await.unwrap());
    assert_eq!(fresh.scheduled_runs().await.unwrap(), []);
}

#[tokio::test]
async fn a_policy_that_is_switched_off_or_changed_meanwhile_is_not_claimed() {
    let (fresh, found) = due().await;
    fresh.edit_policy(&account(), &found.id, |row| row.activated = false).await.unwrap();
    assert_eq!(fresh.due_policies().await.unwrap(), []);
    assert!(!fresh.claim_run(&found, None).await.unwrap());
    let edit = |row: &mut PolicyRow| {
        row.activated = true;
        row.next_run_at = Some(Timestamp(5));
    };
    fresh.edit_policy(&account(), &found.id, edit).await.unwrap();
    assert!(!fresh.claim_run(&found, None).await.unwrap());
    assert_eq!(fresh.scheduled_runs().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_policies_that_are_made_at_once_as_many_as_the_quota_stay() {
    let fresh = Fresh::new().await;
    let make = |number| {
        let catalog = fresh.catalog.clone();
        tokio::spawn(async move { catalog.insert_policy(&policy(number), 10).await.unwrap() })
    };
    let mut made = 0;
    for task in (0..30).map(make).collect::<Vec<_>>() {
        made += usize::from(task.await.unwrap());
    }
    assert_eq!((made, fresh.list_policies(&account()).await.unwrap().len()), (10, 10));
    let theirs = PolicyRow { account: other_account(), ..policy(99) };
    assert!(fresh.insert_policy(&theirs, 10).await.unwrap(), "quotas are each account's own");
}

#[tokio::test]
async fn binding_is_all_or_none() {
    let (fresh, _) = due().await;
    let bind =
        async |disks: &[ResourceId], max| fresh.bind_policy(&account(), &policy_id(1), disks, max).await.unwrap();
    assert_eq!(bind(&[disk(3), disk(2)], MANY).await, Binding::AlreadyBound(disk(2)));
    assert_eq!(bind(&[disk(3), disk(4)], 3).await, Binding::OverLimit);
    let bound = fresh.bound_resources(&account()).await.unwrap();
    assert_eq!(bound, [(policy_id(1), disk(1)), (policy_id(1), disk(2))]);
    assert_eq!(bind(&[disk(3)], 3).await, Binding::Bound);
    fresh.unbind_policy(&account(), &policy_id(1), &[disk(1), disk(9)]).await.unwrap();
    let bound = fresh.bound_resources(&account()).await.unwrap();
    assert_eq!(bound, [(policy_id(1), disk(2)), (policy_id(1), disk(3))]);
}

#[tokio::test]
async fn policies_are_the_accounts_own_and_go_all_or_none() {
    let (fresh, _) = due().await;
    let stranger = other_account();
    assert_kind(fresh.edit_policy(&stranger, &policy_id(1), |_| ()).await, Kind::NotFound);
    assert_kind(fresh.bind_policy(&stranger, &policy_id(1), &[disk(1)], MANY).await, Kind::NotFound);
    assert_kind(fresh.unbind_policy(&stranger, &policy_id(1), &[disk(1)]).await, Kind::NotFound);
    assert_kind(fresh.delete_policies(&stranger, &[policy_id(1)]).await, Kind::NotFound);
    assert_eq!(fresh.list_policies(&stranger).await.unwrap(), []);
    assert_kind(fresh.delete_policies(&account(), &[policy_id(1), policy_id(2)]).await, Kind::NotFound);
    assert_eq!(fresh.list_policies(&account()).await.unwrap().len(), 1);
    fresh.delete_policies(&account(), &[policy_id(1)]).await.unwrap();
    assert_eq!(fresh.bound_resources(&account()).await.unwrap(), []);
}

#[tokio::test]
async fn a_shared_backup_is_read_by_those_it_is_shared_with_until_it_goes() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[pack(1)]).await;
    let (owner, theirs) = (account(), other_account());
    assert_eq!(fresh.find_shared_backup(&theirs, &id).await.unwrap(), None);
    assert!(fresh.share_backups(&owner, std::slice::from_ref(&id), std::slice::from_ref(&theirs), 1).await.unwrap());
    assert!(fresh.share_backups(&owner, std::slice::from_ref(&id), std::slice::from_ref(&theirs), 1).await.unwrap());
    let third = "333333333333".parse().unwrap();
    assert!(!fresh.share_backups(&owner, std::slice::from_ref(&id), &[third], 1).await.unwrap());
    assert_eq!(fresh.list_shares(&id).await.unwrap().len(), 1);
    assert_eq!(fresh.backups_shared_with(&theirs).await.unwrap()[0].id, id);
    assert_eq!(fresh.find_shared_backup(&theirs, &id).await.unwrap().unwrap().account, owner);
    assert_eq!(fresh.find_owner(&id).await.unwrap(), Some(owner.clone()));
    // It is no one else's to share, and cannot be shared while it is not available.
    assert_kind(fresh.share_backups(&theirs, std::slice::from_ref(&id), &[owner], 9).await, Kind::NotFound);
    let (making, _) = fresh.begin(2).await;
    assert_kind(fresh.share_backups(&account(), &[making], std::slice::from_ref(&theirs), 9).await, Kind::Conflict);
    fresh.delete(&id).await;
    assert_eq!(fresh.backups_shared_with(&theirs).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_shared_no_longer_is_unknown() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[pack(1)]).await;
    let theirs = other_account();
    fresh.share_backups(&account(), std::slice::from_ref(&id), std::slice::from_ref(&theirs), 1).await.unwrap();
    let stranger_unshares = fresh.unshare_backups(&theirs, std::slice::from_ref(&id), std::slice::from_ref(&theirs));
    assert_kind(stranger_unshares.await, Kind::NotFound);
    fresh.unshare_backups(&account(), std::slice::from_ref(&id), std::slice::from_ref(&theirs)).await.unwrap();
    assert_eq!(fresh.find_shared_backup(&theirs, &id).await.unwrap(), None);
}
