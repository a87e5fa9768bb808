//! Stores in buckets of real services, and of what stands in for Google's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use model::{AccountId, DataKeyId, ObjectName, Origin, Region, ResourceKind, SnapshotId, Timestamp};
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use store::record::{RecordedKey, Totals};
use store::{Bucket, BucketAddress, Limits, Lineage, ReadFrom, Record, RecordHead, RegionStore, StoreErrorKind};
use testkit::bucket::{BucketKind, BucketServer};
use testkit::link::Link;

fn open(kind: BucketKind, address: &str) -> Arc<dyn ObjectStore> {
    open_with(kind, address, kind.secret())
}

fn open_with(kind: BucketKind, address: &str, secret: &str) -> Arc<dyn ObjectStore> {
    open_bucket(kind, address, secret).objects
}

fn open_bucket(kind: BucketKind, address: &str, secret: &str) -> Bucket {
    let address: BucketAddress = address.parse().unwrap();
    let environment = kind.credentials(secret).into_iter().map(|(name, value)| (name.to_owned(), value));
    address.open(environment, Limits::DEFAULT).unwrap()
}

/// A server of each kind.
fn servers() -> impl Iterator<Item = (BucketKind, BucketServer)> {
    BucketKind::ALL.into_iter().map(|kind| (kind, kind.start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()))
}

fn region() -> Region {
    "us-east-1".parse().unwrap()
}

fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

fn name_of(bytes: &[u8]) -> ObjectName {
    ObjectName(*blake3::hash(bytes).as_bytes())
}

/// What was uploaded in parts has a checksum of its parts alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_copies_packs_that_came_whole_from_bucket_to_bucket() {
    let server = BucketKind::S3.start(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let open = async |place: &str| {
        let address = server.address(place).unwrap();
        let bucket = open_bucket(BucketKind::S3, &address, BucketKind::S3.secret());
        let environment = BucketKind::S3.credentials(BucketKind::S3.secret());
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        let service = address.parse::<BucketAddress>().unwrap().service(environment, &bucket).unwrap();
        let store = RegionStore::create(&region(), Arc::clone(&bucket.objects), place).await.unwrap();
        store.in_bucket(bucket).in_service(service)
    };
    let (source, target) = (open("copied-from/below").await, open("copied-to").await);
    assert!(target.is_in_service_of(&source));
    for (len, is_copied) in [(1 << 20, true), (41 << 20, false)] {
        let bytes: Bytes = (0..len / 4_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let name = name_of(&bytes);
        source.put_pack(&account(), &name, [bytes.clone()]).await.unwrap();
        let copied = target.copy_pack_from(&source, &account(), &name, bytes.len() as u64).await.unwrap();
        assert_eq!(copied, is_copied, "{len} bytes");
        if copied {
            assert_eq!(target.read_pack(&account(), &name).await.unwrap(), bytes);
        }
        let longer = bytes.len() as u64 + 1;
        assert!(!target.copy_pack_from(&source, &account(), &name, longer).await.unwrap());
    }
    let missing = target.copy_pack_from(&source, &account(), &name_of(b""), 0).await.unwrap_err();
    assert_eq!(missing.kind, StoreErrorKind::NotFound);
}

/// Without being told, it would be asked again after a tenth of a second or two.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_left_alone_for_as_long_as_it_asks() {
    for (kind, server) in servers() {
        let link = Link::to(&server.host()).unwrap();
        let bucket = open_bucket(kind, &server.address_through(&link.address(), "busy").unwrap(), kind.secret());
        let made = RegionStore::create(&region(), Arc::clone(&bucket.objects), "busy").await.unwrap();
        let store = made.in_bucket(bucket.clone());
        link.requests();
        link.ask_for_patience(2);
        let begun = Instant::now();
        bucket.objects.put(&"b".into(), "second".into()).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(2), "{kind:?}: it was asked again after {:?}", begun.elapsed());
        assert_eq!((link.requests(), store.busy_answers()), (2, 1), "{kind:?}");
    }
}

/// The rest is asked for from the byte that was reached, of the same object.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stops_is_asked_for_once_more() {
    for (kind, server) in servers() {
        let link = Link::to(&server.host()).unwrap();
        let bucket = open(kind, &server.address_through(&link.address(), "stuck").unwrap());
        let store = RegionStore::create(&region(), bucket, "stuck").await.unwrap();
        let bytes: Bytes = (0..8_u32 << 20).map(|n| (n % 251) as u8).collect();
        store.put_pack(&account(), &name_of(&bytes), [bytes.clone()]).await.unwrap();
        link.requests();
        link.stop_after(3 << 20);
        assert!(store.read_pack(&account(), &name_of(&bytes)).await.unwrap() == bytes, "{kind:?}");
        // A machine that is busy may make it look silent in between, which is asked for once more.
        assert!(link.requests() >= 2, "{kind:?}");
    }
}

/// Packs that are one request, and packs that go in parts, of which some do not come to their end.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_any_length_are_there_whole_or_not_at_all() {
    for (kind, server) in servers() {
        let bucket = open(kind, &server.address("packs/a/b").unwrap());
        let store = RegionStore::create(&region(), bucket, "bucket").await.unwrap();
        let account = account();
        for bytes in [1_u32, 40 << 20, 100 << 20] {
            let bytes: Bytes = (0..bytes).map(|n| (n % 251) as u8).collect();
            let name = name_of(&bytes);
            let mut given_up = store.begin_pack(&account, &name);
            given_up.write(bytes.clone()).await.unwrap();
            given_up.discard().await.unwrap();
            let mut dropped = store.begin_pack(&account, &name);
            dropped.write(bytes.clone()).await.unwrap();
            drop(dropped);
            assert_eq!(store.pack_len(&account, &name).await.unwrap_err().kind, StoreErrorKind::NotFound, "{kind:?}");
            store.put_pack(&account, &name, [bytes.clone()]).await.unwrap();
            store.verify_pack(&account, &name, ReadFrom::Disk).await.unwrap();
            let len = bytes.len() as u64;
            assert_eq!(store.list_packs(&account).await.unwrap(), [(name, len)], "{kind:?}");
            let ranges = [len - 1..len, 0..1];
            let ends = store.read_pack_ranges(&account, &name, &ranges).await.unwrap();
            assert_eq!(ends, [bytes.slice(bytes.len() - 1..), bytes.slice(..1)], "{kind:?}");
            let beyond = len..len + 1;
            let read = store.read_pack_ranges(&account, &name, std::slice::from_ref(&beyond)).await;
            assert_eq!(read.unwrap_err().kind, StoreErrorKind::Corrupt, "{kind:?}");
            store.delete_pack(&account, &name).await.unwrap();
            store.delete_pack(&account, &name).await.unwrap();
        }
        let bytes = Bytes::from(vec![7; 41 << 20]);
        let name = name_of(&bytes);
        let [mut first, mut second] = [store.begin_pack(&account, &name), store.begin_pack(&account, &name)];
        first.write(bytes.clone()).await.unwrap();
        second.write(bytes).await.unwrap();
        first.finish().await.unwrap();
        if let Err(error) = second.finish().await {
            // With Azure, what one commits takes away all parts of others that are there by then.
            assert_eq!((kind, error.kind), (BucketKind::Azure, StoreErrorKind::Unavailable));
        }
        store.verify_pack(&account, &name, ReadFrom::Disk).await.unwrap();
    }
}

/// Of two that make a store in one place, one does.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_not_made_over_another() {
    for (kind, server) in servers() {
        let address = server.address("store/site").unwrap();
        let made = RegionStore::create(&region(), open(kind, &address), "first").await.unwrap();
        RegionStore::create(&region(), open(kind, &address), "first").await.unwrap();
        let second = RegionStore::create(&region(), open(kind, &address), "second").await;
        assert_eq!(second.unwrap_err().kind, StoreErrorKind::Corrupt, "{kind:?}");
        made.still_there().await.unwrap();
        // What lies beside it is another store.
        let beside = open(kind, &server.address("store/other").unwrap());
        let opened = RegionStore::open(&region(), beside).await;
        assert_eq!(opened.unwrap_err().kind, StoreErrorKind::Unavailable, "{kind:?}");
        let (bytes, account) = (Bytes::from_static(b"a pack"), account());
        made.put_pack(&account, &name_of(&bytes), [bytes]).await.unwrap();
        assert_eq!(made.list_accounts().await.unwrap(), [account], "{kind:?}");
    }
}

/// A service that knows no conditions.
#[derive(Debug)]
struct Unconditional(InMemory);

impl fmt::Display for Unconditional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unconditional")
    }
}

#[async_trait]
impl ObjectStore for Unconditional {
    async fn put_opts(&self, location: &ObjectPath, payload: PutPayload, _: PutOptions) -> Result<PutResult> {
        self.0.put(location, payload).await
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &ObjectPath, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<ObjectPath>>,
    ) -> BoxStream<'static, Result<ObjectPath>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&ObjectPath>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&ObjectPath>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &ObjectPath, to: &ObjectPath, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

/// Two servers could write one record there, and neither would know.
#[tokio::test]
async fn a_service_that_ignores_conditions_gets_no_store() {
    let refused = RegionStore::create(&region(), Arc::new(Unconditional(InMemory::new())), "first").await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unfit);
    assert!(refused.source.unwrap().to_string().contains("If-None-Match"));
}

/// Of two catalogs that are opened with one store at the same time, it is one's, until another takes it over.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_belongs_to_one_catalog_at_a_time() {
    for (kind, server) in servers() {
        let bucket = open(kind, &server.address("owned").unwrap());
        let store = RegionStore::create(&region(), bucket, "bucket").await.unwrap();
        let [first, second, new] = ["first", "second", "new"].map(|id| store.clone().of_catalog(id));
        let (one, other) = tokio::join!(first.check_owner(), second.check_owner());
        let refused: Vec<StoreErrorKind> = [one, other].into_iter().filter_map(Result::err).map(|e| e.kind).collect();
        assert_eq!(refused, [StoreErrorKind::Disowned], "{kind:?}");
        new.take_over().await.unwrap();
        new.check_owner().await.unwrap();
        for old in [first, second] {
            assert_eq!(old.check_owner().await.unwrap_err().kind, StoreErrorKind::Disowned, "{kind:?}");
        }
    }
}

fn record(completed_at: i64) -> Record {
    let (data_key, backup) = (DataKeyId([7; 16]), "snap-0a1b2c3d".parse().unwrap());
    let head = RecordHead {
        backup,
        account: account(),
        region: region(),
        resource: "disk-0a1b2c3d".parse().unwrap(),
        resource_kind: ResourceKind::Disk,
        snapshot: SnapshotId([9; 16]),
        created_at: Timestamp(1),
        completed_at: Timestamp(completed_at),
        lineage: Lineage::default(),
        kms_key: "0f0e0d0c-0b0a-4908-8706-050403020100".parse().unwrap(),
        root_key: data_key,
        wrapped_keys: vec![RecordedKey { data_key, wrapped: vec![1; 65] }],
        tags: Vec::new(),
        origin: Origin::User,
        attributes: "{}".to_owned(),
        expires_at: None,
        totals: Totals::default(),
    };
    Record { head, packs: Vec::new(), sealed_root: vec![5; 100] }
}

/// Of two workers that have seen the same, one writes, and the other learns that it came too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_written_over_what_was_seen_only() {
    for (kind, server) in servers() {
        let bucket = open(kind, &server.address("records").unwrap());
        let store = RegionStore::create(&region(), bucket, "bucket").await.unwrap();
        let [dead, stale, successor] = [1, 2, 3].map(record);
        assert!(store.publish_record(&dead, None).await.unwrap().is_none(), "{kind:?}");
        let seen = store.publish_record(&successor, None).await.unwrap();
        assert!(seen.is_some(), "{kind:?}");
        assert!(store.publish_record(&successor, seen.as_ref()).await.unwrap().is_none(), "{kind:?}");
        assert!(store.publish_record(&stale, seen.as_ref()).await.unwrap().is_some(), "{kind:?}");
        let there = store.read_record(&account(), &stale.head.backup).await.unwrap();
        assert_eq!(there, successor, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_another_secret_is_denied_everything() {
    for (kind, server) in servers() {
        let address = server.address("denied").unwrap();
        RegionStore::create(&region(), open(kind, &address), "bucket").await.unwrap();
        let stranger = open_with(kind, &address, "c3RyYW5nZXI=");
        let opened = RegionStore::open(&region(), Arc::clone(&stranger)).await;
        assert_eq!(opened.unwrap_err().kind, StoreErrorKind::Denied, "{kind:?}");
        let made = RegionStore::create(&region(), Arc::clone(&stranger), "bucket").await;
        assert_eq!(made.unwrap_err().kind, StoreErrorKind::Denied, "{kind:?}");
        // Of these, words alone tell the kind.
        let listed = stranger.list_with_delimiter(None).await.unwrap_err().to_string();
        let deleted = stranger.delete(&"format.json".into()).await.unwrap_err().to_string();
        for said in [listed, deleted] {
            let is_denial =
                ["401 Unauthorized", "403 Forbidden", "AccessDenied"].iter().any(|denial| said.contains(denial));
            assert!(is_denial, "{kind:?}: {said}");
        }
    }
}
