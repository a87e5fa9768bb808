//! Managed resources: made, filled from a backup, removed; and nothing that is not ours.

use std::time::Duration;

use catalog::{LeaseRequest, ResourceRow, Terms, UnsettledRow};
use engine::backup::{BackupRequest, accept_backup, create_backup};
use engine::copy::accept_copy;
use engine::managed::{NewManaged, accept_managed, is_due, path_of, restored_resource, roll_back, settle};
use engine::resources::{NewResource, add_resource};
use engine::{Acceptance, EngineError, ErrorKind, Worker};
use model::{AccountId, Origin, ResourceKind, ResourceState};

use crate::support::{
    TestRegion, account, add, alter_largest_pack, at_ever_later_steps, back_up, copy_of, overtake, region,
    region_with_noise, scratch, seen_by_another, worker,
};

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

async fn find_unsettled(region: &TestRegion, row: &ResourceRow) -> UnsettledRow {
    let rows = region.ctx.catalog.unsettled_resources().await.unwrap();
    rows.into_iter().find(|found| found.resource.id == row.id).unwrap()
}

async fn settle_by(region: &TestRegion, worker: &Worker, row: &ResourceRow) -> Result<(), EngineError> {
    settle(&region.ctx, worker, &find_unsettled(region, row).await).await
}

async fn find(region: &TestRegion, row: &ResourceRow) -> Option<ResourceRow> {
    region.ctx.catalog.find_resource(&row.account, &row.id).await.unwrap()
}

async fn settled(region: &TestRegion, row: &ResourceRow) -> Option<ResourceRow> {
    settle_by(region, &worker(), row).await.unwrap();
    find(region, row).await
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
    let refused = engine::backups::delete_backup(&region.ctx, &account(), &backup, None).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let second = settled(&region, &row).await.unwrap();
    assert_eq!(second.state, ResourceState::Available, "{:?}", second.failure);
    assert_eq!(std::fs::read(path_of(&second).join("file")).unwrap(), b"bytes");
    engine::backups::delete_backup(&region.ctx, &account(), &backup, None).await.unwrap();

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
    let row = settled(&region, &row).await.unwrap();
    assert_eq!(row.state, ResourceState::Available, "{:?}", row.failure);
    assert!(std::fs::read(path_of(&row)).unwrap().starts_with(b"theirs to read"));
    let refused = accept_managed(&region.ctx, &receiver, filled(), &Terms::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

/// A list of what a restore has left out has no reader here.
#[tokio::test(flavor = "multi_thread")]
async fn what_would_lack_files_of_its_backup_fails_and_names_them() {
    let folder = scratch();
    let (region, backup) = region_with_noise(folder.path(), 4 << 20).await;
    alter_largest_pack(&region, 2 << 20).await;
    let row = accept(&region, NewManaged { made_from: Some(backup), ..new(ResourceKind::Lustre) }).await;
    let row = settled(&region, &row).await.unwrap();
    assert_eq!(row.state, ResourceState::Failed);
    assert!(row.failure.as_ref().unwrap().contains("noise was not restored"), "{:?}", row.failure);
    assert_eq!(names_in(&region), [""; 0]);
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

/// It waited for copies as well, though they read backups.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_backups_of_the_resource_and_for_no_copies() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let (ctx, terms) = (&region.ctx, Terms::default());
    let row = settled(&region, &accept(&region, new(ResourceKind::Lustre)).await).await.unwrap();
    let backup = back_up(ctx, &row.id).await.unwrap();
    let _copy = accept_copy(ctx, ctx, &worker(), &copy_of(backup), &terms).await.unwrap();
    let request = BackupRequest::of(account(), row.id.clone());
    let accepted = accept_backup(ctx, &worker(), request, &terms, std::sync::Arc::default()).await.unwrap();
    let Acceptance::New(job) = accepted else { panic!("there are no terms to refuse it by") };
    begin_removal(&region, &row).await;
    let is_due = async || is_due(ctx, &find_unsettled(&region, &row).await, ctx.catalog.now().await.unwrap()).await;
    assert!(!is_due().await.unwrap());
    assert_eq!(settled(&region, &row).await.unwrap().state, ResourceState::Deleting);
    job.run().await.unwrap();
    assert!(is_due().await.unwrap());
    assert_eq!(settled(&region, &row).await, None);
}

fn server(name: &str, lease: Duration) -> Worker {
    Worker { owner: name.to_owned(), ..Worker::this_process(lease) }
}

/// What lies among the region's managed resources, by name.
fn names_in(region: &TestRegion) -> Vec<String> {
    let listed = std::fs::read_dir(&region.ctx.managed).unwrap();
    let mut names: Vec<_> = listed.map(|found| found.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_settles_the_others_leave_alone_until_it_gives_it_back() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let row = accept(&region, new(ResourceKind::Lustre)).await;
    let hour = Duration::from_secs(3600);
    let request = LeaseRequest { owner: "first".to_owned(), ttl: hour };
    let (_, fence) = region.ctx.catalog.claim_resource(&row.id, &request, None).await.unwrap().unwrap();
    settle_by(&region, &server("second", hour), &row).await.unwrap();
    assert_eq!(find(&region, &row).await.unwrap().state, ResourceState::Creating);
    assert_eq!(region.ctx.catalog.release_resources_of("second").await.unwrap(), 0);
    assert_eq!(region.ctx.catalog.release_resources_of("first").await.unwrap(), 1);
    let late = region.ctx.catalog.release_resource(&account(), &row.id, fence, None, |_| {}).await.unwrap_err();
    assert_eq!(late.kind, catalog::CatalogErrorKind::LostLease);
    settle_by(&region, &server("second", hour), &row).await.unwrap();
    assert_eq!(find(&region, &row).await.unwrap().state, ResourceState::Available);
}

/// Has another server settle what a server holds that stood still for longer than its lease.
async fn take_over(region: &TestRegion, row: &ResourceRow) {
    let catalog = &region.ctx.catalog;
    while find(region, row).await.unwrap().state == ResourceState::Creating {
        let unsettled = catalog.unsettled_resources().await.unwrap();
        let Some(found) = unsettled.into_iter().find(|found| found.resource.id == row.id) else { continue };
        let request = LeaseRequest { owner: "between".to_owned(), ttl: Duration::ZERO };
        catalog.claim_resource(&row.id, &request, found.lease_owner.as_deref()).await.unwrap();
        settle(&region.ctx, &worker(), &found).await.unwrap();
    }
}

/// A server that stands still wherever it is in filling a resource, for longer than its lease: another fills it, its owner
/// writes into it, and the first wakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wakes_after_its_lease_changes_nothing() {
    for (kind, rolls_back) in [(ResourceKind::Lustre, false), (ResourceKind::Disk, false), (ResourceKind::Disk, true)] {
        let folder = scratch();
        let region = region(folder.path(), "us-east-1").await;
        let slow_ctx = seen_by_another(&region).await;
        let content_of = |row: &ResourceRow| {
            let path = path_of(row);
            if path.is_dir() { path.join("file") } else { path }
        };
        let first = settled(&region, &accept(&region, new(kind)).await).await.unwrap();
        std::fs::write(content_of(&first), "of the backup").unwrap();
        let backup = back_up(&region.ctx, &first.id).await.unwrap();
        at_ever_later_steps(async |stopped| {
            let row = if rolls_back {
                roll_back(&region.ctx, &first, &backup, |_| {}).await.unwrap();
                first.clone()
            } else {
                accept(&region, NewManaged { made_from: Some(backup.clone()), ..new(kind) }).await
            };
            let found = find_unsettled(&region, &row).await;
            let slow = server("slow", Duration::from_secs(3600));
            let ended_alone = overtake(settle(&slow_ctx, &slow, &found), stopped, async {
                take_over(&region, &row).await;
                let made = find(&region, &row).await.unwrap();
                assert_eq!(made.state, ResourceState::Available, "{:?}, {kind}, after {stopped} steps", made.failure);
                std::fs::write(content_of(&row), "of its owner").unwrap();
            })
            .await;
            let holds = std::fs::read(content_of(&row)).unwrap();
            assert_eq!(holds, b"of its owner", "{kind}, {rolls_back}, stopped after {stopped} steps");
            assert_eq!(find(&region, &row).await.unwrap().state, ResourceState::Available);
            ended_alone
        })
        .await;
        assert!(names_in(&region).iter().all(|name| !name.contains('.')), "{:?}", names_in(&region));
    }
}

/// The server whose lease comes later may be at work by the time that this one wakes.
#[tokio::test(flavor = "multi_thread")]
async fn what_later_leases_make_stays_and_what_earlier_ones_have_left_goes() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let first = settled(&region, &accept(&region, new(ResourceKind::Lustre)).await).await.unwrap();
    let backup = back_up(&region.ctx, &first.id).await.unwrap();
    let row = accept(&region, NewManaged { made_from: Some(backup), ..new(ResourceKind::Lustre) }).await;
    let request = LeaseRequest { owner: "before".to_owned(), ttl: Duration::ZERO };
    let (_, before) = region.ctx.catalog.claim_resource(&row.id, &request, None).await.unwrap().unwrap();
    let part = |lease: i64| format!("{}.{lease}", row.id);
    for lease in [before.0 - 1, before.0, before.0 + 2] {
        std::fs::create_dir(region.ctx.managed.join(part(lease))).unwrap();
    }
    assert_eq!(settled(&region, &row).await.unwrap().state, ResourceState::Available);
    let left: Vec<_> = names_in(&region).into_iter().filter(|name| name.contains('.')).collect();
    assert_eq!(left, [part(before.0 + 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_roll_backs_the_first_is_done() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let disk = settled(&region, &accept(&region, new(ResourceKind::Disk)).await).await.unwrap();
    let mut backups = Vec::new();
    for bytes in ["first", "second"] {
        std::fs::write(path_of(&disk), bytes).unwrap();
        backups.push(back_up(&region.ctx, &disk.id).await.unwrap());
    }
    roll_back(&region.ctx, &disk, &backups[0], |_| {}).await.unwrap();
    let refused = roll_back(&region.ctx, &disk, &backups[1], |_| {}).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(region.ctx.catalog.active_holds(&backups[1]).await.unwrap(), []);
    let disk = settled(&region, &disk).await.unwrap();
    assert_eq!((disk.state, disk.made_from.as_ref()), (ResourceState::Available, Some(&backups[0])));
    assert_eq!(std::fs::read(path_of(&disk)).unwrap(), b"first");
    begin_removal(&region, &disk).await;
    let refused = roll_back(&region.ctx, &disk, &backups[1], |_| {}).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "what is being removed goes");
}

/// What its owner attached is filled where it is, so that nothing but the lease keeps a server from it that wakes too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_attached_is_not_touched_after_the_lease_has_run_out() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let path = folder.path().join("disk");
    let attached = NewResource {
        kind: ResourceKind::Disk,
        path: path.clone(),
        name: None,
        kms_key: None,
        exclusions: Default::default(),
    };
    std::fs::write(&path, "of the backup").unwrap();
    let id = add_resource(&region.ctx, &account(), attached).await.unwrap().id;
    let backup = back_up(&region.ctx, &id).await.unwrap();
    std::fs::write(&path, "of its owner").unwrap();
    let disk = region.ctx.catalog.find_resource(&account(), &id).await.unwrap().unwrap();
    roll_back(&region.ctx, &disk, &backup, |_| {}).await.unwrap();

    for _ in 0..20 {
        settle_by(&region, &server("slow", Duration::ZERO), &disk).await.unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"of its owner");
    }
    assert_eq!(settled(&region, &disk).await.unwrap().state, ResourceState::Available);
    assert_eq!(std::fs::read(&path).unwrap(), b"of the backup");
}

/// Beside a resource may lie what is its owner's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_part_of_a_resource_stays_when_it_goes() {
    let folder = scratch();
    let region = region(folder.path(), "us-east-1").await;
    let row = settled(&region, &accept(&region, new(ResourceKind::Lustre)).await).await.unwrap();
    let beside = |suffix: &str| region.ctx.managed.join(format!("{}.{suffix}", row.id));
    std::fs::create_dir(beside("bak")).unwrap();
    std::fs::write(beside("txt"), "a note").unwrap();
    std::fs::write(beside("1"), "a part").unwrap();
    begin_removal(&region, &row).await;
    assert_eq!(settled(&region, &row).await, None);
    assert_eq!(names_in(&region), [format!("{}.bak", row.id), format!("{}.txt", row.id)]);
}
