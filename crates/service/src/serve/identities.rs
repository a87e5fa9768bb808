//! The identities of a running server: read again whenever their file has changed.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use crate::config::Identities;

/// An identities file, and what it said when it was last read.
#[derive(Debug)]
pub(crate) struct IdentityFile {
    path: PathBuf,
    known: RwLock<(Option<SystemTime>, Arc<Identities>)>,
}

impl IdentityFile {
    /// The file at `path`, which says `identities`.
    pub(crate) fn new(path: PathBuf, identities: Identities) -> Self {
        // Of no time yet: the first look reads it again.
        Self { path, known: RwLock::new((None, Arc::new(identities))) }
    }

    /// What the file says now. A file that cannot be read changes nothing.
    pub(crate) fn get(&self) -> Arc<Identities> {
        let changed_at = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        let (known_at, known) = match self.known.read() {
            Ok(known) => known.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        };
        if changed_at.is_none() || changed_at == known_at {
            return known;
        }
        match Identities::load(&self.path) {
            Ok(identities) => {
                let identities = Arc::new(identities);
                if let Ok(mut known) = self.known.write() {
                    *known = (changed_at, Arc::clone(&identities));
                }
                identities
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the identities file is not taken over");
                known
            }
        }
    }
}
