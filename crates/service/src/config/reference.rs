//! The reference of what can be set, as a page: made from the structures that the files are read into.

use std::fmt::Write;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use super::limits::Limits;
use super::{AccessKey, Account, ConfigFile, RegionEntry};

const INTRODUCTION: &str = "\
# Settings

What the two configuration files can say. `offsite config reference` prints this page; `offsite config check` says whether the files hold.
";

/// The page, in Markdown.
pub(crate) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, table) in [
        ("offsite.toml", table_of::<ConfigFile>()),
        ("offsite.toml: `[[region]]`, one for each region", table_of::<RegionEntry>()),
        ("identities.toml: `[[account]]`, one for each account", table_of::<Account>()),
        ("identities.toml: `[account.limits]`, in each region", table_of::<Limits>()),
        ("identities.toml: `[[account.key]]`, one for each access key", table_of::<AccessKey>()),
    ] {
        write!(page, "\n## {title}\n\n{table}").expect("writing to memory");
    }
    page
}

fn table_of<T: JsonSchema>() -> String {
    let schema = SchemaGenerator::default().into_root_schema_for::<T>().to_value();
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let mut table = "| Setting | | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for (name, setting) in schema["properties"].as_object().into_iter().flatten() {
        // What may be left out has a second type, that of nothing.
        let kind = setting["type"].as_str().or_else(|| setting["type"][0].as_str());
        let kind = match kind {
            Some("integer") => "number",
            Some("boolean") => "true or false",
            Some("array") if setting["items"]["type"] == "integer" => "list of numbers",
            Some("array") => "list of texts",
            _ => "text",
        };
        let default = match &setting["default"] {
            Value::Null if required(name) => "required".to_owned(),
            // A flag that is down by default is not shown as such by its structure.
            Value::Null if kind == "true or false" => "`false`".to_owned(),
            Value::Null => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let meaning = setting["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        writeln!(table, "| `{name}` | {kind} | {default} | {meaning} |").expect("writing to memory");
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_setting_says_what_it_means() {
        let page = super::page();
        assert!(page.matches("| `").count() > 40, "{page}");
        assert!(!page.contains("|  |"), "{page}");
        assert!(page.contains("| `gc_grace` | text | `\"24h\"` | How long gc leaves"), "{page}");
    }
}
