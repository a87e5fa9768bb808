//! Tencent Cloud API 3.0: what every product shares, from the request forms to the reply envelope.
//!
//! [`identify`] reads who a request claims to be from, [`Claim::verify`] holds the claim against that
//! caller's secret key, and the methods of [`Claim`] then give product, action, region and parameters,
//! in the order in which the checks have to be made. Nothing a claim says is true before `verify`.

mod claim;
mod common;
mod envelope;
pub(crate) mod error;
mod first_generation;
mod form;
mod parameters;
mod product;
pub(crate) mod reading;
pub mod regions;
#[cfg(test)]
pub(crate) mod sample;
mod tc3;
mod types;
pub(crate) mod words;

pub use claim::{Algorithm, Claim, identify};
pub use envelope::{failure, success};
pub use error::{CommonCode, TencentError};
pub use form::{BODY_BYTES_MAX, FORM_BYTES_MAX, QUERY_BYTES_MAX};
pub use parameters::Parameters;
pub use product::{Product, Target};
pub use reading::{Parameter, Place, Reading};
