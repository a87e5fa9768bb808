//! What clusters of HSMs need of the catalog: changes that depend on each other, policies, and backups that go by
//! themselves unless someone gives them more time.

use catalog::{Accepted, BackupRow, CatalogErrorKind as Kind, Earlier, Quota, RequestToken, ResourceRow, Terms};
use model::{BackupState, ResourceId, ResourceKind, ResourceState, Service, Timestamp};

use crate::support::{Fresh, account, assert_kind, kms_key, other_account};

fn cluster(letter: char) -> ResourceRow {
    ResourceRow {
        id: format!("cluster-{}", letter.to_string().repeat(11)).parse().unwrap(),
        account: account(),
        kind: ResourceKind::Hsm,
        path: b"/clusters".to_vec(),
        name: None,
        kms_key: kms_key(),
        created_at: Timestamp(5),
        state: ResourceState::Available,
        failure: None,
        managed: true,
        made_from: None,
        rolls_back: false,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: None,
        pending: true,
        exclusions: Default::default(),
    }
}

fn sized(letter: char, size: u64) -> ResourceRow {
    ResourceRow { attributes: format!(r#"{{"size": {size}}}"#), ..cluster(letter) }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_resources_at_once_the_quota_is_accepted() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::Resources { kind: ResourceKind::Hsm, max: 4 };
    let terms = Terms { token: None, quotas: vec![quota.clone()] };
    let one = |letter| {
        let (catalog, terms) = (fresh.catalog.clone(), terms.clone());
        tokio::spawn(async move { catalog.accept_resource(&cluster(letter), &terms).await.unwrap() })
    };
    let mut outcomes = Vec::new();
    for task in ('a'..='z').map(one).collect::<Vec<_>>() {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Accepted::New(())).count(), 4);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Accepted::OverQuota(quota.clone())).count(), 22);
    let other = ResourceRow { account: other_account(), id: "cluster-22222222222".parse().unwrap(), ..cluster('a') };
    assert_eq!(fresh.accept_resource(&other, &terms).await.unwrap(), Accepted::New(()));
    assert_eq!(fresh.list_accounts().await.unwrap(), [account(), other_account()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sum_no_more_is_given_out_than_there_is() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::Sum { kind: ResourceKind::Hsm, member: "size", adding: 3, max: 10 };
    let terms = Terms { token: None, quotas: vec![quota] };
    let other_kind = ResourceRow { id: "disk-abcdefgh".parse().unwrap(), kind: ResourceKind::Disk, ..sized('a', 9) };
    fresh.insert_resource(&other_kind).await.unwrap();
    fresh.insert_resource(&ResourceRow { account: other_account(), ..sized('z', 9) }).await.unwrap();
    // Attributes of another making count nothing.
    fresh.insert_resource(&ResourceRow { attributes: "[]".to_owned(), ..cluster('y') }).await.unwrap();
    let one = |letter| {
        let (catalog, terms) = (fresh.catalog.clone(), terms.clone());
        tokio::spawn(async move { catalog.accept_resource(&sized(letter, 3), &terms).await.unwrap() })
    };
    let mut accepted = 0;
    for task in ('a'..='h').map(one).collect::<Vec<_>>() {
        accepted += usize::from(task.await.unwrap() == Accepted::New(()));
    }
    assert_eq!(accepted, 3);
    let last = Quota::Sum { kind: ResourceKind::Hsm, member: "size", adding: 1, max: 10 };
    let terms = Terms { token: None, quotas: vec![last] };
    assert_eq!(fresh.accept_resource(&sized('k', 1), &terms).await.unwrap(), Accepted::New(()));
    assert_ne!(fresh.accept_resource(&sized('l', 1), &terms).await.unwrap(), Accepted::New(()));
}

#[tokio::test]
async fn resources_are_accepted_together_or_not_at_all() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::Resources { kind: ResourceKind::Hsm, max: 2 };
    let asked = |letters: &str, parameters: &str| -> Vec<(ResourceRow, Terms)> {
        let terms = |number: usize| {
            let (operation, token, parameters) = ("make".to_owned(), number.to_string(), parameters.to_owned());
            let token = RequestToken { operation, token, parameters, outlives_subject: false };
            Terms { token: Some(token), quotas: vec![quota.clone()] }
        };
        letters.chars().enumerate().map(|(number, letter)| (cluster(letter), terms(number))).collect()
    };
    let refused = fresh.accept_resources(&asked("abc", "three")).await.unwrap();
    assert_eq!(refused, [Accepted::<()>::OverQuota(quota.clone())]);
    assert!(fresh.list_resources(&account()).await.unwrap().is_empty());
    let accepted = fresh.accept_resources(&asked("ab", "two")).await.unwrap();
    assert_eq!(accepted, [Accepted::New(()), Accepted::New(())]);
    let earlier = |letter: char, parameters: &str| -> Accepted<()> {
        Accepted::Earlier(Earlier { subject: cluster(letter).id.to_string(), parameters: parameters.to_owned() })
    };
    let again = fresh.accept_resources(&asked("cd", "two")).await.unwrap();
    assert_eq!(again, [earlier('a', "two"), earlier('b', "two")]);
    let other = fresh.accept_resources(&asked("cd", "others")).await.unwrap();
    assert_eq!(other, [earlier('a', "two")]);
    assert_eq!(fresh.list_resources(&account()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_list_has_is_counted_where_it_is_listed() {
    let fresh = Fresh::new_in_memory().await;
    let listing = |value: &str, adding| Terms {
        token: None,
        quotas: vec![Quota::Listing { kind: ResourceKind::Hsm, member: "at", value: value.to_owned(), adding, max: 2 }],
    };
    let at = |letter, places: &str| ResourceRow { attributes: format!(r#"{{"at":{places}}}"#), ..cluster(letter) };
    for (letter, places) in [('a', r#"["x","y"]"#), ('b', "[]"), ('c', r#""x""#), ('d', "[1]")] {
        fresh.insert_resource(&at(letter, places)).await.unwrap();
    }
    fresh.insert_resource(&ResourceRow { account: other_account(), ..at('e', r#"["x"]"#) }).await.unwrap();
    let two = fresh.accept_resource(&at('f', "[]"), &listing("x", 2)).await.unwrap();
    assert!(matches!(two, Accepted::OverQuota(Quota::Listing { .. })));
    assert_eq!(fresh.accept_resource(&at('g', r#"["x"]"#), &listing("x", 1)).await.unwrap(), Accepted::New(()));
    assert_ne!(fresh.accept_resource(&at('h', r#"["x"]"#), &listing("x", 1)).await.unwrap(), Accepted::New(()));
    assert_eq!(fresh.accept_resource(&at('i', r#"["z"]"#), &listing("z", 2)).await.unwrap(), Accepted::New(()));
}

/// Of eight callers who each add a resource to what a place lists, as many succeed as it may have.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_exceeds_a_quota_changes_nothing() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::Listing { kind: ResourceKind::Hsm, member: "at", value: "x".to_owned(), adding: 0, max: 3 };
    for letter in 'a'..='h' {
        fresh.insert_resource(&cluster(letter)).await.unwrap();
    }
    let one = |letter| {
        let (catalog, quotas) = (fresh.catalog.clone(), [quota.clone()]);
        let edit = |row: &mut ResourceRow| -> Result<(), ()> {
            row.attributes = r#"{"at":["x"]}"#.to_owned();
            Ok(())
        };
        let id = cluster(letter).id;
        tokio::spawn(async move { catalog.edit_resources_within(&account(), &[id], &quotas, edit).await.unwrap() })
    };
    let mut refused = 0;
    for task in ('a'..='h').map(one).collect::<Vec<_>>() {
        refused += usize::from(task.await.unwrap() == Ok(Some(quota.clone())));
    }
    assert_eq!(refused, 5);
    let rows = fresh.list_resources(&account()).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.lists("at", "x")).count(), 3);
}

/// Twenty callers each take a place if there is one in all of the account's clusters: of six places, six are taken.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_about_all_is_decided_once() {
    let fresh = Fresh::new_in_memory().await;
    for letter in ['a', 'b'] {
        fresh.insert_resource(&cluster(letter)).await.unwrap();
    }
    let disk = ResourceRow { id: "disk-abcdefgh".parse().unwrap(), kind: ResourceKind::Disk, ..cluster('a') };
    fresh.insert_resource(&disk).await.unwrap();
    let one = |number: usize| {
        let catalog = fresh.catalog.clone();
        let take = move |rows: &mut [ResourceRow]| {
            assert_eq!(rows.len(), 2, "the disk is another API's");
            let taken: usize = rows.iter().map(|row| row.tags.len()).sum();
            rows[number % 2].tags.push((number.to_string(), String::new()));
            if taken < 6 { Ok(()) } else { Err("full") }
        };
        tokio::spawn(async move { catalog.edit_resources_of(&account(), Service::CloudHsm, None, take).await.unwrap() })
    };
    let mut accepted = 0;
    for task in (0..20).map(one).collect::<Vec<_>>() {
        accepted += usize::from(task.await.unwrap().is_ok());
    }
    let rows = fresh.list_resources(&account()).await.unwrap();
    assert_eq!((accepted, rows.iter().map(|row| row.tags.len()).sum::<usize>()), (6, 6));
}

#[tokio::test]
async fn what_is_pending_is_found_until_it_is_not() {
    let fresh = Fresh::new().await;
    let row = cluster('a');
    fresh.insert_resource(&row).await.unwrap();
    assert_eq!(fresh.pending_resources(Service::CloudHsm).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(fresh.pending_resources(Service::Fsx).await.unwrap(), []);
    fresh.edit_resource(&account(), &row.id, |row| row.pending = false).await.unwrap();
    assert_eq!(fresh.pending_resources(Service::CloudHsm).await.unwrap(), []);
}

#[tokio::test]
async fn a_policy_goes_with_its_backup() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    let (creating, _) = fresh.begin(2).await;
    assert_kind(fresh.put_backup_policy(&other_account(), &id, "p").await, Kind::NotFound);
    assert_kind(fresh.put_backup_policy(&account(), &creating, "p").await, Kind::Conflict);
    fresh.put_backup_policy(&account(), &id, "first").await.unwrap();
    fresh.put_backup_policy(&account(), &id, "second").await.unwrap();
    assert_eq!(fresh.find_backup_policy(&id).await.unwrap().as_deref(), Some("second"));
    let seen = fresh.backups_with_policy(&other_account()).await.unwrap();
    assert_eq!((&seen[0].0.id, seen[0].1.as_str(), seen.len()), (&id, "second", 1));
    assert_eq!(fresh.backups_with_policy(&account()).await.unwrap(), []);
    assert_kind(fresh.delete_backup_policy(&other_account(), &id).await, Kind::NotFound);
    assert_eq!(fresh.delete_backup_policy(&account(), &id).await.unwrap().as_deref(), Some("second"));
    assert_eq!(fresh.delete_backup_policy(&account(), &id).await.unwrap(), None);
    assert_eq!(fresh.find_backup_with_policy(&id).await.unwrap(), None);
    fresh.put_backup_policy(&account(), &id, "third").await.unwrap();
    assert_eq!(fresh.find_backup_with_policy(&id).await.unwrap().unwrap().1, "third");
    fresh.delete(&id).await;
    assert_eq!(fresh.find_backup_policy(&id).await.unwrap(), None);
}

#[tokio::test]
async fn a_backup_that_was_given_more_time_does_not_go() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    let expire_at = async |time: Option<i64>| {
        let edit = |row: &mut BackupRow| {
            row.expires_at = time.map(Timestamp);
            Ok::<(), ()>(())
        };
        fresh.edit_backup(&account(), &id, edit).await.unwrap().unwrap();
    };
    for later in [None, Some(i64::MAX)] {
        expire_at(Some(1)).await;
        assert_eq!(fresh.expired_backups().await.unwrap()[0].id, id);
        expire_at(later).await;
        assert!(!fresh.begin_expire(&account(), &id).await.unwrap());
        assert_eq!(fresh.state(&id).await, BackupState::Available);
    }
    expire_at(Some(1)).await;
    assert!(fresh.begin_expire(&account(), &id).await.unwrap());
    assert_eq!(fresh.state(&id).await, BackupState::Deleting);
}

#[tokio::test]
async fn a_refused_edit_changes_nothing() {
    let fresh = Fresh::new().await;
    let id = fresh.available(1, &[]).await;
    let before = fresh.find_backup(&account(), &id).await.unwrap().unwrap();
    let edit = |row: &mut BackupRow| {
        row.attributes = "changed".to_owned();
        row.tags.clear();
        Err("no")
    };
    assert_eq!(fresh.edit_backup(&account(), &id, edit).await.unwrap(), Err("no"));
    assert_eq!(fresh.find_backup(&account(), &id).await.unwrap().unwrap(), before);
}

#[tokio::test]
async fn backups_of_one_resource_are_changed_together() {
    let fresh = Fresh::new().await;
    let (first, second) = (fresh.available(1, &[]).await, fresh.available(2, &[]).await);
    fresh.begin(3).await;
    fresh.force(&format!("UPDATE backup SET created_at = 1 WHERE id = '{second}'")).await;
    let resource: ResourceId = "fs-0123456789abcdef0".parse().unwrap();
    let edit = |rows: &mut [BackupRow]| {
        let ids: Vec<_> = rows.iter().map(|row| &row.id).collect();
        assert_eq!(ids, [&second, &first], "oldest first, and only those that are available");
        assert_eq!(rows[0].tags.len(), 2);
        rows[1].expires_at = Some(Timestamp(9));
    };
    let changed = fresh.edit_backups_of(&account(), &resource, edit).await.unwrap();
    assert_eq!((changed.len(), &changed[0].id), (1, &first));
    let row = fresh.find_backup(&account(), &first).await.unwrap().unwrap();
    assert_eq!((row.expires_at, row.tags.len()), (Some(Timestamp(9)), 2));
}
