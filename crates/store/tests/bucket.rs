//! A store in a bucket of a real S3 service.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::{AccountId, ObjectName};
use object_store::{ObjectStore, ObjectStoreExt};
use store::{BucketAddress, RegionStore, StoreErrorKind};
use testkit::link::Link;
use testkit::program;
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY, Seaweed};

fn open(place: &str) -> Arc<dyn ObjectStore> {
    let address: BucketAddress = place.parse().unwrap();
    let key = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    address.open(key.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

fn service() -> Seaweed {
    Seaweed::start(&program::installed(Path::new(env!("CARGO_TARGET_TMPDIR")), "weed")).unwrap()
}

/// Without being told, it would be asked again after a tenth of a second or two.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_left_alone_for_as_long_as_it_asks() {
    let server = service();
    let link = Link::to(server.endpoint().trim_start_matches("http://")).unwrap();
    let bucket = open(&format!("s3://busy?endpoint=http://{}", link.address()));
    bucket.put(&"a".into(), "first".into()).await.unwrap();
    link.requests();
    link.ask_for_patience(2);
    let begun = Instant::now();
    bucket.put(&"b".into(), "second".into()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was asked again after {:?}", begun.elapsed());
    assert_eq!(link.requests(), 2);
}

/// Packs that are one request, and packs that go in parts, of which some do not come to their end.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_any_length_are_there_whole_or_not_at_all() {
    let server = service();
    let bucket = open(&format!("s3://packs/a/b?endpoint={}", server.endpoint()));
    let region = "us-east-1".parse().unwrap();
    let store = RegionStore::create(&region, bucket, "bucket").await.unwrap();
    let account: AccountId = "123456789012".parse().unwrap();
    for bytes in [1_u32, 40 << 20, 100 << 20] {
        let bytes: Bytes = (0..bytes).map(|n| (n % 251) as u8).collect();
        let name = ObjectName(*blake3::hash(&bytes).as_bytes());
        let mut given_up = store.begin_pack(&account, &name);
        given_up.write(bytes.clone()).await.unwrap();
        given_up.discard().await.unwrap();
        let mut dropped = store.begin_pack(&account, &name);
        dropped.write(bytes.clone()).await.unwrap();
        drop(dropped);
        assert_eq!(store.pack_len(&account, &name).await.unwrap_err().kind, StoreErrorKind::NotFound);
        store.put_pack(&account, &name, bytes.clone()).await.unwrap();
        store.verify_pack(&account, &name).await.unwrap();
        let len = bytes.len() as u64;
        assert_eq!(store.list_packs(&account).await.unwrap(), [(name, len)]);
        let beyond = len..len + 1;
        let read = store.read_pack_ranges(&account, &name, std::slice::from_ref(&beyond)).await;
        assert_eq!(read.unwrap_err().kind, StoreErrorKind::Corrupt);
        store.delete_pack(&account, &name).await.unwrap();
        store.delete_pack(&account, &name).await.unwrap();
    }
}
