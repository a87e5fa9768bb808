//! Checks that several operations share.

use std::collections::HashSet;

use crate::cbs::reply::Tag;
use crate::cbs::{CbsCode, CbsError};
use crate::tencent::CommonCode;

/// The longest name, in characters or bytes as the operation counts.
const NAME_MAX: usize = 60;

/// `InvalidParameterValue` with a message.
pub(super) fn bad_value(message: impl Into<String>) -> CbsError {
    CbsError::new(CommonCode::InvalidParameterValue, message)
}

/// `MissingParameter` for what is only required beside another parameter.
pub(super) fn missing(name: &str) -> CbsError {
    CbsError::new(CommonCode::MissingParameter, format!("The parameter {name} is missing."))
}

/// Refuses with `message` unless `holds`.
pub(super) fn ensure(holds: bool, message: &str) -> Result<(), CbsError> {
    if holds { Ok(()) } else { Err(bad_value(message)) }
}

/// A snapshot's name: 60 characters.
pub(super) fn name_in_characters(parameter: &str, name: Option<&String>) -> Result<(), CbsError> {
    let fits = name.is_none_or(|name| name.chars().count() <= NAME_MAX);
    ensure(fits, &format!("{parameter} must have at most {NAME_MAX} characters."))
}

/// A disk's or policy's name: 60 bytes.
pub(super) fn name_in_bytes(parameter: &str, name: Option<&String>) -> Result<(), CbsError> {
    let fits = name.is_none_or(|name| name.len() <= NAME_MAX);
    ensure(fits, &format!("{parameter} must have at most {NAME_MAX} bytes."))
}

/// A list that names things: not empty, nothing empty in it, nothing twice.
pub(super) fn names(parameter: &str, list: &[String]) -> Result<(), CbsError> {
    let mut seen = HashSet::new();
    ensure(!list.is_empty(), &format!("{parameter} must not be empty."))?;
    ensure(list.iter().all(|name| !name.is_empty()), &format!("{parameter} must not hold an empty string."))?;
    ensure(list.iter().all(|name| seen.insert(name)), &format!("{parameter} must not hold a value twice."))
}

/// As [`names`], with at most `count_max` of them.
///
/// # Errors
/// `InvalidParameterValue.LimitExceeded` for more.
pub(super) fn limited_names(parameter: &str, list: &[String], count_max: usize) -> Result<(), CbsError> {
    if list.len() > count_max {
        let message = format!("{parameter} must have at most {count_max} values.");
        return Err(CbsError::new(CbsCode::InvalidParameterValueLimitExceeded, message));
    }
    names(parameter, list)
}

/// Tags of something new: no key twice.
pub(super) fn tags(given: Option<&[Tag]>) -> Result<(), CbsError> {
    let mut seen = HashSet::new();
    let differ = given.unwrap_or_default().iter().all(|tag| seen.insert(&tag.key));
    ensure(differ, "Tags must not hold a key twice.")
}

/// A number that is a flag: 0 or 1.
pub(super) fn flag(parameter: &str, number: Option<i64>) -> Result<(), CbsError> {
    ensure(matches!(number, None | Some(0 | 1)), &format!("{parameter} must be 0 or 1."))
}
