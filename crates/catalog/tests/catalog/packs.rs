//! Packs: announced, landed, kept and dropped.

use catalog::{CatalogErrorKind as Kind, NewPack, Orphan, Standing};
use model::{DataKeyId, KmsKeyId, ObjectName, PackId};

use crate::support::{Fresh, account, assert_kind, kms_key, other_account, pack};

#[tokio::test]
async fn announcing_again_carries_on_and_what_landed_is_not_sent_twice() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    let packs = [pack(1), pack(2)];
    for _ in 0..2 {
        let standings = fresh.intend_packs(&account(), &id, fence, &packs).await.unwrap();
        assert_eq!(standings, [Standing::Missing, Standing::Missing]);
    }
    fresh.land_packs(&account(), &id, fence, &[pack(1).pack_id], 0).await.unwrap();
    let standings = fresh.intend_packs(&account(), &id, fence, &packs).await.unwrap();
    assert_eq!(standings, [Standing::Held, Standing::Missing]);
    let rows = fresh.backup_packs(&id).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.pack_id, row.landed)).collect::<Vec<_>>(),
        [(pack(1).pack_id, true), (pack(2).pack_id, false)]
    );
}

#[tokio::test]
async fn only_an_announced_pack_can_land() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    let (other, other_fence) = fresh.begin(2).await;
    fresh.intend_packs(&account(), &other, other_fence, &[pack(1)]).await.unwrap();
    assert_kind(fresh.land_packs(&account(), &id, fence, &[pack(1).pack_id], 0).await, Kind::Conflict);
    assert_kind(fresh.land_packs(&other_account(), &other, other_fence, &[], 0).await, Kind::LostLease);
}

#[tokio::test]
async fn a_pack_sealed_anew_replaces_what_never_landed_unless_another_is_storing_it() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    let (other, other_fence) = fresh.begin(2).await;
    let anew = NewPack { object_name: ObjectName([77; 32]), bytes: 77, data_key: DataKeyId([2; 16]), ..pack(1) };
    fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    let standings = fresh.intend_packs(&account(), &other, other_fence, &[anew]).await.unwrap();
    assert_eq!(standings, [Standing::Taken]);
    assert_eq!(fresh.backup_packs(&other).await.unwrap(), []);

    fresh.fail(&id, fence, "gave up").await.unwrap();
    let standings = fresh.intend_packs(&account(), &other, other_fence, &[anew]).await.unwrap();
    assert_eq!(standings, [Standing::Missing]);
    let rows = fresh.backup_packs(&other).await.unwrap();
    assert_eq!((rows[0].object_name, rows[0].bytes), (anew.object_name, 77));
    fresh.land_packs(&account(), &other, other_fence, &[anew.pack_id], 0).await.unwrap();

    let (third, third_fence) = fresh.begin(3).await;
    let standings = fresh.intend_packs(&account(), &third, third_fence, &[pack(1)]).await.unwrap();
    assert_eq!(standings, [Standing::Held], "it landed under another object name");
}

#[tokio::test]
async fn a_writer_takes_over_an_orphan_of_the_same_bytes() {
    let fresh = Fresh::new().await;
    let orphan = Orphan { pack_id: PackId([99; 16]), object_name: pack(1).object_name, bytes: 1001 };
    assert_eq!(fresh.adopt_orphans(&account(), &[orphan]).await.unwrap(), 1);
    assert_eq!(fresh.adopt_orphans(&account(), &[orphan]).await.unwrap(), 0);
    let (id, fence) = fresh.begin(1).await;
    let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    assert_eq!(standings, [Standing::Missing]);
    assert_eq!(fresh.backup_packs(&id).await.unwrap()[0].pack_id, pack(1).pack_id);
    assert_eq!(fresh.doomed_packs(std::time::Duration::ZERO).await.unwrap(), []);
    // A renamed pack meets an orphan the same way.
    let orphan = Orphan { pack_id: PackId([98; 16]), object_name: ObjectName([55; 32]), bytes: 1 };
    fresh.adopt_orphans(&account(), &[orphan]).await.unwrap();
    let anew = NewPack { object_name: orphan.object_name, ..pack(1) };
    let standings = fresh.intend_packs(&account(), &id, fence, &[anew]).await.unwrap();
    assert_eq!(standings, [Standing::Missing]);
}

#[tokio::test]
async fn a_writer_waits_for_an_orphan_that_is_being_deleted() {
    let fresh = Fresh::new().await;
    let orphan = Orphan { pack_id: PackId([99; 16]), object_name: pack(1).object_name, bytes: 1001 };
    fresh.adopt_orphans(&account(), &[orphan]).await.unwrap();
    assert!(fresh.begin_pack_deletion(&account(), &orphan.pack_id, std::time::Duration::ZERO).await.unwrap());
    let (id, fence) = fresh.begin(1).await;
    let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    assert_eq!(standings, [Standing::Deleting]);
    fresh.forget(&account(), &orphan.pack_id).await.unwrap();
    let standings = fresh.intend_packs(&account(), &id, fence, &[pack(1)]).await.unwrap();
    assert_eq!(standings, [Standing::Missing]);
}

#[tokio::test]
async fn one_object_is_never_two_packs_that_are_kept() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.store(&id, fence, &[pack(1)]).await;
    let twin = NewPack { pack_id: PackId([50; 16]), ..pack(1) };
    assert_kind(fresh.intend_packs(&account(), &id, fence, &[twin]).await, Kind::Conflict);
    assert_eq!(fresh.backup_packs(&id).await.unwrap().len(), 1);
}

/// More than two batches, with a remainder.
#[tokio::test]
async fn a_copy_keeps_what_is_there_and_drops_what_it_does_not_need() {
    let fresh = Fresh::new().await;
    let numbered = |number: u16| {
        let mut pack = pack(1);
        pack.pack_id.0[..2].copy_from_slice(&number.to_be_bytes());
        pack.object_name.0[..2].copy_from_slice(&number.to_be_bytes());
        pack
    };
    let packs: Vec<NewPack> = (0..700).map(numbered).collect();
    let ids: Vec<PackId> = packs.iter().map(|pack| pack.pack_id).collect();
    let (first, first_fence) = fresh.begin(1).await;
    fresh.store(&first, first_fence, &packs[..600]).await;
    fresh.intend_packs(&account(), &first, first_fence, &packs[600..]).await.unwrap();

    assert_eq!(fresh.held_packs(&account(), &ids).await.unwrap().len(), 600);
    assert_eq!(fresh.held_packs(&other_account(), &ids).await.unwrap(), []);
    assert_eq!(fresh.held_packs(&account(), &[]).await.unwrap(), []);

    let (second, fence) = fresh.begin(2).await;
    for _ in 0..2 {
        let held = fresh.hold_packs(&account(), &second, fence, &ids).await.unwrap();
        assert_eq!(held.len(), 600);
        assert_eq!(fresh.backup_packs(&second).await.unwrap().len(), 600);
    }
    fresh.keep_only(&second, fence, &ids[10..15]).await.unwrap();
    let kept: Vec<PackId> = fresh.backup_packs(&second).await.unwrap().into_iter().map(|row| row.pack_id).collect();
    assert_eq!(kept, ids[10..15]);
    assert_eq!(fresh.backup_packs(&first).await.unwrap().len(), 700);
}

#[tokio::test]
async fn object_names_are_paged_in_order() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    let packs: Vec<NewPack> = (1..=25).rev().map(pack).collect();
    fresh.intend_packs(&account(), &id, fence, &packs).await.unwrap();
    let mut names: Vec<ObjectName> = Vec::new();
    loop {
        let page = fresh.known_objects(&account(), names.last(), 10).await.unwrap();
        if page.is_empty() {
            break;
        }
        names.extend(page);
    }
    assert_eq!(names, (1..=25).map(|number| pack(number).object_name).collect::<Vec<_>>());
    assert_eq!(fresh.known_objects(&other_account(), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn wrapped_keys_are_one_per_pair_of_keys() {
    let fresh = Fresh::new().await;
    let other_kms: KmsKeyId = "11111111-2222-4333-8444-555555555555".parse().unwrap();
    let data_key = DataKeyId([1; 16]);
    let keys = [(data_key, kms_key(), vec![1]), (data_key, other_kms.clone(), vec![2]), (data_key, kms_key(), vec![3])];
    fresh.put_wrapped_keys(&account(), &keys).await.unwrap();
    let all = fresh.wrapped_keys(&account(), &[data_key], None).await.unwrap();
    assert_eq!(all.iter().map(|key| key.wrapped[0]).collect::<Vec<_>>(), [3, 2]);
    let one = fresh.wrapped_keys(&account(), &[data_key], Some(&other_kms)).await.unwrap();
    assert_eq!(one.iter().map(|key| key.wrapped[0]).collect::<Vec<_>>(), [2]);
    assert_eq!(fresh.wrapped_keys(&other_account(), &[data_key], None).await.unwrap(), []);
}
