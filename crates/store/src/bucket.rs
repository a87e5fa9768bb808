//! Buckets: the addresses of stores on S3-compatible services, and how these are opened.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use url::Url;

/// How long a service may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a service may be silent. The largest request, of 40 MiB, has to be sent in this time, which takes 140 kB a second.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// How often a request is sent again that a service did not answer, or answered with a fault of its own (500 and more).
/// With waits of 0.1 to 5 seconds between them; who called waits and tries again for longer, where that makes sense.
const RETRIES_MAX: usize = 6;

/// Where a bucket is: `s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]`.
///
/// Without an endpoint it is AWS's own, in that region (those in China need one). The bucket's name is part of the path of
/// requests, not of the host's name. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketAddress {
    bucket: String,
    prefix: Path,
    endpoint: Option<Url>,
    region: Option<String>,
}

/// An address that is none. The message does not repeat the address, which may hold a password by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form s3://<bucket>[/<prefix>][?endpoint=<URL>][&region=<name>]: {0}")]
pub struct InvalidBucketAddress(String);

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
        let mut builder = AmazonS3Builder::new();
        for (name, value) in environment {
            if let Some(key) = credential(&name) {
                builder = builder.with_config(key, value);
            }
        }
        builder = builder.with_bucket_name(&self.bucket);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        let is_plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http");
        if let Some(endpoint) = &self.endpoint {
            builder =
                builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_virtual_hosted_style_request(false);
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
        let bucket = builder.with_client_options(client).with_retry(retry).build()?;
        Ok(match self.prefix.as_ref() {
            "" => Arc::new(bucket),
            _ => Arc::new(PrefixStore::new(bucket, self.prefix.clone())),
        })
    }
}

/// The setting that a variable of the environment is, if it is about credentials.
fn credential(variable: &str) -> Option<AmazonS3ConfigKey> {
    use AmazonS3ConfigKey as K;
    let key = variable.starts_with("AWS_").then(|| variable.to_ascii_lowercase().parse().ok())??;
    let is_credential = matches!(
        key,
        K::AccessKeyId
            | K::SecretAccessKey
            | K::Token
            | K::WebIdentityTokenFile
            | K::RoleArn
            | K::RoleSessionName
            | K::StsEndpoint
            | K::ContainerCredentialsRelativeUri
            | K::ContainerCredentialsFullUri
            | K::ContainerAuthorizationTokenFile
            | K::MetadataEndpoint
            | K::ImdsV1Fallback
    );
    is_credential.then_some(key)
}

impl FromStr for BucketAddress {
    type Err = InvalidBucketAddress;

    fn from_str(text: &str) -> Result<Self, InvalidBucketAddress> {
        let bad = |why: &str| InvalidBucketAddress(why.to_owned());
        let url: Url = text.parse().map_err(|error: url::ParseError| bad(&error.to_string()))?;
        if url.scheme() != "s3" {
            return Err(bad("the scheme is not s3"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong here, but in the environment: AWS_ACCESS_KEY_ID, for one"));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(bad("a port belongs to the endpoint, and there are no fragments"));
        }
        let bucket = url.host_str().filter(|bucket| !bucket.is_empty()).ok_or_else(|| bad("there is no bucket"))?;
        let is_plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._/".contains(c));
        let prefix = Some(url.path()).filter(|path| is_plain(path)).and_then(|path| Path::parse(path).ok());
        let prefix = prefix.ok_or_else(|| bad("a prefix has letters, digits, -, . and _ between single slashes"))?;
        let (mut endpoint, mut region) = (None, None);
        for (name, value) in url.query_pairs() {
            let is_new = match &*name {
                "endpoint" => endpoint.replace(parse_endpoint(&value)?).is_none(),
                "region" if value.is_empty() || !is_plain(&value) => return Err(bad("that is no name of a region")),
                "region" => region.replace(value.into_owned()).is_none(),
                _ => return Err(bad("only endpoint and region can be given")),
            };
            if !is_new {
                return Err(bad("endpoint and region can be given once"));
            }
        }
        if endpoint.is_none() && region.is_none() {
            return Err(bad("without an endpoint, the region of AWS has to be given"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix, endpoint, region })
    }
}

fn parse_endpoint(text: &str) -> Result<Url, InvalidBucketAddress> {
    let bad = || InvalidBucketAddress("the endpoint is not of the form http[s]://<host>[:<port>]".to_owned());
    let url: Url = text.parse().map_err(|_| bad())?;
    let is_bare = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.path() == "/";
    let is_served = matches!(url.scheme(), "http" | "https") && url.fragment().is_none();
    if is_bare && is_served { Ok(url) } else { Err(bad()) }
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bucket, prefix, endpoint, region } = self;
        write!(f, "s3://{bucket}")?;
        if !prefix.as_ref().is_empty() {
            write!(f, "/{prefix}")?;
        }
        let endpoint = endpoint.as_ref().map(|url| format!("endpoint={}", url.as_str().trim_end_matches('/')));
        let region = region.as_ref().map(|region| format!("region={region}"));
        let query: Vec<String> = endpoint.into_iter().chain(region).collect();
        if query.is_empty() { Ok(()) } else { write!(f, "?{}", query.join("&")) }
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

    #[test]
    fn only_credentials_are_taken_from_the_environment() {
        for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BUCKET", "AWS_ALLOW_HTTP", "PATH"] {
            assert!(credential(name).is_none(), "{name}");
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
            assert!(credential(name).is_some(), "{name}");
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
