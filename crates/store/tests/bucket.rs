//! A store in a bucket of a real S3 service.

use std::path::Path;

use bytes::Bytes;
use model::{AccountId, ObjectName};
use store::{BucketAddress, RegionStore, StoreErrorKind};
use testkit::program;
use testkit::seaweed::{ACCESS_KEY, SECRET_KEY, Seaweed};

/// Packs that are one request, and packs that go in parts, of which some do not come to their end.
#[tokio::test(flavor = "multi_thread")]
async fn packs_of_any_length_are_there_whole_or_not_at_all() {
    let server = Seaweed::start(&program::installed(Path::new(env!("CARGO_TARGET_TMPDIR")), "weed")).unwrap();
    let address: BucketAddress = format!("s3://packs/a/b?endpoint={}", server.endpoint()).parse().unwrap();
    let key = [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let bucket = address.open(key.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
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
