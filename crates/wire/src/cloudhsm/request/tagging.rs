//! Tags, and the operations that change them.

use super::super::error::CloudHsmError;
use super::super::scalar::{RESOURCE_ID, TAG_KEY, TAG_KEYS, TAG_VALUE, TAGS};
use super::super::tags;
use super::Check;
use crate::aws::shape::{Count, structure};

structure! {
    /// A word that a user has pinned to a resource. Keys are unique per resource, and case counts.
    #[derive(PartialOrd, Ord, Hash, serde::Deserialize)]
    Tag {
        key: String = "Key" => &TAG_KEY,
        /// May be empty.
        value: String = "Value" => &TAG_VALUE,
    }

    /// Adds tags to a cluster or backup, or overwrites them by key.
    TagResource {
        resource_id: String = "ResourceId" => &RESOURCE_ID,
        tag_list: Vec<Tag> = "TagList" => &Count(TAGS),
    }

    /// Removes tags from a cluster or backup. Keys that it does not have are passed over.
    UntagResource {
        resource_id: String = "ResourceId" => &RESOURCE_ID,
        tag_key_list: Vec<String> = "TagKeyList" => &TAG_KEYS,
    }
}

impl Check for TagResource {
    fn check(&self) -> Result<(), CloudHsmError> {
        tags::check_all(&self.tag_list)
    }
}

impl Check for UntagResource {
    fn check(&self) -> Result<(), CloudHsmError> {
        tags::check_keys(self.tag_key_list.iter().map(String::as_str))
    }
}
