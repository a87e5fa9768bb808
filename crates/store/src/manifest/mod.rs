//! Manifests: what a backup holds, as pages of entries that are chunks like any other.
//!
//! The root lists the pages and lies sealed in the backup's record. Pages are cut at boundaries
//! that depend on what they hold and not on where it stands, so an unchanged directory yields the
//! same pages, and so the same chunks, the next day.

mod page;
mod read;
mod write;

use model::{ChunkLocation, Entry, Extent, SourceKind};
use serde::{Deserialize, Serialize};

pub use page::{BadPage, PageItem, decode_page};
pub use read::{EntryReader, ManifestReader};
pub use write::{ChunkSink, ContentWriter, PageWriter};

use crate::seal::{BadSeal, DataKey};

/// Where a file's bytes are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// There are none: empty files and everything that is no file.
    #[default]
    Empty,
    /// A few extents, in the order of the file.
    Inline(Vec<Extent>),
    /// Pages of extents, in the order of the file.
    Paged(Vec<ChunkLocation>),
}

/// One entry of a manifest: a file, directory or other node, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// All of it but its bytes.
    pub entry: Entry,
    /// Where its bytes are.
    pub content: Content,
}

/// The top of a manifest. Sealed in the backup's record: names appear nowhere in clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// How the resource was read.
    pub kind: SourceKind,
    /// The path that was read, as the machine that read it has it.
    pub source_path: Vec<u8>,
    /// The resource's display name.
    pub resource_name: Option<String>,
    /// When the resource was added to its region.
    pub resource_created_at: model::Timestamp,
    /// Pages of [`ManifestEntry`], in path order. An image has one entry: the root, a file.
    pub entry_pages: Vec<ChunkLocation>,
    /// Pages of [`model::Omission`]: what was left out.
    pub omission_pages: Vec<ChunkLocation>,
}

const ROOT_VERSION: u8 = 1;

impl Root {
    /// Seals the root under `key`; `context` is the snapshot's id, the same for every copy.
    pub fn seal(&self, key: &DataKey, context: model::SnapshotId) -> Vec<u8> {
        let mut plain = vec![ROOT_VERSION];
        plain = postcard::to_extend(self, plain).expect("serializing to memory");
        key.seal(&root_context(context), &plain)
    }

    /// Opens a sealed root.
    ///
    /// # Errors
    /// [`BadSeal`] when it is damaged or belongs to another snapshot or key.
    pub fn open(key: &DataKey, context: model::SnapshotId, sealed: &[u8]) -> Result<Self, BadSeal> {
        let plain = key.open(&root_context(context), sealed, None)?;
        match plain.split_first() {
            Some((&ROOT_VERSION, rest)) => postcard::from_bytes(rest).map_err(|_| BadSeal),
            _ => Err(BadSeal),
        }
    }
}

fn root_context(snapshot: model::SnapshotId) -> Vec<u8> {
    [b"offsite root".as_slice(), &snapshot.0].concat()
}
