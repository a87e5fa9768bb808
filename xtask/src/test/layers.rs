//! The layer check: no crate depends on one beside or above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// Each crate with those right below it; it may also use whatever is below these. `testkit` is for
/// tests: any crate may use it in them, and it may use all but the binary.
const LAYERS: [(&str, &[&str]); 8] = [
    ("offsite", &["engine", "wire"]),
    ("engine", &["store", "catalog", "capture"]),
    ("wire", &["model"]),
    ("store", &["model"]),
    ("catalog", &["model"]),
    ("capture", &["model"]),
    ("model", &[]),
    (TESTKIT, &["engine", "wire"]),
];
const TESTKIT: &str = "testkit";

#[derive(Deserialize)]
struct Manifest {
    package: Package,
    #[serde(flatten)]
    dependencies: Dependencies,
    #[serde(default)]
    target: BTreeMap<String, Dependencies>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Dependencies {
    dependencies: BTreeMap<String, toml::Value>,
    build_dependencies: BTreeMap<String, toml::Value>,
    dev_dependencies: BTreeMap<String, toml::Value>,
}

/// Checks every crate below `crates/`.
///
/// # Errors
/// Names each dependency that points the wrong way.
pub(crate) fn check(root: &Path) -> Result<()> {
    let crates = root.join("crates");
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&crates).with_context(|| format!("failed to read {}", crates.display()))? {
        let path = entry?.path().join("Cargo.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let manifest = toml::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
        wrong.extend(faults(&manifest));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Lists what is wrong with one crate's dependencies. Pure.
fn faults(manifest: &Manifest) -> Vec<String> {
    let name = manifest.package.name.as_str();
    if !is_ours(name) {
        return vec![format!("crate {name} has no layer yet: give it one in xtask/src/test/layers.rs")];
    }
    let below = below(name);
    let tables = || std::iter::once(&manifest.dependencies).chain(manifest.target.values());
    let product = tables().flat_map(|table| table.dependencies.iter().chain(&table.build_dependencies));
    let tests = tables().flat_map(|table| &table.dev_dependencies);
    let is_wrong = |used: &&str| is_ours(used) && !below.contains(used);
    product
        .map(package_of)
        .filter(is_wrong)
        .map(|used| format!("{name} must not depend on {used}"))
        .chain(
            tests
                .map(package_of)
                .filter(|used| *used != TESTKIT && is_wrong(used))
                .map(|used| format!("the tests of {name} must not depend on {used}")),
        )
        .collect()
}

fn is_ours(name: &str) -> bool {
    LAYERS.iter().any(|(known, _)| *known == name)
}

fn below(name: &str) -> BTreeSet<&'static str> {
    let direct = LAYERS.iter().filter(|(known, _)| *known == name).flat_map(|(_, below)| below.iter());
    direct.flat_map(|used| below(used).into_iter().chain([*used])).collect()
}

/// The package that a dependency is on, which a `package` key may rename.
fn package_of<'a>((key, value): (&'a String, &'a toml::Value)) -> &'a str {
    value.get("package").and_then(toml::Value::as_str).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str) -> Vec<String> {
        faults(&toml::from_str(text).unwrap())
    }

    #[test]
    fn a_crate_may_use_what_is_below_it_and_outside() {
        let fine = "package.name = 'engine'\n[dependencies]\nstore.workspace = true\nmodel.workspace = true\ntokio = '1'\n\
                    [dev-dependencies]\ntestkit.workspace = true";
        assert_eq!(faults_of(fine), [""; 0]);
    }

    #[test]
    fn no_crate_may_use_one_beside_or_above_it() {
        assert_eq!(
            faults_of("package.name = 'store'\n[dependencies]\ncatalog.workspace = true"),
            ["store must not depend on catalog"]
        );
        assert_eq!(
            faults_of("package.name = 'model'\n[target.'cfg(unix)'.build-dependencies]\nx = { package = 'store' }"),
            ["model must not depend on store"]
        );
        assert_eq!(
            faults_of("package.name = 'wire'\n[dev-dependencies]\nengine.workspace = true"),
            ["the tests of wire must not depend on engine"]
        );
    }

    #[test]
    fn testkit_is_for_tests_only() {
        assert_eq!(
            faults_of("package.name = 'engine'\n[dependencies]\ntestkit.workspace = true"),
            ["engine must not depend on testkit"]
        );
    }

    #[test]
    fn a_crate_without_a_layer_is_named() {
        assert!(faults_of("package.name = 'utils'")[0].contains("crate utils has no layer yet"));
    }

    #[test]
    fn this_workspace_keeps_its_layers() {
        check(crate::workspace::root()).unwrap();
    }
}
