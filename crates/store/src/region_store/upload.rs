//! Writing a pack piece by piece: it is not there until all of it is durable and its writer says that it is right.
//!
//! Multipart uploads do this for directories, too: they write to `<name>#<number>` and, at the end, fsync the file, rename
//! it and fsync the directory.

use std::sync::Arc;

use bytes::Bytes;
use model::effect::effect;
use model::{AccountId, ObjectName};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::{RegionStore, blocking, pack_key};
use crate::error::StoreError;
use crate::piece::PIECE_BYTES;

const NETWORK_PART_BYTES: usize = 40 << 20;

/// How the pieces of an upload are sent to a store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    bytes: usize,
    /// Parts that may be under way while the next one is put together.
    under_way_max: usize,
}

impl Parts {
    /// To a directory: as they come, as long as the cache has them, and with as few switches between threads as can be.
    pub(super) const OF_DIRECTORY: Self = Self { bytes: PIECE_BYTES, under_way_max: 0 };

    /// Over a network: a pack of the usual length is one request. Longer ones go in parts, of which stores take none
    /// under 5 MiB (but for the last) and no more than 10,000. One upload keeps 40 MiB in memory, or twice that.
    pub(super) const OF_NETWORK: Self = Self { bytes: NETWORK_PART_BYTES, under_way_max: 1 };
}

/// A pack that is being written. One that is dropped was never there, and a network store is told to forget it.
#[derive(Debug)]
pub struct PackUpload {
    store: RegionStore,
    key: Path,
    /// The parts that were sent. Not begun while the pack may still fit into one request.
    upload: Option<Box<dyn MultipartUpload>>,
    /// The pieces of the next part, and their bytes.
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    sending: JoinSet<object_store::Result<()>>,
}

impl RegionStore {
    /// Prepares to write a pack. Nobody sees it before [`PackUpload::finish`]. Safe to repeat, also at the same time; but of
    /// two that write the same pack to Azure in parts, the one that finishes first takes the other's parts away, so that
    /// this one fails, as when the store is not available.
    pub fn begin_pack(&self, account: &AccountId, name: &ObjectName) -> PackUpload {
        let (key, upload) = (pack_key(account, name), None);
        let (waiting, waiting_bytes, sending) = (Vec::new(), 0, JoinSet::new());
        PackUpload { store: self.clone(), key, upload, waiting, waiting_bytes, sending }
    }
}

impl PackUpload {
    /// A pack that is no longer than this goes to a store over a network in one request.
    pub const PART_BYTES: u64 = NETWORK_PART_BYTES as u64;

    /// What one upload over a network keeps in memory at most: a part that is put together and one that is under way.
    pub const MEMORY_BYTES_MAX: u64 = 2 * Self::PART_BYTES;

    /// Writes the next piece. Returns once the store has taken so much that another piece may come.
    ///
    /// # Errors
    /// As [`RegionStore::put_pack`]; also for a piece that was taken earlier.
    pub async fn write(&mut self, mut piece: Bytes) -> Result<(), StoreError> {
        let part_bytes = self.store.parts.bytes;
        while !piece.is_empty() {
            let taken = piece.split_to(piece.len().min(part_bytes - self.waiting_bytes));
            self.waiting_bytes += taken.len();
            self.waiting.push(taken);
            if self.waiting_bytes == part_bytes {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Makes the pack visible under its name once all of it is durable.
    ///
    /// The caller vouches for the pieces: that their hash is the name.
    ///
    /// # Errors
    /// As [`RegionStore::put_pack`]; the pack is not there then.
    pub async fn finish(mut self) -> Result<(), StoreError> {
        if self.upload.is_some() && self.waiting_bytes > 0 {
            self.send_part().await?;
        }
        self.wait_for_parts(0).await?;
        effect("store.put_pack.before");
        let finished = match &mut self.upload {
            Some(upload) => upload.complete().await,
            None => {
                let (inner, key) = (Arc::clone(&self.store.inner), self.key.clone());
                let bytes = std::mem::take(&mut self.waiting).into_iter().collect();
                let runtime = tokio::runtime::Handle::current();
                // A request is hashed, which takes a while, on the thread that sends it.
                blocking(move || runtime.block_on(inner.put(&key, bytes))).await
            }
        };
        finished.map_err(|e| self.store.unwritten("write pack", &self.key, e))?;
        // There is nothing to forget any more.
        self.upload = None;
        effect("store.put_pack.after");
        self.store.check_in_place(&self.key).await
    }

    /// Gives the pack up, and what was written of it.
    ///
    /// # Errors
    /// When the store does not answer. What is left then is in nobody's way: in a directory, see
    /// [`RegionStore::remove_staging`]; a bucket removes it when its owner has told it to.
    pub async fn discard(mut self) -> Result<(), StoreError> {
        self.sending.shutdown().await;
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        upload.abort().await.map_err(|e| self.store.unwritten("discard pack", &self.key, e))
    }

    async fn send_part(&mut self) -> Result<(), StoreError> {
        let part: PutPayload = std::mem::take(&mut self.waiting).into_iter().collect();
        self.waiting_bytes = 0;
        let others_max = self.store.parts.under_way_max.checked_sub(1);
        self.wait_for_parts(others_max.unwrap_or(0)).await?;
        let sent = self.begun().await?.put_part(part);
        if others_max.is_some() {
            self.sending.spawn(sent);
            return Ok(());
        }
        sent.await.map_err(|e| self.store.unwritten("write pack", &self.key, e))
    }

    /// The upload of the parts, begun if it was not.
    async fn begun(&mut self) -> Result<&mut dyn MultipartUpload, StoreError> {
        let upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let begun = self.store.inner.put_multipart(&self.key).await;
                begun.map_err(|e| self.store.unwritten("write pack", &self.key, e))?
            }
        };
        Ok(&mut **self.upload.insert(upload))
    }

    /// Waits until no more than `under_way` parts are under way.
    async fn wait_for_parts(&mut self, under_way: usize) -> Result<(), StoreError> {
        while self.sending.len() > under_way {
            let sent = self.sending.join_next().await.expect("there is one under way");
            sent.expect("sending does not panic").map_err(|e| self.store.unwritten("write pack", &self.key, e))?;
        }
        Ok(())
    }
}

impl Drop for PackUpload {
    fn drop(&mut self) {
        let is_begun = self.upload.take().filter(|_| self.store.directory.is_none());
        if let (Some(mut upload), Ok(runtime)) = (is_begun, tokio::runtime::Handle::try_current()) {
            // Nobody waits for it: where it fails, the store's own rule removes what is left.
            drop(runtime.spawn(async move { drop(upload.abort().await) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use object_store::memory::InMemory;

    use super::*;
    use crate::error::StoreErrorKind;
    use crate::region_store::ReadFrom;

    fn account() -> AccountId {
        "123456789012".parse().unwrap()
    }

    /// Bytes and their name.
    fn pack() -> (Bytes, ObjectName) {
        pack_of(20 << 20)
    }

    fn pack_of(bytes: u32) -> (Bytes, ObjectName) {
        let bytes: Vec<u8> = (0..bytes / 4).flat_map(u32::to_le_bytes).collect();
        let name = ObjectName(*blake3::hash(&bytes).as_bytes());
        (bytes.into(), name)
    }

    /// A store over a network, and one in a directory.
    async fn stores(directory: &std::path::Path) -> [RegionStore; 2] {
        let region = "us-east-1".parse().unwrap();
        let inner = super::super::open_directory(directory).unwrap();
        let local = RegionStore::create(&region, inner, "local").await.unwrap().in_directory(directory);
        [RegionStore::create(&region, Arc::new(InMemory::new()), "remote").await.unwrap(), local]
    }

    async fn write(upload: &mut PackUpload, bytes: &Bytes) {
        for piece in bytes.chunks(700_001) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_pack_is_there_once_it_is_finished_and_not_before() {
        let directory = tempfile::tempdir().unwrap();
        // Over a network, one part, exactly one, and two and a half; a directory takes them as they come.
        for (bytes, name) in [20 << 20, 40 << 20, 100 << 20, 4].map(pack_of) {
            for store in stores(directory.path()).await {
                let mut upload = store.begin_pack(&account(), &name);
                write(&mut upload, &bytes).await;
                assert_eq!(store.pack_len(&account(), &name).await.unwrap_err().kind, StoreErrorKind::NotFound);
                upload.finish().await.unwrap();
                assert_eq!(store.read_pack(&account(), &name).await.unwrap(), bytes);
                store.verify_pack(&account(), &name, ReadFrom::Disk).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_pack_that_is_discarded_leaves_nothing_and_may_be_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let (bytes, name) = pack();
        for store in stores(directory.path()).await {
            let mut first = store.begin_pack(&account(), &name);
            let mut second = store.begin_pack(&account(), &name);
            write(&mut first, &bytes).await;
            write(&mut second, &bytes).await;
            first.discard().await.unwrap();
            assert!(store.list_packs(&account()).await.unwrap().is_empty());
            second.finish().await.unwrap();
            store.verify_pack(&account(), &name, ReadFrom::Disk).await.unwrap();
            assert_eq!(store.remove_staging(Timestamp(i64::MAX)).await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_missing_with_the_whole_store_is_not_lost() {
        let directory = tempfile::tempdir().unwrap();
        let (place, aside) = (directory.path().join("store"), directory.path().join("aside"));
        std::fs::create_dir(&place).unwrap();
        let [remote, store] = stores(&place).await;
        let (bytes, name) = pack();
        let ranges = [0..1, 1..2];
        let unread = async |store: &RegionStore| {
            let backup = "backup-0123456789abcdef0".parse().unwrap();
            [
                store.open_pack(&account(), &name).await.map(drop).unwrap_err().kind,
                store.pack_len(&account(), &name).await.unwrap_err().kind,
                store.read_pack_ranges(&account(), &name, &ranges).await.map(drop).unwrap_err().kind,
                store.read_record(&account(), &backup).await.map(drop).unwrap_err().kind,
            ]
        };
        assert_eq!(unread(&store).await, [StoreErrorKind::NotFound; 4]);
        store.put_pack(&account(), &name, [bytes]).await.unwrap();
        std::fs::rename(&place, &aside).unwrap();
        assert_eq!(unread(&store).await, [StoreErrorKind::Unavailable; 4]);
        // An empty mount point.
        std::fs::create_dir(&place).unwrap();
        assert_eq!(unread(&store).await, [StoreErrorKind::Unavailable; 4]);
        std::fs::remove_dir(&place).unwrap();
        std::fs::rename(&aside, &place).unwrap();
        store.verify_pack(&account(), &name, ReadFrom::Disk).await.unwrap();
        // Shorter than it was.
        for store in [&remote, &store] {
            store.put_pack(&account(), &name, [Bytes::from_static(b"short")]).await.unwrap();
            let read = store.read_pack_ranges(&account(), &name, &[0..3, 1000..2000]).await;
            assert_eq!(read.unwrap_err().kind, StoreErrorKind::Corrupt);
            store.delete_pack(&account(), &name).await.unwrap();
            store.delete_pack(&account(), &name).await.unwrap();
        }
        // A bucket that was emptied.
        assert_eq!(unread(&remote).await, [StoreErrorKind::NotFound; 4]);
        remote.inner.delete(&Path::from("format.json")).await.unwrap();
        assert_eq!(unread(&remote).await, [StoreErrorKind::Unavailable; 4]);
    }

    #[tokio::test]
    async fn bytes_under_the_name_of_others_are_corrupt_only_once_all_were_read() {
        let directory = tempfile::tempdir().unwrap();
        let (bytes, name) = pack();
        for store in stores(directory.path()).await {
            store.put_pack(&account(), &name, [bytes.slice(1..)]).await.unwrap();
            let mut download = store.open_pack(&account(), &name).await.unwrap();
            let mut read = 0;
            let error = loop {
                match download.next().await {
                    Ok(piece) => read += piece.expect("an error comes first").len(),
                    Err(error) => break error,
                }
            };
            assert_eq!((error.kind, read), (StoreErrorKind::Corrupt, bytes.len() - 1));
        }
    }

    #[tokio::test]
    async fn a_pack_is_read_into_the_room_there_is_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let (bytes, name) = pack();
        for store in stores(directory.path()).await {
            store.put_pack(&account(), &name, [bytes.clone()]).await.unwrap();
            let read =
                async |room| store.read_pack_into(&account(), &name, ReadFrom::Disk, Vec::with_capacity(room)).await;
            assert!(read(bytes.len()).await.unwrap() == bytes);
            assert_eq!(read(bytes.len() / 2).await.unwrap_err().kind, StoreErrorKind::Corrupt);
        }
    }
}
