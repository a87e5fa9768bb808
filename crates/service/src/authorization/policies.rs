//! Policies: read from files, named, and validated against the schema before they decide anything.
//!
//! A set is taken whole or not at all: a site with one broken file must not be left with the rest, as what is missing
//! may be what forbids.

use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::Mutex;

use anyhow::{Context, bail};
use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use hashlink::LruCache;
use miette::Diagnostic;

use super::decision::Decision;
use super::question::{Permission, Principal};
use super::vocabulary::VOCABULARY;

/// What is decided where no policies are configured.
pub(crate) const DEFAULT: &str = include_str!("default.cedar");

/// What the names of policy files end with.
const POLICY_EXTENSION: &str = "cedar";

/// More than all policies of a site ever need.
const BYTES_MAX: u64 = 4 << 20;

/// A file of policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyFile {
    /// Its name in its directory.
    pub(crate) name: String,
    /// What it says.
    pub(crate) text: String,
}

/// How many decisions a set remembers.
const REMEMBERED_MAX: usize = 1024;

/// Policies that decide.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(super) set: PolicySet,
    /// The latest decisions. One depends on nothing but the set and what was asked.
    pub(super) decided: Mutex<LruCache<(Principal, Permission), Decision>>,
    warnings: Vec<String>,
    is_built_in: bool,
}

impl Policies {
    /// What is decided where no policies are configured: an account's keys do everything to the account's own.
    pub(crate) fn built_in() -> Self {
        let file = PolicyFile { name: "built-in".to_owned(), text: DEFAULT.to_owned() };
        let read = Self::parse(&[file], Path::new("")).expect("the built-in policies are part of the program");
        Self { is_built_in: true, ..read }
    }

    /// Reads and validates every policy file of a directory.
    pub(crate) fn load(dir: &Path) -> anyhow::Result<Self> {
        Self::parse(&read_policy_files(dir)?, dir)
    }

    /// Validates the policies of the files in `dir`. A policy is named after its file and its annotation `@id`, or its
    /// place in the file.
    pub(crate) fn parse(files: &[PolicyFile], dir: &Path) -> anyhow::Result<Self> {
        let mut set = PolicySet::new();
        let mut warnings = Vec::new();
        for file in files {
            let shown = dir.join(&file.name);
            let read = PolicySet::from_str(&file.text);
            let read = read.map_err(|error| anyhow::anyhow!("{}", located(&shown, &file.text, &error)))?;
            if read.num_of_templates() > 0 {
                bail!("{}: a template decides nothing: give principal and resource instead of slots", shown.display());
            }
            let checked = Validator::new(VOCABULARY.schema.clone()).validate(&read, ValidationMode::Strict);
            if let Some(error) = checked.validation_errors().next() {
                bail!("{}", located(&shown, &file.text, error));
            }
            warnings.extend(checked.validation_warnings().map(|warning| located(&shown, &file.text, warning)));
            for policy in read.policies() {
                let name = name_of(policy);
                let named = policy.new_id(PolicyId::new(format!("{}: {name}", file.name)));
                set.add(named).map_err(|_| anyhow::anyhow!("{}: two policies are named {name}", shown.display()))?;
            }
        }
        if !set.policies().any(|policy| policy.effect() == Effect::Permit) {
            warnings.push(format!("{}: no policy permits anything, so every request is denied", dir.display()));
        }
        Ok(Self { set, decided: Mutex::new(LruCache::new(REMEMBERED_MAX)), warnings, is_built_in: false })
    }

    /// Whether no policies are configured.
    pub(crate) fn is_built_in(&self) -> bool {
        self.is_built_in
    }

    /// Whether both decide by the same policies.
    pub(crate) fn are_those_of(&self, other: &Self) -> bool {
        self.set == other.set
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.set.num_of_policies()
    }

    /// What is odd about them and no error: policies that can never apply, for one.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Every policy file of a directory, in order of their names.
pub(crate) fn read_policy_files(dir: &Path) -> anyhow::Result<Vec<PolicyFile>> {
    let failed = || format!("failed to read the policies in {}", dir.display());
    let (mut files, mut left) = (Vec::new(), BYTES_MAX);
    for entry in std::fs::read_dir(dir).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        if !is_policy_file(&path) {
            continue;
        }
        let failed = || format!("failed to read {}", path.display());
        let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.with_context(|| format!("{}: the name is not UTF-8", path.display()))?;
        let mut text = String::new();
        let file = std::fs::File::open(&path).with_context(failed)?;
        file.take(left + 1).read_to_string(&mut text).with_context(failed)?;
        left = left
            .checked_sub(text.len() as u64)
            .with_context(|| format!("the policies in {} are larger than {BYTES_MAX} bytes together", dir.display()))?;
        files.push(PolicyFile { name, text });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Whether the name of a file is that of a policy file. Editors' hidden files are not.
pub(crate) fn is_policy_file(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == POLICY_EXTENSION)
}

fn name_of(policy: &Policy) -> String {
    match policy.annotation("id").filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        // Cedar counts from 0: policy0.
        None => {
            let number = policy.id().to_string().trim_start_matches("policy").parse().unwrap_or(0_usize);
            format!("policy {}", number + 1)
        }
    }
}

/// What is wrong, with the file and the line.
fn located(file: &Path, text: &str, error: &dyn Diagnostic) -> String {
    let offset = error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
    let line = |offset| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    let place = offset.map(|offset| format!(", line {}", line(offset))).unwrap_or_default();
    let help = error.help().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{place}: {error}{help}", file.display())
}
