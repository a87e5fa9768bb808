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

/// Ranges are read in turns of so many bytes. Those of a turn that touch are read into the same memory, and 8 MiB or more of
/// that is given back at once by the allocator, and has to be made anew for the next.
const TURN_BYTES_MAX: u64 = 4 << 20;

/// Cuts ranges into turns: of one range at least.
fn in_turns(ranges: &[Range<u64>]) -> impl Iterator<Item = &[Range<u64>]> {
    let mut bytes = 0_u64;
    ranges.chunk_by(move |before, range| {
        bytes = bytes.saturating_add(before.end.saturating_sub(before.start));
        let fits = bytes.saturating_add(range.end.saturating_sub(range.start)) <= TURN_BYTES_MAX;
        bytes = if fits { bytes } else { 0 };
        fits
    })
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
        let mut parts = Vec::with_capacity(ranges.len());
        for some in in_turns(ranges) {
            parts.extend(self.files.get_ranges(location, some).await?);
        }
        Ok(parts)
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

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn turns_are_short_and_leave_nothing_out() {
        let mebibytes = |lens: &[u64]| {
            let ranges = lens.iter().map(|len| 7..7 + (len << 20));
            let ranges: Vec<Range<u64>> = ranges.collect();
            in_turns(&ranges).map(<[_]>::len).collect::<Vec<_>>()
        };
        assert_eq!(mebibytes(&[]), [0; 0]);
        assert_eq!(mebibytes(&[1, 1, 1, 1, 1]), [4, 1]);
        assert_eq!(mebibytes(&[9, 1, 3, 1, 9, 9, 2]), [1, 2, 1, 1, 1, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn ranges_are_read_in_the_order_they_are_asked_for(
            starts in proptest::collection::vec(0_usize..9_000_000, 0..12),
            len in 1_usize..2_000_000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let bytes: Bytes = (0..11_000_000_u64).map(|at| (at ^ at >> 9).to_le_bytes()[0]).collect();
            let expected: Vec<Bytes> = starts.iter().map(|start| bytes.slice(*start..start + len)).collect();
            let ranges: Vec<Range<u64>> =
                starts.into_iter().map(|start| start as u64..(start + len) as u64).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(async {
                let store = open_directory(folder.path()).unwrap();
                store.put(&Path::from("object"), bytes.clone().into()).await.unwrap();
                store.get_ranges(&Path::from("object"), &ranges).await.unwrap()
            });
            prop_assert!(read == expected);
        }
    }
}
