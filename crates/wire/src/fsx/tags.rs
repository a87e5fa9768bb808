//! Rules about tags, as plain functions over lists of them.
//!
//! A resource has at most 50 tags of its user's. Keys that start with `aws:` are the services': users can
//! neither write nor remove them, and they do not count.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{FsxCode, FsxError};
use super::request::Tag;
use super::words::ServiceLimit;

/// The most tags of a user's that a resource can have.
pub const USER_TAGS_MAX: usize = 50;

const RESERVED_PREFIX: &str = "aws:";

/// Whether a tag is a user's, not a service's.
pub fn is_user_tag(tag: &Tag) -> bool {
    !is_reserved(&tag.key)
}

/// Checks the tags of a request beyond the model: no key twice, none that is reserved.
///
/// # Errors
/// `BadRequest`.
pub fn check(tags: &[Tag]) -> Result<(), FsxError> {
    check_keys(tags.iter().map(|tag| tag.key.as_str()))?;
    let mut seen = BTreeSet::new();
    match tags.iter().find(|tag| !seen.insert(&tag.key)) {
        Some(tag) => Err(FsxError::bad_request(format!("Tag keys must be unique: '{}' is given twice.", tag.key))),
        None => Ok(()),
    }
}

/// Checks the keys of tags to remove: none that is reserved.
///
/// # Errors
/// `BadRequest`.
pub fn check_keys<'a>(mut keys: impl Iterator<Item = &'a str>) -> Result<(), FsxError> {
    match keys.find(|key| is_reserved(key)) {
        Some(key) => Err(FsxError::bad_request(format!("Tag keys starting with 'aws:' are reserved: '{key}'."))),
        None => Ok(()),
    }
}

/// The tags of a copy: those of the source if `copy_tags`, and those of the request, which win on equal keys.
///
/// # Errors
/// `ServiceLimitExceeded` when tags are copied and both sets together have more than 50. The sum counts, not the
/// merged size: so the limit is worded in "Copying backups" of the FSx user guides.
pub fn of_copy(source: &[Tag], copy_tags: bool, given: &[Tag]) -> Result<Vec<Tag>, FsxError> {
    if !copy_tags {
        return Ok(given.to_vec());
    }
    let own: Vec<Tag> = source.iter().filter(|tag| is_user_tag(tag)).cloned().collect();
    if own.len() + given.len() > USER_TAGS_MAX {
        let code = FsxCode::ServiceLimitExceeded { limit: ServiceLimit::TotalUserTags };
        let message = format!("The tags of the source and of the request are more than {USER_TAGS_MAX}.");
        return Err(FsxError::new(code, message));
    }
    Ok(merged(&own, given))
}

/// The tags of a new backup: those given, or else, if `inherits`, those of the file system.
pub fn of_backup(resource: &[Tag], inherits: bool, given: Option<&[Tag]>) -> Vec<Tag> {
    match given {
        Some(given) => given.to_vec(),
        None if inherits => resource.iter().filter(|tag| is_user_tag(tag)).cloned().collect(),
        None => Vec::new(),
    }
}

/// The tags of a resource after `TagResource`.
///
/// # Errors
/// `BadRequest` when it would have more than 50 of its user's.
pub fn after_tagging(current: &[Tag], given: &[Tag]) -> Result<Vec<Tag>, FsxError> {
    let tags = merged(current, given);
    if tags.iter().filter(|tag| is_user_tag(tag)).count() > USER_TAGS_MAX {
        return Err(FsxError::bad_request(format!("A resource can have at most {USER_TAGS_MAX} tags.")));
    }
    Ok(tags)
}

/// The tags of a resource after `UntagResource`.
pub fn after_untagging(current: &[Tag], keys: &[String]) -> Vec<Tag> {
    current.iter().filter(|tag| !keys.contains(&tag.key)).cloned().collect()
}

fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED_PREFIX)
}

/// Both sets, ordered by key; `later` wins.
fn merged(earlier: &[Tag], later: &[Tag]) -> Vec<Tag> {
    let by_key: BTreeMap<&str, &Tag> = earlier.iter().chain(later).map(|tag| (tag.key.as_str(), tag)).collect();
    by_key.into_values().cloned().collect()
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
    fn a_copy_has_no_tags_unless_asked_for() {
        let source = tags(&[("Name", "a")]);
        assert_eq!(of_copy(&source, false, &[]), Ok(vec![]));
        assert_eq!(of_copy(&source, false, &tags(&[("Env", "dr")])), Ok(tags(&[("Env", "dr")])));
    }

    #[test]
    fn copied_tags_give_way_to_given_ones_and_reserved_ones_stay_behind() {
        let source = tags(&[("Name", "a"), ("aws:backup:source", "x"), ("name", "lower")]);
        let copied = of_copy(&source, true, &tags(&[("Name", "dr"), ("Env", "p")]));
        assert_eq!(copied, Ok(tags(&[("Env", "p"), ("Name", "dr"), ("name", "lower")])));
    }

    #[test]
    fn the_limit_of_a_copy_is_the_sum_of_both_sets() {
        let limit = FsxCode::ServiceLimitExceeded { limit: ServiceLimit::TotalUserTags };
        assert_eq!(of_copy(&many("a", 30), true, &many("a", 21)).unwrap_err().code, limit);
        assert_eq!(of_copy(&many("a", 30), true, &many("b", 20)).unwrap().len(), 50);
        assert_eq!(of_copy(&many("a", 50), false, &many("b", 50)).unwrap().len(), 50);
        assert_eq!(of_copy(&many("aws:", 30), true, &many("b", 50)).unwrap().len(), 50);
    }

    #[test]
    fn keys_are_unique_and_not_reserved() {
        assert!(check(&tags(&[("a", "1"), ("A", "1")])).is_ok());
        assert_eq!(check(&tags(&[("a", "1"), ("a", "2")])).unwrap_err().code, FsxCode::BadRequest);
        assert_eq!(check(&tags(&[("aws:a", "1")])).unwrap_err().code, FsxCode::BadRequest);
        assert!(check_keys(["AWS:a", "awsome"].into_iter()).is_ok());
        assert!(check_keys(["aws:"].into_iter()).is_err());
    }

    #[test]
    fn given_tags_suppress_inheritance() {
        let resource = tags(&[("Name", "fs"), ("aws:x", "y")]);
        assert_eq!(of_backup(&resource, true, None), tags(&[("Name", "fs")]));
        assert_eq!(of_backup(&resource, false, None), []);
        assert_eq!(of_backup(&resource, true, Some(&tags(&[("a", "b")]))), tags(&[("a", "b")]));
    }

    #[test]
    fn tagging_overwrites_and_stops_at_fifty() {
        assert_eq!(
            after_tagging(&tags(&[("a", "1"), ("b", "1")]), &tags(&[("a", "2")])),
            Ok(tags(&[("a", "2"), ("b", "1")]))
        );
        assert!(after_tagging(&many("a", 50), &many("a", 50)).is_ok());
        assert_eq!(after_tagging(&many("a", 50), &tags(&[("b", "")])).unwrap_err().code, FsxCode::BadRequest);
        assert_eq!(
            after_untagging(&tags(&[("a", "1"), ("b", "1")]), &["a".to_owned(), "c".to_owned()]),
            tags(&[("b", "1")])
        );
    }
}
