//! Regions to test with: a directory each, in memory where the machine has a file system for that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Missing, sqlite_url};
use engine::backup::{BackupRequest, create_backup};
use engine::copy::CopyRequest;
use engine::resources::{NewResource, add_resource};
use engine::{EngineError, Pace, RegionContext, Worker};
use model::{AccountId, BackupId, Region, ResourceId, ResourceKind, SystemClock};
use object_store::ObjectStore;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::RegionStore;
use store::keys::KeyFileService;

use crate::watched_store::{Watched, WatchedStore};

/// A region, and what is asked of its store.
pub(crate) struct TestRegion {
    pub(crate) ctx: Arc<RegionContext>,
    pub(crate) asked: Arc<Watched>,
}

/// A scratch directory. In memory where there is such a file system, as every write is synced.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Makes the region `name` in `folder`.
pub(crate) async fn region(folder: &Path, name: &str) -> TestRegion {
    let (inner, asked) = WatchedStore::watch(directory(folder, name));
    TestRegion { ctx: region_around(folder, name, inner).await, asked }
}

/// The directory that is the store of the region `name`.
pub(crate) fn directory(folder: &Path, name: &str) -> Arc<dyn ObjectStore> {
    let directory = folder.join(name).join("store");
    std::fs::create_dir_all(&directory).unwrap();
    store::region_store::open_directory(&directory).unwrap()
}

/// Makes the region `name` around a store that leads to its directory.
pub(crate) async fn region_around(folder: &Path, name: &str, inner: Arc<dyn ObjectStore>) -> Arc<RegionContext> {
    let region: Region = name.parse().unwrap();
    let home = folder.join(name);
    let (directory, scratch) = (home.join("store"), home.join("scratch"));
    std::fs::create_dir_all(&scratch).unwrap();
    let clock = Arc::new(SystemClock);
    let store = RegionStore::create(&region, inner, name).await.unwrap().in_directory(&directory);
    let catalog = Catalog::open(&sqlite_url(&home.join("catalog.db")), Missing::Create).await.unwrap();
    let keys = Arc::new(KeyFileService::create(&region, &home.join("kms.json"), clock.clone()).unwrap());
    let (partition, managed) = ("aws".parse().unwrap(), home.join("resources"));
    let pace = Arc::new(Pace::new(None));
    Arc::new(RegionContext { region, partition, store, catalog, keys, scratch, managed, pace, clock })
}

pub(crate) fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

pub(crate) fn worker() -> Worker {
    Worker::this_process(Duration::from_secs(3600))
}

/// Registers the tree at `path`.
pub(crate) async fn add(ctx: &RegionContext, path: &Path) -> ResourceId {
    let new = NewResource { kind: ResourceKind::Lustre, path: path.to_owned(), name: None, kms_key: None };
    add_resource(ctx, &account(), new).await.unwrap().id
}

/// Backs up a resource.
pub(crate) async fn back_up(ctx: &RegionContext, resource: &ResourceId) -> Result<BackupId, EngineError> {
    let request = BackupRequest::of(account(), resource.clone());
    Ok(create_backup(ctx, &worker(), request, Arc::default()).await?.backup.id)
}

/// A plain copy of `backup`.
pub(crate) fn copy_of(backup: BackupId) -> CopyRequest {
    CopyRequest { copy_tags: true, ..CopyRequest::of(account(), backup) }
}

/// A region with a backup of `bytes` of noise.
pub(crate) async fn region_with_noise(folder: &Path, bytes: usize) -> (TestRegion, BackupId) {
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = vec![0; bytes];
    StdRng::seed_from_u64(7).fill_bytes(&mut noise);
    std::fs::write(tree.join("noise"), noise).unwrap();
    let source = region(folder, "us-east-1").await;
    let backup = back_up(&source.ctx, &add(&source.ctx, &tree).await).await.unwrap();
    (source, backup)
}
