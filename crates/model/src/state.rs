//! The life of a backup, as states and the events that move it between them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

/// Where a backup is in its life. The APIs have their own words for these at the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum BackupState {
    /// Its resource is being read.
    Creating,
    /// Its packs are on their way from another region.
    Copying,
    /// Every byte it names is in its region's store.
    Available,
    /// It will never become available; the row says why.
    Failed,
    /// It is being removed.
    Deleting,
}

/// Who asked for a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A caller. It stays until someone removes it.
    #[default]
    #[serde(rename = "USER")]
    User,
    /// A schedule, whose retention also removes it.
    #[serde(rename = "AUTOMATIC")]
    Automatic,
}

impl Origin {
    /// The name in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Automatic => "AUTOMATIC",
        }
    }
}

impl FromStr for Origin {
    type Err = InvalidId;
    fn from_str(given: &str) -> Result<Self, InvalidId> {
        [Self::User, Self::Automatic].into_iter().find(|origin| origin.as_str() == given).ok_or_else(|| InvalidId {
            kind: "origin of a backup",
            given: given.to_owned(),
            expected: "USER or AUTOMATIC",
        })
    }
}

/// What happens to a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupEvent {
    /// Its record was written and all it names is there.
    Published,
    /// The work ended with a final error.
    GaveUp,
    /// A person, a policy or a clean-up asked for its removal.
    DeleteRequested,
}

/// A move that the life of a backup does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a backup in state {state} cannot take {event:?}")]
pub struct IllegalMove {
    /// The state it was in.
    pub state: BackupState,
    /// What was tried.
    pub event: BackupEvent,
}

impl BackupState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Creating, Self::Copying, Self::Available, Self::Failed, Self::Deleting];

    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalMove`] for a pair that the life of a backup does not have.
    pub fn after(self, event: BackupEvent) -> Result<Self, IllegalMove> {
        use {BackupEvent as E, BackupState as S};
        match (self, event) {
            (S::Creating | S::Copying, E::Published) => Ok(S::Available),
            (S::Creating | S::Copying, E::GaveUp) => Ok(S::Failed),
            // Asking again is how an interrupted removal is finished.
            (_, E::DeleteRequested) => Ok(S::Deleting),
            (state, event) => Err(IllegalMove { state, event }),
        }
    }

    /// Whether a worker is, or was, at work on it.
    pub fn is_in_progress(self) -> bool {
        matches!(self, Self::Creating | Self::Copying)
    }

    /// The name in the catalog, in JSON and in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Copying => "COPYING",
            Self::Available => "AVAILABLE",
            Self::Failed => "FAILED",
            Self::Deleting => "DELETING",
        }
    }
}

impl fmt::Display for BackupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BackupState {
    type Err = InvalidId;
    fn from_str(given: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|state| state.as_str() == given).ok_or_else(|| InvalidId {
            kind: "backup state",
            given: given.to_owned(),
            expected: "CREATING, COPYING, AVAILABLE, FAILED or DELETING",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_available_or_failed_but_by_deletion() {
        for state in [BackupState::Available, BackupState::Failed, BackupState::Deleting] {
            assert!(state.after(BackupEvent::Published).is_err());
            assert!(state.after(BackupEvent::GaveUp).is_err());
            assert_eq!(state.after(BackupEvent::DeleteRequested), Ok(BackupState::Deleting));
        }
    }
}
