//! Sealing a pack anew on its way from a source region to a target.

use bytes::Bytes;

use crate::chunks::{ChunkError, PackRef};
use crate::pack::{self, SealedPack};
use crate::region_store::RegionStore;
use crate::seal::DataKey;

/// Seals the pack in `bytes` under `new`; its id and offsets stay. Runs on a blocking thread.
///
/// # Errors
/// [`ChunkError::Damaged`] when the pack does not open under `old`.
pub async fn reencrypt(
    source: &RegionStore,
    pack: PackRef,
    old: DataKey,
    new: DataKey,
    bytes: Bytes,
) -> Result<SealedPack, ChunkError> {
    let sealed = tokio::task::spawn_blocking(move || pack::reencrypt(pack.id, &old, &new, &bytes));
    sealed.await.expect("sealing does not panic").map_err(|_| ChunkError::Damaged {
        region: source.region().clone(),
        pack: pack.id,
        object: pack.object_name.to_string(),
        offset: 0,
    })
}
