//! Access keys: what a client signs its requests with.

use model::{Partition, Timestamp};
use rand::RngExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const UPPER32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The cloud whose clients a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cloud {
    /// The AWS SDKs and CLI.
    Aws,
    /// The Tencent Cloud SDKs and `tccli`.
    Tencent,
}

impl Cloud {
    /// Its name, as key lists and policies have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Tencent => "tencent",
        }
    }

    /// Whether the regions of a partition are its own: partitions are named after their cloud, as `aws` and `aws-cn` are.
    pub(crate) fn has(self, partition: &Partition) -> bool {
        let rest = partition.as_str().strip_prefix(self.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

/// An access key, as the identities file has it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKey {
    /// Its id, which requests carry.
    pub(crate) id: String,
    /// Its secret, which they are signed with.
    pub(crate) secret: String,
    /// Whose clients it is for: `aws` or `tencent`.
    #[schemars(with = "String")]
    pub(crate) cloud: Cloud,
    /// When it was made.
    #[schemars(with = "String")]
    pub(crate) created_at: Timestamp,
    /// Whether requests signed with it are refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) disabled: bool,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("cloud", &self.cloud).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// A new random key, of the form that the cloud's own have.
    pub(crate) fn generate(cloud: Cloud, created_at: Timestamp) -> Self {
        let (id, secret) = match cloud {
            Cloud::Aws => (random("AKIA", UPPER32, 16), random("", ALNUM, 40)),
            Cloud::Tencent => (random("AKID", ALNUM, 32), random("", ALNUM, 32)),
        };
        Self { id, secret, cloud, created_at, disabled: false }
    }

    /// The environment variables that the cloud's clients read.
    pub(crate) fn environment(&self) -> String {
        let [id, secret] = match self.cloud {
            Cloud::Aws => ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
            Cloud::Tencent => ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"],
        };
        format!("export {id}={}\nexport {secret}={}\n", self.id, self.secret)
    }
}

fn random(prefix: &str, alphabet: &[u8], len: usize) -> String {
    let mut rng = rand::rng();
    let tail = (0..len).map(|_| char::from(alphabet[rng.random_range(0..alphabet.len())]));
    prefix.chars().chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_look_like_the_clouds_own_and_are_never_printed() {
        let key = AccessKey::generate(Cloud::Aws, Timestamp(0));
        assert!(key.id.starts_with("AKIA") && key.id.len() == 20 && key.secret.len() == 40);
        assert!(!format!("{key:?}").contains(&key.secret));
        let key = AccessKey::generate(Cloud::Tencent, Timestamp(0));
        assert!(key.id.starts_with("AKID") && key.id.len() == 36 && key.secret.len() == 32);
    }

    #[test]
    fn a_partition_is_of_the_cloud_that_it_is_named_after() {
        let has = |cloud: Cloud, partition: &str| cloud.has(&partition.parse().unwrap());
        for partition in ["aws", "aws-cn", "aws-us-gov"] {
            assert!(has(Cloud::Aws, partition) && !has(Cloud::Tencent, partition), "{partition}");
        }
        assert!(has(Cloud::Tencent, "tencent") && !has(Cloud::Aws, "tencent"));
        assert!(!has(Cloud::Aws, "awsome") && !has(Cloud::Aws, "lab"));
    }
}
