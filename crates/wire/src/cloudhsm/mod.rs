//! AWS CloudHSM v2, version 2017-04-28: clusters and their backups.
//!
//! [`request::parse`] makes a checked [`request::Request`] of a body, the structures of [`reply`] describe what
//! there is, and [`CloudHsmError`] says why not. The rules that need no state are here too: [`copy`], [`tags`],
//! [`retention`], [`filter`], [`policy`], and the [`certificates`] of clusters.

pub mod certificates;
pub mod copy;
mod error;
pub mod filter;
mod operation;
pub mod policy;
pub mod reply;
pub mod request;
pub mod retention;
mod scalar;
pub mod tags;
pub mod words;

pub use error::{CloudHsmError, ErrorCode, RequestError};
pub use operation::Operation;
pub use request::{Request, parse};
