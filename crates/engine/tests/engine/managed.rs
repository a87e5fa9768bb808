//! Managed resources: made, filled from a backup, removed; and nothing that is not ours.

use catalog::ResourceRow;
use engine::managed::{NewManaged, accept_managed, path_of, restored_resource, settle};
use engine::{Acceptance, ErrorKind};
use model::{ResourceKind, ResourceState};

use crate::support::{TestRegion, account, add, back_up, region, scratch};

fn new(kind: ResourceKind) -> NewManaged {
    NewManaged {
        kind,
        name: None,
        kms_key: None,
        made_from: None,
        size_bytes: 1 << 20,
        tags: Vec::new(),
        attributes: "{}".to_owned(),
    }
}

async fn accept(region: &TestRegion, new: NewManaged) -> ResourceRow {
    match accept_managed(&region.ctx, &account(), new, None).await.unwrap() {
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
    let edit = |row: &mut ResourceRow| row.state = ResourceState::Deleting;
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
