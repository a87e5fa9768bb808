//! Outside programs.

use std::path::{Path, PathBuf};

/// Where `program` is: on the path, or where Debian keeps an administrator's programs and PostgreSQL's.
pub fn find(program: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "finding programs is what PATH is for; testkit has no service::config"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let postgres = versions.map(|version| version.path().join("bin"));
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(Into::into)).chain(postgres);
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A program that `cargo xtask test` has installed, to a test whose `CARGO_TARGET_TMPDIR` this is.
///
/// # Panics
/// When it is not there.
pub fn installed(test_directory: &Path, name: &str) -> PathBuf {
    let target = test_directory.parent().expect("it lies in the target folder");
    let mut programs =
        ["venv/bin", "azurite/node_modules/.bin"].map(|folder| target.join(folder).join(name)).into_iter();
    programs
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask test` once"))
}
