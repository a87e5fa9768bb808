//! Where the parts of a region are: paths, or addresses of servers, which are shown without their secrets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use catalog::sqlite_url;
use model::{Clock, Region};
use store::keys::KeyFileService;
use store::region_store::{ObjectStore, open_directory};
use store::{Bucket, BucketAddress, KeyError, KeyService, KmsAddress, Limits, S3Service};

use super::environment;

/// Where a region's store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StorePlace {
    /// A directory.
    Directory(PathBuf),
    /// A bucket of an S3-compatible service or of Google's, or a container of Azure's.
    Bucket(BucketAddress),
}

impl StorePlace {
    /// Reads `file:<directory>`, whose path starts at `base`, or the address of a bucket.
    pub(super) fn parse(text: &str, base: &Path) -> anyhow::Result<Self> {
        match BucketAddress::is_meant_by(text) {
            true => Ok(Self::Bucket(text.parse()?)),
            false => Ok(Self::Directory(base.join(local_path(
                text,
                "file:",
                "file:<path>, s3://<bucket>, gs://<bucket> or az://<container>",
            )?))),
        }
    }

    /// The S3 service that it is on, as its address tells it.
    pub(super) fn s3_service(&self) -> Option<String> {
        match self {
            Self::Directory(_) => None,
            Self::Bucket(address) => address.s3_service(),
        }
    }

    /// Opens it, whatever it holds.
    pub(crate) fn open(&self, limits: Limits) -> anyhow::Result<Arc<dyn ObjectStore>> {
        match self {
            Self::Directory(directory) => open_directory(directory).with_context(|| format!("failed to open {self}")),
            Self::Bucket(address) => open_bucket(address, limits).map(|bucket| bucket.objects),
        }
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Bucket(address) => address.fmt(f),
        }
    }
}

/// Opens a bucket, whatever it holds.
pub(super) fn open_bucket(address: &BucketAddress, limits: Limits) -> anyhow::Result<Bucket> {
    address.open(environment::variables(), limits).with_context(|| format!("failed to open {address}"))
}

/// The service that a bucket is on, to be asked for copies from others of its buckets.
pub(super) fn open_service(address: &BucketAddress, bucket: &Bucket) -> anyhow::Result<Option<S3Service>> {
    address
        .service(environment::variables(), bucket)
        .with_context(|| format!("failed to open the service of {address}"))
}

/// Where a region's catalog is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum CatalogPlace {
    /// A file of SQLite.
    File(PathBuf),
    /// A database of PostgreSQL, by its address, which may hold a password.
    Server(String),
}

impl CatalogPlace {
    /// Reads `sqlite:<file>`, whose path starts at `base`, or `postgres://…`.
    pub(super) fn parse(text: &str, base: &Path) -> anyhow::Result<Self> {
        if text.starts_with("postgres:") || text.starts_with("postgresql:") {
            return Ok(Self::Server(text.to_owned()));
        }
        Ok(Self::File(base.join(local_path(text, "sqlite:", "sqlite:<path> or postgres://<host>/<database>")?)))
    }

    /// The address by which it is opened.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(file) => sqlite_url(file),
            Self::Server(url) => url.clone(),
        }
    }
}

impl fmt::Display for CatalogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Server(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// Never the password: settings are shown in errors and logs.
impl fmt::Debug for CatalogPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a region's key service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KmsPlace {
    /// A key file.
    File(PathBuf),
    /// AWS's key service, or one that speaks its protocol.
    Aws(KmsAddress),
}

impl KmsPlace {
    /// Reads `file:<path>`, which starts at `base`, or `awskms://…`.
    pub(super) fn parse(text: &str, base: &Path) -> anyhow::Result<Self> {
        match text.starts_with("awskms:") {
            true => Ok(Self::Aws(text.parse()?)),
            false => Ok(Self::File(base.join(local_path(
                text,
                "file:",
                "file:<path> or awskms://?endpoint=<URL>&region=<name>",
            )?))),
        }
    }

    /// Opens it. It need not be there: what is asked of it first will tell.
    pub(crate) fn open(&self, region: &Region, clock: Arc<dyn Clock>) -> Result<Arc<dyn KeyService>, KeyError> {
        Ok(match self {
            Self::File(file) => Arc::new(KeyFileService::open(region, file, clock)),
            Self::Aws(address) => Arc::new(address.open(region, environment::variables())?),
        })
    }

    /// Makes the key that is used where none is named, unless there is one.
    pub(crate) async fn make(&self, region: &Region, clock: Arc<dyn Clock>) -> Result<(), KeyError> {
        match self {
            Self::File(file) => KeyFileService::create(region, file, clock).map(drop),
            Self::Aws(address) => address.open(region, environment::variables())?.create_default().await,
        }
    }
}

impl fmt::Display for KmsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Aws(address) => address.fmt(f),
        }
    }
}

/// An address as far as its path, without a password; of one that is not well formed, nothing but the scheme, as any part
/// of it may be of a password.
fn without_secrets(url: &str) -> String {
    let parts = || {
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (who, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/%".contains(c));
        let is_well_formed = is_plain(name) && is_plain(path) && port.chars().all(|c| c.is_ascii_digit());
        let user = who.split(':').next().filter(|user| !user.is_empty()).map(|user| format!("{user}@"));
        let shown = format!("{scheme}://{}{host}{path}", user.unwrap_or_default());
        (is_well_formed && !query.contains('@')).then_some(shown)
    };
    parts().unwrap_or_else(|| "postgres://…".to_owned())
}

/// The path behind a scheme, as written; `supported` tells what can be written.
fn local_path<'v>(value: &'v str, scheme: &str, supported: &str) -> anyhow::Result<&'v Path> {
    match value.strip_prefix(scheme) {
        Some(path) if !path.is_empty() => Ok(Path::new(path)),
        // What looks like a server's address may hold a password.
        _ if value.contains('@') => bail!("the address is not supported; write {supported}"),
        _ => bail!("\"{value}\" is not supported; write {supported}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://offsite:p%40ss@db:5432/eu", "postgres://offsite@db:5432/eu"),
            ("postgres://db/eu?user=offsite&password=secret", "postgres://db/eu"),
            ("postgresql://a:b@c", "postgresql://a@c"),
            ("postgres://offsite:a/secret@db/eu", "postgres://…"),
            ("postgres://offsite:a?secret@db/eu", "postgres://…"),
            ("postgres://offsite:a#secret@db/eu", "postgres://offsite@db/eu"),
            ("postgres://offsite:secret/eu", "postgres://…"),
            ("postgres:secret", "postgres://…"),
        ] {
            let place = CatalogPlace::Server(url.to_owned());
            assert_eq!((place.to_string(), format!("{place:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }
}
