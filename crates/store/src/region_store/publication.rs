//! A backup's first record: written only in place of what its writer has seen there.
//!
//! A worker that stood still past its lease may wake up with a record in its hands while its successor writes one. Whoever
//! writes looks at the lease after it has seen what is there, so what is there then cannot be the successor's, and what the successor
//! writes later is not overwritten.

use bytes::Bytes;
use model::effect::effect;
use object_store::path::Path;
use object_store::{Error, PutMode, PutPayload, UpdateVersion};

use super::{RegionStore, record_key};
use crate::error::StoreError;
use crate::record::Record;

/// A record that was seen in a store, whatever is in it.
#[derive(Clone, Debug)]
pub struct RecordVersion(UpdateVersion);

impl RegionStore {
    /// Writes a backup's record where there is none, or in place of the one that was `seen`. Returns the one that is there
    /// instead, if that is another; a record that is there already with the same bytes counts as written.
    ///
    /// A directory has no write on condition that something is there: what was seen is replaced, whatever became of it.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`](crate::StoreErrorKind) but `NotFound`, `Corrupt` and `Disowned`. After `Unavailable` it may
    /// have been written.
    pub async fn publish_record(
        &self,
        record: &Record,
        seen: Option<&RecordVersion>,
    ) -> Result<Option<RecordVersion>, StoreError> {
        let key = record_key(&record.head.account, &record.head.backup);
        let bytes = Bytes::from(record.encode());
        effect("store.publish_record.before");
        let written = match self.put_over(&key, &bytes, seen).await {
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => self.find_other(&key, &bytes).await?,
            written => {
                written.map_err(|error| self.unwritten("write record", &key, error))?;
                None
            }
        };
        effect("store.publish_record.after");
        self.check_in_place(&key).await?;
        Ok(written)
    }

    async fn put_over(&self, key: &Path, bytes: &Bytes, seen: Option<&RecordVersion>) -> object_store::Result<()> {
        let payload = || PutPayload::from(bytes.clone());
        let Some(RecordVersion(seen)) = seen else {
            return self.inner.put_opts(key, payload(), PutMode::Create.into()).await.map(drop);
        };
        match self.inner.put_opts(key, payload(), PutMode::Update(seen.clone()).into()).await {
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                self.inner.put_opts(key, payload(), PutMode::Overwrite.into()).await.map(drop)
            }
            put => put.map(drop),
        }
    }

    /// What is there in place of `bytes`.
    async fn find_other(&self, key: &Path, bytes: &Bytes) -> Result<Option<RecordVersion>, StoreError> {
        let read = async {
            let found = object_store::ObjectStoreExt::get(&self.inner, key).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((version, found.bytes().await?))
        };
        let (version, there) = read.await.map_err(|error| self.unwritten("read record", key, error))?;
        Ok((there != bytes).then_some(RecordVersion(version)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::Timestamp;
    use object_store::ObjectStore;
    use object_store::memory::InMemory;

    use super::*;
    use crate::record::tests::record;
    use crate::region_store::open_directory;

    /// The records that one worker after the other has made of the same backup.
    fn records() -> [Record; 3] {
        let record = record();
        [1, 2, 3].map(|time| {
            let mut record = record.clone();
            record.head.completed_at = Timestamp(time);
            record
        })
    }

    async fn there(store: &RegionStore, record: &Record) -> Record {
        store.read_record(&record.head.account, &record.head.backup).await.unwrap()
    }

    #[tokio::test]
    async fn a_record_is_not_written_over_one_that_was_not_seen() {
        let directory = tempfile::tempdir().unwrap();
        let inner: [Arc<dyn ObjectStore>; 2] = [open_directory(directory.path()).unwrap(), Arc::new(InMemory::new())];
        for inner in inner {
            let store = RegionStore::create(&"us-east-1".parse().unwrap(), inner, "store").await.unwrap();
            let [first, second, _] = records();
            assert!(store.publish_record(&first, None).await.unwrap().is_none());
            let seen = store.publish_record(&second, None).await.unwrap();
            assert_eq!(there(&store, &second).await, first, "it is left alone");
            assert!(store.publish_record(&second, seen.as_ref()).await.unwrap().is_none());
            assert_eq!(there(&store, &second).await, second);
            // As a worker does whose connection was lost before the service could answer.
            assert!(store.publish_record(&second, None).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_worker_that_stood_still_does_not_write_over_its_successor() {
        let store =
            RegionStore::create(&"us-east-1".parse().unwrap(), Arc::new(InMemory::new()), "store").await.unwrap();
        let [dead, stale, successor] = records();
        store.publish_record(&dead, None).await.unwrap();
        let seen = store.publish_record(&stale, None).await.unwrap();
        store.publish_record(&successor, seen.as_ref()).await.unwrap();
        assert!(store.publish_record(&stale, seen.as_ref()).await.unwrap().is_some());
        assert_eq!(there(&store, &stale).await, successor);
    }
}
