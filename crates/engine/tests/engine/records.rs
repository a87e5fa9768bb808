//! What a store says of its backups is what the catalog says, whoever edits, makes or removes them at the same time.

use std::sync::Arc;
use std::time::Duration;

use catalog::{BackupRow, LeaseRequest};
use engine::backup::{BackupRequest, create_backup};
use engine::backups::{delete_backup, edit_backup};
use engine::{ErrorKind, RegionContext};
use model::{BackupState, ResourceId};

use crate::support::{
    TestRegion, account, add, at_ever_later_steps, back_up, overtake, region, scratch, seen_by_another, worker,
};

async fn region_with_tree(folder: &tempfile::TempDir) -> (TestRegion, ResourceId) {
    let region = region(folder.path(), "us-east-1").await;
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "bytes").unwrap();
    let resource = add(&region.ctx, &tree).await;
    (region, resource)
}

fn tagged(value: &str) -> impl FnOnce(&mut BackupRow) + Send {
    let tags = vec![("by".to_owned(), value.to_owned())];
    move |row| row.tags = tags
}

/// There is a record of each backup that is available, with its tags, and no other.
async fn assert_in_line(ctx: &RegionContext, steps: usize) {
    let mut rows = ctx.catalog.all_backups(&account()).await.unwrap();
    rows.retain(|row| row.state == BackupState::Available);
    let records = ctx.store.list_records().await.unwrap();
    assert_eq!(records.len(), rows.len(), "after {steps} steps: {records:?}, {rows:?}");
    for row in rows {
        let record = ctx.store.read_record(&account(), &row.id).await.unwrap();
        assert_eq!(record.head.tags, row.tags, "after {steps} steps");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_edits_of_a_backup_the_record_has_the_one_that_the_row_has() {
    let folder = scratch();
    let (region, resource) = region_with_tree(&folder).await;
    let backup = back_up(&region.ctx, &resource).await.unwrap();
    let slow = seen_by_another(&region).await;
    at_ever_later_steps(async |steps| {
        let ended_alone = overtake(edit_backup(&slow, &account(), &backup, tagged("slow")), steps, async {
            edit_backup(&region.ctx, &account(), &backup, tagged("fast")).await.unwrap();
        })
        .await;
        assert_in_line(&region.ctx, steps).await;
        ended_alone
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_removed_while_it_is_edited_leaves_no_record() {
    let folder = scratch();
    let (region, resource) = region_with_tree(&folder).await;
    let slow = seen_by_another(&region).await;
    at_ever_later_steps(async |steps| {
        let backup = back_up(&region.ctx, &resource).await.unwrap();
        let edit = async {
            // It comes before the removal, or there is nothing to edit.
            if let Err(error) = edit_backup(&slow, &account(), &backup, tagged("slow")).await {
                assert_eq!(error.kind(), ErrorKind::NotFound, "after {steps} steps: {error:?}");
            }
        };
        let ended_alone = overtake(edit, steps, async {
            delete_backup(&region.ctx, &account(), &backup, None).await.unwrap();
        })
        .await;
        assert_in_line(&region.ctx, steps).await;
        ended_alone
    })
    .await;
}

/// Whoever makes it has lost its lease by then, and wakes with the record in its hands.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_removed_while_it_is_made_leaves_no_record() {
    let folder = scratch();
    let (region, resource) = region_with_tree(&folder).await;
    let (catalog, slow) = (&region.ctx.catalog, seen_by_another(&region).await);
    at_ever_later_steps(async |steps| {
        let request = BackupRequest { call: Some(steps.to_string()), ..BackupRequest::of(account(), resource.clone()) };
        let ended_alone = overtake(create_backup(&slow, &worker(), request, Arc::default()), steps, async {
            for row in catalog.all_backups(&account()).await.unwrap() {
                let expired = LeaseRequest { owner: "between".to_owned(), ttl: Duration::ZERO };
                catalog.claim(&row.id, &expired, row.lease_owner.as_deref()).await.unwrap();
                delete_backup(&region.ctx, &account(), &row.id, None).await.unwrap();
            }
        })
        .await;
        assert_in_line(&region.ctx, steps).await;
        ended_alone
    })
    .await;
}
