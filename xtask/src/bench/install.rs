//! Who is measured, and the installation of what that takes.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::kind::{self, CandidateKind, Origin};
use crate::tools::Tool;
use crate::{python, tools, workspace};

/// What makes environments for packages of PyPI.
const PYTHON: Tool = Tool { program: "python3", package: "python3-venv" };

/// Chooses those that are named, or else all but those that would have to be built first: these only when `build` says
/// so. Returns who is left out, too. Pure.
pub(super) fn choose(
    named: &[CandidateKind],
    build: bool,
    is_there: impl Fn(CandidateKind) -> bool,
) -> (Vec<CandidateKind>, Vec<CandidateKind>) {
    let is_ready = |kind: CandidateKind| build || !matches!(kind.origin(), Origin::Crate(_)) || is_there(kind);
    let all = CandidateKind::ALL.into_iter();
    if named.is_empty() { all.partition(|kind| is_ready(*kind)) } else { (named.to_vec(), Vec::new()) }
}

/// rclone and rsync copy what restic stored, and `cp` what offsite or restic did.
pub(super) fn check_choice(chosen: &[CandidateKind]) -> Result<()> {
    use CandidateKind as K;
    let restic = chosen.contains(&K::Restic);
    for mirror in [K::Rclone, K::RcloneChecksum, K::RcloneDebian, K::Rsync] {
        if !restic && chosen.contains(&mirror) {
            bail!("{} is measured copying restic's repository: name restic too", mirror.name());
        }
    }
    ensure!(
        restic || chosen.contains(&K::Offsite) || !chosen.contains(&K::Cp),
        "cp is measured copying offsite's store or restic's repository: name one of them too"
    );
    Ok(())
}

/// Installs or builds what is missing.
pub(super) fn install(chosen: &[CandidateKind], target: &Path) -> Result<()> {
    let origins: Vec<Origin> = chosen.iter().map(|kind| kind.origin()).collect();
    let mut packages: Vec<Tool> = Vec::new();
    for origin in &origins {
        let needed = match origin {
            Origin::Debian(tool) => *tool,
            Origin::Pypi => PYTHON,
            Origin::Workspace | Origin::Crate(_) => continue,
        };
        if !packages.contains(&needed) {
            packages.push(needed);
        }
    }
    tools::install(&packages)?;
    if origins.iter().any(|origin| matches!(origin, Origin::Pypi)) {
        python::environment(target, kind::RCLONE_ENVIRONMENT, &[kind::RCLONE])?;
    }
    for origin in &origins {
        match origin {
            Origin::Crate(tool) => tools::cargo_install(target, tool)?,
            Origin::Workspace => build_offsite()?,
            Origin::Debian(_) | Origin::Pypi => {}
        }
    }
    Ok(())
}

/// Builds the binary of this workspace.
pub(super) fn build_offsite() -> Result<()> {
    let status = workspace::cargo(&["build", "--release", "--package", "offsite"]).status();
    ensure!(status.context("failed to run cargo")?.success(), "offsite did not build: see above");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CandidateKind as K;

    #[test]
    fn what_has_to_be_built_is_left_out_until_it_is_there_or_asked_for() {
        let (chosen, left_out) = choose(&[], false, |kind| kind == K::Conserve);
        assert!(chosen.contains(&K::Conserve) && chosen.contains(&K::Borg), "{chosen:?}");
        assert_eq!(left_out, [K::Rustic]);
        assert_eq!(choose(&[], true, |_| false), (K::ALL.to_vec(), Vec::new()));
        assert_eq!(choose(&[K::Rustic], false, |_| false), (vec![K::Rustic], Vec::new()));
    }

    #[test]
    fn those_that_copy_a_folder_need_one_to_copy() {
        assert!(check_choice(&K::ALL).is_ok());
        assert!(check_choice(&[K::Offsite, K::Cp]).is_ok());
        assert!(check_choice(&[K::Cp]).is_err());
        assert!(check_choice(&[K::Offsite, K::Rsync]).unwrap_err().to_string().contains("name restic too"));
    }
}
