//! The vocabulary of policies: the schema that they are validated with, and the actions in it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use cedar_policy::{Entity, EntityTypeName, EntityUid, Schema};

/// The schema, as `offsite policy schema` prints it.
pub(crate) const SCHEMA: &str = include_str!("offsite.cedarschema");

/// The group of the actions that change nothing.
const READ: &str = "read";

/// The schema, read.
pub(super) static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::read);

pub(super) struct Vocabulary {
    pub(super) schema: Schema,
    /// Each action by its name, with the groups that it is in.
    pub(super) actions: HashMap<String, Entity>,
    /// The actions that change nothing.
    reading: HashSet<String>,
    /// The types of resources that each action is asked about; groups are asked about none.
    types: BTreeMap<String, Vec<String>>,
    /// Every type by its name: reading one from text takes longer than a decision.
    names: HashMap<String, EntityTypeName>,
}

impl Vocabulary {
    fn read() -> Self {
        let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).expect("the schema is part of the program");
        let entities = schema.action_entities().expect("actions of a schema are entities");
        let name = |uid: &EntityUid| uid.id().unescaped().to_owned();
        let actions = entities.iter().map(|entity| (name(&entity.uid()), entity.clone())).collect();
        let is_reading =
            |uid: &EntityUid| entities.ancestors(uid).into_iter().flatten().any(|group| name(group) == READ);
        let reading = entities.iter().map(Entity::uid).filter(is_reading).map(|uid| name(&uid)).collect();
        let types = schema.actions().map(|action| {
            let types = schema.resources_for_action(action).into_iter().flatten();
            let mut types: Vec<String> = types.map(ToString::to_string).collect();
            types.sort();
            (action.id().unescaped().to_owned(), types)
        });
        let types = types.collect();
        let names = schema.entity_types().map(|name| (name.to_string(), name.clone())).collect();
        Self { schema, actions, reading, types, names }
    }

    /// The type of that name.
    pub(super) fn type_named(&self, name: &str) -> EntityTypeName {
        self.names.get(name).expect("types are names of the schema").clone()
    }
}

/// Every action that there is, in order of its name.
pub(crate) fn actions() -> impl Iterator<Item = &'static str> {
    let asked = VOCABULARY.types.iter().filter(|(_, types)| !types.is_empty());
    asked.map(|(action, _)| action.as_str())
}

/// Whether an action changes nothing.
pub(crate) fn is_reading(action: &str) -> bool {
    VOCABULARY.reading.contains(action)
}

/// The types of resources that an action is asked about.
pub(crate) fn types_of(action: &str) -> &'static [String] {
    VOCABULARY.types.get(action).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_that_is_served_is_an_action() {
        let fsx = [
            "CopyBackup",
            "CreateBackup",
            "DescribeBackups",
            "DeleteBackup",
            "CreateFileSystem",
            "CreateFileSystemFromBackup",
            "DescribeFileSystems",
            "UpdateFileSystem",
            "DeleteFileSystem",
            "TagResource",
            "UntagResource",
            "ListTagsForResource",
            "DescribeVolumes",
            "DescribeStorageVirtualMachines",
        ];
        let cbs = wire::cbs::Action::ALL.iter().map(|action| format!("cbs::{action}"));
        let cloudhsm =
            wire::cloudhsm::Operation::ALL.iter().map(|operation| format!("cloudhsm::{}", operation.as_str()));
        let mut served: Vec<String> = fsx.map(|operation| format!("fsx::{operation}")).into();
        served.extend(cbs.chain(cloudhsm));
        served.extend(["kms::Decrypt", "kms::Encrypt"].map(str::to_owned));
        served.sort();
        assert_eq!(actions().collect::<Vec<_>>(), served);
        for action in actions().filter(|action| !action.starts_with("kms::")) {
            let (_, operation) = action.split_once("::").unwrap();
            let is_question = ["Describe", "List", "Get"].iter().any(|verb| operation.starts_with(verb));
            assert_eq!(is_reading(action), is_question, "{action}");
        }
        assert_eq!(types_of("fsx::CopyBackup"), ["Backup", "Region"]);
        assert!(types_of("fsx").is_empty() && types_of("fsx::Nothing").is_empty());
    }
}
