//! Buckets: the addresses of stores on S3-compatible services, and how these are opened.

mod connection;
mod s3;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::address::{InvalidAddress, is_name};
use crate::aws::{CREDENTIALS_ELSEWHERE, ServicePlace};

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
        let bucket = s3::open(&self.place, &self.bucket, environment)?;
        Ok(match self.prefix.as_ref() {
            "" => bucket,
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
