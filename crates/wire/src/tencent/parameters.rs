//! Parameters of one call, as a JSON tree, from either way of writing them.
//!
//! Forms and queries have only text, and write nested data flat, with dots and list positions from
//! zero: `Filters.0.Values.1=NORMAL`. Their numbers and booleans are read out of text later, when the
//! wanted type is known; in JSON a number in quotes stays a text.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::reading::{Parameter, Place, Reading};
use super::{CommonCode, TencentError};

/// How deep a flat name may nest. The deepest that is used, `Policy.0.Hour.0`, has four parts.
const PARTS_MAX: usize = 16;

/// The parameters of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    tree: Value,
    is_text: bool,
}

impl Parameters {
    /// Reads a JSON body.
    ///
    /// # Errors
    /// `InvalidParameter` for anything but an object.
    pub fn from_json(body: &[u8]) -> Result<Self, TencentError> {
        match serde_json::from_slice(body) {
            Ok(tree) if has_nul(&tree) => Err(nul()),
            Ok(tree @ Value::Object(_)) => Ok(Self { tree, is_text: false }),
            _ => Err(TencentError::new(CommonCode::InvalidParameter, "The body must be a JSON object.")),
        }
    }

    /// Builds the tree from flat names and their decoded values.
    ///
    /// # Errors
    /// `InvalidParameter` when names contradict each other, nest too deep, or a list has gaps.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, TencentError> {
        let mut root = Branch::default();
        for (name, value) in pairs {
            root.insert(name, value).ok_or_else(|| ill_formed(name))?;
            if value.contains('\0') {
                return Err(nul());
            }
        }
        let members = root.into_members()?;
        Ok(Self { tree: Value::Object(members), is_text: true })
    }

    /// Reads the parameters as a typed structure.
    ///
    /// # Errors
    /// The first of these that there is, over all members at any depth: `UnknownParameter`,
    /// `InvalidParameter` for a wrong type or form, `MissingParameter`, `InvalidParameterValue` for a
    /// word that is not among those allowed.
    pub fn read<T: Parameter>(&self) -> Result<T, TencentError> {
        let mut reading = Reading::new(self.is_text);
        let structure = T::read(&self.tree, Place::ROOT, &mut reading);
        reading.finish(structure)
    }
}

/// Whether a string holds the character that no database keeps in a text.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(members) => members.values().any(has_nul),
        _ => false,
    }
}

fn nul() -> TencentError {
    TencentError::new(CommonCode::InvalidParameterValue, "A parameter holds the character U+0000.")
}

fn ill_formed(name: &str) -> TencentError {
    TencentError::new(CommonCode::InvalidParameter, format!("The parameter name {name} is not well formed."))
}

/// A node of the tree while it grows; lists are not yet told apart from structures.
enum Node {
    Leaf(String),
    Branch(Branch),
}

#[derive(Default)]
struct Branch(BTreeMap<String, Node>);

impl Branch {
    /// Puts a value under a dotted name; `None` when something else is in the way.
    fn insert(&mut self, name: &str, value: &str) -> Option<()> {
        let parts: Vec<&str> = name.splitn(PARTS_MAX + 1, '.').collect();
        let (last, path) = parts.split_last()?;
        if parts.len() > PARTS_MAX || parts.iter().any(|part| part.is_empty()) {
            return None;
        }
        let mut branch = self;
        for part in path {
            let node = branch.0.entry((*part).to_owned()).or_insert_with(|| Node::Branch(Self::default()));
            branch = match node {
                Node::Branch(inner) => inner,
                Node::Leaf(_) => return None,
            };
        }
        let before = branch.0.insert((*last).to_owned(), Node::Leaf(value.to_owned()));
        before.is_none().then_some(())
    }

    fn into_members(self) -> Result<Map<String, Value>, TencentError> {
        self.0.into_iter().map(|(name, node)| Ok((name, node.into_value()?))).collect()
    }

    /// The members in order of their positions, if all names are positions.
    fn into_list(self) -> Result<Value, TencentError> {
        let mut list = Vec::with_capacity(self.0.len());
        for (name, node) in self.0 {
            let position: usize = name.parse().map_err(|_| ill_formed(&name))?;
            list.push((position, node.into_value()?));
        }
        list.sort_by_key(|(position, _)| *position);
        if list.iter().enumerate().any(|(wanted, (position, _))| wanted != *position) {
            return Err(TencentError::new(CommonCode::InvalidParameter, "The positions of a list must count from 0."));
        }
        Ok(Value::Array(list.into_iter().map(|(_, value)| value).collect()))
    }
}

impl Node {
    fn into_value(self) -> Result<Value, TencentError> {
        match self {
            Self::Leaf(text) => Ok(Value::String(text)),
            Self::Branch(branch) if branch.0.keys().all(|name| name.bytes().all(|b| b.is_ascii_digit())) => {
                branch.into_list()
            }
            Self::Branch(branch) => branch.into_members().map(Value::Object),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn tree(pairs: &[(&str, &str)]) -> Result<Value, CommonCode> {
        Parameters::from_pairs(pairs.iter().copied()).map(|given| given.tree).map_err(|e| e.code)
    }

    /// The other direction: the flat pairs that clients make of a tree of texts.
    fn flatten(value: &Value, name: &str, pairs: &mut Vec<(String, String)>) {
        let under = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
        match value {
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, item)| flatten(item, &under(&i.to_string()), pairs));
            }
            Value::Object(members) => members.iter().for_each(|(part, item)| flatten(item, &under(part), pairs)),
            other => pairs.push((name.to_owned(), other.as_str().unwrap_or_default().to_owned())),
        }
    }

    #[test]
    fn no_text_holds_what_databases_cannot_keep() {
        let read = |body: &[u8]| Parameters::from_json(body).map_err(|error| error.code);
        for body in [r#"{"A": "a\u0000b"}"#, r#"{"A": [{"B": "\u0000"}]}"#] {
            assert_eq!(read(body.as_bytes()), Err(CommonCode::InvalidParameterValue), "{body}");
        }
        assert!(read(br#"{"A": "a\u0001b"}"#).is_ok());
        assert_eq!(tree(&[("A.0", "a\0b")]), Err(CommonCode::InvalidParameterValue));
    }

    #[test]
    fn flat_names_become_lists_and_structures() {
        let pairs = [
            ("DestinationRegions.1", "ap-shanghai"),
            ("DestinationRegions.0", "ap-beijing"),
            ("Filters.0.Name", "snapshot-state"),
            ("Filters.0.Values.0", "NORMAL"),
            ("Placement.Zone", "ap-guangzhou-3"),
            ("SnapshotId", "snap-ckgjwkqh"),
        ];
        let wanted = json!({
            "DestinationRegions": ["ap-beijing", "ap-shanghai"],
            "Filters": [{ "Name": "snapshot-state", "Values": ["NORMAL"] }],
            "Placement": { "Zone": "ap-guangzhou-3" },
            "SnapshotId": "snap-ckgjwkqh",
        });
        assert_eq!(tree(&pairs), Ok(wanted));
    }

    #[test]
    fn more_than_ten_items_keep_their_order() {
        let names: Vec<String> = (0..12).map(|i| format!("A.{i}")).collect();
        let pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), &name[2..])).collect();
        let wanted: Vec<String> = (0..12).map(|i| i.to_string()).collect();
        assert_eq!(tree(&pairs), Ok(json!({ "A": wanted })));
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let deep = vec!["A"; PARTS_MAX + 1].join(".");
        let contradictions: [&[(&str, &str)]; 7] = [
            &[("A", "1"), ("A.0", "2")],
            &[("A.0", "2"), ("A", "1")],
            &[("A.1", "1")],
            &[("A.0", "1"), ("A.00", "2")],
            &[("A..B", "1")],
            &[("A.99999999999999999999999", "1")],
            &[(&deep, "1")],
        ];
        for pairs in contradictions {
            assert_eq!(tree(pairs), Err(CommonCode::InvalidParameter), "{pairs:?}");
        }
    }

    #[test]
    fn only_a_json_object_is_a_set_of_parameters() {
        for body in ["", "[]", "1", "{", "null", "{\"A\":\u{1}}", &"[".repeat(100_000), &"{\"A\":".repeat(100_000)] {
            let refusal = Parameters::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code, CommonCode::InvalidParameter);
        }
        assert!(Parameters::from_json(b"{}").is_ok());
    }

    proptest! {
        #[test]
        fn any_names_make_a_tree_or_are_refused(names in prop::collection::vec("[A0-2.]{0,9}", 0..9)) {
            drop(Parameters::from_pairs(names.iter().map(|name| (name.as_str(), "x"))));
        }

        #[test]
        fn any_body_is_read_or_refused(body: Vec<u8>) {
            drop(Parameters::from_json(&body));
        }

        #[test]
        fn a_tree_survives_being_flattened(
            lists in prop::collection::btree_map(
                "[A-Z][a-z]{1,6}",
                prop::collection::vec("[a-z0-9-]{0,9}", 1..13),
                0..5,
            ),
        ) {
            let nested: Map<String, Value> =
                lists.iter().map(|(name, list)| (name.clone(), json!([{ "Name": name, "Values": list }]))).collect();
            let wanted = Value::Object(nested);
            let mut pairs = Vec::new();
            flatten(&wanted, "", &mut pairs);
            let found = Parameters::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            prop_assert_eq!(found.unwrap().tree, wanted);
        }
    }
}
