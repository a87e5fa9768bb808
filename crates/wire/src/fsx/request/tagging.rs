//! Tags, and the operations on them.

use super::super::scalar::{MAX_RESULTS, NEXT_TOKEN, RESOURCE_ARN, TAG_KEY, TAG_KEYS, TAG_VALUE, TAGS};
use crate::aws::shape::structure;

structure! {
    /// A word that a user has pinned to a resource. Keys are unique per resource, and case counts.
    #[derive(PartialOrd, Ord, Hash, serde::Deserialize)]
    Tag {
        key: String = "Key" => &TAG_KEY,
        /// May be empty.
        value: String = "Value" => &TAG_VALUE,
    }

    /// Adds tags to a resource, or overwrites them by key.
    TagResource {
        resource_arn: String = "ResourceARN" => &RESOURCE_ARN,
        tags: Vec<Tag> = "Tags" => &TAGS,
    }

    /// Removes tags from a resource. Keys that it does not have are passed over.
    UntagResource {
        resource_arn: String = "ResourceARN" => &RESOURCE_ARN,
        tag_keys: Vec<String> = "TagKeys" => &TAG_KEYS,
    }

    /// Lists the tags of a resource.
    ListTagsForResource {
        resource_arn: String = "ResourceARN" => &RESOURCE_ARN,
        max_results: Option<i64> = "MaxResults" => &MAX_RESULTS,
        next_token: Option<String> = "NextToken" => &NEXT_TOKEN,
    }
}
