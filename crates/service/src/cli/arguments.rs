//! Arguments that several commands share, and how they are read.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use engine::verify::{Depth, Part, Scope};
use model::{BackupId, Exclusions, RelPath, ResourceId};

use super::Cli;

/// Which backup a command is about.
#[derive(Clone, Debug)]
pub(crate) enum BackupName {
    /// The one of this id.
    Id(BackupId),
    /// The one whose contents were taken last of this resource, in whichever region.
    LatestOf(ResourceId),
}

impl FromStr for BackupName {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match (given.parse(), given.parse()) {
            (Ok(id), _) => Ok(Self::Id(id)),
            (_, Ok(resource)) => Ok(Self::LatestOf(resource)),
            (Err(no_id), _) => Err(format!("{no_id}; nor is it a resource's id")),
        }
    }
}

/// How thoroughly to verify.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct DepthArgs {
    /// Only check that every pack is there and has the right size [default: read and hash every pack].
    #[arg(long, conflicts_with = "read_data")]
    quick: bool,
    /// Also open every chunk and check what is in it.
    #[arg(long)]
    read_data: bool,
    /// Read only the K-th of N parts of all packs, and only look for the others: another K each night reads all of them in N nights.
    #[arg(long, value_name = "K/N", conflicts_with = "quick")]
    part: Option<Part>,
}

impl DepthArgs {
    pub(super) fn scope(self) -> Scope {
        let depth = match self {
            Self { quick: true, .. } => Depth::Quick,
            Self { read_data: true, .. } => Depth::ReadData,
            _ => Depth::Hash,
        };
        Scope { depth, part: self.part }
    }
}

/// What the backups of a directory leave out.
#[derive(Clone, Debug, Args)]
pub(super) struct ExclusionArgs {
    /// Leave out of the directory's backups what a line of a .gitignore in it would name: *.o anywhere, /build only at its top,
    /// build/ only directories, !keep.o not after all; may be given several times.
    #[arg(long = "exclude", value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Read such patterns from a file, one in a line; those given by --exclude come after them.
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Leave out what is in directories that are tagged as caches (by a CACHEDIR.TAG).
    #[arg(long)]
    exclude_caches: bool,
}

impl ExclusionArgs {
    /// The exclusions that they name, with what is in the files.
    pub(super) fn read(self) -> anyhow::Result<Exclusions> {
        let mut patterns = Vec::new();
        for file in &self.exclude_from {
            let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
            let is_pattern = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
            patterns.extend(text.lines().filter(is_pattern).map(str::to_owned));
        }
        patterns.extend(self.patterns);
        Ok(Exclusions { patterns, caches: self.exclude_caches })
    }
}

/// Tags of a new backup or copy.
#[derive(Clone, Debug, Args)]
pub(super) struct TagArgs {
    /// A tag for the new backup; may be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
}

impl TagArgs {
    /// The tags, in the order in which they were given.
    pub(super) fn into_tags(self) -> Result<Vec<(String, String)>, clap::Error> {
        for (place, (key, _)) in self.tags.iter().enumerate() {
            if self.tags[..place].iter().any(|(earlier, _)| earlier == key) {
                let message = format!("the tag {key} is given twice");
                return Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
            }
        }
        Ok(self.tags)
    }
}

/// Reads `KEY=VALUE`.
pub(super) fn parse_tag(given: &str) -> Result<(String, String), String> {
    match given.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("\"{given}\" is not a tag: write KEY=VALUE")),
    }
}

/// Reads a path inside a backup. A leading `./` and trailing slashes mean nothing; `.` is the root.
pub(super) fn parse_path(given: OsString) -> Result<RelPath, model::entry::InvalidPath> {
    let bytes = given.into_vec();
    let mut rest = bytes.as_slice();
    while let Some(shorter) = rest.strip_prefix(b"./") {
        rest = shorter;
    }
    while let Some(shorter) = rest.strip_suffix(b"/") {
        rest = shorter;
    }
    if rest == b"." { Ok(RelPath::root()) } else { RelPath::new(rest) }
}

/// A path argument that takes any bytes.
pub(super) fn path_parser() -> impl clap::builder::TypedValueParser<Value = RelPath> {
    use clap::builder::{OsStringValueParser, TypedValueParser};
    OsStringValueParser::new().try_map(parse_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_people_write_them() {
        let path = |given: &str| parse_path(given.into()).map(|path| path.to_string());
        for (given, expected) in [("a/b", "a/b"), ("./a/b/", "a/b"), (".", "."), ("./", "."), ("", "."), ("././a", "a")]
        {
            assert_eq!(path(given).as_deref(), Ok(expected), "{given:?}");
        }
        for bad in ["/etc", "..", "a/../b", "a//b"] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        let odd = OsString::from_vec(b"\xff/\n".to_vec());
        assert_eq!(parse_path(odd).unwrap().as_bytes(), b"\xff/\n");
    }

    #[test]
    fn a_backup_is_named_by_its_id_or_its_resource() {
        let read = |given: &str| given.parse::<BackupName>();
        assert!(matches!(read("backup-0123456789abcdef0"), Ok(BackupName::Id(_))));
        for resource in ["fs-0123456789abcdef0", "disk-abcdefgh", "cluster-22222222222"] {
            assert!(matches!(read(resource), Ok(BackupName::LatestOf(_))), "{resource}");
        }
        assert!(read("latest").unwrap_err().ends_with("; nor is it a resource's id"));
    }

    #[test]
    fn tags_need_a_key_and_come_once() {
        assert_eq!(parse_tag("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(parse_tag("=b").is_err());
        assert!(parse_tag("a").is_err());
        let twice = TagArgs { tags: vec![("a".into(), "1".into()), ("a".into(), "2".into())] };
        assert!(twice.into_tags().is_err());
    }
}
