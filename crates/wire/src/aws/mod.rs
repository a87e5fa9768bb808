//! AWS JSON 1.1: what every service shares, from signatures to the reply envelope.

mod canonical;
pub mod constraint;
pub mod error;
pub mod json;
pub mod sigv4;
