//! AWS JSON 1.1: what every service shares, from signatures to the reply envelope.

pub mod arn;
pub mod constraint;
pub mod error;
pub mod json;
pub mod next_token;
pub(crate) mod shape;
pub mod sigv4;
pub(crate) mod words;

pub use shape::Secret;
