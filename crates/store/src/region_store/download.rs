//! Reading a pack piece by piece, with its hash checked at the end.
//!
//! One request reads the whole pack, and over a network [`reading`] sees to it that it comes. Reading and hashing run ahead
//! of whoever takes the pieces, by [`AHEAD`] pieces at most, and stop when the download is dropped.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use model::{AccountId, ObjectName};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};
use tokio::sync::mpsc;

use super::reading::{self, Rest};
use super::{RegionStore, blocking, pack_key};
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
    rest: Rest,
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
        let (key, action) = (pack_key(account, name), "read pack");
        let rest = Rest::default();
        match self.open_object(&key, &rest).await {
            Ok(opened) => Ok(self.download(name, &key, action, opened, rest)),
            Err(error) => Err(self.unread(action, key.as_ref(), error).await),
        }
    }

    /// Reads a whole pack, checking that its bytes are those of its name.
    ///
    /// # Errors
    /// As [`RegionStore::open_pack`] and [`PackDownload::next`].
    pub async fn read_pack(&self, account: &AccountId, name: &ObjectName) -> Result<Bytes, StoreError> {
        let take = |bytes: &mut Vec<u8>, piece: &[u8]| {
            bytes.extend_from_slice(piece);
            true
        };
        self.scan_pack(account, name, ReadFrom::Cache, "read pack", Vec::new(), take).await.map(Bytes::from)
    }

    /// The same into `bytes`, in place of what is in it, without asking for more memory than it has room for: memory that is
    /// used again is faster.
    ///
    /// # Errors
    /// As [`RegionStore::read_pack`]; [`StoreErrorKind::Corrupt`] also when there is no room for the whole pack.
    pub async fn read_pack_into(
        &self,
        account: &AccountId,
        name: &ObjectName,
        from: ReadFrom,
        mut bytes: Vec<u8>,
    ) -> Result<Vec<u8>, StoreError> {
        bytes.clear();
        let take = |bytes: &mut Vec<u8>, piece: &[u8]| {
            let has_room = piece.len() <= bytes.capacity() - bytes.len();
            if has_room {
                bytes.extend_from_slice(piece);
            }
            has_room
        };
        self.scan_pack(account, name, from, "read pack", bytes, take).await
    }

    /// Reads and hashes a pack without keeping it.
    ///
    /// # Errors
    /// As [`RegionStore::open_pack`] and [`PackDownload::next`].
    pub async fn verify_pack(&self, account: &AccountId, name: &ObjectName, from: ReadFrom) -> Result<(), StoreError> {
        self.scan_pack(account, name, from, "verify pack", (), |(), _| true).await
    }

    /// Reads and hashes a pack, and has `take` put its pieces into what is returned once they are those of its name; a pack is
    /// corrupt of which it does not take one. One thread does all of that for a pack of a directory: no piece waits for
    /// another one to be woken.
    async fn scan_pack<T: Send + 'static>(
        &self,
        account: &AccountId,
        name: &ObjectName,
        from: ReadFrom,
        action: &'static str,
        mut into: T,
        take: fn(&mut T, &[u8]) -> bool,
    ) -> Result<T, StoreError> {
        let key = pack_key(account, name);
        let rest = Rest::default();
        match self.open_object(&key, &rest).await {
            Ok(GetResultPayload::File(file, _)) => {
                let buffers = self.buffers.clone();
                let scan = move || {
                    let take_in = |piece: Bytes| take(&mut into, &piece);
                    let hashed = match from {
                        ReadFrom::Cache => hash_file(file, &buffers, take_in),
                        ReadFrom::Disk => hash_file(DirectReader::new(file), &buffers, take_in),
                    };
                    (hashed, into)
                };
                let (hashed, into) = blocking(scan).await;
                let hashed = hashed.ok_or_else(|| self.too_long(action, &key))?;
                self.judge(action, key.as_ref(), name, hashed).await?;
                Ok(into)
            }
            Ok(opened) => {
                let mut download = self.download(name, &key, action, opened, rest);
                while let Some(piece) = download.next().await? {
                    if !take(&mut into, &piece) {
                        return Err(self.too_long(action, &key));
                    }
                }
                Ok(into)
            }
            Err(error) => Err(self.unread(action, key.as_ref(), error).await),
        }
    }

    fn too_long(&self, action: &'static str, key: &Path) -> StoreError {
        self.fault(StoreErrorKind::Corrupt, action, key.as_ref(), "it is longer than it should be")
    }

    /// What the end of a pack says of it.
    async fn judge(
        &self,
        action: &'static str,
        key: &str,
        name: &ObjectName,
        hashed: object_store::Result<ObjectName>,
    ) -> Result<(), StoreError> {
        match hashed {
            Ok(actual) if actual == *name => Ok(()),
            Ok(_) => Err(self.fault(StoreErrorKind::Corrupt, action, key, "its hash is not its name")),
            // Gone with the whole store, a pack is not lost.
            Err(error) => Err(self.unread(action, key, error).await),
        }
    }

    /// Has the pieces of what was opened arrive.
    fn download(
        &self,
        name: &ObjectName,
        key: &Path,
        action: &'static str,
        opened: GetResultPayload,
        rest: Rest,
    ) -> PackDownload {
        let (sender, arriving) = mpsc::channel(AHEAD);
        // Neither is waited for: they end when there is no more, or when nobody takes the pieces.
        match opened {
            GetResultPayload::File(file, _) => {
                let buffers = self.buffers.clone();
                drop(tokio::task::spawn_blocking(move || read_file(file, &buffers, &sender)));
            }
            GetResultPayload::Stream(parts) => drop(tokio::spawn(read_stream(parts, sender))),
        }
        PackDownload { store: self.clone(), name: *name, key: key.to_string(), action, rest, arriving }
    }

    async fn open_object(&self, key: &Path, rest: &Rest) -> object_store::Result<GetResultPayload> {
        if self.is_remote() {
            let (inner, key) = (Arc::clone(&self.inner), key.clone());
            let parts = reading::read(inner, key, self.habits.clone(), rest.clone()).await?;
            Ok(GetResultPayload::Stream(parts))
        } else {
            Ok(self.inner.get(key).await?.payload)
        }
    }
}

impl PackDownload {
    /// What has not come from the store yet.
    pub fn rest(&self) -> &Rest {
        &self.rest
    }

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
            Some(Arrival::End(hashed)) => {
                self.store.judge(self.action, &self.key, &self.name, hashed).await.map(|()| None)
            }
            None => {
                let unavailable = StoreErrorKind::Unavailable;
                Err(self.store.fault(unavailable, self.action, &self.key, "reading was stopped"))
            }
        }
    }
}

/// Reads, hashes and hands on, on a blocking thread.
fn read_file(file: impl Read, buffers: &Buffers, sender: &mpsc::Sender<Arrival>) {
    let hashed = hash_file(file, buffers, |piece| sender.blocking_send(Arrival::Piece(piece)).is_ok());
    // Whoever is not there any more needs no verdict.
    drop(hashed.map(|hashed| sender.blocking_send(Arrival::End(hashed))));
}

/// Hashes a file; each piece, while the cache has it. `None` when one is not taken.
fn hash_file(
    mut file: impl Read,
    buffers: &Buffers,
    mut take: impl FnMut(Bytes) -> bool,
) -> Option<object_store::Result<ObjectName>> {
    let mut hasher = blake3::Hasher::new();
    loop {
        let mut piece = buffers.piece();
        if let Err(error) = piece.read(&mut file) {
            return Some(Err(object_store::Error::Generic { store: "file", source: error.into() }));
        }
        let piece = piece.freeze();
        if piece.is_empty() {
            return Some(Ok(ObjectName(*hasher.finalize().as_bytes())));
        }
        hasher.update(&piece);
        if !take(piece) {
            return None;
        }
    }
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
                    // A copy, for what comes from a connection keeps the whole buffer that it was read into.
                    let piece = Bytes::copy_from_slice(&part.split_to(part.len().min(PIECE_BYTES)));
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
