//! Leases: one winner, and a fence that stops everyone before it.

use std::time::Duration;

use catalog::{CatalogErrorKind as Kind, EventRow, Fence, ResourceRow};
use model::{BackupId, ResourceKind, ResourceState, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

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
        exclusions: Default::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_would_settle_a_resource_one_does_and_those_before_it_can_not() {
    let fresh = Fresh::new_in_memory().await;
    let disk = disk();
    fresh.insert_resource(&disk).await.unwrap();
    let source = fresh.available(1, &[]).await;
    fresh.place_hold(&account(), &source, "filling", HOUR).await.unwrap();
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
            let hold = Some((&source, "filling"));
            assert_kind(fresh.release_resource(&account(), &disk.id, stale, hold, publish).await, Kind::LostLease);
            assert_eq!(fresh.find_resource(&account(), &disk.id).await.unwrap(), Some(disk.clone()));
            assert_eq!(fresh.active_holds(&source).await.unwrap().len(), 1);
        }
        fresh.renew_resource(&disk.id, Fence(round), Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn a_settled_resource_can_not_be_claimed() {
    let fresh = Fresh::new().await;
    let disk = disk();
    fresh.insert_resource(&disk).await.unwrap();
    let source = fresh.available(1, &[]).await;
    fresh.place_hold(&account(), &source, "filling", HOUR).await.unwrap();
    let claim = async || fresh.claim_resource(&disk.id, &lease("worker", HOUR), None).await.unwrap();
    let (_, fence) = claim().await.unwrap();
    assert_eq!(claim().await, None);
    let publish = |row: &mut ResourceRow| row.state = ResourceState::Available;
    fresh.release_resource(&account(), &disk.id, fence, Some((&source, "filling")), publish).await.unwrap();
    assert_eq!(claim().await, None);
    assert_eq!(fresh.active_holds(&source).await.unwrap(), []);
    assert_eq!(fresh.unsettled_resources().await.unwrap(), []);
}

const RACES: usize = 10_000;

/// Two hours, in milliseconds.
const JUMP_MAX: i64 = 2 * 60 * 60 * 1000;

/// Two nodes, one of which has the lease and ends the work, while the other one takes the work over if it can, and ends it as
/// well. Meanwhile the database's clock jumps back or forth, by up to two hours. A jump is what it does to a lease: it runs
/// out that much later or sooner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_race_for_one_lease_while_the_clock_jumps_and_one_commits() {
    // Writers of a file wait for each other asleep: several files take no longer than one.
    let catalogs = if is_sqlite() { 16 } else { 1 };
    let racing: Vec<_> = (0..catalogs).map(|seed| tokio::spawn(race(seed, RACES / catalogs))).collect();
    let mut taken_over = 0;
    for race in racing {
        taken_over += race.await.unwrap();
    }
    println!("the lease was taken over {taken_over} times");
    assert!((RACES / 100..RACES * 99 / 100).contains(&taken_over), "{taken_over}");
}

/// Runs so many races in one catalog, and returns how often the lease was taken over.
async fn race(seed: usize, races: usize) -> usize {
    let fresh = Fresh::new_in_memory().await;
    let mut clock = fresh.connect().await;
    let (id, mut last) = fresh.begin(1).await;
    fresh.release(&id, last).await.unwrap();
    let nodes = [fresh.catalog.clone(), fresh.open_again().await];
    let mut random = StdRng::seed_from_u64(seed as u64);
    let mut taken_over = 0;
    for round in 0..races {
        let (holder, other) = (&nodes[round % 2], &nodes[(round + 1) % 2]);
        let held = holder.claim(&id, &lease("holder", HOUR), None).await.unwrap().expect("nobody has it");
        let milliseconds = random.random_range(-JUMP_MAX..JUMP_MAX);
        let jump = format!("UPDATE backup SET lease_expires_at = lease_expires_at - {milliseconds}");
        let is_early = random.random_bool(0.5);
        let mut jump = async || {
            sqlx::raw_sql(sqlx::AssertSqlSafe(jump.clone())).execute(&mut clock).await.unwrap();
        };
        if is_early {
            jump().await;
        }
        let ((claimed, second), (), first) = tokio::join!(
            async {
                let claimed = other.claim(&id, &lease("other", HOUR), None).await.unwrap();
                // One that did not get it believes that it still has what it had before.
                (claimed, other.publish(&id, claimed.unwrap_or(last), &published()).await)
            },
            async {
                if !is_early {
                    jump().await;
                }
            },
            async { holder.publish(&id, held, &published()).await },
        );
        assert_eq!(claimed.is_some(), second.is_ok(), "round {round}: {claimed:?} beside {held:?}, {second:?}");
        assert_eq!(claimed.is_none(), first.is_ok(), "round {round}: {held:?} beside {claimed:?}, {first:?}");
        for lost in [first, second].into_iter().filter(Result::is_err) {
            assert_kind(lost, Kind::LostLease);
        }
        last = claimed.unwrap_or(held);
        taken_over += usize::from(claimed.is_some());
        sqlx::raw_sql("UPDATE backup SET state = 'CREATING'").execute(&mut clock).await.unwrap();
    }
    let ended = fresh.list_events(u32::MAX).await.unwrap();
    assert_eq!(ended.iter().filter(|event| event.action == "PublishBackup").count(), races);
    taken_over
}
