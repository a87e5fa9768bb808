//! A server of each kind that stores can be on, for tests that hold for all of them.

use std::io;
use std::path::Path;

use crate::azurite::{self, Azurite};
use crate::gcs::{self, Gcs};
use crate::program;
use crate::seaweed::{self, Seaweed};

/// A kind of service that has buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketKind {
    /// S3: SeaweedFS.
    S3,
    /// Google Cloud Storage: what stands in for it.
    Gcs,
    /// Azure Blob Storage: Azurite.
    Azure,
}

impl BucketKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Gcs, Self::Azure];

    /// Starts a server without buckets, for a test whose `CARGO_TARGET_TMPDIR` this is.
    ///
    /// # Errors
    /// When it does not come up.
    ///
    /// # Panics
    /// When its program is not installed.
    pub fn start(self, test_directory: &Path) -> io::Result<BucketServer> {
        let installed = |name| program::installed(test_directory, name);
        Ok(match self {
            Self::S3 => BucketServer::S3(Seaweed::start(&installed("weed"))?),
            Self::Gcs => BucketServer::Gcs(Gcs::start(&installed("weed"))?),
            Self::Azure => BucketServer::Azure(Azurite::start(&installed("azurite-blob"))?),
        })
    }

    /// The credentials for servers of this kind, as variables of the environment, with this secret in them.
    pub fn credentials(self, secret: &str) -> Vec<(&'static str, String)> {
        let own = |text: &str| text.to_owned();
        match self {
            Self::S3 => vec![("AWS_ACCESS_KEY_ID", own(seaweed::ACCESS_KEY)), ("AWS_SECRET_ACCESS_KEY", own(secret))],
            Self::Gcs => vec![("GOOGLE_BEARER_TOKEN", own(secret))],
            Self::Azure => vec![("AZURE_STORAGE_ACCOUNT_KEY", own(secret))],
        }
    }

    /// The secret of these credentials that is right.
    pub fn secret(self) -> &'static str {
        match self {
            Self::S3 => seaweed::SECRET_KEY,
            Self::Gcs => gcs::TOKEN,
            Self::Azure => azurite::KEY,
        }
    }
}

/// A server that runs until this is dropped.
#[derive(Debug)]
pub enum BucketServer {
    /// Of S3.
    S3(Seaweed),
    /// Of Google Cloud Storage.
    Gcs(Gcs),
    /// Of Azure Blob Storage.
    Azure(Azurite),
}

impl BucketServer {
    /// Where it listens, as `host:port`.
    pub fn host(&self) -> String {
        match self {
            Self::S3(server) => server.endpoint().trim_start_matches("http://").to_owned(),
            Self::Gcs(server) => server.host(),
            Self::Azure(server) => server.host(),
        }
    }

    /// The address of `<bucket>[/<prefix>]` on it, whose bucket takes objects from now on.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn address(&self, place: &str) -> io::Result<String> {
        self.address_through(&self.host(), place)
    }

    /// The same, where `host` leads to the server.
    ///
    /// # Errors
    /// When the bucket cannot be made.
    pub fn address_through(&self, host: &str, place: &str) -> io::Result<String> {
        Ok(match self {
            Self::S3(_) => format!("s3://{place}?endpoint=http://{host}"),
            Self::Gcs(_) => format!("gs://{place}?endpoint=http://{host}"),
            Self::Azure(server) => {
                server.make_container(place.split('/').next().unwrap_or(place))?;
                let account = azurite::ACCOUNT;
                format!("az://{place}?endpoint=http://{host}/{account}&account={account}")
            }
        })
    }
}
