//! Resources: what is backed up, and how its bytes are read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

/// The kind of thing a resource is, as the APIs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceKind {
    /// An FSx for Lustre file system: a directory.
    Lustre,
    /// An FSx for Windows file system: a directory.
    Windows,
    /// An FSx for OpenZFS file system: a directory.
    OpenZfs,
    /// A CBS disk: an image file or block device.
    Disk,
    /// A CloudHSM cluster: a token directory.
    Hsm,
}

/// How a resource's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// As a directory tree.
    Tree,
    /// As one image, a file or a block device.
    Image,
}

/// The cloud API that a kind of resource belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Amazon FSx.
    Fsx,
    /// AWS CloudHSM v2.
    CloudHsm,
    /// Tencent Cloud Block Storage.
    Cbs,
}

impl Service {
    /// The name in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fsx => "fsx",
            Self::CloudHsm => "cloudhsm",
            Self::Cbs => "cbs",
        }
    }
}

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceState {
    /// Its directory or image is being made or filled.
    Creating,
    /// It can be used and backed up.
    Available,
    /// It is being removed, perhaps after a last backup.
    Deleting,
    /// It could not be made; the row says why.
    Failed,
}

impl ResourceState {
    /// The name in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "CREATING",
            Self::Available => "AVAILABLE",
            Self::Deleting => "DELETING",
            Self::Failed => "FAILED",
        }
    }
}

impl FromStr for ResourceState {
    type Err = InvalidId;
    fn from_str(given: &str) -> Result<Self, InvalidId> {
        let all = [Self::Creating, Self::Available, Self::Deleting, Self::Failed];
        all.into_iter().find(|state| state.as_str() == given).ok_or_else(|| InvalidId {
            kind: "resource state",
            given: given.to_owned(),
            expected: "CREATING, AVAILABLE, DELETING or FAILED",
        })
    }
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Lustre, Self::Windows, Self::OpenZfs, Self::Disk, Self::Hsm];

    /// How resources of this kind are read.
    pub fn source_kind(self) -> SourceKind {
        match self {
            Self::Lustre | Self::Windows | Self::OpenZfs | Self::Hsm => SourceKind::Tree,
            Self::Disk => SourceKind::Image,
        }
    }

    /// The API that knows resources of this kind.
    pub fn service(self) -> Service {
        match self {
            Self::Lustre | Self::Windows | Self::OpenZfs => Service::Fsx,
            Self::Hsm => Service::CloudHsm,
            Self::Disk => Service::Cbs,
        }
    }

    /// The name on the command line and in the catalog.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lustre => "lustre",
            Self::Windows => "windows",
            Self::OpenZfs => "openzfs",
            Self::Disk => "disk",
            Self::Hsm => "hsm",
        }
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ResourceKind {
    type Err = InvalidId;
    fn from_str(given: &str) -> Result<Self, InvalidId> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == given).ok_or_else(|| InvalidId {
            kind: "resource type",
            given: given.to_owned(),
            expected: "lustre, windows, openzfs, disk or hsm",
        })
    }
}
