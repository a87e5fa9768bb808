//! One region's objects by their meaning: the format file, packs and records.
//!
//! ```text
//! format.json
//! catalog.json
//! <account>/packs/<2 hex>/<object name>
//! <account>/backups/<backup id>/record
//! ```
//!
//! Objects are written whole and, but for records and `catalog.json`, never changed. A write returns once the bytes are
//! durable. The format file is written when the store is made and never again by anything: if it
//! is missing, the store is not there (an unmounted disk, an emptied bucket).

mod download;
mod habits;
mod owner;
mod publication;
mod reading;
mod upload;

use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use model::effect::effect;
use model::{AccountId, BackupId, ObjectName, Region, Timestamp};
use object_store::path::Path;
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, ObjectStoreExt, PutMode, PutPayload, coalesce_ranges};
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, S3Service};
use crate::error::{StoreError, StoreErrorKind};
use crate::piece::Buffers;
use crate::record::Record;

pub use crate::directory::open_directory;
pub use download::{PackDownload, ReadFrom};
pub use object_store::ObjectStore;
pub use owner::SeenOwner;
pub use publication::RecordVersion;
pub use reading::Rest;
pub use upload::PackUpload;

const FORMAT_KEY: &str = "format.json";
const FORMAT_VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct FormatFile {
    format: String,
    version: u32,
    store_id: String,
    region: Region,
    /// BLAKE3 over the other fields, so that a damaged file is not taken for another store's.
    checksum: String,
}

impl FormatFile {
    fn new(region: &Region, store_id: &str) -> Self {
        let mut file = Self {
            format: "offsite".to_owned(),
            version: FORMAT_VERSION,
            store_id: store_id.to_owned(),
            region: region.clone(),
            checksum: String::new(),
        };
        file.checksum = file.digest();
        file
    }

    fn digest(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.format, self.version, self.store_id, self.region);
        blake3::hash(text.as_bytes()).to_hex().to_string()
    }
}

/// One region's object store.
#[derive(Clone, Debug)]
pub struct RegionStore {
    region: Region,
    inner: Arc<dyn ObjectStore>,
    store_id: Arc<str>,
    /// The catalog that it was opened for.
    catalog_id: Option<Arc<str>>,
    /// Where the store is, if it is a directory.
    directory: Option<Arc<std::path::Path>>,
    /// The bucket that it is in, if it is in one.
    bucket: Option<Bucket>,
    /// What copies packs from others of its buckets, if it is to.
    service: Option<S3Service>,
    /// How packs that come in pieces are sent to it.
    parts: upload::Parts,
    /// What the pieces of its packs are read into.
    buffers: Buffers,
    /// What is usual of it, if it is reached over a network.
    habits: habits::Habits,
}

impl RegionStore {
    /// Makes a new store: writes the format file. Safe to repeat with the same `store_id`.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] when another store is there already. [`StoreErrorKind::Unfit`] when the service writes over
    /// what is there although it was told not to: two servers could write one record, and neither would know.
    pub async fn create(region: &Region, inner: Arc<dyn ObjectStore>, store_id: &str) -> Result<Self, StoreError> {
        let file = FormatFile::new(region, store_id);
        let json = Bytes::from(serde_json::to_vec_pretty(&file).expect("serializing to memory"));
        let write = async || {
            let written = inner.put_opts(&Path::from(FORMAT_KEY), json.clone().into(), PutMode::Create.into()).await;
            match written {
                Ok(_) => Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
                Err(error) => Err(wrap(region, "write", FORMAT_KEY, error)),
            }
        };
        effect("store.create.before");
        // Whoever has written the file can tell that the service takes no second one: if it does, it is the same.
        if write().await? && write().await? {
            let why = "the service ignores the condition that nothing is there (If-None-Match)";
            let store = Self::unopened(region, inner);
            return Err(store.fault(StoreErrorKind::Unfit, "create store with", FORMAT_KEY, why));
        }
        effect("store.create.after");
        let store = Self::open(region, inner).await?;
        if store.store_id() == store_id {
            Ok(store)
        } else {
            Err(store.fault(StoreErrorKind::Corrupt, "create store over", FORMAT_KEY, "another store is here already"))
        }
    }

    /// Opens a store that [`RegionStore::create`] made.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] when there is no format file: the store is not mounted, or
    /// was emptied. [`StoreErrorKind::Corrupt`] when it is damaged, of another region or version.
    pub async fn open(region: &Region, inner: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        let store = Self::unopened(region, inner);
        let file = store.read_format().await?;
        Ok(store.opened(file))
    }

    fn unopened(region: &Region, inner: Arc<dyn ObjectStore>) -> Self {
        Self {
            region: region.clone(),
            inner,
            store_id: Arc::from(""),
            catalog_id: None,
            directory: None,
            bucket: None,
            service: None,
            parts: upload::Parts::OF_NETWORK,
            buffers: Buffers::default(),
            habits: habits::Habits::default(),
        }
    }

    fn opened(self, file: FormatFile) -> Self {
        Self { store_id: file.store_id.into(), ..self }
    }

    async fn read_format(&self) -> Result<FormatFile, StoreError> {
        let bytes = self.get(FORMAT_KEY).await.map_err(|error| {
            let mut error = wrap(&self.region, "read", FORMAT_KEY, error);
            if error.kind == StoreErrorKind::NotFound {
                error.kind = StoreErrorKind::Unavailable;
            }
            error
        })?;
        let bad = |why: &str| self.fault(StoreErrorKind::Corrupt, "read", FORMAT_KEY, why);
        let file: FormatFile = serde_json::from_slice(&bytes).map_err(|e| bad(&e.to_string()))?;
        match &file {
            f if f.checksum != f.digest() => Err(bad("its checksum does not match")),
            f if f.format != "offsite" || f.version != FORMAT_VERSION => Err(bad("it is of another version")),
            f if f.region != self.region => Err(bad(&format!("it is the store of {}", f.region))),
            _ => Ok(file),
        }
    }

    /// Tells that the store is a directory: gc can remove what interrupted writes left in it, and packs are
    /// written as their pieces come.
    #[must_use]
    pub fn in_directory(mut self, directory: &std::path::Path) -> Self {
        self.directory = Some(directory.into());
        self.parts = upload::Parts::OF_DIRECTORY;
        self
    }

    /// Tells that the store is in this bucket, which knows how its service fares.
    #[must_use]
    pub fn in_bucket(mut self, bucket: Bucket) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// Tells that the service that the bucket is on is to copy packs itself, from stores that say the same.
    #[must_use]
    pub fn in_service(mut self, service: Option<S3Service>) -> Self {
        self.service = service;
        self
    }

    /// Whether the store's service can copy packs from `source` itself, and is to.
    pub fn is_in_service_of(&self, source: &Self) -> bool {
        self.service.iter().zip(&source.service).any(|(ours, theirs)| ours.is_that_of(theirs))
    }

    /// Whether the store is reached over a network; otherwise it is a directory.
    pub fn is_remote(&self) -> bool {
        self.directory.is_none()
    }

    /// How many answers of the store's service have said that it is busy (429 and 503), since the store was opened; none of
    /// a directory. Whoever sees more of them than before should ask for less at a time.
    pub fn busy_answers(&self) -> u64 {
        self.bucket.as_ref().map_or(0, |bucket| bucket.courteous.busy_answers())
    }

    /// Removes what writes left that were interrupted `before` then: they go to `<name>#<number>`, which is renamed at the end.
    ///
    /// A write that has stood still since and goes on fails, and is to be tried again.
    ///
    /// # Errors
    /// When a file cannot be removed or a directory cannot be read.
    pub async fn remove_staging(&self, before: Timestamp) -> Result<u64, StoreError> {
        let Some(directory) = self.directory.clone() else { return Ok(0) };
        let removed = blocking(move || remove_staging_below(&directory, before)).await;
        let failed = |e: std::io::Error| object_store::Error::Generic { store: "file", source: e.into() };
        removed.map_err(|e| wrap(&self.region, "clean", "/", failed(e)))
    }

    /// Whose store it is.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The random name the store was given when it was made.
    pub fn store_id(&self) -> &str {
        &self.store_id
    }

    /// Checks that the store is still the one that was opened: not unmounted, emptied or exchanged.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] when it is not.
    pub async fn still_there(&self) -> Result<(), StoreError> {
        let now = self.read_format().await?.store_id;
        if *now == *self.store_id {
            Ok(())
        } else {
            Err(self.fault(StoreErrorKind::Unavailable, "recognize", FORMAT_KEY, "another store is in its place"))
        }
    }

    /// Stores a pack under its name. Safe to repeat.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `NotFound` and `Corrupt`.
    pub async fn put_pack(
        &self,
        account: &AccountId,
        name: &ObjectName,
        pieces: impl IntoIterator<Item = Bytes>,
    ) -> Result<(), StoreError> {
        if self.directory.is_none() {
            let mut upload = self.begin_pack(account, name);
            for piece in pieces {
                upload.write(piece).await?;
            }
            return upload.finish().await;
        }
        let key = pack_key(account, name);
        effect("store.put_pack.before");
        self.write(&key, pieces.into_iter().collect(), "write pack").await?;
        effect("store.put_pack.after");
        self.check_in_place(&key).await
    }

    /// Has the service copy a pack of so many bytes from `source`, and tells whether it did, and its checksums say that both
    /// are the same. What is in the pack is not looked at. Safe to repeat.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `Corrupt`. `Denied` also where the store's credentials may not read the source. The pack is
    /// to be written then, over whatever is there now.
    ///
    /// # Panics
    /// Where [`RegionStore::is_in_service_of`] says no.
    pub async fn copy_pack_from(
        &self,
        source: &Self,
        account: &AccountId,
        name: &ObjectName,
        bytes: u64,
    ) -> Result<bool, StoreError> {
        let (Some(ours), Some(theirs)) = (&self.service, &source.service) else { panic!("no service has both stores") };
        let key = pack_key(account, name);
        effect("store.put_pack.before");
        let copied = ours.copy_from(theirs, &key, bytes).await;
        effect("store.put_pack.after");
        copied.map_err(|e| wrap(&self.region, "have the service copy pack", key.as_ref(), e))
    }

    /// Checks that a directory is still the store, and that what was written is in it. One whose file system is gone takes
    /// writes all the same, and what was written is out of sight once it is mounted again, be it in the next moment: an
    /// object counts as stored only after this.
    async fn check_in_place(&self, key: &Path) -> Result<(), StoreError> {
        if self.directory.is_none() {
            return Ok(());
        }
        self.still_there().await?;
        self.inner.head(key).await.map(drop).map_err(|e| self.unwritten("find what was written as", key, e))
    }

    /// A pack's length.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotFound`] when it is not there.
    pub async fn pack_len(&self, account: &AccountId, name: &ObjectName) -> Result<u64, StoreError> {
        let key = pack_key(account, name);
        match self.inner.head(&key).await {
            Ok(meta) => Ok(meta.size),
            Err(error) => Err(self.unread("find pack", key.as_ref(), error).await),
        }
    }

    /// Reads parts of a pack, unchecked: what they hold is sealed and checks itself.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`] when the pack is shorter than it should be.
    pub async fn read_pack_ranges(
        &self,
        account: &AccountId,
        name: &ObjectName,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        let key = pack_key(account, name);
        let parts = match self.get_ranges(&key, ranges).await {
            Ok(parts) => parts,
            Err(error) => {
                let error = self.unread("read from pack", key.as_ref(), error).await;
                // A range that lies outside of the pack is refused like a request that failed.
                let end = ranges.iter().map(|range| range.end).max().unwrap_or_default();
                return match self.pack_len(account, name).await {
                    Ok(len) if len < end => Err(StoreError { kind: StoreErrorKind::Corrupt, ..error }),
                    _ => Err(error),
                };
            }
        };
        let whole = parts.iter().zip(ranges).all(|(part, range)| part.len() as u64 == range.end - range.start);
        if whole && parts.len() == ranges.len() {
            Ok(parts)
        } else {
            Err(self.fault(StoreErrorKind::Corrupt, "read from pack", key.as_ref(), "it is too short"))
        }
    }

    /// Removes a pack. One that is not there counts as removed. Only gc calls this.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `NotFound` and `Corrupt`.
    pub async fn delete_pack(&self, account: &AccountId, name: &ObjectName) -> Result<(), StoreError> {
        effect("store.delete_pack.before");
        self.delete(&pack_key(account, name), "delete pack").await?;
        effect("store.delete_pack.after");
        Ok(())
    }

    /// Every pack object of an account with its length, in no order.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list_packs(&self, account: &AccountId) -> Result<Vec<(ObjectName, u64)>, StoreError> {
        let prefix = Path::from(format!("{account}/packs"));
        let objects = self.list(&prefix).await?;
        let named = |(path, size): (Path, u64)| Some((path.filename()?.parse().ok()?, size));
        Ok(objects.into_iter().filter_map(named).collect())
    }

    /// Writes a backup's record, replacing an earlier one.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `NotFound` and `Corrupt`.
    pub async fn put_record(&self, record: &Record) -> Result<(), StoreError> {
        let key = record_key(&record.head.account, &record.head.backup);
        effect("store.put_record.before");
        self.write(&key, record.encode().into(), "write record").await?;
        effect("store.put_record.after");
        self.check_in_place(&key).await
    }

    /// Reads a backup's record.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotFound`]; [`StoreErrorKind::Corrupt`] when the bytes are damaged or
    /// are the record of another backup.
    pub async fn read_record(&self, account: &AccountId, backup: &BackupId) -> Result<Record, StoreError> {
        let key = record_key(account, backup);
        let bytes = self.read(key.as_ref(), "read record").await?;
        let bad = |why: String| self.fault(StoreErrorKind::Corrupt, "read record", key.as_ref(), &why);
        let record = Record::decode(&bytes).map_err(|e| bad(e.to_string()))?;
        let head = &record.head;
        if head.backup != *backup || head.account != *account || head.region != self.region {
            return Err(bad(format!("it is the record of {} in {}", head.backup, head.region)));
        }
        Ok(record)
    }

    /// Removes a backup's record. One that is not there counts as removed.
    ///
    /// # Errors
    /// Any [`StoreErrorKind`] but `NotFound` and `Corrupt`.
    pub async fn delete_record(&self, account: &AccountId, backup: &BackupId) -> Result<(), StoreError> {
        effect("store.delete_record.before");
        self.delete(&record_key(account, backup), "delete record").await?;
        effect("store.delete_record.after");
        Ok(())
    }

    /// Every backup that has a record, and whose it is.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list_records(&self) -> Result<Vec<(AccountId, BackupId)>, StoreError> {
        let mut found = Vec::new();
        for account in self.list_accounts().await? {
            for (path, _) in self.list(&Path::from(format!("{account}/backups"))).await? {
                let id = path.parts().nth(2).and_then(|part| part.as_ref().parse().ok());
                if let (Some(id), Some("record")) = (id, path.filename()) {
                    found.push((account.clone(), id));
                }
            }
        }
        Ok(found)
    }

    /// Every account that has something in the store.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list_accounts(&self) -> Result<Vec<AccountId>, StoreError> {
        let top = self.inner.list_with_delimiter(None).await.map_err(|e| wrap(&self.region, "list", "/", e))?;
        Ok(top.common_prefixes.iter().filter_map(|prefix| prefix.as_ref().parse().ok()).collect())
    }

    async fn list(&self, prefix: &Path) -> Result<Vec<(Path, u64)>, StoreError> {
        let objects = self.inner.list(Some(prefix)).map_ok(|meta| (meta.location, meta.size));
        objects.try_collect().await.map_err(|e| wrap(&self.region, "list", prefix.as_ref(), e))
    }

    async fn read(&self, key: &str, action: &'static str) -> Result<Bytes, StoreError> {
        match self.get(key).await {
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(self.unread(action, key, error).await),
        }
    }

    /// Parts of an object; over a network, those that lie close together come with one request.
    async fn get_ranges(&self, key: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        if self.directory.is_some() {
            return self.inner.get_ranges(key, ranges).await;
        }
        let fetch = |range: Range<u64>| async move {
            let bytes = self.inner.get_range(key, range.clone()).await?;
            // An object that ends within the range is answered with what there is, which cannot be taken apart.
            match bytes.len() as u64 == range.end - range.start {
                true => Ok(bytes),
                false => {
                    Err(object_store::Error::Generic { store: "bucket", source: "the answer is too short".into() })
                }
            }
        };
        coalesce_ranges(ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await
    }

    async fn get(&self, key: &str) -> object_store::Result<Bytes> {
        self.inner.get(&Path::from(key)).await?.bytes().await
    }

    /// Why an object could not be read. One that is missing because the whole store is, as where a directory's file
    /// system is not mounted or a bucket was emptied, is not lost.
    async fn unread(&self, action: &'static str, key: &str, error: object_store::Error) -> StoreError {
        let error = wrap(&self.region, action, key, error);
        if error.kind == StoreErrorKind::NotFound && self.still_there().await.is_err() {
            return self.fault(StoreErrorKind::Unavailable, action, key, "the store is not in its place");
        }
        error
    }

    async fn write(&self, key: &Path, payload: PutPayload, action: &'static str) -> Result<(), StoreError> {
        let put = self.inner.put(key, payload).await;
        put.map(drop).map_err(|e| self.unwritten(action, key, e))
    }

    fn unwritten(&self, action: &'static str, key: &Path, error: object_store::Error) -> StoreError {
        match wrap(&self.region, action, key.as_ref(), error) {
            // The place to write to is gone, and with it the store.
            error if error.kind == StoreErrorKind::NotFound => {
                StoreError { kind: StoreErrorKind::Unavailable, ..error }
            }
            error => error,
        }
    }

    async fn delete(&self, key: &Path, action: &'static str) -> Result<(), StoreError> {
        match self.inner.delete(key).await {
            Ok(()) => Ok(()),
            // It is gone, if the store is not.
            Err(object_store::Error::NotFound { .. }) => self.still_there().await,
            Err(error) => Err(wrap(&self.region, action, key.as_ref(), error)),
        }
    }

    fn fault(&self, kind: StoreErrorKind, action: &'static str, key: &str, why: &str) -> StoreError {
        StoreError { kind, action, key: key.to_owned(), region: self.region.clone(), source: Some(why.into()) }
    }
}

fn remove_staging_below(directory: &std::path::Path, before: Timestamp) -> std::io::Result<u64> {
    let mut removed = 0;
    for entry in std::fs::read_dir(directory)? {
        match remove_if_staging(&entry?, before) {
            // Renamed or removed since: it was no remainder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            below => removed += below?,
        }
    }
    Ok(removed)
}

fn remove_if_staging(entry: &std::fs::DirEntry, before: Timestamp) -> std::io::Result<u64> {
    if entry.file_type()?.is_dir() {
        return remove_staging_below(&entry.path(), before);
    }
    let is_old = |meta: std::fs::Metadata| meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000 < before.0;
    if !is_staging(&entry.file_name().to_string_lossy()) || !is_old(entry.metadata()?) {
        return Ok(0);
    }
    std::fs::remove_file(entry.path()).map(|()| 1)
}

fn is_staging(name: &str) -> bool {
    name.rsplit_once('#').is_some_and(|(_, tail)| !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()))
}

fn pack_key(account: &AccountId, name: &ObjectName) -> Path {
    let hex = name.to_string();
    Path::from(format!("{account}/packs/{}/{hex}", &hex[..2]))
}

fn record_key(account: &AccountId, backup: &BackupId) -> Path {
    Path::from(format!("{account}/backups/{backup}/record"))
}

fn wrap(region: &Region, action: &'static str, key: &str, error: object_store::Error) -> StoreError {
    StoreError {
        kind: StoreErrorKind::of(&error),
        action,
        key: key.to_owned(),
        region: region.clone(),
        source: Some(Box::new(error)),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("work on a blocking thread does not panic")
}
