//! Leases: one winner, and a fence that stops everyone before it.

use std::time::Duration;

use catalog::{CatalogErrorKind as Kind, EventRow, Fence, ResourceRow};
use model::{BackupId, ResourceKind, ResourceState, Timestamp};

use crate::support::{Fresh, HOUR, account, assert_kind, backup_id, is_sqlite, kms_key, lease, pack, published};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_claimants_exactly_one_wins_each_round() {
    let fresh = Fresh::new().await;
    let (id, mut fence) = fresh.begin(1).await;
    let processes = [fresh.catalog.clone(), fresh.open_again().await];
    for round in 0..10 {
        // Two ways for a lease to become free, in turn.
        if round % 2 == 0 {
            fresh.release(&id, fence).await.unwrap();
        } else {
            fresh.renew(&id, fence, Duration::ZERO).await.unwrap();
        }
        let claimants: Vec<_> = (0..16)
            .map(|number| {
                let (catalog, id) = (processes[number % 2].clone(), id.clone());
                tokio::spawn(async move { catalog.claim(&id, &lease(&format!("worker-{number}"), HOUR), None).await })
            })
            .collect();
        let mut winners = Vec::new();
        for claimant in claimants {
            winners.extend(claimant.await.unwrap().unwrap());
        }
        assert_eq!(winners, [Fence(fence.0 + 1)], "round {round}");
        fence = winners[0];
    }
}

#[tokio::test]
async fn a_running_lease_is_left_to_its_owner_unless_that_one_is_dead() {
    let fresh = Fresh::new().await;
    let (id, _) = fresh.begin(1).await;
    assert_eq!(fresh.claim(&id, &lease("other", HOUR), None).await.unwrap(), None);
    assert_eq!(fresh.claim(&id, &lease("other", HOUR), Some("someone")).await.unwrap(), None);
    assert_eq!(fresh.claim(&id, &lease("other", HOUR), Some("worker")).await.unwrap(), Some(Fence(2)));
    assert_eq!(fresh.claim(&backup_id(9), &lease("other", HOUR), None).await.unwrap(), None);
}

#[tokio::test]
async fn only_unfinished_work_can_be_claimed() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    assert_eq!(fresh.claim(&id, &lease("other", HOUR), Some("worker")).await.unwrap(), None);
}

#[tokio::test]
async fn a_stale_worker_can_write_nothing() {
    let fresh = Fresh::new().await;
    let (id, stale) = fresh.begin(1).await;
    fresh.store(&id, stale, &[pack(1)]).await;
    fresh.claim(&id, &lease("other", HOUR), Some("worker")).await.unwrap().unwrap();
    let before = fresh.find_backup(&account(), &id).await.unwrap();

    let packs = [pack(1).pack_id];
    assert_kind(fresh.intend_packs(&account(), &id, stale, &[pack(2)]).await, Kind::LostLease);
    assert_kind(fresh.land_packs(&account(), &id, stale, &packs, 9).await, Kind::LostLease);
    assert_kind(fresh.hold_packs(&account(), &id, stale, &packs).await, Kind::LostLease);
    assert_kind(fresh.keep_only(&id, stale, &[]).await, Kind::LostLease);
    assert_kind(fresh.set_progress(&id, stale, 1, 2).await, Kind::LostLease);
    assert_kind(fresh.publish(&id, stale, &published()).await, Kind::LostLease);
    assert_kind(fresh.fail(&id, stale, "stale").await, Kind::LostLease);
    assert_kind(fresh.renew(&id, stale, HOUR).await, Kind::LostLease);
    assert_kind(fresh.release(&id, stale).await, Kind::LostLease);

    assert_eq!(fresh.find_backup(&account(), &id).await.unwrap(), before);
    assert_eq!(fresh.backup_packs(&id).await.unwrap().len(), 1);
}

/// Those who look back see who ended the work, and that nobody did whose lease was lost.
#[tokio::test]
async fn an_event_tells_the_fence_under_which_work_was_ended() {
    let fresh = Fresh::new().await;
    let [(published_id, stale), (failed_id, _)] = [fresh.begin(1).await, fresh.begin(2).await];
    for (id, owner) in [(&published_id, "second"), (&failed_id, "other")] {
        assert_eq!(fresh.claim(id, &lease(owner, HOUR), Some("worker")).await.unwrap(), Some(Fence(2)));
        assert_kind(fresh.check_lease(id, stale).await, Kind::LostLease);
        fresh.check_lease(id, Fence(2)).await.unwrap();
        assert_kind(fresh.publish(id, stale, &published()).await, Kind::LostLease);
        assert_kind(fresh.fail(id, stale, "stale").await, Kind::LostLease);
    }
    fresh.publish(&published_id, Fence(2), &published()).await.unwrap();
    fresh.fail(&failed_id, Fence(2), "gave up").await.unwrap();
    let events = fresh.list_events(2).await.unwrap();
    let told = |event: &EventRow| (event.action.clone(), event.subject.clone(), event.detail.clone());
    let told: Vec<_> = events.iter().map(told).collect();
    let expected = |action: &str, id: &BackupId, detail: &str| (action.to_owned(), id.to_string(), detail.to_owned());
    assert_eq!(
        told,
        [
            expected("FailBackup", &failed_id, "fence 2, held by other"),
            expected("PublishBackup", &published_id, "fence 2, held by second"),
        ]
    );
    assert_kind(fresh.check_lease(&published_id, Fence(2)).await, Kind::LostLease);
}

#[tokio::test]
async fn a_worker_that_gave_the_work_back_can_write_nothing() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.release(&id, fence).await.unwrap();
    assert_kind(fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await, Kind::LostLease);
}

fn disk() -> ResourceRow {
    ResourceRow {
        id: "disk-abcdefgh".parse().unwrap(),
        account: account(),
        kind: ResourceKind::Disk,
        path: b"/disks/a".to_vec(),
        name: None,
        kms_key: kms_key(),
        created_at: Timestamp(5),
        state: ResourceState::Creating,
        failure: None,
        managed: true,
        made_from: None,
        rolls_back: false,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: None,
        pending: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_would_settle_a_resource_one_does_and_those_before_it_can_not() {
    let fresh = Fresh::new_in_memory().await;
    let disk = disk();
    fresh.insert_resource(&disk).await.unwrap();
    let mut stale = None;
    for round in 1..=10 {
        let claimants: Vec<_> = (0..16)
            .map(|number| {
                let (catalog, id) = (fresh.catalog.clone(), disk.id.clone());
                tokio::spawn(async move { catalog.claim_resource(&id, &lease(&format!("{number}"), HOUR), None).await })
            })
            .collect();
        let mut winners = Vec::new();
        for claimant in claimants {
            winners.extend(claimant.await.unwrap().unwrap());
        }
        assert_eq!(winners, [(disk.clone(), Fence(round))]);
        if let Some(stale) = stale.replace(Fence(round)) {
            assert_kind(fresh.renew_resource(&disk.id, stale, HOUR).await, Kind::LostLease);
            let publish = |row: &mut ResourceRow| row.state = ResourceState::Available;
            assert_kind(fresh.release_resource(&account(), &disk.id, stale, publish).await, Kind::LostLease);
            assert_eq!(fresh.find_resource(&account(), &disk.id).await.unwrap(), Some(disk.clone()));
        }
        fresh.renew_resource(&disk.id, Fence(round), Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn a_settled_resource_can_not_be_claimed() {
    let fresh = Fresh::new().await;
    let disk = disk();
    fresh.insert_resource(&disk).await.unwrap();
    let claim = async || fresh.claim_resource(&disk.id, &lease("worker", HOUR), None).await.unwrap();
    let (_, fence) = claim().await.unwrap();
    assert_eq!(claim().await, None);
    let publish = |row: &mut ResourceRow| row.state = ResourceState::Available;
    fresh.release_resource(&account(), &disk.id, fence, publish).await.unwrap();
    assert_eq!(claim().await, None);
    assert_eq!(fresh.unsettled_resources().await.unwrap(), []);
}

/// Two nodes: whoever has claimed last commits, and the other one does not, which had the lease before or believed so. In
/// every other round a lease ends at once, as if the database's clock had jumped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_race_for_one_lease_and_one_commits() {
    let fresh = Fresh::new_in_memory().await;
    let (id, mut last) = fresh.begin(1).await;
    let mut owner = "worker".to_owned();
    let nodes = [fresh.catalog.clone(), fresh.open_again().await];
    let races = if is_sqlite() { 1_000 } else { 10_000 };
    for round in 1..=races {
        let ttl = if round % 2 == 0 { HOUR } else { Duration::ZERO };
        let race = async |node: usize| {
            let name = format!("node {node}, round {round}");
            let claimed = nodes[node].claim(&id, &lease(&name, ttl), Some(&owner)).await.unwrap();
            let committed = nodes[node].set_progress(&id, claimed.unwrap_or(last), round, races).await.is_ok();
            (claimed, committed, name)
        };
        let both = tokio::join!(race(0), race(1));
        let [(first, ..), (second, ..)] = [&both.0, &both.1];
        let newest = (*first).max(*second).expect("one of them got it");
        for (claimed, committed, name) in [both.0, both.1] {
            // Where the lease of one had run out before the other one asked, both had it, in turn.
            let may_commit = claimed == Some(newest) || (claimed.is_some() && ttl.is_zero());
            assert!(may_commit || !committed, "{name} has committed with {claimed:?} beside {newest}");
            assert!(claimed != Some(newest) || committed, "{name} has lost the newest lease, {newest}");
            if claimed == Some(newest) {
                owner = name;
            }
        }
        last = newest;
    }
}
