//! A directory as an object store: `object_store`'s own, but for uploads in parts, which go to the disk directly.
//!
//! Nobody reads a copy soon after it was made, so its bytes have no use for the page cache. To make room for them there takes
//! a multiple of the processor's time that it takes to hand them to the disk, and drives out what others need.

mod direct;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};

use crate::piece::Buffers;
pub(crate) use direct::DirectReader;
use upload::DirectoryUpload;

/// Opens the directory `root` as an object store whose writes are durable when they return.
///
/// # Errors
/// When the directory does not exist or cannot be read.
pub fn open_directory(root: &std::path::Path) -> Result<Arc<dyn ObjectStore>> {
    let files = LocalFileSystem::new_with_prefix(root)?.with_fsync(true);
    Ok(Arc::new(Directory { files, buffers: Buffers::default() }))
}

#[derive(Debug)]
struct Directory {
    files: LocalFileSystem,
    buffers: Buffers,
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Directory {
    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let place = self.files.path_to_filesystem(location)?;
        Ok(Box::new(DirectoryUpload::begin(place, self.buffers.clone()).await?))
    }

    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.files.put_opts(location, payload, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }
}
