//! Buckets of Google Cloud Storage, by its XML API.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use url::Url;

use super::connection::{client_options, retry};
use crate::address::{parse_endpoint, shown};
use crate::checksum::{Compared, ComparedBy};
use crate::courtesy::Courteous;
use crate::credentials::setting;

/// Where Google's own service is.
const ENDPOINT_DEFAULT: &str = "https://storage.googleapis.com";

/// Where a service is: the query of its address, `[endpoint=<URL>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct GcsPlace {
    endpoint: Option<Url>,
}

impl GcsPlace {
    /// Takes in one part of a query. Says whether it is of this part of the address at all.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        if name != "endpoint" {
            return Ok(false);
        }
        let is_new = self.endpoint.replace(parse_endpoint(value)?).is_none();
        if is_new { Ok(true) } else { Err("the endpoint can be given once".to_owned()) }
    }

    /// The query that it is read from.
    pub(super) fn query(&self) -> String {
        self.endpoint.as_ref().map(|endpoint| format!("endpoint={}", shown(endpoint))).unwrap_or_default()
    }

    pub(super) fn open(
        &self,
        bucket: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        courteous: Courteous,
    ) -> object_store::Result<Arc<dyn ObjectStore>> {
        let endpoint = self.endpoint.as_ref().map(shown);
        let settings = environment.into_iter().filter_map(|(name, value)| Some((credential(&name)?, value)));
        let builder =
            settings.fold(GoogleCloudStorageBuilder::new(), |builder, (key, value)| builder.with_config(key, value));
        // A service account's file may name an endpoint, too, which has no say in where requests go.
        let builder = builder.with_bucket_name(bucket).with_base_url(endpoint.unwrap_or(ENDPOINT_DEFAULT));
        let builder = builder.with_client_options(client_options(endpoint)).with_retry(retry());
        Ok(Arc::new(builder.with_http_connector(Compared(ComparedBy::Service, courteous)).build()?))
    }
}

/// The setting that a variable of the environment is, if it is about credentials.
fn credential(variable: &str) -> Option<GoogleConfigKey> {
    use GoogleConfigKey as K;
    setting(variable, "GOOGLE_", |key| {
        matches!(key, K::ServiceAccount | K::ServiceAccountKey | K::ApplicationCredentials | K::BearerToken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_are_taken_from_the_environment() {
        for name in
            ["GOOGLE_BUCKET", "GOOGLE_BASE_URL", "GOOGLE_SKIP_SIGNATURE", "GOOGLE_ALLOW_HTTP", "SERVICE_ACCOUNT"]
        {
            assert!(credential(name).is_none(), "{name}");
        }
        for name in ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"] {
            assert!(credential(name).is_some(), "{name}");
        }
    }
}
