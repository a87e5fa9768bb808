//! The file: made, shared, refused; and the small tables.

use std::time::Duration;

use catalog::{Catalog, CatalogErrorKind as Kind, Missing, ResourceRow, sqlite_url};
use model::{ResourceKind, ResourceState, Service, Timestamp};

use crate::support::{Fresh, account, assert_kind, backup_id, is_sqlite, kms_key, new_backup, other_account};

#[tokio::test]
async fn facts_outlive_the_process() {
    let fresh = Fresh::new().await;
    fresh.set_meta("region", "us-east-1").await.unwrap();
    fresh.set_meta("region", "us-east-2").await.unwrap();
    fresh.close().await;
    let again = fresh.open_again().await;
    assert_eq!(again.meta("region").await.unwrap().as_deref(), Some("us-east-2"));
    assert_eq!(again.meta("store").await.unwrap(), None);
    assert_kind(fresh.meta("region").await, Kind::Unavailable);
}

#[tokio::test]
async fn the_clock_is_in_milliseconds_of_this_century() {
    let fresh = Fresh::new().await;
    let now = fresh.now().await.unwrap();
    assert!(now > Timestamp(1_700_000_000_000) && now < Timestamp(4_000_000_000_000), "{now}");
    assert!(fresh.now().await.unwrap() >= now);
}

#[tokio::test]
async fn a_missing_catalog_is_made_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite_url(&folder.path().join("odd name %41?#.db"));
    assert_kind(Catalog::open(&url, Missing::Refuse).await, Kind::Unavailable);
    Catalog::open(&url, Missing::Create).await.unwrap().close().await;
    assert!(folder.path().join("odd name %41?#.db").exists());
    Catalog::open(&url, Missing::Refuse).await.unwrap().integrity_check().await.unwrap();
    assert_kind(Catalog::open("mysql://localhost/x", Missing::Create).await, Kind::Unavailable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_make_the_same_catalog_at_once() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite_url(&folder.path().join("catalog.db"));
        let open = |number: u8| {
            let url = url.clone();
            tokio::spawn(async move {
                let catalog = Catalog::open(&url, Missing::Create).await.unwrap();
                catalog.set_meta(&number.to_string(), "was here").await.unwrap();
            })
        };
        for opened in (0..8).map(open).collect::<Vec<_>>() {
            opened.await.unwrap();
        }
        let catalog = Catalog::open(&url, Missing::Refuse).await.unwrap();
        for number in 0..8_u8 {
            assert!(catalog.meta(&number.to_string()).await.unwrap().is_some());
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.db");
    std::fs::write(&path, "this is not the database you are looking for".repeat(100)).unwrap();
    assert_kind(Catalog::open(&sqlite_url(&path), Missing::Create).await, Kind::Corrupt);
}

#[tokio::test]
async fn damage_inside_the_file_is_found() {
    let fresh = Fresh::new().await;
    if !is_sqlite() {
        return;
    }
    for number in 0..200 {
        fresh.insert_backup(&new_backup(number), &crate::support::lease("worker", crate::support::HOUR)).await.unwrap();
    }
    fresh.integrity_check().await.unwrap();
    fresh.close().await;
    let path = fresh.folder.path().join("catalog.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[length / 2..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    // Depending on what was hit, it is found when the file is opened or when it is checked.
    match Catalog::open(fresh.url(), Missing::Refuse).await {
        Ok(catalog) => assert_kind(catalog.integrity_check().await, Kind::Corrupt),
        refused => assert_kind(refused, Kind::Corrupt),
    }
}

#[tokio::test]
async fn a_catalog_opened_for_reading_refuses_to_write() {
    let fresh = Fresh::new().await;
    if !is_sqlite() {
        return;
    }
    fresh.set_meta("region", "us-east-1").await.unwrap();
    let reading = Catalog::open(&format!("{}?mode=ro", fresh.url()), Missing::Refuse).await.unwrap();
    assert_eq!(reading.meta("region").await.unwrap().as_deref(), Some("us-east-1"));
    assert_kind(reading.set_meta("region", "elsewhere").await, Kind::ReadOnly);
}

#[tokio::test]
async fn a_value_that_cannot_be_is_corrupt_and_no_panic() {
    let fresh = Fresh::new().await;
    let (id, _) = fresh.begin(1).await;
    let words = ["size_bytes = -1", "kms_key = 'no key'", "resource_kind = 'tape'", "parent_id = '../etc'"];
    // Columns of SQLite take values of any type.
    let others = ["data_key = x'00'", "created_at = 'yesterday'", "request = x'ff'", "request = CAST(x'ff' AS TEXT)"];
    for damage in words.into_iter().chain(others.into_iter().filter(|_| is_sqlite())) {
        let fresh = Fresh::new().await;
        fresh.begin(1).await;
        fresh.force(&format!("UPDATE backup SET {damage}")).await;
        assert_kind(fresh.find_backup(&account(), &id).await, Kind::Corrupt);
    }
    assert!(fresh.find_backup(&account(), &id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_catalog_without_one_of_its_tables_is_corrupt() {
    let fresh = Fresh::new().await;
    fresh.force("DROP TABLE event").await;
    assert_kind(fresh.list_events(1).await, Kind::Corrupt);
    fresh.force("ALTER TABLE hold DROP COLUMN spent").await;
    assert_kind(fresh.active_holds(&backup_id(1)).await, Kind::Corrupt);
}

#[tokio::test]
async fn resources_are_the_accounts_own() {
    let fresh = Fresh::new().await;
    let resource = ResourceRow {
        id: "disk-abcdefgh".parse().unwrap(),
        account: account(),
        kind: ResourceKind::Disk,
        path: b"/images/\xff.img".to_vec(),
        name: None,
        kms_key: kms_key(),
        created_at: Timestamp(5),
        state: ResourceState::Available,
        failure: None,
        managed: false,
        made_from: None,
        rolls_back: false,
        tags: vec![("k".to_owned(), "v".to_owned())],
        attributes: "{}".to_owned(),
        next_backup_at: None,
        pending: false,
        exclusions: model::Exclusions { patterns: vec!["*.\"o".to_owned()], caches: true },
    };
    fresh.insert_resource(&resource).await.unwrap();
    assert_kind(fresh.insert_resource(&resource).await, Kind::Conflict);
    assert_eq!(fresh.find_resource(&account(), &resource.id).await.unwrap(), Some(resource.clone()));
    assert_eq!(fresh.find_resource(&other_account(), &resource.id).await.unwrap(), None);
    assert_eq!(fresh.list_resources(&account()).await.unwrap(), std::slice::from_ref(&resource));
    assert!(!fresh.delete_resource(&other_account(), &resource.id).await.unwrap());
    assert!(fresh.delete_resource(&account(), &resource.id).await.unwrap());
    assert!(!fresh.delete_resource(&account(), &resource.id).await.unwrap());
}

#[tokio::test]
async fn a_backup_that_is_due_is_moved_on_once() {
    let fresh = Fresh::new().await;
    let due = ResourceRow {
        id: "fs-0123456789abcdef0".parse().unwrap(),
        account: account(),
        kind: ResourceKind::Lustre,
        path: b"/shares/home".to_vec(),
        name: None,
        kms_key: kms_key(),
        created_at: Timestamp(5),
        state: ResourceState::Available,
        failure: None,
        managed: false,
        made_from: None,
        rolls_back: false,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: Some(Timestamp(6)),
        pending: false,
        exclusions: Default::default(),
    };
    fresh.insert_resource(&due).await.unwrap();
    assert_eq!(fresh.due_resources(Service::Fsx).await.unwrap(), std::slice::from_ref(&due));
    assert_eq!(fresh.due_resources(Service::CloudHsm).await.unwrap(), []);
    let next = Some(Timestamp(i64::MAX));
    assert!(fresh.move_next_backup(&due, next).await.unwrap());
    assert!(!fresh.move_next_backup(&due, next).await.unwrap(), "another has moved it");
    assert_eq!(fresh.due_resources(Service::Fsx).await.unwrap(), []);
    let edit = |row: &mut ResourceRow| {
        row.next_backup_at = Some(Timestamp(7));
        row.state = ResourceState::Deleting;
    };
    fresh.edit_resource(&account(), &due.id, edit).await.unwrap();
    assert_eq!(fresh.due_resources(Service::Fsx).await.unwrap(), [], "it is going");
}

#[tokio::test]
async fn events_come_newest_first() {
    let fresh = Fresh::new().await;
    for subject in ["one", "two", "three"] {
        fresh.record_event(&account(), "delete backup", subject, "").await.unwrap();
    }
    let subjects: Vec<String> = fresh.list_events(2).await.unwrap().into_iter().map(|event| event.subject).collect();
    assert_eq!(subjects, ["three", "two"]);
}

/// As when a client hangs up, or a task is ended, while others write.
#[tokio::test]
async fn a_write_that_is_given_up_while_it_waits_holds_nobody_up() {
    let fresh = Fresh::new().await;
    let (first, second) = (fresh.open_again().await, fresh.open_again().await);
    let held = fresh.hold_the_writers_lock().await;
    let waiting = tokio::time::timeout(Duration::from_millis(300), first.set_meta("a", "b")).await;
    assert!(waiting.is_err(), "someone else writes");
    sqlx::Connection::close(held).await.unwrap();
    for (catalog, value) in [(&second, "c"), (&first, "d"), (&second, "e")] {
        tokio::time::timeout(Duration::from_secs(15), catalog.set_meta("a", value)).await.unwrap().unwrap();
        assert_eq!(fresh.meta("a").await.unwrap().as_deref(), Some(value));
    }
}
