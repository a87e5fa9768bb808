//! Garbage: doomed, revived, deleted, forgotten.

use std::time::Duration;

use catalog::{CatalogErrorKind as Kind, Standing};
use model::{DataKeyId, PackId};

use crate::support::{Fresh, HOUR, account, assert_kind, lease, other_account, pack};

const NOW: Duration = Duration::ZERO;

async fn doomed(fresh: &Fresh, older_than: Duration) -> Vec<PackId> {
    fresh.doomed_packs(older_than).await.unwrap().into_iter().map(|(_, pack)| pack.pack_id).collect()
}

#[tokio::test]
async fn a_pack_that_nothing_names_leaves_in_steps() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[pack(1)]).await;
    assert_eq!(fresh.doom_unreferenced(None).await.unwrap(), 0);
    fresh.delete(&id).await;
    assert_eq!(fresh.doom_unreferenced(Some(&other_account())).await.unwrap(), 0);
    assert_eq!(fresh.doom_unreferenced(Some(&account())).await.unwrap(), 1);
    assert_eq!(fresh.doom_unreferenced(None).await.unwrap(), 0, "its grace is not begun anew");

    assert_eq!(doomed(&fresh, HOUR).await, []);
    assert!(!fresh.begin_pack_deletion(&account(), &pack(1).pack_id, HOUR).await.unwrap());
    assert_eq!(doomed(&fresh, NOW).await, [pack(1).pack_id]);
    fresh.forget(&account(), &pack(1).pack_id).await.unwrap();
    assert_eq!(doomed(&fresh, NOW).await.len(), 1, "a pack is not forgotten before its object is deleted");

    assert!(fresh.begin_pack_deletion(&account(), &pack(1).pack_id, NOW).await.unwrap());
    assert!(!fresh.begin_pack_deletion(&account(), &pack(1).pack_id, NOW).await.unwrap());
    let deleting = fresh.deleting_packs().await.unwrap();
    assert_eq!(deleting.len(), 1);
    assert_eq!((&deleting[0].0, deleting[0].1.deleting), (&account(), true));
    assert_eq!(fresh.held_packs(&account(), &[pack(1).pack_id]).await.unwrap(), []);

    for _ in 0..2 {
        fresh.forget(&account(), &pack(1).pack_id).await.unwrap();
        assert_eq!(fresh.deleting_packs().await.unwrap(), []);
        assert_eq!(fresh.wrapped_keys(&account(), &[DataKeyId([1; 16])], None).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_doomed_pack_is_revived_by_an_edge() {
    for holds in [true, false] {
        let fresh = Fresh::new().await;
        let gone = fresh.available(1, &[pack(1)]).await;
        fresh.delete(&gone).await;
        fresh.doom_unreferenced(None).await.unwrap();
        let (id, fence) = fresh.begin(2).await;
        if holds {
            let held = fresh.hold_packs(&account(), &id, fence, &[pack(1).pack_id]).await.unwrap();
            assert_eq!(held[0].doomed_at, None);
        } else {
            let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
            assert_eq!(standings, [Standing::Held]);
        }
        assert_eq!(doomed(&fresh, NOW).await, []);
        assert!(!fresh.begin_pack_deletion(&account(), &pack(1).pack_id, NOW).await.unwrap());
        assert_eq!(fresh.doom_unreferenced(None).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_writer_waits_for_a_deletion_and_then_stores_anew() {
    let fresh = Fresh::new().await;
    let gone = fresh.available(1, &[pack(1)]).await;
    fresh.delete(&gone).await;
    fresh.doom_unreferenced(None).await.unwrap();
    fresh.begin_pack_deletion(&account(), &pack(1).pack_id, NOW).await.unwrap();
    let (id, fence) = fresh.begin(2).await;
    assert_eq!(fresh.hold_packs(&account(), &id, fence, &[pack(1).pack_id]).await.unwrap(), []);
    let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1), pack(2)]).await.unwrap();
    assert_eq!(standings, [Standing::Deleting, Standing::Missing]);
    assert_eq!(fresh.backup_packs(&id).await.unwrap().len(), 1);
    fresh.forget(&account(), &pack(1).pack_id).await.unwrap();
    let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    assert_eq!(standings, [Standing::Missing]);
}

/// Whoever would come second could delete what a writer has stored anew.
#[tokio::test]
async fn one_at_a_time_removes_a_pack() {
    let fresh = Fresh::new().await;
    let gone = fresh.available(1, &[pack(1)]).await;
    fresh.delete(&gone).await;
    fresh.doom_unreferenced(None).await.unwrap();
    let (account, id) = (account(), pack(1).pack_id);
    let claim =
        async |owner, ttl, stale| fresh.claim_pack_removal(&account, &id, &lease(owner, ttl), stale).await.unwrap();
    assert_eq!(claim("one", HOUR, None).await, None, "it may be revived still");
    fresh.begin_pack_deletion(&account, &id, NOW).await.unwrap();
    assert_eq!(fresh.pack_remover(&account, &id).await.unwrap(), None);
    let first = claim("one", HOUR, None).await.unwrap();
    assert_eq!(fresh.pack_remover(&account, &id).await.unwrap().as_deref(), Some("one"));
    for owner in ["one", "another"] {
        assert_eq!(claim(owner, HOUR, None).await, None);
    }
    // One that is known to be dead, and one whose time has run out.
    let second = claim("another", NOW, Some("one")).await.unwrap();
    // Who was taken over from has nothing to let go of.
    fresh.release_pack_removal(&account, &id, first).await.unwrap();
    assert_eq!(fresh.pack_remover(&account, &id).await.unwrap().as_deref(), Some("another"));
    let third = claim("one more", HOUR, None).await.unwrap();
    for late in [first, second] {
        fresh.forget_pack(&account, &id, late).await.unwrap();
        assert_eq!(fresh.deleting_packs().await.unwrap().len(), 1, "it is not theirs any more");
    }
    fresh.release_pack_removal(&account, &id, third).await.unwrap();
    let fourth = claim("one", HOUR, None).await.unwrap();
    fresh.forget_pack(&account, &id, fourth).await.unwrap();
    assert_eq!(claim("one", HOUR, None).await, None);
    assert_eq!(fresh.deleting_packs().await.unwrap(), []);
}

/// Not reachable through the catalog's own methods: the last line of defence.
#[tokio::test]
async fn the_database_refuses_to_forget_a_pack_that_a_backup_names() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[pack(1)]).await;
    fresh.force("UPDATE pack SET deleting = 1").await;
    assert_kind(fresh.forget(&account(), &pack(1).pack_id).await, Kind::Conflict);
    assert_eq!(fresh.backup_packs(&id).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_data_key_stays_while_a_pack_or_a_backup_uses_it() {
    let fresh = Fresh::new().await;
    let mut second = pack(2);
    second.data_key = pack(1).data_key;
    let parent = fresh.available(1, &[pack(1), second]).await;
    let (child, fence) = fresh.begin(3).await;
    fresh.hold_packs(&account(), &child, fence, &[second.pack_id]).await.unwrap();
    fresh.delete(&parent).await;
    let collect = async || {
        fresh.doom_unreferenced(None).await.unwrap();
        for (account, pack) in fresh.doomed_packs(NOW).await.unwrap() {
            assert!(fresh.begin_pack_deletion(&account, &pack.pack_id, NOW).await.unwrap());
            fresh.forget(&account, &pack.pack_id).await.unwrap();
        }
        fresh.wrapped_keys(&account(), &[DataKeyId([1; 16])], None).await.unwrap().len()
    };
    assert_eq!(collect().await, 1, "the child still reads a pack under it");
    fresh.fail(&child, fence, "gave up").await.unwrap();
    assert_eq!(collect().await, 0);
    assert_eq!(fresh.wrapped_keys(&account(), &[DataKeyId([3; 16])], None).await.unwrap().len(), 1);
}

/// Servers ask as often as they like: one of them does the work, once each time that it is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_every_so_often_is_one_callers() {
    let fresh = Fresh::new().await;
    let processes = [fresh.catalog.clone(), fresh.open_again().await];
    for expected in [1, 0] {
        let asked = (0..8).map(|number| {
            let catalog = processes[number % 2].clone();
            tokio::spawn(async move { catalog.take_turn("tidied", HOUR).await.unwrap() })
        });
        let mut turns = 0;
        for asked in asked.collect::<Vec<_>>() {
            turns += usize::from(asked.await.unwrap());
        }
        assert_eq!(turns, expected, "nobody has another before an hour is over");
    }
    assert!(fresh.take_turn("tidied", NOW).await.unwrap());
    assert!(fresh.take_turn("something else", HOUR).await.unwrap());
    // A clock that was far ahead, and was set right since.
    fresh.set_meta("tidied_at", "9000000000000").await.unwrap();
    assert!(fresh.take_turn("tidied", HOUR).await.unwrap());
    assert!(!fresh.take_turn("tidied", HOUR).await.unwrap());
}
