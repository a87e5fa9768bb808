//! Cloud dialects as pure functions: bytes in, typed requests out, and back.
//!
//! No I/O, no clock, and no knowledge of what a copy job is: the time comes in as a parameter, the
//! secrets through a lookup. `aws` and `tencent` hold what all services of a cloud share (signatures,
//! envelopes, common errors); `fsx`, `cloudhsm` and `cbs` hold one API each.

pub mod aws;
pub mod cbs;
pub mod cloudhsm;
pub mod fsx;
pub mod http;
pub mod tencent;
