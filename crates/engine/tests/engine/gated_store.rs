//! An object store that takes so many parts of each pack and then none, or no pack that comes in one request, and that removes
//! nothing, until its gate is opened.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::watch;

#[derive(Debug)]
pub(crate) struct GatedStore {
    inner: Arc<dyn ObjectStore>,
    parts: usize,
    gate: watch::Receiver<bool>,
}

impl GatedStore {
    /// A store that takes `parts` parts of each pack before it waits for `true` to be sent.
    pub(crate) fn gate(inner: Arc<dyn ObjectStore>, parts: usize) -> (Arc<dyn ObjectStore>, watch::Sender<bool>) {
        let (opener, gate) = watch::channel(false);
        (Arc::new(Self { inner, parts, gate }), opener)
    }
}

impl fmt::Display for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gated {}", self.inner)
    }
}

#[derive(Debug)]
struct GatedUpload {
    inner: Box<dyn MultipartUpload>,
    parts_left: usize,
    gate: watch::Receiver<bool>,
}

#[async_trait]
impl MultipartUpload for GatedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let sent = self.inner.put_part(data);
        if self.parts_left > 0 {
            self.parts_left -= 1;
            return sent;
        }
        let mut gate = self.gate.clone();
        async move {
            gate.wait_for(|open| *open).await.expect("the test opens the gate");
            sent.await
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

#[async_trait]
impl ObjectStore for GatedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if location.as_ref().contains("/packs/") {
            self.gate.clone().wait_for(|open| *open).await.expect("the test opens the gate");
        }
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(GatedUpload { inner, parts_left: self.parts, gate: self.gate.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, mut gate) = (Arc::clone(&self.inner), self.gate.clone());
        let opened = async move {
            gate.wait_for(|open| *open).await.expect("the test opens the gate");
            inner.delete_stream(locations)
        };
        opened.flatten_stream().boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
