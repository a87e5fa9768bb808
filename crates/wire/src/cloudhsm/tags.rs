//! Rules about tags, as plain functions over lists of them.
//!
//! A resource has at most 50 tags of its user's. Keys that start with `aws:` are the services': users can
//! neither write nor remove them, and they do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{CloudHsmError, ErrorCode};
use super::request::Tag;

/// The most tags of a user's that a resource can have.
pub const USER_TAGS_MAX: usize = 50;

const RESERVED_PREFIX: &str = "aws:";

/// Whether a tag is a user's, not a service's.
pub fn is_user_tag(tag: &Tag) -> bool {
    !tag.key.starts_with(RESERVED_PREFIX)
}

/// Checks the tags of a request beyond the model: no key twice, none that is reserved.
///
/// # Errors
/// `CloudHsmInvalidRequestException`.
pub fn check_all<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> Result<(), CloudHsmError> {
    check_keys(tags.into_iter().map(|tag| tag.key.as_str()))
}

/// Checks the keys of a request beyond the model: none twice, none that is reserved.
///
/// # Errors
/// `CloudHsmInvalidRequestException`.
pub fn check_keys<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<(), CloudHsmError> {
    let mut seen = BTreeSet::new();
    for key in keys {
        if key.starts_with(RESERVED_PREFIX) {
            return Err(CloudHsmError::invalid(format!("Tag keys that start with 'aws:' are reserved: '{key}'.")));
        }
        if !seen.insert(key) {
            return Err(CloudHsmError::invalid(format!("Tag keys must be unique: '{key}' is given twice.")));
        }
    }
    Ok(())
}

/// The tags of a copy: exactly those given, or else those of the source's user.
pub fn of_copy(source: &[Tag], given: Option<&[Tag]>) -> Vec<Tag> {
    match given {
        Some(given) => given.to_vec(),
        None => source.iter().filter(|tag| is_user_tag(tag)).cloned().collect(),
    }
}

/// The tags of a resource after `TagResource`, ordered by key.
///
/// # Errors
/// `CloudHsmResourceLimitExceededException` when it would have more than 50 of its user's.
pub fn after_tagging(current: &[Tag], given: &[Tag]) -> Result<Vec<Tag>, CloudHsmError> {
    let by_key: BTreeMap<&str, &Tag> = current.iter().chain(given).map(|tag| (tag.key.as_str(), tag)).collect();
    if by_key.values().filter(|tag| is_user_tag(tag)).count() > USER_TAGS_MAX {
        let message = format!("A resource can have at most {USER_TAGS_MAX} tags.");
        return Err(CloudHsmError::new(ErrorCode::ResourceLimitExceeded, message));
    }
    Ok(by_key.into_values().cloned().collect())
}

/// The tags of a resource after `UntagResource`.
pub fn after_untagging(current: &[Tag], keys: &[String]) -> Vec<Tag> {
    current.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Vec<Tag> {
        pairs.iter().map(|(key, value)| Tag { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
    }

    fn many(prefix: &str, count: usize) -> Vec<Tag> {
        (0..count).map(|at| Tag { key: format!("{prefix}{at}"), value: String::new() }).collect()
    }

    #[test]
    fn given_tags_replace_those_of_the_source_and_absence_copies_them() {
        let source = tags(&[("Name", "main"), ("aws:cloudformation:stack-id", "x"), ("team", "a")]);
        assert_eq!(of_copy(&source, Some(&tags(&[("Name", "dr")]))), tags(&[("Name", "dr")]));
        assert_eq!(of_copy(&source, None), tags(&[("Name", "main"), ("team", "a")]));
        assert_eq!(of_copy(&[], None), []);
    }

    #[test]
    fn keys_are_unique_and_not_reserved() {
        assert_eq!(check_all(&tags(&[("a", ""), ("A", ""), ("awsome", ""), ("AWS:x", "")])), Ok(()));
        for bad in [tags(&[("a", "1"), ("a", "1")]), tags(&[("aws:x", "1")])] {
            assert_eq!(check_all(&bad).unwrap_err().code, ErrorCode::InvalidRequest);
        }
    }

    #[test]
    fn tags_are_overwritten_by_key_up_to_fifty() {
        let current = tags(&[("b", "1"), ("a", "1")]);
        assert_eq!(after_tagging(&current, &tags(&[("b", "2")])), Ok(tags(&[("a", "1"), ("b", "2")])));
        assert_eq!(after_tagging(&many("x", 49), &tags(&[("aws:y", ""), ("z", "")])).unwrap().len(), 51);
        assert_eq!(after_tagging(&many("x", 50), &many("x", 50)).unwrap().len(), 50);
        let refused = after_tagging(&many("x", 30), &many("y", 21)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::ResourceLimitExceeded);
    }

    #[test]
    fn removing_what_is_not_there_succeeds() {
        let current = tags(&[("a", "1"), ("b", "1")]);
        assert_eq!(after_untagging(&current, &["b".to_owned(), "c".to_owned()]), tags(&[("a", "1")]));
    }
}
