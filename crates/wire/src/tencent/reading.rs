//! Reading: from a JSON tree to typed parameters, noting every fault on the way.
//!
//! The whole tree is read before anything is refused, since the answer has to name the gravest kind of
//! fault and not the one that comes first: an unknown parameter before a wrong type, that before a
//! missing parameter, that before a bad value.

use std::fmt;

use serde_json::{Map, Value};

use super::{CommonCode, TencentError};

/// A type that a parameter can have.
pub trait Parameter: Sized {
    /// Reads a value that is there. `None` after a fault, which `reading` then has.
    fn read(given: &Value, place: Place<'_>, reading: &mut Reading) -> Option<Self>;

    /// What stands for a value that is absent; by default that is a fault.
    fn absent(place: Place<'_>, reading: &mut Reading) -> Option<Self> {
        reading.note(Fault::Missing, || format!("The parameter {place} is missing."));
        None
    }
}

/// Where a value is, displayed as flat names are written: `Filters.0.Name`.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    within: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Member(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    /// The structure that holds all parameters.
    pub const ROOT: Place<'static> = Place { within: None, step: Step::Root };

    /// The place of a list's item.
    pub(super) fn item(&'a self, position: usize) -> Place<'a> {
        Place { within: Some(self), step: Step::Item(position) }
    }

    /// The place of a structure's member.
    fn member(&'a self, name: &'a str) -> Place<'a> {
        Place { within: Some(self), step: Step::Member(name) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.within.filter(|outer| !matches!(outer.step, Step::Root)) {
            write!(f, "{outer}.")?;
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Member(name) => f.write_str(name),
            Step::Item(position) => write!(f, "{position}"),
        }
    }
}

/// The kinds of fault, the gravest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Unknown,
    WrongType,
    Missing,
    BadValue,
}

impl Fault {
    fn code(self) -> CommonCode {
        match self {
            Self::Unknown => CommonCode::UnknownParameter,
            Self::WrongType => CommonCode::InvalidParameter,
            Self::Missing => CommonCode::MissingParameter,
            Self::BadValue => CommonCode::InvalidParameterValue,
        }
    }
}

/// The state of one reading: how values are written, and the gravest fault so far.
#[derive(Debug)]
pub struct Reading {
    pub(super) is_text: bool,
    gravest: Option<(Fault, String)>,
}

impl Reading {
    /// A reading without faults. `is_text`: numbers and booleans are written as text.
    pub(super) fn new(is_text: bool) -> Self {
        Self { is_text, gravest: None }
    }

    /// What was read, unless there was a fault.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, TencentError> {
        match (self.gravest, read) {
            (Some((fault, message)), _) => Err(TencentError::new(fault.code(), message)),
            (None, Some(read)) => Ok(read),
            (None, None) => Err(CommonCode::InvalidParameter.into()),
        }
    }

    /// The members of a structure, whose names are all among `known`.
    pub(crate) fn structure<'v>(
        &mut self,
        given: &'v Value,
        place: Place<'_>,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Some(members) = given.as_object() else { return self.wrong_type(place, "a structure") };
        for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
            let unknown = place.member(name);
            self.note(Fault::Unknown, || format!("The parameter {unknown} is not recognized."));
        }
        Some(members)
    }

    /// One member of a structure. `null` counts as absent.
    pub(crate) fn member<T: Parameter>(
        &mut self,
        members: &Map<String, Value>,
        place: Place<'_>,
        name: &str,
    ) -> Option<T> {
        let place = place.member(name);
        match members.get(name) {
            None | Some(Value::Null) => T::absent(place, self),
            Some(given) => T::read(given, place, self),
        }
    }

    /// Notes a value that is none of the words allowed.
    pub(crate) fn bad_word<T>(&mut self, place: Place<'_>, allowed: &[&str]) -> Option<T> {
        self.note(Fault::BadValue, || format!("The parameter {place} must be one of {}.", allowed.join(", ")));
        None
    }

    /// Notes a value of another type or form than is wanted.
    pub(super) fn wrong_type<T>(&mut self, place: Place<'_>, wanted: &str) -> Option<T> {
        self.note(Fault::WrongType, || {
            if matches!(place.step, Step::Root) {
                format!("The parameters must be {wanted}.")
            } else {
                format!("The parameter {place} must be {wanted}.")
            }
        });
        None
    }

    fn note(&mut self, fault: Fault, message: impl FnOnce() -> String) {
        if self.gravest.as_ref().is_none_or(|(known, _)| fault < *known) {
            self.gravest = Some((fault, message()));
        }
    }
}

/// Declares a structure of parameters: each field with its type and its name on the wire.
///
/// A field is required unless its type is an `Option`. Its documentation opens with its wire name.
macro_rules! structure {
    ($(#[$doc:meta])* $vis:vis $name:ident {
        $($(#[$about:meta])* $field:ident: $kind:ty = $wire:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $name {
            $(#[doc = concat!("`", $wire, "`.")] $(#[$about])* $vis $field: $kind,)*
        }

        impl $crate::tencent::Parameter for $name {
            fn read(
                given: &serde_json::Value,
                place: $crate::tencent::Place<'_>,
                reading: &mut $crate::tencent::Reading,
            ) -> Option<Self> {
                let _members = reading.structure(given, place, &[$($wire),*])?;
                // Every member is read before the first fault ends it, so that the gravest is found.
                $(let $field = reading.member(_members, place, $wire);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(crate) use structure;

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::tencent::Parameters;

    structure! {
        /// A pair.
        Pair { name: String = "Name", values: Vec<i64> = "Values", }
    }

    structure! {
        /// All types.
        Everything {
            text: String = "Text",
            count: Option<i64> = "Count",
            flag: Option<bool> = "Flag",
            until: Option<Timestamp> = "Until",
            pairs: Option<Vec<Pair>> = "Pairs",
        }
    }

    fn json(body: &Value) -> Result<Everything, (CommonCode, String)> {
        let parameters = Parameters::from_json(body.to_string().as_bytes()).unwrap();
        parameters.read().map_err(|refusal| (refusal.code, refusal.message))
    }

    fn flat(pairs: &[(&str, &str)]) -> Result<Everything, CommonCode> {
        Parameters::from_pairs(pairs.iter().copied()).unwrap().read().map_err(|refusal| refusal.code)
    }

    #[test]
    fn both_ways_of_writing_give_the_same_structure() {
        let everything = Everything {
            text: "20".to_owned(),
            count: Some(-3),
            flag: Some(false),
            until: Some(Timestamp(1_641_635_275_000)),
            pairs: Some(vec![Pair { name: "a".to_owned(), values: vec![0, 7] }]),
        };
        let body = json!({
            "Text": "20", "Count": -3, "Flag": false, "Until": "2022-01-08T09:47:55+00:00",
            "Pairs": [{ "Name": "a", "Values": [0, 7] }],
        });
        let pairs = [
            ("Text", "20"),
            ("Count", "-3"),
            ("Flag", "False"),
            ("Until", "2022-01-08T17:47:55+08:00"),
            ("Pairs.0.Name", "a"),
            ("Pairs.0.Values.0", "0"),
            ("Pairs.0.Values.1", "7"),
        ];
        assert_eq!(json(&body), Ok(everything.clone()));
        assert_eq!(flat(&pairs), Ok(everything));
    }

    #[test]
    fn json_numbers_in_quotes_are_not_converted() {
        for body in [json!({ "Text": "a", "Count": "3" }), json!({ "Text": "a", "Flag": "true" }), json!({ "Text": 1 })]
        {
            assert_eq!(json(&body).unwrap_err().0, CommonCode::InvalidParameter, "{body}");
        }
        assert_eq!(json(&json!({ "Text": "a", "Count": 3.0 })).unwrap_err().0, CommonCode::InvalidParameter);
    }

    #[test]
    fn the_gravest_fault_is_reported_not_the_first() {
        let faults = [
            (json!({}), CommonCode::MissingParameter, "The parameter Text is missing."),
            (json!({ "Text": null }), CommonCode::MissingParameter, "The parameter Text is missing."),
            (json!({ "Count": [] }), CommonCode::InvalidParameter, "The parameter Count must be an integer."),
            (
                json!({ "Count": [], "Pairs": [{ "Nmae": 1 }] }),
                CommonCode::UnknownParameter,
                "The parameter Pairs.0.Nmae is not recognized.",
            ),
            (
                json!({ "Pairs": [{ "Name": "a", "Values": [1, null] }] }),
                CommonCode::InvalidParameter,
                "The parameter Pairs.0.Values.1 must be an integer.",
            ),
            (
                json!({ "Text": "a", "Pairs": [{ "Name": "a" }] }),
                CommonCode::MissingParameter,
                "The parameter Pairs.0.Values is missing.",
            ),
        ];
        for (body, code, message) in faults {
            assert_eq!(json(&body), Err((code, message.to_owned())), "{body}");
        }
    }

    #[test]
    fn text_that_is_no_number_is_the_wrong_type() {
        for (name, value) in [("Count", ""), ("Count", "1.5"), ("Flag", "1"), ("Until", "tomorrow"), ("Pairs", "x")] {
            assert_eq!(flat(&[("Text", "a"), (name, value)]), Err(CommonCode::InvalidParameter), "{name}={value}");
        }
    }
}
