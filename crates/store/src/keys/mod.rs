//! Key services: what wraps data keys, one per region.

mod aws_kms;
mod cache;
mod key_file;

use async_trait::async_trait;
use model::{AccountId, DataKeyId, KmsKeyId, Region, Timestamp};
use serde::{Deserialize, Serialize};

pub use aws_kms::{AwsKms, KmsAddress};
pub use key_file::{KeyFile, KeyFileService};

use crate::seal::DataKey;

/// A data key in the form in which it may be stored.
pub type WrappedKey = Vec<u8>;

/// What a wrapped key is bound to: it opens only for the same account and name (AWS KMS calls this
/// the encryption context).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrapContext {
    /// Whose data the key encrypts.
    pub account: AccountId,
    /// Which data key it is.
    pub data_key: DataKeyId,
}

/// Whether a key may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyState {
    /// It wraps and unwraps.
    Enabled,
    /// It does neither until it is enabled again.
    Disabled,
}

/// What can be told of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Its id.
    pub id: KmsKeyId,
    /// Whether it may be used.
    pub state: KeyState,
    /// Whether it is the one used where none is named.
    pub default: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many times its material was made: 1, and one more for each rotation. AWS's service does not tell.
    pub versions: Option<usize>,
}

/// A failed call on a region's key service.
#[derive(Debug, thiserror::Error)]
#[error("KMS key {key} in {region}: {kind}")]
pub struct KeyError {
    /// What the caller can do about it.
    pub kind: KeyErrorKind,
    /// Which key, or where the key service is.
    pub key: String,
    /// Whose key service.
    pub region: Region,
    /// The cause, where there is one below this layer.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What the caller can do about a [`KeyError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyErrorKind {
    /// There is no such key.
    #[error("there is no such key; `offsite kms ls` shows those there are")]
    NotFound,
    /// The key is disabled, or it is about to be deleted.
    #[error("the key is disabled or is to be deleted; `offsite kms enable` enables one that is disabled")]
    Disabled,
    /// The wrapped bytes do not open: damaged, or wrapped for something else.
    #[error("a wrapped data key does not open under it; the record or the key is damaged, or belongs elsewhere")]
    Damaged,
    /// The key service refuses this caller.
    #[error("the key service refuses these credentials; check what they and the key's policy permit")]
    Denied,
    /// The key service does not do this.
    #[error("the key service does not do this with the key")]
    Unsupported,
    /// The key service cannot be reached or its file cannot be read.
    #[error("the key service is not available")]
    Unavailable,
}

/// A data key as a KMS key of some service wrapped it.
#[derive(Clone, Copy, Debug)]
pub struct Wrapped<'k> {
    /// The KMS key.
    pub by: &'k KmsKeyId,
    /// What [`KeyService::wrap`] made.
    pub bytes: &'k [u8],
}

/// Wraps and unwraps data keys, and manages the keys that do.
#[async_trait]
pub trait KeyService: std::fmt::Debug + Send + Sync {
    /// Where it is. Two that are at the same place are one.
    fn place(&self) -> String;

    /// Makes a new data key of an account's, and wraps it by the KMS key `by`.
    async fn generate(&self, by: &KmsKeyId, account: &AccountId) -> Result<(DataKey, WrappedKey), KeyError>;

    /// Wraps `key` by the KMS key `by`.
    async fn wrap(&self, by: &KmsKeyId, context: &WrapContext, key: &DataKey) -> Result<WrappedKey, KeyError>;

    /// Unwraps what this service wrapped under the same context.
    async fn unwrap(&self, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<DataKey, KeyError>;

    /// Wraps by the KMS key `by` what this service wrapped under the same context. The data key need not leave the service.
    async fn rewrap(&self, by: &KmsKeyId, context: &WrapContext, wrapped: Wrapped<'_>) -> Result<WrappedKey, KeyError>;

    /// The key used where none is named.
    async fn default_key(&self) -> Result<KmsKeyId, KeyError>;

    /// Whether a key may be used, if there is one of this id.
    async fn find(&self, id: &KmsKeyId) -> Result<Option<KeyState>, KeyError>;

    /// Every key, oldest first.
    async fn list(&self) -> Result<Vec<KeyInfo>, KeyError>;

    /// Makes a new key.
    async fn create(&self) -> Result<KmsKeyId, KeyError>;

    /// Disables or enables a key.
    async fn set_state(&self, key: &KmsKeyId, state: KeyState) -> Result<(), KeyError>;

    /// Makes new material for a key; what was wrapped before still opens.
    async fn rotate(&self, key: &KmsKeyId) -> Result<(), KeyError>;
}
