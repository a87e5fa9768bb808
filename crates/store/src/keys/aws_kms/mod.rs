//! AWS's key service, or another that speaks its protocol: the KMS keys never leave it.
//!
//! What a wrapped key is bound to is the encryption context, which the service's log of calls shows.

mod address;
mod fault;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{IdentityCache, SharedCredentialsProvider};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyManagerType, KeyMetadata, KeySpec};
use futures::{StreamExt, TryStreamExt, stream};
use model::{AccountId, DataKeyId, KmsKeyId, Region, Timestamp};
use zeroize::{Zeroize, Zeroizing};

pub use address::KmsAddress;

use super::cache::DataKeyCache;
use super::{KeyError, KeyErrorKind, KeyInfo, KeyService, KeyState, WrapContext, Wrapped, WrappedKey};
use crate::aws::{ForSdk, REGION_DEFAULT, credentials};
use crate::seal::DataKey;

/// How long the service may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to answer a request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may take with all its tries.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How often a request is sent that is throttled or not answered.
const ATTEMPTS_MAX: u32 = 6;

/// How long it waits before the second of them; each time twice as long, less a random part.
const BACKOFF: Duration = Duration::from_millis(200);

/// How many keys are asked about at a time, where all are listed.
const DESCRIBED_AT_ONCE: usize = 8;

/// The bytes of a data key.
const DATA_KEY_LEN: i32 = 32;

/// A key service that is reached by AWS's protocol.
pub struct AwsKms {
    region: Region,
    address: KmsAddress,
    client: Client,
    unwrapped: DataKeyCache,
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AwsKms({} for {})", self.address, self.region)
    }
}

impl KmsAddress {
    /// The key service for a region. It need not be there: what is asked of it first will tell.
    ///
    /// Of `environment`, variables and their values, only credentials are taken, as AWS's SDKs take them. Where requests go is
    /// the address's to say, but for the proxies that the usual variables name.
    ///
    /// # Errors
    /// [`KeyErrorKind::Denied`] when the credentials contradict each other.
    pub fn open(
        &self,
        region: &Region,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<AwsKms, KeyError> {
        let named = self.place.region.as_deref();
        let provider = credentials(environment, named).map_err(|error| KeyError {
            kind: KeyErrorKind::Denied,
            key: self.to_string(),
            region: region.clone(),
            source: Some(error.into()),
        })?;
        let mut config = aws_sdk_kms::Config::builder()
            .region(aws_sdk_kms::config::Region::new(named.unwrap_or(REGION_DEFAULT).to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(ForSdk(provider)))
            // The chain keeps those that expire, and knows when they do.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX).with_initial_backoff(BACKOFF))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(CALL_TIMEOUT)
                    .build(),
            );
        if let Some(endpoint) = self.place.endpoint() {
            config = config.endpoint_url(endpoint);
        }
        let client = Client::from_conf(config.build());
        Ok(AwsKms { region: region.clone(), address: self.clone(), client, unwrapped: DataKeyCache::new() })
    }
}

impl AwsKms {
    /// Makes the key that is used where none is named, unless it is there.
    ///
    /// # Errors
    /// As every call of a [`KeyService`].
    pub async fn create_default(&self) -> Result<(), KeyError> {
        match self.default_key().await {
            Err(error) if error.kind == KeyErrorKind::NotFound => {}
            other => return other.map(drop),
        }
        let key = self.create().await?;
        let alias = self.address.alias();
        let created = self.client.create_alias().alias_name(&alias).target_key_id(key.as_str()).send().await;
        match created {
            // Another was faster, whose key is the default now; or the alias is that of a key of another kind.
            Err(error) if error.code() == Some("AlreadyExistsException") => self.default_key().await.map(drop),
            created => created.map(drop).map_err(|error| self.fault(format!("{alias} for the new key {key}"), &error)),
        }
    }

    fn fault<E, R>(&self, key: impl Into<String>, error: &SdkError<E, R>) -> KeyError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: fmt::Debug,
    {
        let (kind, why) = fault::explain(error);
        self.error(key, kind, Some(why))
    }

    fn error(&self, key: impl Into<String>, kind: KeyErrorKind, why: Option<String>) -> KeyError {
        KeyError { kind, key: key.into(), region: self.region.clone(), source: why.map(Into::into) }
    }

    /// What the service answered must have, and has not.
    fn incomplete(&self, key: impl Into<String>) -> KeyError {
        self.error(key, KeyErrorKind::Unavailable, Some("the answer is not complete".to_owned()))
    }

    /// A key by its id or alias, if it is there and can wrap.
    async fn describe(&self, key: &str) -> Result<Option<KeyMetadata>, KeyError> {
        match self.client.describe_key().key_id(key).send().await {
            Ok(answer) => Ok(answer.key_metadata.filter(can_wrap)),
            Err(error) => match self.fault(key, &error) {
                fault if fault.kind == KeyErrorKind::NotFound => Ok(None),
                fault => Err(fault),
            },
        }
    }

    /// A data key as the service has told it.
    fn data_key(&self, by: &KmsKeyId, id: DataKeyId, plain: Option<Blob>) -> Result<DataKey, KeyError> {
        let mut plain = plain.ok_or_else(|| self.incomplete(by.as_str()))?.into_inner();
        let secret = <[u8; DATA_KEY_LEN as usize]>::try_from(plain.as_slice()).map(Zeroizing::new);
        plain.zeroize();
        let secret = secret.map_err(|_| self.error(by.as_str(), KeyErrorKind::Damaged, None))?;
        Ok(DataKey::from_secret(id, secret))
    }

    fn wrapped(&self, by: &KmsKeyId, wrapped: Option<Blob>) -> Result<WrappedKey, KeyError> {
        Ok(wrapped.ok_or_else(|| self.incomplete(by.as_str()))?.into_inner())
    }
}

#[async_trait]
impl KeyService for AwsKms {
    fn place(&self) -> String {
        format!("awskms {}", self.address.place)
    }

    async fn generate(&self, by: &KmsKeyId, account: &AccountId) -> Result<(DataKey, WrappedKey), KeyError> {
        let id = DataKeyId::random(&mut rand::rng());
        let context = WrapContext { account: account.clone(), data_key: id };
        let call = self.client.generate_data_key().key_id(by.as_str()).number_of_bytes(DATA_KEY_LEN);
        let sent = call.set_encryption_context(Some(bound_to(&context))).send().await;
        let answer = sent.map_err(|error| self.fault(by.as_str(), &error))?;
        Ok((self.data_key(by, id, answer.plaintext)?, self.wrapped(by, answer.ciphertext_blob)?))
    }

    async fn wrap(&self, by: &KmsKeyId, context: &WrapContext, key: &DataKey) -> Result<WrappedKey, KeyError> {
        let call = self.client.encrypt().key_id(by.as_str()).plaintext(Blob::new(key.secret().as_slice()));
        let sent = call.set_encryption_context(Some(bound_to(context))).send().await;
        self.wrapped(by, sent.map_err(|error| self.fault(by.as_str(), &error))?.ciphertext_blob)
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<DataKey, KeyError> {
        if let Some(key) = self.unwrapped.find(context, wrapped, Instant::now()) {
            return Ok(key);
        }
        let by = wrapped.by;
        let call = self.client.decrypt().key_id(by.as_str()).ciphertext_blob(Blob::new(wrapped.bytes));
        let sent = call.set_encryption_context(Some(bound_to(context))).send().await;
        let answer = sent.map_err(|error| self.fault(by.as_str(), &error))?;
        let key = self.data_key(by, context.data_key, answer.plaintext)?;
        self.unwrapped.keep(context, wrapped, &key, Instant::now());
        Ok(key)
    }

    async fn rewrap(&self, by: &KmsKeyId, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<WrappedKey, KeyError> {
        let call = self.client.re_encrypt().ciphertext_blob(Blob::new(wrapped.bytes));
        let call = call.source_key_id(wrapped.by.as_str()).set_source_encryption_context(Some(bound_to(context)));
        let call = call.destination_key_id(by.as_str()).set_destination_encryption_context(Some(bound_to(context)));
        let sent = call.send().await;
        // The service does not say whose fault it is.
        let either = || format!("{} or {by}", wrapped.by);
        self.wrapped(by, sent.map_err(|error| self.fault(either(), &error))?.ciphertext_blob)
    }

    async fn default_key(&self) -> Result<KmsKeyId, KeyError> {
        let alias = self.address.alias();
        let key = self.describe(&alias).await?.and_then(|key| key.key_id.parse().ok());
        key.ok_or_else(|| self.error(alias, KeyErrorKind::NotFound, None))
    }

    async fn find(&self, id: &KmsKeyId) -> Result<Option<KeyState>, KeyError> {
        Ok(self.describe(id.as_str()).await?.map(|key| state(&key)))
    }

    async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let mut pages = self.client.list_keys().into_paginator().items().send();
        let mut ids = Vec::new();
        while let Some(key) = pages.next().await {
            let key = key.map_err(|error| self.fault(self.address.to_string(), &error))?;
            ids.extend(key.key_id);
        }
        let default = match self.default_key().await {
            Err(error) if error.kind == KeyErrorKind::NotFound => None,
            found => Some(found?),
        };
        let describe = async |id: String| match self.describe(&id).await {
            // There may be keys that are none of this caller's business.
            Err(error) if error.kind == KeyErrorKind::Denied => Ok(None),
            described => described,
        };
        let described = stream::iter(ids).map(describe).buffered(DESCRIBED_AT_ONCE);
        let described: Vec<Option<KeyMetadata>> = described.try_collect().await?;
        let mut keys: Vec<KeyInfo> = described.iter().flatten().filter_map(|key| info(key, default.as_ref())).collect();
        keys.sort_by_key(|key| key.created_at);
        Ok(keys)
    }

    async fn create(&self) -> Result<KmsKeyId, KeyError> {
        let description = format!("offsite: wraps data keys of backups in {}", self.region);
        let call = self.client.create_key().description(description);
        let created = call.customize().config_override(sent_once()).send().await;
        let place = || self.address.to_string();
        let key = created.map_err(|error| self.fault(place(), &error))?.key_metadata;
        key.and_then(|key| key.key_id.parse().ok()).ok_or_else(|| self.incomplete(place()))
    }

    async fn set_state(&self, key: &KmsKeyId, state: KeyState) -> Result<(), KeyError> {
        let id = key.as_str();
        let fault = match state {
            KeyState::Enabled => {
                self.client.enable_key().key_id(id).send().await.err().map(|error| self.fault(id, &error))
            }
            KeyState::Disabled => {
                self.client.disable_key().key_id(id).send().await.err().map(|error| self.fault(id, &error))
            }
        };
        fault.map_or(Ok(()), Err)
    }

    async fn rotate(&self, key: &KmsKeyId) -> Result<(), KeyError> {
        let call = self.client.rotate_key_on_demand().key_id(key.as_str());
        let rotated = call.customize().config_override(sent_once()).send().await;
        rotated.map(drop).map_err(|error| self.fault(key.as_str(), &error))
    }
}

/// For calls that do the same once more when they are repeated: one whose answer is lost is for a person to look at.
fn sent_once() -> aws_sdk_kms::config::Builder {
    aws_sdk_kms::Config::builder().retry_config(RetryConfig::disabled())
}

/// Whether it is a key of the kind that is made where none is asked for, all of which are for encryption, and not one that
/// AWS has made for a service of its own.
fn can_wrap(key: &KeyMetadata) -> bool {
    key.key_spec == Some(KeySpec::SymmetricDefault) && key.key_manager != Some(KeyManagerType::Aws)
}

fn state(key: &KeyMetadata) -> KeyState {
    if key.enabled { KeyState::Enabled } else { KeyState::Disabled }
}

/// What can be told of a key, if its id is one.
fn info(key: &KeyMetadata, default: Option<&KmsKeyId>) -> Option<KeyInfo> {
    let id: KmsKeyId = key.key_id.parse().ok()?;
    Some(KeyInfo {
        state: state(key),
        default: default == Some(&id),
        created_at: Timestamp(key.creation_date.and_then(|date| date.to_millis().ok()).unwrap_or(0)),
        versions: None,
        id,
    })
}

/// The encryption context that a wrapped key is bound to.
fn bound_to(context: &WrapContext) -> HashMap<String, String> {
    let parts = [("offsite:account", context.account.to_string()), ("offsite:data-key", context.data_key.to_string())];
    parts.map(|(name, value)| (name.to_owned(), value)).into()
}
