//! What can go wrong in the engine: what failed, by name, and what to do next.

use catalog::{CatalogError, CatalogErrorKind};
use model::Omission;
use store::{ChunkError, KeyError, KeyErrorKind, StoreError, StoreErrorKind};

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The key service failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A chunk could not be read.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A local file could not be read or written.
    #[error("failed to {action}")]
    File {
        /// What was being done, with the name in it.
        action: String,
        /// The operating system's word.
        #[source]
        source: std::io::Error,
    },
    /// A backup would have had to leave out what it may not.
    #[error("{message}")]
    Incomplete {
        /// What is wrong, with the first names in it.
        message: String,
        /// All that could not be read.
        unreadable: Vec<Omission>,
    },
    /// The request cannot be carried out as it stands.
    #[error("{message}")]
    Refused {
        /// What the caller can do about it.
        kind: ErrorKind,
        /// What is wrong, with the names in it.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// What the caller can do about an [`EngineError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such thing; list what there is.
    NotFound,
    /// The request is wrong; change it.
    Invalid,
    /// Something else stands in the way now; try again later or remove it.
    Conflict,
    /// A part did not answer; the same command may work later.
    Unavailable,
    /// Bytes are damaged; a person needs to look.
    Damaged,
    /// A permission or a key is missing.
    Denied,
    /// There is no room; make some and run the same command again.
    Full,
    /// It failed for good.
    Failed,
}

impl EngineError {
    pub(crate) fn refused(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Refused { kind, message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Refused { kind, message, .. } => Self::Refused { kind, message, hint: Some(text.into()) },
            other => other,
        }
    }

    pub(crate) fn file(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::File { action, source }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) | Self::Chunk(ChunkError::Store(error)) => match error.kind {
                StoreErrorKind::NotFound | StoreErrorKind::Corrupt => ErrorKind::Damaged,
                StoreErrorKind::Denied => ErrorKind::Denied,
                StoreErrorKind::Full => ErrorKind::Full,
                StoreErrorKind::Unfit => ErrorKind::Failed,
                // Not for good: the region goes on where the catalog is that the store belongs to.
                StoreErrorKind::Unavailable | StoreErrorKind::Disowned => ErrorKind::Unavailable,
            },
            Self::Chunk(_) => ErrorKind::Damaged,
            Self::Catalog(error) => match error.kind {
                CatalogErrorKind::NotFound => ErrorKind::NotFound,
                CatalogErrorKind::Full => ErrorKind::Full,
                CatalogErrorKind::ReadOnly => ErrorKind::Denied,
                CatalogErrorKind::Corrupt => ErrorKind::Damaged,
                CatalogErrorKind::Unavailable | CatalogErrorKind::Busy => ErrorKind::Unavailable,
                _ => ErrorKind::Conflict,
            },
            Self::Key(error) => match error.kind {
                KeyErrorKind::NotFound | KeyErrorKind::Disabled | KeyErrorKind::Denied => ErrorKind::Denied,
                KeyErrorKind::Unsupported => ErrorKind::Failed,
                KeyErrorKind::Damaged => ErrorKind::Damaged,
                KeyErrorKind::Unavailable => ErrorKind::Unavailable,
            },
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
                _ => ErrorKind::Failed,
            },
            Self::Incomplete { .. } => ErrorKind::Failed,
            Self::Refused { kind, .. } => *kind,
        }
    }

    /// Whether running the same command later may succeed, going on from what has been done.
    pub fn is_worth_retrying(&self) -> bool {
        // So is a server of the database whose place another is about to take, and a file whose place a rebuild has taken.
        let is_read_only = matches!(self, Self::Catalog(error) if error.kind == CatalogErrorKind::ReadOnly);
        is_read_only || matches!(self.kind(), ErrorKind::Unavailable | ErrorKind::Full | ErrorKind::Conflict)
    }

    /// Whether it says that the region's store belongs to another catalog than the one that is used here.
    pub fn is_disowned(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind == StoreErrorKind::Disowned)
    }

    /// What to do next, where the message does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::Incomplete { .. } => {
                Some("make them readable, or accept a list of what is left out with --allow-incomplete".to_owned())
            }
            Self::Catalog(error) if error.kind == CatalogErrorKind::Corrupt => {
                Some("make a new catalog from the store with `offsite rebuild --region <region>`".to_owned())
            }
            Self::Store(error) if matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::Corrupt) => {
                Some(format!(
                    "mend it from another region with `offsite verify --region {} --repair-from <region>`",
                    error.region
                ))
            }
            Self::Store(error) if error.kind == StoreErrorKind::Disowned => Some(format!(
                "have the configuration name the catalog that the store was given to, and start again; if that one is \
                 lost, make another with `offsite rebuild --region {}`",
                error.region
            )),
            _ => None,
        }
    }
}
