//! The words of offsite: ids, regions, sizes, states and file entries, without I/O.

pub mod effect;
pub mod entry;
pub mod exclusions;
pub mod ids;
pub mod region;
pub mod report;
pub mod resource;
pub mod size;
pub mod state;
pub mod time;

pub use entry::{ChunkLocation, DeviceNumber, Entry, EntryKind, Extent, FileTime, Inode, RelPath};
pub use exclusions::Exclusions;
pub use ids::{
    AccountId, BackupId, ChunkHash, DataKeyId, HsmId, KmsKeyId, ObjectName, PackId, PolicyId, ResourceId, SnapshotId,
};
pub use region::{Partition, Region};
pub use report::{Omission, OmissionKind};
pub use resource::{ResourceKind, ResourceState, Service, SourceKind};
pub use size::ByteSize;
pub use state::{BackupEvent, BackupState, IllegalMove, Origin};
pub use time::{Clock, SystemClock, Timestamp};
