//! Omissions: what a backup or a restore left out, and why.

use serde::{Deserialize, Serialize};

use crate::entry::RelPath;

/// One thing that a backup or a restore did not do for one path. Never silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// Where, relative to the resource's root.
    pub path: RelPath,
    /// What kind of trouble it was.
    pub kind: OmissionKind,
    /// The cause in words, e.g. the operating system's message.
    pub detail: String,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OmissionKind {
    /// It could not be read; the backup fails unless the caller chose to allow it.
    Unreadable,
    /// It changed each time it was read; what is stored may mix two versions.
    Changing,
    /// It was deleted between being listed and being read.
    Vanished,
    /// Another file system is mounted there; its contents were not asked for.
    MountPoint,
    /// A socket: recorded, but a restore does not make one.
    Socket,
    /// An attribute (owner, mode, xattr, time) that could not be set on restore.
    Attribute,
    /// A device that the user who restores may not make.
    Device,
    /// An entry that could not be made on restore.
    NotRestored,
    /// It is a part of a region: its store or its catalog.
    OwnPlace,
    /// What the resource's exclusions name. One for each of them that names something, for the whole tree.
    Excluded,
}

impl OmissionKind {
    /// Whether a backup with such an omission is incomplete and must be asked for explicitly.
    pub fn fails_a_backup(self) -> bool {
        matches!(self, Self::Unreadable)
    }

    /// Whether it is left out by every backup, so that one without it is complete.
    pub fn is_expected(self) -> bool {
        matches!(self, Self::OwnPlace | Self::Excluded)
    }

    /// Whether a resource that was filled by a restore with such an omission is not what its backup has.
    pub fn fails_a_resource(self) -> bool {
        matches!(self, Self::NotRestored)
    }
}

impl Omission {
    /// In one line the first few of those of a kind that matters, and how many more there are; `None` where there are none.
    pub fn summary(omissions: &[Self], matters: impl Fn(OmissionKind) -> bool) -> Option<String> {
        let found: Vec<&Self> = omissions.iter().filter(|omission| matters(omission.kind)).collect();
        let shown: Vec<String> = found.iter().take(SUMMARY_MAX).map(ToString::to_string).collect();
        match found.len().saturating_sub(shown.len()) {
            _ if found.is_empty() => None,
            0 => Some(shown.join("; ")),
            more => Some(format!("{}; and {more} more", shown.join("; "))),
        }
    }
}

/// More than so many in one line say less, not more.
const SUMMARY_MAX: usize = 5;

impl std::fmt::Display for OmissionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "could not be read",
            Self::Changing => "changed while it was read",
            Self::Vanished => "vanished before it was read",
            Self::MountPoint => "is a mount point, not crossed",
            Self::Socket => "is a socket, not restored",
            Self::Attribute => "lacks an attribute",
            Self::Device => "is a device, not made without the right to",
            Self::NotRestored => "was not restored",
            Self::OwnPlace => "is offsite's own, not backed up",
            Self::Excluded => "is backed up without what is excluded",
        })
    }
}

impl std::fmt::Display for Omission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.path, self.kind)?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, ": {}", self.detail) }
    }
}
