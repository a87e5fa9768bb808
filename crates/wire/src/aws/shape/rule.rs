//! Rules: what values a member may have.

use std::ops::RangeInclusive;

use serde::Serialize;

use super::{Secret, element_suffix};
use crate::aws::constraint::{Constraints, Pattern};

/// What values a member may have.
pub(crate) trait Rule<T> {
    /// Tells `constraints` what is wrong with the value at `path`.
    fn check(&self, value: &T, path: &str, constraints: &mut Constraints);
}

/// The values of a member that may be absent.
impl<T, R: Rule<T>> Rule<Option<T>> for R {
    fn check(&self, value: &Option<T>, path: &str, constraints: &mut Constraints) {
        if let Some(value) = value {
            self.check(value, path, constraints);
        }
    }
}

/// A text's length in characters, and its pattern.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) length: RangeInclusive<usize>,
    pub(crate) pattern: Pattern,
}

impl Rule<String> for Text {
    fn check(&self, value: &String, path: &str, constraints: &mut Constraints) {
        constraints.length(path, value, self.length.clone());
        constraints.pattern(path, value, &self.pattern);
    }
}

impl Rule<Secret> for Text {
    fn check(&self, value: &Secret, path: &str, constraints: &mut Constraints) {
        constraints.secret_length(path, &value.0, self.length.clone());
        constraints.secret_pattern(path, &value.0, &self.pattern);
    }
}

/// A number's bounds.
impl Rule<i64> for RangeInclusive<i64> {
    fn check(&self, value: &i64, path: &str, constraints: &mut Constraints) {
        constraints.range(path, *value, self.clone());
    }
}

/// How many elements a list may have; its elements have no rule, or bring their own.
#[derive(Debug)]
pub(crate) struct Count(pub(crate) RangeInclusive<usize>);

impl<T: Serialize> Rule<Vec<T>> for Count {
    fn check(&self, value: &Vec<T>, path: &str, constraints: &mut Constraints) {
        if !self.0.contains(&value.len()) {
            let shown = serde_json::to_string(value).unwrap_or_default();
            constraints.count(path, &shown, value.len(), self.0.clone());
        }
    }
}

/// How many elements a list may have, and what each may be.
#[derive(Debug)]
pub(crate) struct List<R: 'static>(pub(crate) RangeInclusive<usize>, pub(crate) &'static R);

impl<T: Serialize, R: Rule<T>> Rule<Vec<T>> for List<R> {
    fn check(&self, value: &Vec<T>, path: &str, constraints: &mut Constraints) {
        Count(self.0.clone()).check(value, path, constraints);
        for (at, element) in value.iter().enumerate() {
            self.1.check(element, &format!("{path}{}", element_suffix(at)), constraints);
        }
    }
}
