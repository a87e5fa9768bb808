//! Where the policies are: the directory that the configuration names, or `policies` beside it if there is one.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::authorization::Policies;

/// The directory that is looked for where none is named, and that `offsite init` makes.
pub(crate) const POLICIES: &str = "policies";

/// The directory of policy files.
#[derive(Clone, Debug)]
pub(crate) struct PolicyDirectory {
    /// Its path, absolute.
    pub(crate) path: PathBuf,
    /// Whether the configuration names it: then it must be there.
    pub(crate) is_named: bool,
}

impl PolicyDirectory {
    /// As a configuration in the directory `base` says.
    pub(super) fn of(named: Option<&Path>, base: &Path) -> Self {
        Self { path: base.join(named.unwrap_or(Path::new(POLICIES))), is_named: named.is_some() }
    }

    /// Reads and validates the policies that decide.
    pub(crate) fn load(&self) -> anyhow::Result<Policies> {
        match self.path.try_exists() {
            Ok(false) if !self.is_named => Ok(Policies::built_in()),
            Ok(false) => bail!("the directory of policies is not there: {}", self.path.display()),
            // What cannot be looked at is not taken for absent.
            Ok(true) | Err(_) => Policies::load(&self.path),
        }
    }
}
