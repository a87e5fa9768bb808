//! Certificates of clusters: what a cluster asks its user to sign, and whether what comes back is that.
//!
//! As in "Initialize the cluster" and "Verify the identity and authenticity of your cluster's HSM" of the user
//! guide: a new cluster has a key and a signing request for it; the hardware certifies the same key; the user
//! signs the request with an authority of their own and hands in both certificates.

mod check;
mod make;

pub use check::{CertificateFault, check_cluster_certificate};
pub use make::{CertificateError, ClusterKey, Hardware};
