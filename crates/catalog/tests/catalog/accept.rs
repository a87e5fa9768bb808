//! Tokens and quotas: decided in the accepting transaction, however many ask at once.

use catalog::{Accepted, BackupSource, Catalog, CatalogErrorKind as Kind, NewBackup, Quota, RequestToken, Terms};
use model::{BackupId, BackupState, ResourceKind, Service};

use crate::support::{Fresh, HOUR, account, assert_kind, lease, new_backup, other_account};

fn token(name: &str, parameters: &str) -> RequestToken {
    RequestToken {
        operation: "fsx::CopyBackup".to_owned(),
        token: name.to_owned(),
        parameters: parameters.to_owned(),
        outlives_subject: false,
    }
}

fn terms(token: Option<RequestToken>, quotas: Vec<Quota>) -> Terms {
    Terms { token, quotas }
}

/// A copy with an id of its own.
fn copy(number: u64) -> NewBackup {
    let id: BackupId = format!("backup-0{number:016x}").parse().unwrap();
    let source =
        BackupSource { region: "us-west-2".parse().unwrap(), backup: id.clone(), taken_at: Some(model::Timestamp(7)) };
    NewBackup { id, source: Some(source), ..new_backup(0) }
}

async fn accept_all(catalog: &Catalog, count: u64, terms: &Terms) -> Vec<Accepted> {
    let one = |number| {
        let (catalog, terms) = (catalog.clone(), terms.clone());
        tokio::spawn(async move { catalog.accept_backup(&copy(number), &lease("worker", HOUR), &terms).await.unwrap() })
    };
    let tasks: Vec<_> = (0..count).map(one).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_with_one_token_make_one_backup() {
    let fresh = Fresh::new_in_memory().await;
    let outcomes = accept_all(&fresh, 200, &terms(Some(token("t", "{}")), Vec::new())).await;
    let made = outcomes.iter().filter(|outcome| matches!(outcome, Accepted::New(_))).count();
    assert_eq!(made, 1);
    let only = fresh.all_backups(&account()).await.unwrap().remove(0).id;
    let same = |outcome: &Accepted| match outcome {
        Accepted::Earlier(earlier) => earlier.subject == only.as_str() && earlier.parameters == "{}",
        other => matches!(other, Accepted::New(_)),
    };
    assert!(outcomes.iter().all(same), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_copies_at_once_five_are_accepted() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::CopiesInProgress { service: Service::Fsx, max: 5 };
    let outcomes = accept_all(&fresh, 50, &terms(None, vec![quota.clone()])).await;
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Accepted::New(_))).count(), 5);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Accepted::OverQuota(quota.clone())).count(), 45);
    // One that ends makes room for one.
    let first = fresh.all_backups(&account()).await.unwrap().remove(0);
    fresh.fail(&first.id, first.lease_fence, "gave up").await.unwrap();
    let again = fresh.accept_backup(&copy(100), &lease("worker", HOUR), &terms(None, vec![quota.clone()])).await;
    assert!(matches!(again.unwrap(), Accepted::New(_)));
    let again = fresh.accept_backup(&copy(101), &lease("worker", HOUR), &terms(None, vec![quota.clone()])).await;
    assert_eq!(again.unwrap(), Accepted::OverQuota(quota));
}

#[tokio::test]
async fn what_is_being_made_of_one_kind_is_counted_together() {
    let fresh = Fresh::new_in_memory().await;
    let quota = Quota::AllBeingMade { kind: ResourceKind::Lustre, max: 2 };
    let accept = async |number: u8, resource: &str, kind| {
        let resource_id = resource.parse().unwrap();
        let new = NewBackup { resource_id, resource_kind: kind, ..new_backup(number) };
        let terms = terms(None, vec![quota.clone()]);
        fresh.accept_backup(&new, &lease("worker", HOUR), &terms).await.unwrap()
    };
    let first = accept(1, "fs-00000000000000001", ResourceKind::Lustre).await;
    let Accepted::New(fence) = first else { panic!("{first:?}") };
    // One of another kind, and one that is a copy, are not among them.
    fresh
        .insert_backup(&NewBackup { resource_kind: ResourceKind::OpenZfs, ..new_backup(2) }, &lease("worker", HOUR))
        .await
        .unwrap();
    fresh.insert_backup(&copy(3), &lease("worker", HOUR)).await.unwrap();
    assert!(matches!(accept(4, "fs-00000000000000002", ResourceKind::Lustre).await, Accepted::New(_)));
    assert_eq!(accept(5, "fs-00000000000000003", ResourceKind::Lustre).await, Accepted::OverQuota(quota.clone()));
    fresh.fail(&new_backup(1).id, fence, "gave up").await.unwrap();
    assert!(matches!(accept(5, "fs-00000000000000003", ResourceKind::Lustre).await, Accepted::New(_)));
}

#[tokio::test]
async fn a_token_is_the_accounts_own_and_free_when_its_backup_is_gone() {
    let fresh = Fresh::new().await;
    let with_token = terms(Some(token("t", "1")), Vec::new());
    let first = fresh.accept_backup(&copy(1), &lease("worker", HOUR), &with_token).await.unwrap();
    let Accepted::New(fence) = first else { panic!("{first:?}") };
    let other = NewBackup { account: other_account(), ..copy(2) };
    let theirs = fresh.accept_backup(&other, &lease("worker", HOUR), &with_token).await.unwrap();
    assert!(matches!(theirs, Accepted::New(_)));
    let id = copy(1).id;
    fresh.fail(&id, fence, "gave up").await.unwrap();
    // A failed copy keeps its token.
    let again = fresh.accept_backup(&copy(3), &lease("worker", HOUR), &with_token).await.unwrap();
    assert!(matches!(again, Accepted::Earlier(earlier) if earlier.subject == id.as_str()));
    fresh.delete(&id).await;
    let again = fresh.accept_backup(&copy(3), &lease("worker", HOUR), &with_token).await.unwrap();
    assert!(matches!(again, Accepted::New(_)));
}

#[tokio::test]
async fn a_removals_token_outlives_what_was_removed() {
    let fresh = Fresh::new().await;
    let kept = RequestToken { outlives_subject: true, ..token("t", "1") };
    let [first, second] = [1, 2].map(copy);
    for backup in [&first, &second] {
        let fence = fresh.insert_backup(backup, &lease("worker", HOUR)).await.unwrap();
        fresh.fail(&backup.id, fence, "gave up").await.unwrap();
    }
    fresh.begin_delete(&account(), &first.id, Some(&kept)).await.unwrap();
    assert_kind(fresh.begin_delete(&account(), &second.id, Some(&kept)).await, Kind::Conflict);
    let state = fresh.find_backup(&account(), &second.id).await.unwrap().unwrap().state;
    assert_eq!(state, BackupState::Failed, "a call that was made before changes nothing");
    fresh.finish_delete(std::slice::from_ref(&first.id)).await.unwrap();
    let earlier = fresh.find_token(&account(), &kept).await.unwrap().unwrap();
    assert_eq!(earlier.subject, first.id.as_str());
    assert_eq!(fresh.forget_tokens(HOUR).await.unwrap(), 0);
    fresh.force("UPDATE request_token SET created_at = 0").await;
    assert_eq!(fresh.forget_tokens(HOUR).await.unwrap(), 1);
    assert_eq!(fresh.find_token(&account(), &kept).await.unwrap(), None);
}
