//! Managed resources: made, filled from a backup, removed; and nothing that is not ours.

use catalog::{ResourceRow, Terms};
use engine::backup::{BackupRequest, create_backup};
use engine::managed::{NewManaged, accept_managed, path_of, restored_resource, settle};
use engine::{Acceptance, ErrorKind};
use model::{AccountId, Origin, ResourceKind, ResourceState};

use crate::support::{TestRegion, account, add, back_up, region, scratch, worker};

fn new(kind: ResourceKind) -> NewManaged {
    NewManaged {
        kind,
        name: None,
        kms_key: None,
        made_from: None,
        lender: None,
        size_bytes: 1 << 20,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
        next_backup_at: None,
    }
}

async fn accept(region: &TestRegion, new: NewManaged) -> ResourceRow {
    match accept_managed(&region.ctx, &account(), new, &Terms::default()).await.unwrap() {
        Acceptance::New(row) => row,
        other => panic!("{other:?}"),
    }
}

async fn settled(region: &TestRegion, row: &ResourceRow) -> Option<ResourceRow> {
    let row = region.ctx.catalog.find_resource(&account(), &row.id).await.unwrap().unwrap();
    settle(&region.ctx, &row).await.unwrap();
    region.ctx.catalog.find_resource(&account(), &row.id).await.unwrap()
}

async fn begin_removal(region: &TestRegion, row: &ResourceRow) {
    let edit = |row: &mut ResourceRow| {
        row.state = ResourceState::Deleting;
        row.pending = false;
    };
    region.ctx.catalog.edit_resource(&account(), &row.id, edit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_system_is_made_backed_up_filled_from_the_backup_and_removed() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let first = settled(&region, &accept(&region, new(ResourceKind::Lustre)).await).await.unwrap();
    assert_eq!(first.state, ResourceState::Available);
    std::fs::write(path_of(&first).join("file"), "bytes").unwrap();
    let backup = back_up(&region.ctx, &first.id).await.unwrap();

    let row = accept(&region, NewManaged { made_from: Some(backup.clone()), ..new(ResourceKind::Lustre) }).await;
    // The backup is held from the moment that this is accepted.
    let holds = region.ctx.catalog.active_holds(&backup).await.unwrap();
    assert_eq!(restored_resource(&holds[0].holder), Some(row.id.clone()));
    let refused = engine::backups::delete_backup(&region.ctx, &account(), &backup).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let second = settled(&region, &row).await.unwrap();
    assert_eq!(second.state, ResourceState::Available, "{:?}", second.failure);
    assert_eq!(std::fs::read(path_of(&second).join("file")).unwrap(), b"bytes");
    engine::backups::delete_backup(&region.ctx, &account(), &backup).await.unwrap();

    begin_removal(&region, &second).await;
    assert_eq!(settled(&region, &second).await, None);
    assert!(!path_of(&second).exists() && path_of(&first).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_is_an_image_of_its_size() {
    let folder = scratch();
    let region = region(folder.path(), "ap-beijing").await;
    let disk = settled(&region, &accept(&region, new(ResourceKind::Disk)).await).await.unwrap();
    assert_eq!(path_of(&disk).metadata().unwrap().len(), 1 << 20);
    begin_removal(&region, &disk).await;
    assert_eq!(settled(&region, &disk).await, None);
    assert!(!path_of(&disk).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_attached_stays_when_its_resource_is_removed() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let id = add(&region.ctx, &tree).await;
    let row = region.ctx.catalog.find_resource(&account(), &id).await.unwrap().unwrap();
    begin_removal(&region, &row).await;
    assert_eq!(settled(&region, &row).await, None);
    assert!(tree.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_filled_from_a_backup_that_another_account_shares() {
    let folder = scratch();
    let region = region(folder.path(), "ap-beijing").await;
    let catalog = &region.ctx.catalog;
    let disk = settled(&region, &accept(&region, new(ResourceKind::Disk)).await).await.unwrap();
    std::fs::write(path_of(&disk), "theirs to read").unwrap();
    let backup = back_up(&region.ctx, &disk.id).await.unwrap();
    let receiver: AccountId = "210987654321".parse().unwrap();
    let filled = || NewManaged { made_from: Some(backup.clone()), ..new(ResourceKind::Disk) };

    let refused = accept_managed(&region.ctx, &receiver, filled(), &Terms::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let (backups, receivers) = (std::slice::from_ref(&backup), std::slice::from_ref(&receiver));
    assert!(catalog.share_backups(&account(), backups, receivers, 1).await.unwrap());
    let Acceptance::New(row) = accept_managed(&region.ctx, &receiver, filled(), &Terms::default()).await.unwrap()
    else {
        panic!("there is no token to refuse it by");
    };
    // What was accepted is filled although the share has ended since; nothing more is accepted.
    catalog.unshare_backups(&account(), backups, receivers).await.unwrap();
    settle(&region.ctx, &row).await.unwrap();
    let row = catalog.find_resource(&receiver, &row.id).await.unwrap().unwrap();
    assert_eq!(row.state, ResourceState::Available, "{:?}", row.failure);
    assert!(std::fs::read(path_of(&row)).unwrap().starts_with(b"theirs to read"));
    let refused = accept_managed(&region.ctx, &receiver, filled(), &Terms::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

/// Automatic backups of a file system go with it; those of a disk or a cluster stay until their own time.
#[tokio::test(flavor = "multi_thread")]
async fn automatic_backups_go_with_a_file_system_only() {
    for (kind, left) in [(ResourceKind::Lustre, 0), (ResourceKind::Disk, 1), (ResourceKind::Hsm, 1)] {
        let folder = scratch();
        let region = region(folder.path(), "us-east-1").await;
        let row = settled(&region, &accept(&region, new(kind)).await).await.unwrap();
        let request = BackupRequest { origin: Origin::Automatic, ..BackupRequest::of(account(), row.id.clone()) };
        create_backup(&region.ctx, &worker(), request, std::sync::Arc::default()).await.unwrap();
        begin_removal(&region, &row).await;
        assert_eq!(settled(&region, &row).await, None);
        assert_eq!(region.ctx.catalog.all_backups(&account()).await.unwrap().len(), left, "{kind}");
    }
}
