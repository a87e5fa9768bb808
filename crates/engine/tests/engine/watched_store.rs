//! An object store that counts what is asked of it, can break off what it answers or refuse everything, and has an object
//! written as if by someone else.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What has been asked of a store.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    reads: Mutex<BTreeMap<String, usize>>,
    lists: Mutex<usize>,
    breaks: AtomicBool,
    refuses: AtomicBool,
    with_record: Mutex<Option<(Path, Bytes)>>,
}

impl Watched {
    /// How often each pack was read, since the last call.
    pub(crate) fn take_pack_reads(&self) -> BTreeMap<String, usize> {
        let mut reads = std::mem::take(&mut *self.reads.lock().unwrap());
        reads.retain(|key, _| key.contains("/packs/"));
        reads
    }

    /// How often objects were listed, since the last call.
    pub(crate) fn take_lists(&self) -> usize {
        std::mem::take(&mut *self.lists.lock().unwrap())
    }

    /// From now on the first read of each pack breaks off half-way.
    pub(crate) fn break_first_reads(&self) {
        self.take_pack_reads();
        self.breaks.store(true, Ordering::Relaxed);
    }

    /// From now on nothing may be read or written.
    pub(crate) fn refuse(&self) {
        self.refuses.store(true, Ordering::Relaxed);
    }

    fn check_allowed(&self, key: &Path) -> Result<()> {
        match self.refuses.load(Ordering::Relaxed) {
            true => Err(Error::PermissionDenied { path: key.to_string(), source: "it was revoked".into() }),
            false => Ok(()),
        }
    }

    /// When the next record has been written, so is this object.
    pub(crate) fn write_with_next_record(&self, key: &str, bytes: Bytes) {
        *self.with_record.lock().unwrap() = Some((key.into(), bytes));
    }

    /// What is to be written with an object.
    fn take_written_with(&self, key: &Path) -> Option<(Path, Bytes)> {
        key.as_ref().ends_with("/record").then(|| self.with_record.lock().unwrap().take())?
    }

    /// Whether the read breaks off.
    fn read(&self, key: &Path) -> bool {
        let mut reads = self.reads.lock().unwrap();
        let times = reads.entry(key.to_string()).or_default();
        *times += 1;
        *times == 1 && key.as_ref().contains("/packs/") && self.breaks.load(Ordering::Relaxed)
    }

    fn list(&self) {
        *self.lists.lock().unwrap() += 1;
    }
}

#[derive(Debug)]
pub(crate) struct WatchedStore {
    inner: Arc<dyn ObjectStore>,
    watched: Arc<Watched>,
}

impl WatchedStore {
    pub(crate) fn watch(inner: Arc<dyn ObjectStore>) -> (Arc<dyn ObjectStore>, Arc<Watched>) {
        let watched = Arc::<Watched>::default();
        (Arc::new(Self { inner, watched: Arc::clone(&watched) }), watched)
    }
}

impl fmt::Display for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "watched {}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for WatchedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.watched.check_allowed(location)?;
        let put = self.inner.put_opts(location, payload, opts).await;
        if let Some((beside, bytes)) = self.watched.take_written_with(location) {
            self.inner.put(&beside, bytes.into()).await?;
        }
        put
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.watched.check_allowed(location)?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.watched.check_allowed(location)?;
        let breaks = !options.head && self.watched.read(location);
        let got = self.inner.get_opts(location, options).await?;
        if !breaks {
            return Ok(got);
        }
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let (attributes, extensions) = (got.attributes.clone(), got.extensions.clone());
        let bytes = got.bytes().await?;
        let broken = Error::Generic { store: "watched", source: "the connection was lost".into() };
        let parts = [Ok(bytes.slice(..bytes.len() / 2)), Err(broken)];
        let payload = GetResultPayload::Stream(futures::stream::iter(parts).boxed());
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.watched.read(location);
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.watched.list();
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.watched.list();
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
