//! Buckets: the addresses of stores on services of objects, and how these are opened.

mod azure;
mod connection;
mod gcs;
mod s3;
mod service;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::address::{InvalidAddress, is_name};
use crate::aws::{CREDENTIALS_ELSEWHERE, ServicePlace};
use crate::courtesy::{Courteous, Limits};

pub use service::S3Service;

/// Where a bucket is: `s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]`, `gs://<bucket>[/<prefix>][?endpoint=<URL>]`
/// or `az://<container>[/<prefix>][?endpoint=<URL>][&account=<name>]`.
///
/// Without an endpoint it is AWS's own, in that region (those in China need one), Google's own, or Azure's own, of that
/// account. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    bucket: String,
    prefix: Path,
    service: Service,
}

/// A bucket that is open.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// What lies in it, or below its prefix.
    pub objects: Arc<dyn ObjectStore>,
    pub(crate) courteous: Courteous,
}

/// The service that a bucket is on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Service {
    S3(ServicePlace),
    Gcs(gcs::GcsPlace),
    Azure(azure::AzurePlace),
}

/// How the addresses of a service's buckets are written, and what is said of those that are not.
struct Form {
    scheme: &'static str,
    whole: &'static str,
    parameters: &'static str,
    credentials: &'static str,
}

const S3: Form = Form {
    scheme: "s3",
    whole: "s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]",
    parameters: "only endpoint and region can be given",
    credentials: CREDENTIALS_ELSEWHERE,
};

const GCS: Form = Form {
    scheme: "gs",
    whole: "gs://<bucket>[/<prefix>][?endpoint=<URL>]",
    parameters: "only an endpoint can be given",
    credentials: "credentials do not belong here, but in the environment: GOOGLE_APPLICATION_CREDENTIALS, for one",
};

const AZURE: Form = Form {
    scheme: "az",
    whole: "az://<container>[/<prefix>][?endpoint=<URL>][&account=<name>]",
    parameters: "only endpoint and account can be given",
    credentials: "credentials do not belong here, but in the environment: AZURE_STORAGE_ACCOUNT_KEY, for one",
};

/// How any address begins.
const FORMS: &str = "s3://<bucket>, gs://<bucket> or az://<container>";

impl BucketAddress {
    /// Whether a text is meant as the address of a bucket, though it may be wrong.
    pub fn is_meant_by(text: &str) -> bool {
        text.split_once(':').is_some_and(|(scheme, _)| Service::of(scheme).is_some())
    }

    /// Opens the bucket. It need not be there: what is asked of it first will tell.
    ///
    /// Of `environment`, variables and their values, only credentials are taken, as the vendor's SDKs take them: a key, an
    /// account, a token of a web identity, a container's or an instance's role. Where requests go is the address's to say,
    /// but for the proxies that the usual variables name, and for the account of a container whose address names none.
    ///
    /// # Errors
    /// When the credentials contradict each other or cannot be read, and when nothing says whose container it is.
    pub fn open(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
        limits: Limits,
    ) -> Result<Bucket, object_store::Error> {
        let courteous = Courteous::new(limits);
        let whole = match &self.service {
            Service::S3(place) => s3::open(place, &self.bucket, environment, courteous.clone()),
            Service::Gcs(place) => place.open(&self.bucket, environment, courteous.clone()),
            Service::Azure(place) => place.open(&self.bucket, environment, courteous.clone()),
        }?;
        let objects = match self.prefix.as_ref() {
            "" => whole,
            _ => Arc::new(PrefixStore::new(whole, self.prefix.clone())),
        };
        Ok(Bucket { objects, courteous })
    }

    /// The bucket as a part of its S3 service, to be asked for copies from others of its buckets; `None` of other services.
    /// Requests count as `bucket`'s.
    ///
    /// # Errors
    /// As [`BucketAddress::open`].
    pub fn service(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
        bucket: &Bucket,
    ) -> Result<Option<S3Service>, object_store::Error> {
        let Service::S3(place) = &self.service else { return Ok(None) };
        let whole = s3::open_whole(place, environment, bucket.courteous.clone())?;
        let root = Path::from(self.bucket.as_str()).parts().chain(self.prefix.parts()).collect();
        Ok(Some(S3Service { place: place.clone(), whole, root }))
    }

    /// The S3 service that it is on, as the address tells it. Buckets of which that is the same are on one.
    pub fn s3_service(&self) -> Option<String> {
        match &self.service {
            Service::S3(place) => Some(place.service()),
            _ => None,
        }
    }
}

impl Service {
    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3(ServicePlace::default())),
            "gs" => Some(Self::Gcs(gcs::GcsPlace::default())),
            "az" => Some(Self::Azure(azure::AzurePlace::default())),
            _ => None,
        }
    }

    fn form(&self) -> &'static Form {
        match self {
            Self::S3(_) => &S3,
            Self::Gcs(_) => &GCS,
            Self::Azure(_) => &AZURE,
        }
    }

    /// Takes in one part of a query. Says whether it is one of this service's.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match self {
            Self::S3(place) => place.take(name, value),
            Self::Gcs(place) => place.take(name, value),
            Self::Azure(place) => place.take(name, value),
        }
    }

    /// Checks what was taken in, and that it can have such a bucket.
    fn check(&self, bucket: &str) -> Result<(), String> {
        match self {
            Self::S3(place) => place.check(),
            Self::Azure(_) if !azure::is_container(bucket) => {
                Err("a container's name has lower-case letters, digits and -".to_owned())
            }
            Self::Gcs(_) | Self::Azure(_) => Ok(()),
        }
    }

    fn query(&self) -> String {
        match self {
            Self::S3(place) => place.to_string(),
            Self::Gcs(place) => place.query(),
            Self::Azure(place) => place.query(),
        }
    }
}

impl FromStr for BucketAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let url: Url = text.parse().map_err(|error: url::ParseError| InvalidAddress::new(FORMS, error.to_string()))?;
        let service = Service::of(url.scheme());
        let mut service = service.ok_or_else(|| InvalidAddress::new(FORMS, "the scheme is none of these"))?;
        let form = service.form();
        let bad = |why: &str| InvalidAddress::new(form.whole, why);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(form.credentials));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(bad("a port belongs to the endpoint, and there are no fragments"));
        }
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| bad("there is no bucket"))?;
        let prefix = Some(url.path()).filter(|path| path.is_empty() || is_name(path));
        let prefix = prefix.and_then(|path| Path::parse(path).ok());
        let prefix = prefix.ok_or_else(|| bad("a prefix has letters, digits, -, . and _ between single slashes"))?;
        for (name, value) in url.query_pairs() {
            if !service.take(&name, &value).map_err(|why| bad(&why))? {
                return Err(bad(form.parameters));
            }
        }
        service.check(bucket).map_err(|why| bad(&why))?;
        Ok(Self { bucket: bucket.to_owned(), prefix, service })
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.service.form().scheme, self.bucket)?;
        if !self.prefix.as_ref().is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        match self.service.query() {
            query if query.is_empty() => Ok(()),
            query => write!(f, "?{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_read_and_shown_the_same() {
        for text in [
            "s3://offsite-eu?endpoint=http://127.0.0.1:8333&region=eu-west-1",
            "s3://offsite-eu/site/a?endpoint=https://s3.example.org",
            "s3://offsite-eu?region=eu-west-1",
            "gs://offsite_eu",
            "gs://offsite-eu.example.org/site/a?endpoint=http://127.0.0.1:4443",
            "az://offsite-eu",
            "az://offsite-eu/site/a?endpoint=http://127.0.0.1:10000/offsite&account=offsite",
            "az://offsite-eu?endpoint=https://offsite.blob.core.chinacloudapi.cn&account=offsite",
        ] {
            assert_eq!(text.parse::<BucketAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for (text, why) in [
            ("s3://bucket", "the region of AWS"),
            ("s3:bucket?region=r", "no bucket"),
            ("s3:///prefix?region=r", "no bucket"),
            ("gs://", "no bucket"),
            ("az:///prefix?account=a", "no bucket"),
            ("http://bucket?region=r", "the scheme"),
            ("s3://key:secret@bucket?region=r", "credentials do not belong here"),
            ("s3://bucket?region=", "no name of a region"),
            ("s3://bucket?region=%26endpoint%3Dhttp://elsewhere", "no name of a region"),
            ("s3://bucket?region=a&region=b", "once"),
            ("s3://bucket?region=r&secret=secret", "only endpoint and region"),
            ("s3://bucket?endpoint=localhost", "the endpoint"),
            ("s3://bucket?endpoint=http://a:secret@localhost", "the endpoint"),
            ("s3://bucket?endpoint=http://localhost/bucket", "the endpoint"),
            ("s3://bucket:80?region=r", "a port"),
            ("s3://bucket/a//b?region=r", "single slashes"),
            ("s3://bucket/secret%3F?region=r", "single slashes"),
            ("gs://key:secret@bucket", "GOOGLE_APPLICATION_CREDENTIALS"),
            ("gs://bucket?account=secret", "only an endpoint"),
            ("gs://bucket?endpoint=http://a&endpoint=http://a", "once"),
            ("gs://bucket?endpoint=http://localhost/storage/v1", "the endpoint"),
            ("gs://bucket:80", "a port"),
            ("gs://bucket/a//b", "single slashes"),
            ("az://secret@container?account=a", "AZURE_STORAGE_ACCOUNT_KEY"),
            ("az://container?region=secret", "only endpoint and account"),
            ("az://container?account=a&account=b", "once"),
            ("az://container?account=", "no name of an account"),
            ("az://container?account=elsewhere.example.org/", "no name of an account"),
            ("az://container?endpoint=http://localhost/a/b", "the endpoint"),
            ("az://container?endpoint=http://localhost/a?sig=secret", "the endpoint"),
            ("az://account.blob.core.windows.net/container", "a container's name"),
            ("az://Container", "a container's name"),
            ("az://container#secret", "fragments"),
        ] {
            let error = text.parse::<BucketAddress>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(
            text in "(s3|gs|az)://[a-z0-9.-]{1,4}(/[a-z.%?é]{0,3}){0,2}(\\?(endpoint=https?://[a-z0-9.:%/-]{1,6}&?)?((region|account)=[a-z1&=%-]{1,4})?)?|\\PC*"
        ) {
            if let Ok(address) = text.parse::<BucketAddress>() {
                prop_assert_eq!(address.to_string().parse::<BucketAddress>(), Ok(address));
            }
        }
    }
}
