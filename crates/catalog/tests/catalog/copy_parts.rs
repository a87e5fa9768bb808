//! Parts of a copy: each is one worker's at a time, and nobody's once the copy has changed hands.

use std::ops::Range;
use std::time::Duration;

use catalog::{BackupSource, CatalogErrorKind as Kind, CopyPart, Fence, NewBackup};
use model::BackupId;

use crate::support::{Fresh, HOUR, account, assert_kind, backup_id, lease, new_backup, pack, published};

const PARTS: [Range<u64>; 3] = [0..10, 10..20, 20..25];

/// A copy whose parts are offered by the worker that has its lease.
async fn shared(fresh: &Fresh) -> (BackupId, Fence) {
    let source = BackupSource {
        region: "eu-west-1".parse().unwrap(),
        backup: backup_id(9),
        taken_at: Some(model::Timestamp(7)),
    };
    let new = NewBackup { source: Some(source), ..new_backup(1) };
    let fence = fresh.insert_backup(&new, &lease("worker", HOUR)).await.unwrap();
    fresh.offer_parts(&account(), &new.id, fence, &PARTS).await.unwrap();
    (new.id, fence)
}

async fn claim(fresh: &Fresh, id: &BackupId, owner: &str, ttl: Duration) -> Option<CopyPart> {
    fresh.claim_part(id, &lease(owner, ttl)).await.unwrap()
}

#[tokio::test]
async fn the_holder_takes_from_the_front_and_others_from_the_back() {
    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    assert_eq!(fresh.shared_copies("other").await.unwrap(), std::slice::from_ref(&id));
    assert_eq!(fresh.shared_copies("worker").await.unwrap(), [], "it need not help itself");
    assert_eq!(claim(&fresh, &id, "other", HOUR).await.unwrap().packs, PARTS[2]);
    assert_eq!(fresh.take_part(&id, fence, false).await.unwrap().unwrap().packs, PARTS[0]);
    let last = claim(&fresh, &id, "third", HOUR).await.unwrap();
    assert_eq!((last.packs.clone(), last.fence), (PARTS[1].clone(), Fence(1)));
    assert_eq!(
        (claim(&fresh, &id, "fourth", HOUR).await, fresh.take_part(&id, fence, false).await.unwrap()),
        (None, None)
    );
    assert_eq!(fresh.shared_copies("fourth").await.unwrap(), []);
    assert_eq!(fresh.parts_left(&id).await.unwrap(), 2, "what the holder has taken is its own to know");
    fresh.finish_part(&last).await.unwrap();
    assert_eq!(fresh.parts_left(&id).await.unwrap(), 1);
    // One that hangs keeps its lease, and loses its part all the same.
    assert_eq!(fresh.take_part(&id, fence, true).await.unwrap().unwrap().packs, PARTS[2]);
    assert_eq!(fresh.parts_left(&id).await.unwrap(), 0);
}

#[tokio::test]
async fn a_part_whose_lease_has_run_out_changes_hands_and_its_last_holder_can_write_nothing() {
    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    fresh.intend_packs(&account(), &id, fence, &[pack(1), pack(2)]).await.unwrap();
    let stale = claim(&fresh, &id, "paused", Duration::ZERO).await.unwrap();
    fresh.land_packs_of_part(&account(), &stale, &[pack(1).pack_id], 7).await.unwrap();
    let part = claim(&fresh, &id, "other", HOUR).await.unwrap();
    assert_eq!((part.packs.clone(), part.fence), (stale.packs.clone(), Fence(2)));
    assert_kind(fresh.land_packs_of_part(&account(), &stale, &[pack(2).pack_id], 1).await, Kind::LostLease);
    assert_kind(fresh.renew_part(&stale, HOUR).await, Kind::LostLease);
    assert_kind(fresh.release_part(&stale).await, Kind::LostLease);
    assert_kind(fresh.finish_part(&stale).await, Kind::LostLease);
    fresh.renew_part(&part, HOUR).await.unwrap();
    assert_eq!(fresh.release_parts_of("paused").await.unwrap(), 0);
    assert_eq!(fresh.release_parts_of("other").await.unwrap(), 1);
    let part = claim(&fresh, &id, "other", HOUR).await.unwrap();
    fresh.release_part(&part).await.unwrap();
    assert_eq!(claim(&fresh, &id, "third", Duration::ZERO).await.unwrap().packs, PARTS[2]);
    // The holder of the copy may take over what somebody else has let lie.
    for expected in PARTS {
        assert_eq!(fresh.take_part(&id, fence, false).await.unwrap().unwrap().packs, expected);
    }
    let row = fresh.find_backup(&account(), &id).await.unwrap().unwrap();
    assert_eq!(row.done_bytes, 7);
}

#[tokio::test]
async fn once_the_copy_has_changed_hands_its_parts_are_nobodys() {
    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    let part = claim(&fresh, &id, "other", HOUR).await.unwrap();
    let next = fresh.claim(&id, &lease("next", HOUR), Some("worker")).await.unwrap().unwrap();
    assert_kind(fresh.land_packs_of_part(&account(), &part, &[pack(1).pack_id], 1).await, Kind::LostLease);
    assert_kind(fresh.take_part(&id, fence, false).await, Kind::LostLease);
    assert_kind(fresh.offer_parts(&account(), &id, fence, &PARTS).await, Kind::LostLease);
    assert_eq!(claim(&fresh, &id, "third", HOUR).await, None, "these were offered by the one before");
    assert_eq!(fresh.shared_copies("third").await.unwrap(), []);
    fresh.offer_parts(&account(), &id, next, &PARTS[..1]).await.unwrap();
    assert_eq!(claim(&fresh, &id, "third", HOUR).await.unwrap().packs, PARTS[0]);
    assert_kind(fresh.finish_part(&part).await, Kind::LostLease);
}

#[tokio::test]
async fn a_copy_that_ends_leaves_no_parts() {
    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    let part = claim(&fresh, &id, "other", HOUR).await.unwrap();
    fresh.publish(&id, fence, &published()).await.unwrap();
    assert_kind(fresh.renew_part(&part, HOUR).await, Kind::LostLease);
    assert_eq!(fresh.parts_left(&id).await.unwrap(), 0);

    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    fresh.fail(&id, fence, "for a test").await.unwrap();
    assert_eq!(fresh.parts_left(&id).await.unwrap(), 0);

    let fresh = Fresh::new().await;
    let (id, fence) = shared(&fresh).await;
    fresh.release(&id, fence).await.unwrap();
    assert_eq!(claim(&fresh, &id, "other", HOUR).await, None, "nobody offers them");
    fresh.delete(&id).await;
    assert_eq!(fresh.find_backup(&account(), &backup_id(1)).await.unwrap(), None);
}
