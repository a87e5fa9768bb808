//! Credentials, found as AWS's SDKs find them: a key, a profile, a token of a web identity, a container's or an instance's
//! role.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use object_store::RetryConfig;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};

use super::profile::{Profile, ProfileChoice};
use crate::credentials::setting;

/// How often a question for credentials is asked again. What answers it is mostly near, or is not there at all.
const RETRIES_MAX: usize = 4;

/// Where a service is taken to be that does not tell regions apart.
pub(crate) const REGION_DEFAULT: &str = "us-east-1";

/// The credentials that an environment, variables and their values, gives for a service, in a region of AWS's if it is one.
///
/// # Errors
/// When they contradict each other.
pub(crate) fn credentials(
    environment: impl IntoIterator<Item = (String, String)>,
    region: Option<&str>,
) -> Result<AwsCredentialProvider, object_store::Error> {
    // No bucket is meant, but buckets are what the library has its providers for.
    let mut builder = AmazonS3Builder::new().with_bucket_name("none").with_region(region.unwrap_or(REGION_DEFAULT));
    builder = builder.with_retry(RetryConfig { max_retries: RETRIES_MAX, ..RetryConfig::default() });
    let environment: Vec<_> = environment.into_iter().collect();
    for (name, value) in &environment {
        if let Some(key) = credential(name) {
            builder = builder.with_config(key, value);
        }
    }
    let has_key = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some();
    let found = builder.build()?.credentials().clone();
    Ok(match ProfileChoice::of(&environment, region).filter(|_| !has_key) {
        Some(choice) => Arc::new(Profile::new(choice, found)),
        None => found,
    })
}

/// The same for AWS's SDK.
#[derive(Debug)]
pub(crate) struct ForSdk(pub(crate) AwsCredentialProvider);

impl ProvideCredentials for ForSdk {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.get_credential().await.map_err(CredentialsError::provider_error)?;
            Ok(Credentials::new(&found.key_id, &found.secret_key, found.token.clone(), None, "offsite"))
        })
    }
}

/// The setting that a variable of the environment is, if it is about credentials.
fn credential(variable: &str) -> Option<AmazonS3ConfigKey> {
    use AmazonS3ConfigKey as K;
    setting(variable, "AWS_", |key| {
        matches!(
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
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_credentials_are_taken_from_the_environment() {
        for name in ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BUCKET", "AWS_ALLOW_HTTP", "PATH"] {
            assert!(credential(name).is_none(), "{name}");
        }
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
            assert!(credential(name).is_some(), "{name}");
        }
    }
}
