//! Reading a pack piece by piece, with its hash checked at the end.
//!
//! One request reads the whole pack, and over a network [`reading`] sees to it that it comes. Reading and hashing run ahead
//! of whoever takes the pieces, by [`AHEAD`] pieces at most, and stop when the download is dropped.

use std::io::Read;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use model::{AccountId, ObjectName};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use tokio::sync::mpsc;

use super::{RegionStore, pack_key, reading};
use crate::directory::DirectReader;
use crate::error::{StoreError, StoreErrorKind};
use crate::piece::{Buffers, PIECE_BYTES};

/// Pieces that wait to be taken: one is hashed while the last one is handed on.
const AHEAD: usize = 2;

/// A pack that is being read.
#[derive(Debug)]
pub struct PackDownload {
    store: RegionStore,
    name: ObjectName,
    key: String,
    action: &'static str,
    arriving: mpsc::Receiver<Arrival>,
}

/// Where a pack of a directory is read from. Over a network it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The page cache, and the disk where that has nothing: for what was just written or will soon be read again.
    Cache,
    /// The disk itself, where the file system allows it: shows what is really there, and drives nothing out of the cache.
    Disk,
}

#[derive(Debug)]
enum Arrival {
    Piece(Bytes),
    /// The last one: the hash of all pieces, or why there are no more.
    End(Result<ObjectName, object_store::Error>),
}

impl RegionStore {
    /// Begins to read a pack.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotFound`] when it is not there.
    pub async fn open_pack(&self, account: &AccountId, name: &ObjectName) -> Result<PackDownload, StoreError> {
        self.open_pack_to(account, name, ReadFrom::Cache, "read pack").await
    }

    /// Reads a whole pack, checking that its bytes are those of its name.
    ///
    /// # Errors
    /// As [`RegionStore::open_pack`] and [`PackDownload::next`].
    pub async fn read_pack(&self, account: &AccountId, name: &ObjectName) -> Result<Bytes, StoreError> {
        let mut download = self.open_pack(account, name).await?;
        let mut bytes = BytesMut::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// Reads and hashes a pack without keeping it.
    ///
    /// # Errors
    /// As [`RegionStore::open_pack`] and [`PackDownload::next`].
    pub async fn verify_pack(&self, account: &AccountId, name: &ObjectName, from: ReadFrom) -> Result<(), StoreError> {
        let mut download = self.open_pack_to(account, name, from, "verify pack").await?;
        while download.next().await?.is_some() {}
        Ok(())
    }

    async fn open_pack_to(
        &self,
        account: &AccountId,
        name: &ObjectName,
        from: ReadFrom,
        action: &'static str,
    ) -> Result<PackDownload, StoreError> {
        let key = pack_key(account, name);
        let opened = match self.open_object(&key).await {
            Ok(opened) => opened,
            Err(error) => return Err(self.unread(action, key.as_ref(), error).await),
        };
        let (sender, arriving) = mpsc::channel(AHEAD);
        // Neither is waited for: they end when there is no more, or when nobody takes the pieces.
        match opened {
            GetResultPayload::File(file, _) => {
                let buffers = self.buffers.clone();
                drop(tokio::task::spawn_blocking(move || match from {
                    ReadFrom::Cache => read_file(file, &buffers, &sender),
                    ReadFrom::Disk => read_file(DirectReader::new(file), &buffers, &sender),
                }));
            }
            GetResultPayload::Stream(parts) => drop(tokio::spawn(read_stream(parts, sender))),
        }
        Ok(PackDownload { store: self.clone(), name: *name, key: key.to_string(), action, arriving })
    }

    async fn open_object(&self, key: &Path) -> object_store::Result<GetResultPayload> {
        if self.is_remote() {
            let parts = reading::read(Arc::clone(&self.inner), key.clone(), self.habits.clone()).await?;
            Ok(GetResultPayload::Stream(parts))
        } else {
            Ok(self.inner.get(key).await?.payload)
        }
    }
}

impl PackDownload {
    /// The next piece, or `None` once all were handed out and their hash is the pack's name.
    ///
    /// Until then nothing vouches for the pieces: what is made of them must not become visible.
    ///
    /// # Errors
    /// [`StoreErrorKind::Corrupt`], in place of `None`, when the hash is another.
    /// [`StoreErrorKind::Unavailable`] when the store stopped answering: open the pack again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.arriving.recv().await {
            Some(Arrival::Piece(piece)) => Ok(Some(piece)),
            Some(Arrival::End(Ok(actual))) if actual == self.name => Ok(None),
            Some(Arrival::End(Ok(_))) => Err(self.fault(StoreErrorKind::Corrupt, "its hash is not its name")),
            // Gone with the whole store, a pack is not lost.
            Some(Arrival::End(Err(error))) => Err(self.store.unread(self.action, &self.key, error).await),
            None => Err(self.fault(StoreErrorKind::Unavailable, "reading was stopped")),
        }
    }

    fn fault(&self, kind: StoreErrorKind, why: &str) -> StoreError {
        self.store.fault(kind, self.action, &self.key, why)
    }
}

/// Reads and hashes on a blocking thread of its own, so that each piece is hashed while the cache has it.
fn read_file(mut file: impl Read, buffers: &Buffers, sender: &mpsc::Sender<Arrival>) {
    let mut hasher = blake3::Hasher::new();
    let end = loop {
        let mut piece = buffers.piece();
        if let Err(error) = piece.read(&mut file) {
            break Err(object_store::Error::Generic { store: "file", source: error.into() });
        }
        let piece = piece.freeze();
        if piece.is_empty() {
            break Ok(ObjectName(*hasher.finalize().as_bytes()));
        }
        hasher.update(&piece);
        if sender.blocking_send(Arrival::Piece(piece)).is_err() {
            return;
        }
    };
    // Whoever is not there any more needs no verdict.
    drop(sender.blocking_send(Arrival::End(end)));
}

/// Hashes in place: parts come in small from a network, so no other task waits for long.
async fn read_stream(mut parts: BoxStream<'static, object_store::Result<Bytes>>, sender: mpsc::Sender<Arrival>) {
    let mut hasher = blake3::Hasher::new();
    let end = loop {
        let next = tokio::select! {
            () = sender.closed() => return,
            next = parts.try_next() => next,
        };
        match next {
            Ok(Some(mut part)) => {
                while !part.is_empty() {
                    let piece = part.split_to(part.len().min(PIECE_BYTES));
                    hasher.update(&piece);
                    if sender.send(Arrival::Piece(piece)).await.is_err() {
                        return;
                    }
                }
            }
            Ok(None) => break Ok(ObjectName(*hasher.finalize().as_bytes())),
            Err(error) => break Err(error),
        }
    };
    drop(sender.send(Arrival::End(end)).await);
}
