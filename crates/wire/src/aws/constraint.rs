//! Model constraints of one request: collects what fails, and words all of it as AWS services do.
//!
//! A service with a machine-readable model checks every member against it before its own rules, and answers
//! with all failures at once: `2 validation errors detected: Value null at 'subnetIds' failed to satisfy
//! constraint: Member must not be null; …`. Paths use member names with a small first letter, and
//! `tags.1.member.key` for what is inside a list.

use std::fmt::{Display, Write};
use std::ops::RangeInclusive;
use std::sync::OnceLock;

use regex::Regex;

/// How many failures are worded; the others are only counted, so that a reply stays smaller than its request.
const WORDED_MAX: usize = 100;

/// How much of a value is repeated in a message. Longer than any message that FSx lets through.
const SHOWN_CHARACTERS_MAX: usize = 512;

/// The constraints that one request has failed so far.
#[derive(Clone, Debug, Default)]
pub struct Constraints {
    count: usize,
    failures: String,
}

impl Constraints {
    /// A member that must be there.
    pub fn required<T: ?Sized>(&mut self, path: &str, value: Option<&T>) {
        if value.is_none() {
            self.missing(path);
        }
    }

    /// Notes that a member that must be there is not.
    pub fn missing(&mut self, path: &str) {
        self.fail(path, "null", "Member must not be null");
    }

    /// The length of a text, in characters. A bound of 0 or `usize::MAX` is none.
    pub fn length(&mut self, path: &str, value: &str, bounds: RangeInclusive<usize>) {
        self.length_of(path, &quoted(value), value.chars().count(), bounds);
    }

    /// The number of elements of a list. `shown` is how the list reads in a message, e.g. `[a, b]`.
    pub fn count(&mut self, path: &str, shown: &str, elements: usize, bounds: RangeInclusive<usize>) {
        self.length_of(path, &quoted(shown), elements, bounds);
    }

    /// As [`Self::length`], for a secret: the message does not repeat it.
    pub fn secret_length(&mut self, path: &str, value: &str, bounds: RangeInclusive<usize>) {
        self.length_of(path, SECRET_SHOWN, value.chars().count(), bounds);
    }

    fn length_of(&mut self, path: &str, shown: &str, length: usize, bounds: RangeInclusive<usize>) {
        if length < *bounds.start() {
            self.fail(path, shown, &format!("Member must have length greater than or equal to {}", bounds.start()));
        }
        if length > *bounds.end() {
            self.fail(path, shown, &format!("Member must have length less than or equal to {}", bounds.end()));
        }
    }

    /// A number and its bounds.
    pub fn range<N: PartialOrd + Display>(&mut self, path: &str, value: N, bounds: RangeInclusive<N>) {
        let shown = quoted(&value.to_string());
        if value < *bounds.start() {
            self.fail(path, &shown, &format!("Member must have value greater than or equal to {}", bounds.start()));
        }
        if value > *bounds.end() {
            self.fail(path, &shown, &format!("Member must have value less than or equal to {}", bounds.end()));
        }
    }

    /// A text and the pattern that all of it must match.
    pub fn pattern(&mut self, path: &str, value: &str, pattern: &Pattern) {
        if !pattern.matches(value) {
            self.pattern_failed(path, &quoted(value), pattern);
        }
    }

    /// As [`Self::pattern`], for a secret: the message does not repeat it.
    pub fn secret_pattern(&mut self, path: &str, value: &str, pattern: &Pattern) {
        if !pattern.matches(value) {
            self.pattern_failed(path, SECRET_SHOWN, pattern);
        }
    }

    fn pattern_failed(&mut self, path: &str, shown: &str, pattern: &Pattern) {
        self.fail(path, shown, &format!("Member must satisfy regular expression pattern: {}", pattern.as_str()));
    }

    /// A word and the words that are allowed.
    pub fn one_of(&mut self, path: &str, value: &str, words: &[&str]) {
        if !words.contains(&value) {
            let rule = format!("Member must satisfy enum value set: [{}]", words.join(", "));
            self.fail(path, &quoted(value), &rule);
        }
    }

    /// Whether nothing has failed so far.
    pub fn is_satisfied(&self) -> bool {
        self.count == 0
    }

    /// The message, if anything has failed.
    ///
    /// # Errors
    /// One text that names every failure in the order in which they were met.
    pub fn finish(self) -> Result<(), String> {
        match self.count {
            0 => Ok(()),
            1 => Err(format!("1 validation error detected: {}", self.failures)),
            count => Err(format!("{count} validation errors detected: {}", self.failures)),
        }
    }

    fn fail(&mut self, path: &str, shown: &str, rule: &str) {
        if self.count < WORDED_MAX {
            let separator = if self.count == 0 { "" } else { "; " };
            let written =
                write!(self.failures, "{separator}Value {shown} at '{path}' failed to satisfy constraint: {rule}");
            debug_assert!(written.is_ok(), "text can always be appended");
        }
        self.count += 1;
    }
}

const SECRET_SHOWN: &str = "'***'";

fn quoted(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("'{}…'", &value[..end]),
        None => format!("'{value}'"),
    }
}

/// A pattern of a model, which a whole text must match, with its published spelling for messages.
#[derive(Debug)]
pub struct Pattern {
    published: &'static str,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    Expression(OnceLock<Regex>),
    Function(fn(&str) -> bool),
}

impl Pattern {
    /// A pattern that is used as it was published, as a match of the whole text.
    pub const fn new(published: &'static str) -> Self {
        Self { published, rule: Rule::Expression(OnceLock::new()) }
    }

    /// A pattern that `matches` stands for: one with look-around, or with counts that are dear to compile.
    pub const fn by_hand(published: &'static str, matches: fn(&str) -> bool) -> Self {
        Self { published, rule: Rule::Function(matches) }
    }

    /// The pattern as published.
    pub fn as_str(&self) -> &'static str {
        self.published
    }

    /// Whether the whole text matches.
    ///
    /// # Panics
    /// When the pattern is not a regular expression; the tests of its module match each one once.
    pub fn matches(&self, text: &str) -> bool {
        match &self.rule {
            Rule::Function(matches) => matches(text),
            Rule::Expression(expression) => expression.get_or_init(|| self.compile()).is_match(text),
        }
    }

    /// The services' `\d` means the ten ASCII digits, that of the library those of every script.
    fn compile(&self) -> Regex {
        let pattern = format!(r"\A(?:{})\z", self.published.replace(r"\d", "[0-9]"));
        Regex::new(&pattern).expect("published patterns are regular expressions")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static ID: Pattern = Pattern::new("backup-[2-7a-zA-Z]{11,16}");
    static TAG: Pattern = Pattern::new(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$");
    static TOKEN: Pattern = Pattern::new("[A-za-z0-9_.-]{0,63}$");
    static ACCOUNT: Pattern = Pattern::new(r"^\d{12}$");

    fn message(check: impl FnOnce(&mut Constraints)) -> String {
        let mut constraints = Constraints::default();
        check(&mut constraints);
        constraints.finish().unwrap_err()
    }

    #[test]
    fn all_failures_are_reported_together() {
        let text = message(|check| {
            check.required::<str>("fileSystemType", None);
            check.required::<str>("subnetIds", None);
        });
        assert_eq!(
            text,
            "2 validation errors detected: Value null at 'fileSystemType' failed to satisfy constraint: Member must \
             not be null; Value null at 'subnetIds' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn each_rule_has_its_wording() {
        type Check<'a> = &'a dyn Fn(&mut Constraints);
        let cases: [(Check<'_>, &str); 9] = [
            (&|c| c.length("a", "x", 2..=3), "'x' at 'a': have length greater than or equal to 2"),
            (&|c| c.length("a", "xxxx", 2..=3), "'xxxx' at 'a': have length less than or equal to 3"),
            (&|c| c.count("tags", "[]", 0, 1..=50), "'[]' at 'tags': have length greater than or equal to 1"),
            (&|c| c.range("n", 0, 1..=5), "'0' at 'n': have value greater than or equal to 1"),
            (&|c| c.range("n", 6, 1..=5), "'6' at 'n': have value less than or equal to 5"),
            (&|c| c.pattern("id", "x1", &ACCOUNT), r"'x1' at 'id': satisfy regular expression pattern: ^\d{12}$"),
            (&|c| c.one_of("t.1.member", "C", &["A", "B"]), "'C' at 't.1.member': satisfy enum value set: [A, B]"),
            (&|c| c.secret_length("p", "hunter2", 8..=50), "'***' at 'p': have length greater than or equal to 8"),
            (&|c| c.secret_pattern("p", "x", &ACCOUNT), r"'***' at 'p': satisfy regular expression pattern: ^\d{12}$"),
        ];
        for (check, wanted) in cases {
            let wanted = wanted.replacen(": ", " failed to satisfy constraint: Member must ", 1);
            assert_eq!(message(check), format!("1 validation error detected: Value {wanted}"));
        }
    }

    #[test]
    fn what_is_within_bounds_does_not_fail() {
        let mut check = Constraints::default();
        check.required("a", Some("x"));
        check.length("a", "äöü", 3..=3);
        check.count("b", "[]", 0, 0..=50);
        check.range("n", 5, 1..=5);
        check.pattern("id", "backup-ro5c4er4aac", &ID);
        check.one_of("mode", "FIPS", &["FIPS", "NON_FIPS"]);
        assert!(check.is_satisfied());
        assert_eq!(check.finish(), Ok(()));
    }

    #[test]
    fn a_pattern_is_matched_by_the_whole_text() {
        for text in ["backup-ro5c4er4aac\n", " backup-ro5c4er4aac", "backup-ro5c4er4aac0", "backup-ro5c4er4aac-"] {
            assert!(!ID.matches(text), "{text}");
        }
        for text in ["", "Name", "größe", "名前", "a b", "٣", "+-=._:/@"] {
            assert!(TAG.matches(text), "{text}");
        }
        for text in ["a\n", "\n", "a!", "\t"] {
            assert!(!TAG.matches(text), "{text:?}");
        }
        assert!(TOKEN.matches(r"[\]^_`") && !TOKEN.matches("a b") && !TOKEN.matches(&"a".repeat(64)));
        assert!(ACCOUNT.matches("111122223333") && !ACCOUNT.matches("١١١١٢٢٢٢٣٣٣٣"));
    }

    #[test]
    fn a_flood_of_failures_makes_no_flood_of_text() {
        let text = message(|check| (0..10_000).for_each(|_| check.length("a", &"x".repeat(5_000), 0..=1)));
        assert!(text.starts_with("10000 validation errors detected: Value 'xxx"), "{}", &text[..60]);
        assert!(text.len() < 100 * 700, "{}", text.len());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_check_panic(text in any::<String>(), repeat in 0_usize..2000) {
            let text = text.repeat(repeat.min(1 + 20_000 / (text.len() + 1)));
            let mut check = Constraints::default();
            for pattern in [&ID, &TAG, &TOKEN, &ACCOUNT] {
                check.pattern(&text, &text, pattern);
            }
            check.length(&text, &text, 3..=4);
            check.one_of(&text, &text, &[]);
            prop_assert!(check.finish().is_err());
        }
    }
}
