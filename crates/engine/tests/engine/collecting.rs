//! gc beside gc, and after a rebuild that left something out.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Missing};
use engine::RegionContext;
use engine::backups::delete_backup;
use engine::copy::copy_backup;
use engine::gc::{GcOptions, collect};
use engine::rebuild::rebuild;
use engine::verify::{Depth, verify_backup};
use model::BackupId;

use crate::gated_store::GatedStore;
use crate::support::{Place, account, copy_of, region_with_noise, scratch, worker};

const COLLECT: GcOptions = GcOptions { grace: Duration::ZERO, dry_run: false };

/// A gc that came second to a pack removed it once more, when a copy had stored it anew: the copy was `AVAILABLE`, and its
/// pack was gone. Now the first has it to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pack_that_one_gc_removes_is_left_alone_by_others_and_stored_anew_after_that() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 1 << 20).await;
    let place = Place::new(folder.path(), "us-west-2");
    let (gated, gate) = GatedStore::gate(place.objects(), 0);
    let slow = place.region_around(gated).await;
    let (catalog, store) = (place.open_catalog().await, place.open_store().await);
    let fast = Arc::new(RegionContext { catalog, store, ..RegionContext::clone(&slow) });
    let copy = async || -> BackupId {
        let request = copy_of(backup.clone());
        let copied = copy_backup(&source.ctx, &[Arc::clone(&fast)], &worker(), request, Arc::default()).await;
        copied.unwrap().remove(0).1.unwrap().backup.id
    };
    let first = copy().await;
    let packs = fast.store.list_packs(&account()).await.unwrap();
    delete_backup(&fast, &account(), &first, None).await.unwrap();

    let beside = async {
        let removed = loop {
            let deleting = fast.catalog.deleting_packs().await.unwrap();
            if let Some((account, pack)) = deleting.into_iter().next()
                && fast.catalog.pack_remover(&account, &pack.pack_id).await.unwrap().is_some()
            {
                break pack;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        collect(&fast, COLLECT).await.unwrap();
        let deleting = fast.catalog.deleting_packs().await.unwrap();
        assert!(deleting.iter().any(|(_, pack)| pack.pack_id == removed.pack_id), "{removed:?} was left alone");
        gate.send(true).unwrap();
        copy().await
    };
    let (collected, again) = tokio::join!(collect(&slow, COLLECT), beside);
    collected.unwrap();
    let verified = verify_backup(&fast, &account(), &again, Depth::ReadData, Arc::default()).await.unwrap();
    assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    assert_eq!(fast.store.list_packs(&account()).await.unwrap(), packs);
}

/// What is left of a backup whose one pack is missing is good again once that pack was put back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn packs_stay_of_a_backup_that_a_rebuild_left_out() {
    let folder = scratch();
    let (region, _) = region_with_noise(folder.path(), 80 << 20).await;
    let packs = region.ctx.store.list_packs(&account()).await.unwrap();
    region.ctx.store.delete_pack(&account(), &packs[0].0).await.unwrap();
    let catalog = Catalog::open(&region.place.new_catalog("new"), Missing::Create).await.unwrap();
    let new = RegionContext { catalog, ..RegionContext::clone(&region.ctx) };
    let report = rebuild(&new).await.unwrap();
    assert_eq!((report.backups, report.faults.len()), (0, 1), "{report:?}");
    for _ in 0..2 {
        collect(&new, COLLECT).await.unwrap();
    }
    assert_eq!(new.store.list_packs(&account()).await.unwrap(), packs[1..]);
}
