//! Shapes: typed structures that are read from a request's members and checked against the model as they are.
//!
//! A structure is declared once with [`structure`]: a member's Rust type says whether it must be there, its
//! rule what values it may have. All of a request is read before anything is reported, since a member of a
//! wrong type outranks every failed constraint, and failed constraints are reported together.

mod rule;
mod secret;

pub(crate) use rule::{Count, List, Rule, Text};
pub use secret::Secret;
use serde_json::{Map, Value};

use super::constraint::Constraints;
use super::error::{CommonCode, CommonError};
use super::json;

/// Why a body is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The body is not JSON, or a member is of another type than modelled.
    Serialization(CommonError),
    /// The message that names every constraint that failed.
    Constraints(String),
}

/// Reads a request's body.
pub(crate) fn read<T: Shape>(body: &[u8]) -> Result<T, Refusal> {
    let members = json::members(body).map_err(Refusal::Serialization)?;
    let mut reader = Reader::default();
    let read = T::read(Value::Object(members), &mut reader);
    if let Some(message) = reader.mismatch {
        return Err(Refusal::Serialization(CommonError::new(CommonCode::Serialization, message)));
    }
    reader.constraints.finish().map_err(Refusal::Constraints)?;
    read.ok_or_else(|| Refusal::Serialization(CommonCode::Serialization.into()))
}

/// What a member's value can be read as.
pub(crate) trait Shape: Sized {
    /// Reads a value that is not `null`. `None` when `reader` was told why not.
    fn read(given: Value, reader: &mut Reader) -> Option<Self>;

    /// What stands for a member that is absent or `null`.
    fn absent(reader: &mut Reader) -> Option<Self> {
        reader.constraints.missing(&reader.path);
        None
    }

    /// Whether this stands for an absent member.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Where in a request reading has come to, and what was wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    path: String,
    mismatch: Option<String>,
    constraints: Constraints,
}

impl Reader {
    /// The members of a structure.
    pub(crate) fn members(&mut self, given: Value) -> Option<Map<String, Value>> {
        match given {
            Value::Object(members) => Some(members),
            _ => self.mismatched("a structure"),
        }
    }

    /// Takes and reads one member.
    pub(crate) fn member<T: Shape>(&mut self, members: &mut Map<String, Value>, name: &str) -> Option<T> {
        self.checked(members, name, |_: &T, _, _| ())
    }

    /// Takes, reads and checks one member.
    pub(crate) fn ruled_member<T: Shape>(
        &mut self,
        members: &mut Map<String, Value>,
        name: &str,
        rule: &impl Rule<T>,
    ) -> Option<T> {
        self.checked(members, name, |value, path, constraints| rule.check(value, path, constraints))
    }

    fn checked<T: Shape>(
        &mut self,
        members: &mut Map<String, Value>,
        name: &str,
        check: impl FnOnce(&T, &str, &mut Constraints),
    ) -> Option<T> {
        let parent = self.path.len();
        if parent > 0 {
            self.path.push('.');
        }
        self.path.extend(name.chars().take(1).map(|first| first.to_ascii_lowercase()));
        self.path.extend(name.chars().skip(1));
        let value = match members.remove(name) {
            None | Some(Value::Null) => T::absent(self),
            Some(given) => T::read(given, self),
        };
        if let Some(value) = &value {
            check(value, &self.path, &mut self.constraints);
        }
        self.path.truncate(parent);
        value
    }

    /// One of a few words.
    pub(crate) fn word<T>(&mut self, given: Value, words: &[&str], find: fn(&str) -> Option<T>) -> Option<T> {
        let word = String::read(given, self)?;
        self.constraints.one_of(&self.path, &word, words);
        find(&word)
    }

    fn mismatched<T>(&mut self, wanted: &str) -> Option<T> {
        let place = if self.path.is_empty() { "The request" } else { &self.path };
        self.mismatch.get_or_insert_with(|| format!("{place} must be {wanted}."));
        None
    }
}

impl<T: Shape> Shape for Option<T> {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        T::read(given, reader).map(Some)
    }

    fn absent(_: &mut Reader) -> Option<Self> {
        Some(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl Shape for String {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        match given {
            Value::String(text) => Some(text),
            _ => reader.mismatched("a string"),
        }
    }
}

impl Shape for bool {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        given.as_bool().or_else(|| reader.mismatched("a boolean"))
    }
}

impl Shape for i64 {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        given.as_i64().or_else(|| reader.mismatched("an integer"))
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn read(given: Value, reader: &mut Reader) -> Option<Self> {
        let Value::Array(elements) = given else { return reader.mismatched("a list") };
        let parent = reader.path.len();
        let mut list = Some(Self::with_capacity(elements.len()));
        for (at, element) in elements.into_iter().enumerate() {
            reader.path.push_str(&element_suffix(at));
            let value = if element.is_null() { T::absent(reader) } else { T::read(element, reader) };
            list = list.zip(value).map(|(mut list, value)| {
                list.push(value);
                list
            });
            reader.path.truncate(parent);
        }
        list
    }
}

/// How messages name an element of a list; they count from 1.
fn element_suffix(at: usize) -> String {
    format!(".{}.member", at + 1)
}

/// Declares structures of a request: `field: Type = "WireName"`, and after it `=> rule` where it has one.
macro_rules! structure {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$about:meta])* $field:ident: $type:ty = $wire:literal $(=> $rule:expr)?,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $(
                #[doc = concat!("`", $wire, "`.")]
                $(#[$about])*
                #[serde(rename = $wire, skip_serializing_if = "crate::aws::shape::Shape::is_absent")]
                pub $field: $type,
            )*
        }

        impl $crate::aws::shape::Shape for $name {
            fn read(given: serde_json::Value, reader: &mut $crate::aws::shape::Reader) -> Option<Self> {
                let mut members = reader.members(given)?;
                $(let $field = structure!(@member reader, members, $wire $(, $rule)?);)*
                Some(Self { $($field: $field?,)* })
            }
        }
    )*};
    (@member $reader:ident, $members:ident, $wire:literal) => { $reader.member(&mut $members, $wire) };
    (@member $reader:ident, $members:ident, $wire:literal, $rule:expr) => {
        $reader.ruled_member(&mut $members, $wire, $rule)
    };
}
pub(crate) use structure;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macros declare what other modules offer")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::aws::constraint::Pattern;
    use crate::aws::words::words;

    static NAME: Text = Text { length: 2..=4, pattern: Pattern::new("[a-z]*") };
    static NAMES: List<Text> = List(1..=2, &NAME);

    words! {
        /// A colour.
        Colour { Red = "RED", Blue = "BLUE", }
    }

    structure! {
        /// A part.
        Part {
            size: i64 = "Size" => &(1..=9),
            password: Option<Secret> = "Password" => &NAME,
        }
        /// A whole.
        Whole {
            name: String = "Name" => &NAME,
            names: Option<Vec<String>> = "Names" => &NAMES,
            colour: Option<Colour> = "Colour",
            is_new: Option<bool> = "IsNew",
            part: Option<Part> = "Part",
            parts: Option<Vec<Part>> = "Parts" => &Count(0..=1),
        }
    }

    fn mismatch(body: &str) -> String {
        match read::<Whole>(body.as_bytes()).unwrap_err() {
            Refusal::Serialization(error) => error.message,
            other => panic!("{other:?}"),
        }
    }

    fn failures(body: &str) -> String {
        match read::<Whole>(body.as_bytes()).unwrap_err() {
            Refusal::Constraints(message) => message.replace(" failed to satisfy constraint: Member must", ""),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_ignored() {
        let whole = read::<Whole>(br#"{"Name":"ab","Names":null,"Other":1,"Part":{"Size":3,"Password":null,"X":[]}}"#);
        let part = Some(Part { size: 3, password: None });
        let wanted = Whole { name: "ab".to_owned(), names: None, colour: None, is_new: None, part, parts: None };
        assert_eq!(whole, Ok(wanted));
    }

    #[test]
    fn a_mismatch_anywhere_outranks_every_failed_constraint() {
        assert_eq!(
            mismatch(r#"{"Names":[],"Parts":[{"Size":1},{"Size":"3"}]}"#),
            "parts.2.member.size must be an integer."
        );
        assert_eq!(mismatch(r#"{"Name":5,"IsNew":"true"}"#), "name must be a string.");
        assert_eq!(mismatch(r#"{"Name":"ab","IsNew":"true"}"#), "isNew must be a boolean.");
        assert_eq!(mismatch(r#"{"Name":"ab","Part":[3]}"#), "part must be a structure.");
        assert_eq!(mismatch(r#"{"Name":"ab","Names":{}}"#), "names must be a list.");
        assert_eq!(mismatch(r#"{"Name":"ab","Names":["ab",7]}"#), "names.2.member must be a string.");
        assert_eq!(mismatch(r#"{"Name":"ab","Part":{"Size":1.5}}"#), "part.size must be an integer.");
        assert_eq!(mismatch("[]"), "The request body must be a JSON object.");
    }

    #[test]
    fn failed_constraints_are_reported_together_with_their_paths() {
        let body =
            r#"{"Names":["ab","A","abc"],"Colour":"GREEN","Part":{"Password":"SECRET"},"Parts":[null,{"Size":0}]}"#;
        assert_eq!(
            failures(body),
            "10 validation errors detected: Value null at 'name' not be null; \
             Value '[\"ab\",\"A\",\"abc\"]' at 'names' have length less than or equal to 2; \
             Value 'A' at 'names.2.member' have length greater than or equal to 2; \
             Value 'A' at 'names.2.member' satisfy regular expression pattern: [a-z]*; \
             Value 'GREEN' at 'colour' satisfy enum value set: [RED, BLUE]; \
             Value null at 'part.size' not be null; \
             Value '***' at 'part.password' have length less than or equal to 4; \
             Value '***' at 'part.password' satisfy regular expression pattern: [a-z]*; \
             Value null at 'parts.1.member' not be null; \
             Value '0' at 'parts.2.member.size' have value greater than or equal to 1"
        );
    }

    #[test]
    fn a_word_is_one_of_its_enum() {
        for colour in Colour::ALL {
            let body = format!(r#"{{"Name":"ab","Colour":"{colour}"}}"#);
            assert_eq!(read::<Whole>(body.as_bytes()).unwrap().colour, Some(*colour));
        }
        assert_eq!((Colour::Red.as_str(), Colour::find("red")), ("RED", None));
    }

    #[test]
    fn absent_members_are_not_written_and_secrets_are_not_shown() {
        let whole = read::<Whole>(br#"{"Name":"ab","Part":{"Size":3,"Password":"abc"}}"#).unwrap();
        assert_eq!(serde_json::to_string(&whole).unwrap(), r#"{"Name":"ab","Part":{"Size":3,"Password":"***"}}"#);
        assert!(!format!("{whole:?}").contains("abc"));
        assert_eq!(whole.part.unwrap().password.unwrap().expose(), "abc");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>, json in r#"[\[\]{}:,"0-9a-zA-Z]*"#) {
            drop(read::<Whole>(&bytes));
            drop(read::<Whole>(json.as_bytes()));
        }
    }
}
