//! What a copy asks of the stores.

use std::sync::Arc;

use engine::copy::copy_backup;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{account, add, back_up, copy_of, region, scratch, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_targets_read_each_pack_of_the_source_once() {
    let folder = scratch();
    let tree = folder.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = vec![0; 100 << 20];
    StdRng::seed_from_u64(7).fill_bytes(&mut noise);
    std::fs::write(tree.join("noise"), noise).unwrap();
    let source = region(folder.path(), "us-east-1").await;
    let mut targets = Vec::new();
    for name in ["us-west-2", "eu-west-1", "eu-central-1"] {
        targets.push(region(folder.path(), name).await);
    }
    let backup = back_up(&source.ctx, &add(&source.ctx, &tree).await).await.unwrap();
    let packs = source.ctx.store.list_packs(&account()).await.unwrap().len();
    assert!(packs > 3, "{packs} packs");

    let contexts: Vec<_> = targets.iter().map(|target| Arc::clone(&target.ctx)).collect();
    source.asked.take_pack_reads();
    let worker = worker();
    let copy = || copy_backup(&source.ctx, &contexts, &worker, copy_of(backup.clone()), Arc::default());
    for (region, copied) in copy().await.unwrap() {
        assert_eq!(copied.unwrap().packs_moved, packs as u64, "{region}");
    }
    let reads = source.asked.take_pack_reads();
    assert!(reads.len() == packs && reads.values().all(|times| *times == 1), "{packs} packs were read: {reads:?}");

    // A second copy finds all of it in the targets: nothing is read, nothing is listed.
    let lists = || targets.iter().chain([&source]).map(|region| region.asked.take_lists()).sum::<usize>();
    lists();
    for (region, copied) in copy().await.unwrap() {
        assert_eq!(copied.unwrap().packs_moved, 0, "{region}");
    }
    assert_eq!(source.asked.take_pack_reads().len(), 0);
    assert_eq!(lists(), 0);
}
