//! Requests of FSx: typed, and checked against the model.

mod backup;
mod file_system;
mod listing;
mod lustre;
mod ontap;
mod openzfs;
mod tagging;
mod windows;

pub use backup::{CopyBackup, CreateBackup, DeleteBackup, Subject};
pub use file_system::{
    CreateFileSystem, CreateFileSystemFromBackup, DeleteFileSystem, DeleteFileSystemConfiguration,
    DeleteFileSystemOpenZfsConfiguration, DiskIopsConfiguration, UpdateFileSystem,
};
pub use listing::{
    BackupCondition, BackupProperty, DescribeBackups, DescribeFileSystems, DescribeStorageVirtualMachines,
    DescribeVolumes, Filter, StorageVirtualMachineFilter, VolumeFilter,
};
pub use lustre::{
    CreateFileSystemLustreConfiguration, LustreLogConfiguration, LustreMetadataConfiguration,
    LustreReadCacheConfiguration, LustreRootSquashConfiguration, UpdateFileSystemLustreConfiguration,
    UpdateFileSystemLustreMetadataConfiguration,
};
pub use ontap::{CreateFileSystemOntapConfiguration, UpdateFileSystemOntapConfiguration};
pub use openzfs::{
    CreateFileSystemOpenZfsConfiguration, OpenZfsClientConfiguration, OpenZfsCreateRootVolumeConfiguration,
    OpenZfsNfsExport, OpenZfsReadCacheConfiguration, OpenZfsUserOrGroupQuota, UpdateFileSystemOpenZfsConfiguration,
};
pub use tagging::{ListTagsForResource, Tag, TagResource, UntagResource};
pub use windows::{
    CreateFileSystemWindowsConfiguration, SelfManagedActiveDirectoryConfiguration,
    SelfManagedActiveDirectoryConfigurationUpdates, UpdateFileSystemWindowsConfiguration, WindowsAuditLogConfiguration,
    WindowsFsrmConfiguration,
};

/// A request to an operation that is served, with all its members checked against the model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the structures, which are documented")]
pub enum Request {
    CopyBackup(CopyBackup),
    CreateBackup(CreateBackup),
    DescribeBackups(DescribeBackups),
    DeleteBackup(DeleteBackup),
    CreateFileSystem(Box<CreateFileSystem>),
    CreateFileSystemFromBackup(Box<CreateFileSystemFromBackup>),
    DescribeFileSystems(DescribeFileSystems),
    UpdateFileSystem(Box<UpdateFileSystem>),
    DeleteFileSystem(DeleteFileSystem),
    TagResource(TagResource),
    UntagResource(UntagResource),
    ListTagsForResource(ListTagsForResource),
    DescribeVolumes(DescribeVolumes),
    DescribeStorageVirtualMachines(DescribeStorageVirtualMachines),
}
