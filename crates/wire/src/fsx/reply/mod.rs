//! Replies of FSx. Members without a value are left out; they can be read back, so that descriptions can be kept.

mod backup;
mod file_system;
mod lustre;
mod ontap;
mod openzfs;
mod windows;

pub use backup::{ActiveDirectoryBackupAttributes, Backup, OntapVolumeConfiguration, Volume};
pub use file_system::{AdministrativeAction, FailureDetails, FileSystem, KeptFileSystem};
pub use lustre::{DataRepositoryConfiguration, LustreFileSystemConfiguration};
pub use ontap::{FileSystemEndpoint, FileSystemEndpoints, OntapFileSystemConfiguration};
pub use openzfs::OpenZfsFileSystemConfiguration;
use serde::Serialize;
pub use windows::{Alias, SelfManagedActiveDirectoryAttributes, WindowsFileSystemConfiguration};

use super::request::Tag;
use super::words::{BackupLifecycle, FileSystemLifecycle};

/// Declares structures of a reply: members that are always there, then members that may be absent. Wire names
/// are the fields' in Pascal case unless said otherwise.
macro_rules! output {
    ($($(#[$doc:meta])* $name:ident {
        always { $($(#[$about:meta])* $field:ident: $type:ty,)* }
        optional { $($(#[$optional_about:meta])* $optional:ident: $optional_type:ty,)* }
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        #[expect(missing_docs, reason = "named as in the vendor's API reference")]
        pub struct $name {
            $($(#[$about])* pub $field: $type,)*
            $($(#[$optional_about])* #[serde(skip_serializing_if = "Option::is_none")]
            pub $optional: Option<$optional_type>,)*
        }
    )*};
}
use output;

/// The reply of `CopyBackup` and `CreateBackup`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BackupReply {
    /// The new backup.
    pub backup: Backup,
}

/// The reply of `DescribeBackups`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeBackupsReply {
    /// One page.
    pub backups: Vec<Backup>,
    /// Where the next one starts, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The reply of `DeleteBackup`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteBackupReply {
    /// The backup that is gone.
    pub backup_id: String,
    /// `DELETED`.
    pub lifecycle: BackupLifecycle,
}

/// The reply of `CreateFileSystem`, `CreateFileSystemFromBackup` and `UpdateFileSystem`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct FileSystemReply {
    /// The file system.
    pub file_system: FileSystem,
}

/// The reply of `DescribeFileSystems`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeFileSystemsReply {
    /// One page.
    pub file_systems: Vec<FileSystem>,
    /// Where the next one starts, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

output! {
    /// The reply of `DeleteFileSystem`: at most one response, when a last backup is made.
    DeleteFileSystemReply {
        always {
            file_system_id: String,
            lifecycle: FileSystemLifecycle,
        }
        optional {
            windows_response: FinalBackup,
            lustre_response: FinalBackup,
            #[serde(rename = "OpenZFSResponse")]
            openzfs_response: FinalBackup,
        }
    }

    /// The last backup of a file system that is deleted.
    FinalBackup {
        always {}
        optional {
            final_backup_id: String,
            final_backup_tags: Vec<Tag>,
        }
    }
}

/// The reply of `ListTagsForResource`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceReply {
    /// One page; empty when there are none.
    pub tags: Vec<Tag>,
    /// Where the next one starts, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// The reply of `DescribeVolumes`: there are none here.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVolumesReply {
    /// Empty.
    pub volumes: Vec<Volume>,
}

/// The reply of `DescribeStorageVirtualMachines`: there are none here.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStorageVirtualMachinesReply {
    /// Empty.
    pub storage_virtual_machines: [(); 0],
}
