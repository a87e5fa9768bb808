//! Regions to test with: a directory each, in memory where the machine has a file system for that, or on servers where the
//! environment names some.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, Missing, sqlite_url};
use engine::backup::{BackupRequest, create_backup};
use engine::copy::CopyRequest;
use engine::resources::{NewResource, add_resource};
use engine::{EngineError, Pace, RegionContext, Worker};
use futures::FutureExt;
use model::{AccountId, BackupId, ObjectName, Region, ResourceId, ResourceKind, SystemClock};
use object_store::{ObjectStore, ObjectStoreExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::keys::KeyFileService;
use store::region_store::open_directory;
use store::{Bucket, BucketAddress, KeyService, KmsAddress, Limits, RegionStore};
use testkit::servers;

use crate::watched_store::{Watched, WatchedStore};

/// The region that tests copy from: it is on the first server of each kind, all others on the second.
const SOURCE: &str = "us-east-1";

/// A region, where it is, and what is asked of its store.
pub(crate) struct TestRegion {
    pub(crate) ctx: Arc<RegionContext>,
    pub(crate) place: Place,
    pub(crate) asked: Arc<Watched>,
}

/// Where the parts of a region are.
pub(crate) struct Place {
    name: Region,
    home: PathBuf,
    catalog: String,
    /// Without one, the store is a directory.
    bucket: Option<Bucket>,
}

impl Place {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let (name, home) = (name.parse().unwrap(), folder.join(name));
        for directory in ["store", "scratch"] {
            std::fs::create_dir_all(home.join(directory)).unwrap();
        }
        let mut place = Self { name, home, catalog: String::new(), bucket: None };
        place.catalog = place.new_catalog("catalog");
        place.bucket = place.server(servers::STORES).map(|service| {
            let address = format!("s3://engine/{}?endpoint={service}", servers::new_name());
            address.parse::<BucketAddress>().unwrap().open(std::env::vars(), Limits::DEFAULT).unwrap()
        });
        place
    }

    /// The same with a directory as its store, whatever servers there are.
    pub(crate) fn in_directory(self) -> Self {
        Self { bucket: None, ..self }
    }

    fn server(&self, kind: &str) -> Option<String> {
        servers::named(kind, usize::from(self.name.as_str() != SOURCE))
    }

    /// The address of another catalog, which is not there yet.
    pub(crate) fn new_catalog(&self, name: &str) -> String {
        match self.server(servers::CATALOGS) {
            Some(server) => servers::new_schema(&server).unwrap(),
            None => sqlite_url(&self.home.join(name).with_extension("db")),
        }
    }

    /// Its catalog as another process sees it.
    pub(crate) async fn open_catalog(&self) -> Catalog {
        Catalog::open(&self.catalog, Missing::Refuse).await.unwrap()
    }

    /// Its store as another process sees it.
    pub(crate) async fn open_store(&self) -> RegionStore {
        self.placed(RegionStore::open(&self.name, self.objects()).await.unwrap())
    }

    /// What lies in its store.
    pub(crate) fn objects(&self) -> Arc<dyn ObjectStore> {
        match &self.bucket {
            Some(bucket) => Arc::clone(&bucket.objects),
            None => open_directory(&self.home.join("store")).unwrap(),
        }
    }

    pub(crate) async fn read(&self, key: &str) -> Bytes {
        self.objects().get(&key.into()).await.unwrap().bytes().await.unwrap()
    }

    pub(crate) async fn write(&self, key: &str, bytes: Bytes) {
        self.objects().put(&key.into(), bytes.into()).await.unwrap();
    }

    /// Makes the region, around a store that leads to its objects.
    pub(crate) async fn region_around(&self, inner: Arc<dyn ObjectStore>) -> Arc<RegionContext> {
        let (region, clock) = (self.name.clone(), Arc::new(SystemClock));
        let store = self.placed(RegionStore::create(&region, inner, region.as_str()).await.unwrap());
        let catalog = Catalog::open(&self.catalog, Missing::Create).await.unwrap();
        let keys: Arc<dyn KeyService> = match self.server(servers::KEYS) {
            Some(service) => {
                let address = format!("awskms://?endpoint={service}&region={SOURCE}&alias={}", servers::new_name());
                let keys = address.parse::<KmsAddress>().unwrap().open(&region, std::env::vars()).unwrap();
                keys.create_default().await.unwrap();
                Arc::new(keys)
            }
            None => Arc::new(KeyFileService::create(&region, &self.home.join("kms.json"), clock.clone()).unwrap()),
        };
        let (scratch, managed) = (self.home.join("scratch"), self.home.join("resources"));
        let (partition, pace, left_out) = ("aws".parse().unwrap(), Arc::new(Pace::new(None)), Arc::default());
        Arc::new(RegionContext { region, partition, store, catalog, keys, scratch, managed, left_out, pace, clock })
    }

    fn placed(&self, store: RegionStore) -> RegionStore {
        match &self.bucket {
            Some(bucket) => store.in_bucket(bucket.clone()),
            None => store.in_directory(&self.home.join("store")),
        }
    }
}

/// A scratch directory. In memory where there is such a file system, as every write is synced.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The region as another server sees it, with connections of its own.
pub(crate) async fn seen_by_another(region: &TestRegion) -> RegionContext {
    RegionContext { catalog: region.place.open_catalog().await, ..RegionContext::clone(&region.ctx) }
}

/// Makes the region `name` in `folder`.
pub(crate) async fn region(folder: &Path, name: &str) -> TestRegion {
    let place = Place::new(folder, name);
    let (inner, asked) = WatchedStore::watch(place.objects());
    TestRegion { ctx: place.region_around(inner).await, place, asked }
}

/// How long a copy waits for a target before it goes on without it, as in `copy/lane.rs` and `copy/run.rs`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How often packs may be read again in a copy that took so long: once for each of `targets`, but never while nobody's
/// patience can have ended. A machine that stands still for a moment has targets left behind that are not slow.
pub(crate) fn read_again_max(took: Duration, targets: usize) -> usize {
    if took < PATIENCE { 0 } else { targets }
}

/// Asserts that packs were read so often each. A service that is silent for long, on a busy machine, is asked once more.
#[track_caller]
pub(crate) fn assert_read(reads: &BTreeMap<String, usize>, times: RangeInclusive<usize>) {
    let times_max = times.end() + usize::from(servers::named(servers::STORES, 0).is_some());
    assert!(reads.values().all(|read| (*times.start()..=times_max).contains(read)), "not {times:?}: {reads:?}");
}

pub(crate) fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

pub(crate) fn worker() -> Worker {
    Worker::this_process(Duration::from_secs(3600))
}

/// Registers the tree at `path`.
pub(crate) async fn add(ctx: &RegionContext, path: &Path) -> ResourceId {
    let new = NewResource {
        kind: ResourceKind::Lustre,
        path: path.to_owned(),
        name: None,
        kms_key: None,
        exclusions: Default::default(),
    };
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

/// Has `slow` stand still after so many steps until `other` has ended, and then go on to its end. Says whether `slow` had
/// ended before it stood still.
pub(crate) async fn overtake(slow: impl Future, steps: usize, other: impl Future<Output = ()>) -> bool {
    let (mut slow, mut has_ended) = (Box::pin(slow), false);
    for _ in 0..steps {
        has_ended = has_ended || slow.as_mut().now_or_never().is_some();
        // Whatever it waits for has a while to happen.
        tokio::task::spawn_blocking(|| {}).await.unwrap();
    }
    let had_ended = has_ended;
    let mut other = Box::pin(other);
    while tokio::time::timeout(Duration::from_millis(100), &mut other).await.is_err() {
        // Everyone waits for a write in which it stands still. As that would end with its connection, it ends here.
        has_ended = has_ended || slow.as_mut().now_or_never().is_some();
    }
    if !has_ended {
        drop(slow.await);
    }
    had_ended
}

/// Does `overtaken` with ever more steps after which someone is to stand still, until it says that they had ended before that.
pub(crate) async fn at_ever_later_steps(mut overtaken: impl AsyncFnMut(usize) -> bool) {
    let mut steps = 0;
    while !overtaken(steps).await {
        // By more each time: on servers an operation takes very many steps.
        steps += 1 + steps / 16;
    }
    assert!(steps > 2, "nobody stood still anywhere");
}

/// A region with a backup of `bytes` of noise.
pub(crate) async fn region_with_noise(folder: &Path, bytes: usize) -> (TestRegion, BackupId) {
    let tree = folder.join("tree");
    std::fs::create_dir(&tree).unwrap();
    let mut noise = vec![0; bytes];
    StdRng::seed_from_u64(7).fill_bytes(&mut noise);
    std::fs::write(tree.join("noise"), noise).unwrap();
    let source = region(folder, SOURCE).await;
    let backup = back_up(&source.ctx, &add(&source.ctx, &tree).await).await.unwrap();
    (source, backup)
}

/// Flips a bit of the largest pack of a region, so many bytes before its end. Returns the pack's name.
pub(crate) async fn alter_largest_pack(region: &TestRegion, before_end: usize) -> ObjectName {
    let packs = region.ctx.store.list_packs(&account()).await.unwrap();
    let (altered, _) = packs.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap();
    let name = altered.to_string();
    let key = format!("{}/packs/{}/{name}", account(), &name[..2]);
    let mut bytes = region.place.read(&key).await.to_vec();
    let at = bytes.len() - before_end;
    bytes[at] ^= 1;
    region.place.write(&key, bytes.into()).await;
    altered
}
