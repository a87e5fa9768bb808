//! What a copy asks of the stores, and what it does when one of them is slow, damaged or breaks off.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::copy::{CopyReport, CopyRequest, copy_backup};
use engine::verify::{Depth, verify_backup};
use engine::{EngineError, ErrorKind, Progress, RegionContext};
use model::{BackupId, BackupState, Region, Timestamp};

use crate::gated_store::GatedStore;
use crate::support::{
    PATIENCE, Place, TestRegion, account, alter_largest_pack, assert_read, copy_of, read_again_max, region,
    region_with_noise, scratch, worker,
};

async fn copy(
    source: &TestRegion,
    targets: &[Arc<RegionContext>],
    backup: &BackupId,
    progress: &Arc<Progress>,
) -> BTreeMap<Region, Result<CopyReport, EngineError>> {
    let copied = copy_backup(&source.ctx, targets, &worker(), copy_of(backup.clone()), Arc::clone(progress)).await;
    copied.unwrap().into_iter().collect()
}

async fn assert_whole(target: &RegionContext, report: &CopyReport) {
    let verified = verify_backup(target, &account(), &report.backup.id, Depth::ReadData, Arc::default()).await;
    assert_eq!(verified.unwrap().faults.len(), 0, "in {}", target.region);
}

/// Nothing is left of what was not finished. What a bucket does not show is forgotten by itself.
async fn assert_nothing_is_staged(target: &RegionContext) {
    assert_eq!(target.store.remove_staging(Timestamp(i64::MAX)).await.unwrap(), 0, "in {}", target.region);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_targets_read_each_pack_of_the_source_once() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 100 << 20).await;
    let mut targets = Vec::new();
    for name in ["us-west-2", "eu-west-1", "eu-central-1"] {
        targets.push(region(folder.path(), name).await);
    }
    let packs = source.ctx.store.list_packs(&account()).await.unwrap().len();
    assert!(packs > 3, "{packs} packs");

    let contexts: Vec<_> = targets.iter().map(|target| Arc::clone(&target.ctx)).collect();
    source.asked.take_pack_reads();
    let progress = Arc::<Progress>::default();
    let began = Instant::now();
    for (region, copied) in copy(&source, &contexts, &backup, &progress).await {
        assert_eq!(copied.unwrap().packs_moved, packs as u64, "{region}");
    }
    let again_max = read_again_max(began.elapsed(), targets.len());
    assert_eq!(progress.done_bytes(), progress.total_bytes());
    let reads = source.asked.take_pack_reads();
    assert_eq!(reads.len(), packs);
    assert_read(&reads, 1..=1 + again_max);

    // A second copy finds all of it in the targets: nothing is read, nothing is listed.
    let lists = || targets.iter().chain([&source]).map(|region| region.asked.take_lists()).sum::<usize>();
    lists();
    for (region, copied) in copy(&source, &contexts, &backup, &progress).await {
        assert_eq!(copied.unwrap().packs_moved, 0, "{region}");
    }
    assert_eq!(source.asked.take_pack_reads().len(), 0);
    assert_eq!(lists(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_that_stalls_in_the_middle_of_a_pack_is_left_behind_and_ends_equal() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 70 << 20).await;
    let fast = region(folder.path(), "us-west-2").await.ctx;
    let place = Place::new(folder.path(), "eu-west-1");
    let (gated, gate) = GatedStore::gate(place.objects(), 3);
    let slow = place.region_around(gated).await;
    let progress = Arc::<Progress>::default();
    source.asked.take_pack_reads();

    let targets = [Arc::clone(&fast), Arc::clone(&slow)];
    // The one that stalls keeps the other neither from its packs nor from being published.
    let fast_is_done = async {
        let is_available = async || {
            let rows = fast.catalog.all_backups(&account()).await.unwrap();
            rows.iter().any(|row| row.state == BackupState::Available)
        };
        while !is_available().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(slow.store.list_packs(&account()).await.unwrap().is_empty());
        gate.send(true).unwrap();
    };
    let began = Instant::now();
    let (copied, ()) = tokio::join!(copy(&source, &targets, &backup, &progress), fast_is_done);
    // The slow one is waited for first; until then nobody waits for the other.
    let again_max = read_again_max(began.elapsed().saturating_sub(PATIENCE), 1);
    for target in &targets {
        assert_whole(target, copied[&target.region].as_ref().unwrap()).await;
    }
    let names = |region: Arc<RegionContext>| async move {
        let mut packs = region.store.list_packs(&account()).await.unwrap();
        packs.sort();
        packs
    };
    assert_nothing_is_staged(&slow).await;
    assert_eq!(names(slow).await, names(Arc::clone(&source.ctx)).await);
    let reads = source.asked.take_pack_reads();
    // Once for all and once for the slow one.
    assert_read(&reads, 1..=2 + again_max);
    assert_eq!(progress.done_bytes(), progress.total_bytes(), "what was discarded is not counted twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pack_that_is_altered_in_the_source_leaves_no_object_in_the_targets() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 40 << 20).await;
    let mut targets = Vec::new();
    for name in ["us-west-2", "eu-west-1"] {
        targets.push(region(folder.path(), name).await.ctx);
    }
    // The last chunk: by then all else has been written to the targets.
    let altered = alter_largest_pack(&source, 1 << 20).await;

    let copied = copy(&source, &targets, &backup, &Arc::default()).await;
    for target in &targets {
        let region = &target.region;
        let error = copied[region].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{region}: {error:?}");
        assert!(error.to_string().contains("noise"), "{region}: {error}");
        let left = target.store.list_packs(&account()).await.unwrap();
        assert!(left.iter().all(|(left, _)| *left != altered), "{region}");
        assert_nothing_is_staged(target).await;
    }
}

/// Whatever lies under a pack's name, no more of it is taken than was made room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pack_of_another_length_than_its_record_says_is_damaged() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 4 << 20).await;
    let packs = source.ctx.store.list_packs(&account()).await.unwrap();
    let (name, len) = packs.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap();
    let bytes = source.ctx.store.read_pack(&account(), &name).await.unwrap();
    let longer = [bytes.clone(), vec![0; 64 << 20].into()];
    let shorter = [bytes.slice(..bytes.len() / 2), Bytes::new()];
    for (lies, target) in [longer, shorter].into_iter().zip(["us-west-2", "eu-west-1"]) {
        source.ctx.store.put_pack(&account(), &name, lies).await.unwrap();
        let target = region(folder.path(), target).await;
        for reencrypt in [false, true] {
            let request = CopyRequest { reencrypt, ..copy_of(backup.clone()) };
            let targets = [Arc::clone(&target.ctx)];
            let copied = copy_backup(&source.ctx, &targets, &worker(), request, Arc::default()).await.unwrap();
            let error = copied[0].1.as_ref().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged, "{error:?}");
            let is_longer = target.ctx.region.as_str() == "us-west-2";
            assert!(!is_longer || error.to_string().contains(&format!("not the {len} bytes")), "{error}");
            assert_nothing_is_staged(&target.ctx).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_breaks_off_in_the_middle_of_a_pack_begins_that_pack_again() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 40 << 20).await;
    let mut targets = Vec::new();
    for name in ["us-west-2", "eu-west-1"] {
        targets.push(region(folder.path(), name).await.ctx);
    }
    let progress = Arc::<Progress>::default();
    source.asked.break_first_reads();
    let began = Instant::now();
    let copied = copy(&source, &targets, &backup, &progress).await;
    let again_max = read_again_max(began.elapsed(), targets.len());
    for target in &targets {
        assert_whole(target, copied[&target.region].as_ref().unwrap()).await;
        assert_nothing_is_staged(target).await;
    }
    assert_eq!(progress.done_bytes(), progress.total_bytes(), "what was discarded is not counted twice");
    let reads = source.asked.take_pack_reads();
    assert_read(&reads, 2..=2 + again_max);
}

#[tokio::test]
async fn a_target_that_may_not_be_written_any_more_fails_the_copy_and_lets_go_of_its_source() {
    let folder = scratch();
    let (source, backup) = region_with_noise(folder.path(), 1 << 20).await;
    let target = region(folder.path(), "us-west-2").await;
    target.asked.refuse();
    let copied = copy(&source, &[Arc::clone(&target.ctx)], &backup, &Arc::default()).await;
    let error = copied[&target.ctx.region].as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    // Its record cannot be looked for, but it is known that not all packs have landed.
    let rows = target.ctx.catalog.all_backups(&account()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.state).collect::<Vec<_>>(), [BackupState::Failed]);
    assert!(source.ctx.catalog.active_holds(&backup).await.unwrap().is_empty());
}
