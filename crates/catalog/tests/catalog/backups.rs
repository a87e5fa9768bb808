//! Backups: accepted, listed, published, failed, held, removed, brought back.

use std::collections::HashSet;
use std::time::Duration;

use catalog::{BackupFilter, BackupSource, CatalogErrorKind as Kind, NewBackup, RestoredBackup, WrappedKeyRow};
use model::{BackupState, DataKeyId, ResourceId, ResourceKind, Service, Timestamp};

use crate::support::{
    Fresh, HOUR, account, assert_kind, backup_id, kms_key, lease, new_backup, other_account, pack, published,
};

#[tokio::test]
async fn a_backup_reads_back_as_it_was_accepted() {
    let fresh = Fresh::new().await;
    let source =
        BackupSource { region: "eu-west-1".parse().unwrap(), backup: backup_id(9), taken_at: Some(Timestamp(7)) };
    let new = NewBackup { source: Some(source), parent_id: Some(backup_id(8)), ..new_backup(1) };
    let fence = fresh.insert_backup(&new, &lease("worker", HOUR)).await.unwrap();
    let row = fresh.find_backup(&account(), &new.id).await.unwrap().unwrap();
    assert_eq!((row.state, row.lease_fence, row.is_copy()), (BackupState::Copying, fence, true));
    assert_eq!((&row.tags, &row.request, &row.parent_id), (&new.tags, &new.request, &new.parent_id));
    assert_eq!(row.source_backup, Some(backup_id(9)));
    assert_eq!(row.lease_owner.as_deref(), Some("worker"));
    assert!(row.lease_expires_at > row.created_at);
    assert_eq!(fresh.find_backup(&other_account(), &new.id).await.unwrap(), None);
    let keys = fresh.wrapped_keys(&account(), &[new.data_key], Some(&kms_key())).await.unwrap();
    assert_eq!(keys, [WrappedKeyRow { data_key: new.data_key, kms_key: kms_key(), wrapped: new.wrapped.clone() }]);
    assert_kind(fresh.insert_backup(&new, &lease("worker", HOUR)).await, Kind::Conflict);
}

#[tokio::test]
async fn a_backup_with_a_tag_twice_is_refused_whole() {
    let fresh = Fresh::new().await;
    let mut new = new_backup(1);
    new.tags = vec![("k".into(), "1".into()), ("k".into(), "2".into())];
    assert_kind(fresh.insert_backup(&new, &lease("worker", HOUR)).await, Kind::Conflict);
    assert_eq!(fresh.find_backup(&account(), &new.id).await.unwrap(), None);
}

#[tokio::test]
async fn tags_are_replaced_in_order() {
    let fresh = Fresh::new().await;
    let (id, _) = fresh.begin(1).await;
    let tags = vec![("m".to_owned(), String::new()), ("b".to_owned(), "2".to_owned())];
    fresh.set_tags(&account(), &id, &tags).await.unwrap();
    assert_eq!(fresh.find_backup(&account(), &id).await.unwrap().unwrap().tags, tags);
    assert_kind(fresh.set_tags(&other_account(), &id, &tags).await, Kind::NotFound);
}

/// Many share a creation time, so the pages have to be told apart by id as well.
#[tokio::test]
async fn paging_visits_each_of_a_thousand_backups_once() {
    let fresh = Fresh::new().await;
    fresh.begin(0).await;
    fresh
        .force(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT INTO backup \
             (id, account, resource_id, resource_kind, state, kms_key, data_key, created_at, request) \
             SELECT 'backup-0000000000000' || CAST(i + 1000 AS TEXT), account, resource_id, resource_kind, state, kms_key, data_key, \
             created_at - i / 100, request FROM n, backup",
        )
        .await;
    for resource in [None, Some(new_backup(0).resource_id)] {
        let mut filter =
            BackupFilter { resources: resource.into_iter().collect(), limit: 37, ..BackupFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = fresh.list_backups(&account(), &filter).await.unwrap();
            let Some(last) = page.last() else { break };
            filter.after = Some((last.created_at, last.id.clone()));
            seen.extend(page.into_iter().map(|row| (row.created_at, row.id)));
        }
        assert_eq!(seen.len(), 1000);
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(seen.is_sorted_by(|a, b| a > b));
    }
    let elsewhere =
        BackupFilter { resources: vec!["disk-aaaaaaaa".parse().unwrap()], limit: 9, ..BackupFilter::default() };
    assert_eq!(fresh.list_backups(&account(), &elsewhere).await.unwrap(), []);
    assert_eq!(fresh.all_backups(&account()).await.unwrap().len(), 1000);
}

/// Backups of another API's resource were listed to whoever named it: its id was taken to tell the API.
#[tokio::test]
async fn backups_of_resources_that_are_named_are_those_of_the_api() {
    let fresh = Fresh::new().await;
    let (file_system, cluster): (_, ResourceId) = (new_backup(1).resource_id, "cluster-aaaaaaaaaaa".parse().unwrap());
    fresh.begin(1).await;
    let of_cluster = NewBackup { resource_id: cluster.clone(), resource_kind: ResourceKind::Hsm, ..new_backup(2) };
    fresh.insert_backup(&of_cluster, &lease("worker", HOUR)).await.unwrap();
    for (service, resources, found) in [
        (Service::Fsx, vec![&file_system, &cluster], vec![backup_id(1)]),
        (Service::CloudHsm, vec![&file_system, &cluster], vec![backup_id(2)]),
        (Service::CloudHsm, vec![&cluster], vec![backup_id(2)]),
        (Service::Fsx, vec![&cluster], vec![]),
        (Service::Cbs, vec![&cluster], vec![]),
    ] {
        let resources: Vec<ResourceId> = resources.into_iter().cloned().collect();
        let filter = BackupFilter { service: Some(service), resources, limit: 9, ..BackupFilter::default() };
        let listed = fresh.list_backups(&account(), &filter).await.unwrap();
        assert_eq!(listed.into_iter().map(|row| row.id).collect::<Vec<_>>(), found, "{filter:?}");
        assert_eq!(fresh.count_backups(&account(), &filter).await.unwrap(), found.len() as u64);
    }
}

#[tokio::test]
async fn interrupted_work_is_found_by_its_request() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.begin(2).await;
    let request = new_backup(1).request;
    let found = fresh.find_resumable(&account(), &request).await.unwrap();
    assert_eq!(found.iter().map(|row| &row.id).collect::<Vec<_>>(), [&id]);
    assert_eq!(fresh.find_resumable(&other_account(), &request).await.unwrap(), []);
    fresh.fail(&id, fence, "out of luck").await.unwrap();
    assert_eq!(fresh.find_resumable(&account(), &request).await.unwrap(), []);
}

#[tokio::test]
async fn the_latest_backup_is_one_taken_here_before_any_copy() {
    let fresh = Fresh::new().await;
    let resource = new_backup(1).resource_id;
    let source = Some(BackupSource {
        region: "eu-west-1".parse().unwrap(),
        backup: backup_id(99),
        taken_at: Some(Timestamp(7)),
    });
    for number in [1, 2] {
        let copy = NewBackup { source: source.clone(), ..new_backup(number) };
        let fence = fresh.insert_backup(&copy, &lease("worker", HOUR)).await.unwrap();
        assert_eq!(fresh.latest_available(&account(), &resource).await.unwrap().is_some(), number == 2);
        fresh.publish(&copy.id, fence, &published()).await.unwrap();
    }
    fresh.force(&format!("UPDATE backup SET created_at = created_at + 1000 WHERE id = '{}'", backup_id(2))).await;
    assert_eq!(fresh.latest_available(&account(), &resource).await.unwrap().unwrap().id, backup_id(2));
    fresh.available(3, &[]).await;
    fresh.force("UPDATE backup SET created_at = 5 WHERE source_backup IS NULL").await;
    assert_eq!(fresh.latest_available(&account(), &resource).await.unwrap().unwrap().id, backup_id(3));
}

#[tokio::test]
async fn publishing_waits_for_every_pack() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.intend_packs(&account(), &id, fence, &[pack(1), pack(2)]).await.unwrap();
    fresh.land_packs(&account(), &id, fence, &[pack(1).pack_id], 10).await.unwrap();
    let refused = fresh.publish(&id, fence, &published()).await.unwrap_err();
    assert!(refused.is(Kind::Conflict));
    assert!(refused.source.unwrap().to_string().contains(&pack(2).pack_id.to_string()));
    assert_eq!(fresh.state(&id).await, BackupState::Creating);

    fresh.land_packs(&account(), &id, fence, &[pack(2).pack_id], 10).await.unwrap();
    fresh.publish(&id, fence, &published()).await.unwrap();
    let row = fresh.find_backup(&account(), &id).await.unwrap().unwrap();
    assert_eq!((row.state, row.done_bytes, row.omission_count), (BackupState::Available, 20, 6));
    assert_eq!((row.snapshot_id, row.lease_owner), (Some(published().snapshot_id), None));
    assert_eq!(row.completed_at, Some(published().completed_at));
    assert_kind(fresh.publish(&id, fence, &published()).await, Kind::LostLease);
}

/// Not reachable through the catalog's own methods, and still refused.
#[tokio::test]
async fn publishing_refuses_a_pack_that_is_being_deleted() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.store(&id, fence, &[pack(1)]).await;
    fresh.force("UPDATE pack SET deleting = 1").await;
    assert_kind(fresh.publish(&id, fence, &published()).await, Kind::Conflict);
}

#[tokio::test]
async fn a_failed_backup_keeps_no_packs() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    fresh.store(&id, fence, &[pack(1)]).await;
    fresh.fail(&id, fence, "the disk is full").await.unwrap();
    let row = fresh.find_backup(&account(), &id).await.unwrap().unwrap();
    assert_eq!((row.state, row.failure.as_deref()), (BackupState::Failed, Some("the disk is full")));
    assert_eq!(fresh.backup_packs(&id).await.unwrap(), []);
    assert_kind(fresh.fail(&id, fence, "again").await, Kind::LostLease);
    assert_kind(fresh.intend_packs(&account(), &id, fence, &[pack(2)]).await, Kind::LostLease);
    fresh.delete(&id).await;
}

#[tokio::test]
async fn a_held_backup_stays_until_its_holds_run_out() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[pack(1)]).await;
    fresh.place_hold(&account(), &id, "copy-1", HOUR).await.unwrap();
    fresh.place_hold(&account(), &id, "copy-2", Duration::ZERO).await.unwrap();
    let holds = fresh.active_holds(&id).await.unwrap();
    assert_eq!(holds.iter().map(|hold| hold.holder.as_str()).collect::<Vec<_>>(), ["copy-1"]);
    assert_kind(fresh.begin_delete(&account(), &id, None).await, Kind::Held);
    assert_eq!(fresh.state(&id).await, BackupState::Available);

    assert!(fresh.renew_hold(&id, "copy-1", Duration::ZERO).await.unwrap());
    fresh.begin_delete(&account(), &id, None).await.unwrap();
    assert!(!fresh.renew_hold(&id, "copy-1", HOUR).await.unwrap(), "too late");
    assert_kind(fresh.place_hold(&account(), &id, "copy-3", HOUR).await, Kind::Conflict);
    fresh.finish_delete(std::slice::from_ref(&id)).await.unwrap();
    assert_kind(fresh.place_hold(&account(), &id, "copy-3", HOUR).await, Kind::NotFound);
}

#[tokio::test]
async fn a_released_hold_holds_nothing() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    fresh.place_hold(&account(), &id, "copy-1", HOUR).await.unwrap();
    fresh.release_hold(&id, "copy-1").await.unwrap();
    fresh.release_hold(&id, "copy-1").await.unwrap();
    assert!(!fresh.renew_hold(&id, "copy-1", HOUR).await.unwrap());
    assert_eq!(fresh.active_holds(&id).await.unwrap(), []);
    fresh.delete(&id).await;
}

#[tokio::test]
async fn a_spent_hold_is_shown_and_holds_nothing_until_it_is_placed_again() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    fresh.place_hold(&account(), &id, "copy-1", HOUR).await.unwrap();
    fresh.spend_hold(&id, "copy-1").await.unwrap();
    assert_eq!(fresh.active_holds(&id).await.unwrap(), []);
    let shown = fresh.shown_holds(&account()).await.unwrap();
    assert_eq!(shown.iter().map(|hold| (&hold.backup, hold.spent)).collect::<Vec<_>>(), [(&id, true)]);
    assert_eq!(fresh.shown_holds(&other_account()).await.unwrap(), []);
    fresh.place_hold(&account(), &id, "copy-1", HOUR).await.unwrap();
    assert_kind(fresh.begin_delete(&account(), &id, None).await, Kind::Held);
    fresh.spend_hold(&id, "copy-1").await.unwrap();
    fresh.delete(&id).await;
}

/// Of a list, one was removed though the next was held.
#[tokio::test]
async fn of_several_backups_all_are_removed_or_none() {
    let fresh = Fresh::new().await;
    let ids = [fresh.available(1, &[pack(1)]).await, fresh.available(2, &[pack(2)]).await];
    fresh.place_hold(&account(), &ids[1], "copy-1", HOUR).await.unwrap();
    assert_kind(fresh.begin_delete_all(&account(), &ids).await, Kind::Held);
    assert_kind(fresh.begin_delete_all(&account(), &[ids[0].clone(), backup_id(3)]).await, Kind::NotFound);
    assert_eq!(fresh.state(&ids[0]).await, BackupState::Available);

    fresh.release_hold(&ids[1], "copy-1").await.unwrap();
    fresh.begin_delete(&account(), &ids[0], None).await.unwrap();
    assert_kind(fresh.finish_delete(&ids).await, Kind::Conflict);
    assert_eq!(fresh.state(&ids[0]).await, BackupState::Deleting);

    for _ in 0..2 {
        fresh.begin_delete_all(&account(), &ids).await.unwrap();
    }
    for _ in 0..2 {
        fresh.finish_delete(&ids).await.unwrap();
    }
    for id in &ids {
        assert_eq!(fresh.find_backup(&account(), id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn removal_is_refused_while_a_worker_is_at_work() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    assert_kind(fresh.begin_delete(&account(), &id, None).await, Kind::Leased);
    assert_kind(fresh.begin_delete(&other_account(), &id, None).await, Kind::NotFound);
    assert_kind(fresh.finish_delete(std::slice::from_ref(&id)).await, Kind::Conflict);
    fresh.renew(&id, fence, Duration::ZERO).await.unwrap();
    fresh.begin_delete(&account(), &id, None).await.unwrap();
    fresh.begin_delete(&account(), &id, None).await.unwrap();
    assert_kind(fresh.renew(&id, fence, HOUR).await, Kind::LostLease);
    let deleting = fresh.deleting_backups().await.unwrap();
    assert_eq!(deleting.iter().map(|row| &row.id).collect::<Vec<_>>(), [&id]);
    fresh.finish_delete(std::slice::from_ref(&id)).await.unwrap();
    fresh.finish_delete(std::slice::from_ref(&id)).await.unwrap();
    assert_eq!(fresh.find_backup(&account(), &id).await.unwrap(), None);
}

#[tokio::test]
async fn a_backup_that_stored_nothing_takes_its_data_key_along() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    let keeps_packs = fresh.available(2, &[pack(2)]).await;
    fresh.delete(&id).await;
    fresh.delete(&keeps_packs).await;
    let keys = fresh.wrapped_keys(&account(), &[DataKeyId([1; 16]), DataKeyId([2; 16])], None).await.unwrap();
    assert_eq!(keys.iter().map(|key| key.data_key).collect::<Vec<_>>(), [DataKeyId([2; 16])]);
}

#[tokio::test]
async fn a_backup_is_brought_back_from_its_record_any_number_of_times() {
    let before = Fresh::new().await;
    let id = before.available(1, &[pack(1), pack(2)]).await;
    let row = before.find_backup(&account(), &id).await.unwrap().unwrap();
    let key = (DataKeyId([1; 16]), kms_key(), vec![1; 40]);
    let restored = RestoredBackup { row: row.clone(), packs: vec![pack(1), pack(2)], wrapped_keys: vec![key] };

    let fresh = Fresh::new().await;
    for _ in 0..2 {
        fresh.restore_backup(&restored).await.unwrap();
        let mut back = fresh.find_backup(&account(), &id).await.unwrap().unwrap();
        back.lease_fence = row.lease_fence;
        assert_eq!(back, row);
        assert!(fresh.backup_packs(&id).await.unwrap().iter().all(|pack| pack.landed));
        assert_eq!(fresh.backup_packs(&id).await.unwrap().len(), 2);
        assert_eq!(fresh.wrapped_keys(&account(), &[DataKeyId([1; 16])], None).await.unwrap().len(), 1);
    }
    fresh.begin_delete(&account(), &id, None).await.unwrap();
    assert_kind(fresh.restore_backup(&restored).await, Kind::Conflict);
}

#[tokio::test]
async fn a_number_that_no_column_holds_is_refused() {
    let fresh = Fresh::new().await;
    let (id, fence) = fresh.begin(1).await;
    assert_kind(fresh.set_progress(&id, fence, u64::MAX, 0).await, Kind::Corrupt);
    fresh.set_progress(&id, fence, 5, u64::try_from(i64::MAX).unwrap()).await.unwrap();
    assert_eq!(fresh.find_backup(&account(), &id).await.unwrap().unwrap().done_bytes, 5);
    assert!(fresh.now().await.unwrap() > Timestamp(0));
}
