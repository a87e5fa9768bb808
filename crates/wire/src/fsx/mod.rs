//! Amazon FSx, version 2018-03-01: file systems and their backups.
//!
//! [`parse`] makes a checked [`request::Request`] of a body, the structures of [`reply`] describe what there
//! is, and [`FsxError`] says why not. The rules that need no state are here too: [`tags`], [`paging`],
//! [`idempotency`] and [`settings`].

mod error;
pub mod idempotency;
mod operation;
pub mod paging;
pub mod reply;
pub mod request;
mod scalar;
pub mod settings;
pub mod tags;
pub mod words;

pub use error::{FsxCode, FsxError};
pub use operation::{NotServed, Parsed, is_known, parse};
