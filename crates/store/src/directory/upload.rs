//! An upload to a directory: a file under another name (`<name>#<number>`, which is no object's) until it is whole.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::direct::DirectFile;
use crate::piece::Buffers;

/// One that is dropped removes what it has written.
#[derive(Debug)]
pub(super) struct DirectoryUpload {
    place: PathBuf,
    staging: Option<PathBuf>,
    file: Arc<Mutex<Option<DirectFile>>>,
}

impl DirectoryUpload {
    pub(super) async fn begin(place: PathBuf, buffers: Buffers) -> Result<Self> {
        blocking(move || {
            let (staging, file) = stage(&place, &buffers)?;
            Ok(Self { place, staging: Some(staging), file: Arc::new(Mutex::new(Some(file))) })
        })
        .await
    }
}

#[async_trait]
impl MultipartUpload for DirectoryUpload {
    /// Parts are written in the order in which their futures are polled first: one is to be waited for before the next.
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let file = Arc::clone(&self.file);
        let write = move || {
            let mut open = file.lock().unwrap_or_else(PoisonError::into_inner);
            let file = open.as_mut().ok_or_else(ended)?;
            let written = part.iter().try_for_each(|bytes| file.write(bytes));
            if written.is_err() {
                // Of what comes next, nothing may hide that something is missing.
                *open = None;
            }
            written
        };
        blocking(write).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let staging = self.staging.take().ok_or_else(|| failed(ended()))?;
        let (file, place) = (Arc::clone(&self.file), self.place.clone());
        blocking(move || {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner).take();
            let renamed =
                file.ok_or_else(ended).and_then(DirectFile::finish).and_then(|()| fs::rename(&staging, &place));
            if renamed.is_err() {
                drop(fs::remove_file(staging));
            }
            renamed?;
            place.parent().map_or(Ok(()), sync_directory)
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        let staging = self.staging.take().ok_or_else(|| failed(ended()))?;
        blocking(move || fs::remove_file(staging)).await
    }
}

impl Drop for DirectoryUpload {
    fn drop(&mut self) {
        let Some(staging) = self.staging.take() else { return };
        // What is left nevertheless, gc removes.
        let remove = move || drop(fs::remove_file(staging));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Makes a file beside `place`, and the directories above it where they are missing. Its number is never used again: what
/// still works on an upload that was given up must not meet another.
fn stage(place: &Path, buffers: &Buffers) -> io::Result<(PathBuf, DirectFile)> {
    loop {
        let mut staging = place.as_os_str().to_owned();
        staging.push(format!("#{}", rand::random::<u64>()));
        let staging = PathBuf::from(staging);
        match DirectFile::create_new(&staging, buffers.clone()) {
            Ok(file) => return Ok((staging, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => make_directory(place.parent().ok_or(error)?)?,
            Err(error) => return Err(error),
        }
    }
}

/// Makes a directory and those above it that are missing, durably.
fn make_directory(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|above| !above.exists()).count();
    fs::create_dir_all(directory)?;
    directory.ancestors().take(missing + 1).try_for_each(sync_directory)
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("work on a blocking thread does not panic").map_err(failed)
}

fn failed(error: io::Error) -> Error {
    Error::Generic { store: "file", source: error.into() }
}

fn ended() -> io::Error {
    io::Error::other("the upload has ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upload_that_was_given_up_does_not_meet_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("packs").join("pack");
        let begin = || DirectoryUpload::begin(place.clone(), Buffers::default());
        let first = begin().await.unwrap();
        let staging = first.staging.clone();
        drop(first);
        let (mut second, mut third) = (begin().await.unwrap(), begin().await.unwrap());
        assert_ne!(second.staging, staging);
        assert_ne!(second.staging, third.staging);
        third.put_part("other bytes".into()).await.unwrap();
        third.abort().await.unwrap();
        second.put_part("bytes".into()).await.unwrap();
        assert!(!place.exists(), "it is there once it is whole");
        second.complete().await.unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"bytes");
        assert!(second.complete().await.is_err() && second.put_part("more".into()).await.is_err());
    }
}
