//! One region's catalog: what exists, who is at work on it, and which packs keep which backup alive.
//!
//! The catalog is SQL and nothing else: it never touches an object store, and no transaction stays
//! open across anything but SQL. What the rest of the system leans on:
//! - every write of a worker names its [`Fence`]; one that changes no row is [`CatalogErrorKind::LostLease`];
//! - a pack row goes away only through doomed, deleting, forgotten, and never while an edge names it;
//! - every time is the database's own clock, so that machines need not agree on theirs.

mod accept;
mod backup;
mod batch;
mod column;
mod database;
mod error;
mod event;
mod gc;
mod hold;
mod intent;
mod key;
mod lease;
mod lifecycle;
mod meta;
mod pack;
mod policy;
mod resource;
mod share;
mod token;

pub use accept::{Accepted, Quota, Terms};
pub use backup::{BackupFilter, BackupRow};
pub use database::{Catalog, Missing, sqlite_url};
pub use error::{CatalogError, CatalogErrorKind};
pub use event::EventRow;
pub use gc::{Orphan, UNKNOWN_DATA_KEY};
pub use hold::HoldRow;
pub use intent::{NewPack, Standing};
pub use key::{WrappedKey, WrappedKeyRow};
pub use lease::{Fence, LeaseRequest};
pub use lifecycle::{BackupSource, NewBackup, Published, RestoredBackup};
pub use pack::PackRow;
pub use policy::{Binding, PolicyRow, ScheduledRun};
pub use resource::ResourceRow;
pub use share::ShareRow;
pub use token::{Earlier, RequestToken};
