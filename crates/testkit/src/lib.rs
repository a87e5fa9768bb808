//! What tests and benchmarks are built from; never part of the product.

pub mod azurite;
pub mod bucket;
pub mod cluster;
mod connections;
pub mod corpus;
pub mod gcs;
mod http;
pub mod line;
pub mod link;
pub mod moto;
pub mod postgres;
pub mod program;
pub mod seaweed;
pub mod servers;
pub mod tunnel;
