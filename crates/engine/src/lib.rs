//! The rules: backups, copies, restores, verification and gc over a region's three parts.
//!
//! One operation per file. Nothing here has heard of HTTP or of the command line; what can be
//! decided without I/O is decided in plain functions, and a thin async layer acts on it.

mod acceptance;
pub mod backup;
pub mod backups;
pub mod context;
pub mod copy;
pub mod error;
pub mod forget;
pub mod gc;
mod keys;
mod lease;
pub mod managed;
pub mod manifest_view;
pub mod medium;
mod own;
mod pace;
pub mod progress;
pub mod rebuild;
pub mod resources;
pub mod restore;
pub mod resume;
pub mod verify;
mod worker;

pub use acceptance::Acceptance;
pub use backup::describe;
pub use context::{OwnPlace, RegionContext};
pub use error::{EngineError, ErrorKind};
pub use pace::Pace;
pub use progress::Progress;
pub use worker::{PART_PACKS, Worker};
