//! Bytes of a region: packs, manifests, records and data keys over an object store.
//!
//! The formats are described byte by byte in `docs/format.md`. This crate knows no SQL and no HTTP.

mod address;
mod aws;
pub mod bucket;
mod checksum;
pub mod chunks;
mod courtesy;
mod credentials;
mod directory;
pub mod error;
pub mod keys;
pub mod manifest;
pub mod pack;
mod piece;
pub mod record;
pub mod region_store;
pub mod seal;
mod silence;
pub mod transfer;

pub use address::InvalidAddress;
pub use bucket::{Bucket, BucketAddress, S3Service};
pub use chunks::{ChunkError, ChunkSource, KeyRing, PackRef};
pub use courtesy::Limits;
pub use error::{StoreError, StoreErrorKind};
pub use keys::{KeyError, KeyErrorKind, KeyInfo, KeyService, KeyState, KmsAddress, WrapContext, Wrapped, WrappedKey};
pub use pack::{PackBuilder, SealedPack};
pub use piece::{Buffers, PIECE_BYTES, Piece};
pub use record::{Lineage, Record, RecordHead};
pub use region_store::{PackDownload, PackUpload, ReadFrom, RegionStore, Rest, SeenOwner};
pub use seal::{BadSeal, DataKey, Opener, Sealer};
