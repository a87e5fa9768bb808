//! Leases: one winner, and a fence that stops everyone before it.

use std::time::Duration;

use catalog::{CatalogErrorKind as Kind, Fence};

use crate::support::{Fresh, HOUR, account, assert_kind, backup_id, lease, pack, published};

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

#[tokio::test]
async fn a_worker_that_gave_the_work_back_can_write_nothing() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.release(&id, fence).await.unwrap();
    assert_kind(fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await, Kind::LostLease);
}
