//! Work that was interrupted and is taken over by someone.

use std::sync::Arc;

use catalog::Terms;
use engine::backup::{BackupRequest, accept_backup, resume_backup};
use engine::resources::remove_resource;
use engine::{Acceptance, ErrorKind};
use model::BackupState;

use crate::support::{account, add, back_up, region, scratch, worker};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_resource_is_gone_fails_instead_of_being_taken_over_for_ever() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let resource = add(&region.ctx, &tree).await;
    let other = back_up(&region.ctx, &resource).await.unwrap();
    let request = BackupRequest::of(account(), resource.clone());
    let accepted = accept_backup(&region.ctx, &worker(), request, &Terms::default(), Arc::default()).await.unwrap();
    let Acceptance::New(job) = accepted else { panic!("there are no terms to refuse it by") };
    let id = job.id().clone();
    job.leave().await.unwrap();
    // As of a worker that died just before it could say that the backup is available.
    let mut record = region.ctx.store.read_record(&account(), &other).await.unwrap();
    record.head.backup = id.clone();
    region.ctx.store.put_record(&record).await.unwrap();
    remove_resource(&region.ctx, &account(), &resource).await.unwrap();

    let find = async || region.ctx.catalog.find_backup(&account(), &id).await.unwrap().unwrap();
    let refused = resume_backup(&region.ctx, &worker(), find().await, Arc::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let row = find().await;
    assert_eq!((row.state, row.lease_owner), (BackupState::Failed, None));
    assert!(row.failure.unwrap().contains(resource.as_str()));
    assert_eq!(region.ctx.store.list_records().await.unwrap(), [(account(), other)]);
}
