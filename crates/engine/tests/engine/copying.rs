//! What a copy asks of the stores, and what it does when one of them is slow, damaged or breaks off.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::copy::{CopyReport, copy_backup};
use engine::verify::{Depth, verify_backup};
use engine::{EngineError, ErrorKind, Progress, RegionContext};
use model::{BackupId, BackupState, Region};

use crate::gated_store::GatedStore;
use crate::support::{
    TestRegion, account, copy_of, directory, region, region_around, region_with_noise, scratch, worker,
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

/// The files below `directory` whose name contains `part`.
fn files_named(directory: &Path, part: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_named(&path, part));
        } else if path.file_name().unwrap().to_string_lossy().contains(part) {
            found.push(path);
        }
    }
    found
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
    for (region, copied) in copy(&source, &contexts, &backup, &progress).await {
        assert_eq!(copied.unwrap().packs_moved, packs as u64, "{region}");
    }
    assert_eq!(progress.done_bytes(), progress.total_bytes());
    let reads = source.asked.take_pack_reads();
    assert!(reads.len() == packs && reads.values().all(|times| *times == 1), "{packs} packs were read: {reads:?}");

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
    let (gated, gate) = GatedStore::gate(directory(folder.path(), "eu-west-1"), 3);
    let slow = region_around(folder.path(), "eu-west-1", gated).await;
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
    let (copied, ()) = tokio::join!(copy(&source, &targets, &backup, &progress), fast_is_done);
    for target in &targets {
        assert_whole(target, copied[&target.region].as_ref().unwrap()).await;
    }
    let names = |region: Arc<RegionContext>| async move {
        let mut packs = region.store.list_packs(&account()).await.unwrap();
        packs.sort();
        packs
    };
    assert_eq!(names(slow).await, names(Arc::clone(&source.ctx)).await);
    assert_eq!(files_named(&folder.path().join("eu-west-1"), "#"), Vec::<std::path::PathBuf>::new());
    let reads = source.asked.take_pack_reads();
    assert!(reads.values().all(|times| *times <= 2), "read once for all and once for the slow one: {reads:?}");
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
    let packs = source.ctx.store.list_packs(&account()).await.unwrap();
    let (altered, _) = packs.iter().max_by_key(|(_, bytes)| bytes).unwrap();
    let name = altered.to_string();
    let file = files_named(&folder.path().join("us-east-1"), &name).remove(0);
    let mut bytes = std::fs::read(&file).unwrap();
    // The last chunk: by then all else has been written to the targets.
    let at = bytes.len() - (1 << 20);
    bytes[at] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    for (region, copied) in copy(&source, &targets, &backup, &Arc::default()).await {
        let error = copied.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{region}: {error:?}");
        assert!(error.to_string().contains("noise"), "{region}: {error}");
        let left = files_named(&folder.path().join(region.to_string()), &name);
        assert_eq!(left, Vec::<std::path::PathBuf>::new(), "{region}");
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
    let copied = copy(&source, &targets, &backup, &progress).await;
    for target in &targets {
        assert_whole(target, copied[&target.region].as_ref().unwrap()).await;
        let staged = files_named(&folder.path().join(target.region.to_string()), "#");
        assert_eq!(staged, Vec::<std::path::PathBuf>::new());
    }
    assert_eq!(progress.done_bytes(), progress.total_bytes(), "what was discarded is not counted twice");
    let reads = source.asked.take_pack_reads();
    assert!(reads.values().all(|times| *times == 2), "{reads:?}");
}
