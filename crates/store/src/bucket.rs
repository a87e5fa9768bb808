//! Buckets: the addresses of stores on S3-compatible services, and how these are opened.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

use crate::aws::{CREDENTIALS_ELSEWHERE, InvalidAddress, REGION_DEFAULT, ServicePlace, credentials, is_name};
use crate::courtesy::Courteous;

/// How long a service may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a service may be silent. The largest request, of 40 MiB, has to be sent in this time, which takes 140 kB a second.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How often a request is sent again that a service did not answer, or answered with a fault of its own (500 and more).
/// With waits of 0.1 to 5 seconds between them, or those that a busy service asks for; who called waits and tries again for longer, where that makes sense.
const RETRIES_MAX: usize = 6;

/// Where a bucket is: `s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]`.
///
/// Without an endpoint it is AWS's own, in that region (those in China need one). The bucket's name is part of the path of
/// requests, not of the host's name. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    bucket: String,
    prefix: Path,
    place: ServicePlace,
}

/// How an address is written.
const FORM: &str = "s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]";

impl BucketAddress {
    /// Opens the bucket. It need not be there: what is asked of it first will tell.
    ///
    /// Of `environment`, variables and their values, only credentials are taken, as AWS's SDKs take them: a key, a token of
    /// a web identity, a container's or an instance's role. Where requests go is the address's to say, but for the proxies
    /// that the usual variables name.
    ///
    /// # Errors
    /// When the credentials contradict each other.
    pub fn open(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let region = self.place.region.as_deref();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(region.unwrap_or(REGION_DEFAULT))
            .with_credentials(credentials(environment, region)?);
        let endpoint = self.place.endpoint();
        let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http:"));
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint).with_virtual_hosted_style_request(false);
        }
        let client = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_read_timeout(SILENCE_MAX)
            // A pack may take as long as it takes while bytes come.
            .with_timeout_disabled();
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            ..BackoffConfig::default()
        };
        let retry = RetryConfig { backoff, max_retries: RETRIES_MAX, ..RetryConfig::default() };
        let bucket = builder.with_client_options(client).with_retry(retry).with_http_connector(Courteous).build()?;
        Ok(match self.prefix.as_ref() {
            "" => Arc::new(bucket),
            _ => Arc::new(PrefixStore::new(bucket, self.prefix.clone())),
        })
    }
}

impl FromStr for BucketAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let bad = |why: &str| InvalidAddress::new(FORM, why);
        let url: Url = text.parse().map_err(|error: url::ParseError| bad(&error.to_string()))?;
        if url.scheme() != "s3" {
            return Err(bad("the scheme is not s3"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(CREDENTIALS_ELSEWHERE));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(bad("a port belongs to the endpoint, and there are no fragments"));
        }
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| bad("there is no bucket"))?;
        let prefix = Some(url.path()).filter(|path| path.is_empty() || is_name(path));
        let prefix = prefix.and_then(|path| Path::parse(path).ok());
        let prefix = prefix.ok_or_else(|| bad("a prefix has letters, digits, -, . and _ between single slashes"))?;
        let mut place = ServicePlace::default();
        for (name, value) in url.query_pairs() {
            if !place.take(&name, &value).map_err(|why| bad(&why))? {
                return Err(bad("only endpoint and region can be given"));
            }
        }
        place.check().map_err(|why| bad(&why))?;
        Ok(Self { bucket: bucket.to_owned(), prefix, place })
    }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.as_ref().is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        write!(f, "?{}", self.place)
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
        ] {
            let error = text.parse::<BucketAddress>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(
            text in "s3://[a-z0-9.-]{1,4}(/[a-z.%?é]{0,3}){0,2}(\\?(endpoint=https?://[a-z0-9.:%/-]{1,6}&?)?(region=[a-z1&=%-]{1,4})?)?|\\PC*"
        ) {
            if let Ok(address) = text.parse::<BucketAddress>() {
                prop_assert_eq!(address.to_string().parse::<BucketAddress>(), Ok(address));
            }
        }
    }
}
