//! What a walk leaves out because the tree's owner says so.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use model::{Exclusions, Omission, OmissionKind, RelPath};
use rustix::fs::OFlags;

use crate::open::open_to_read;

/// The name of the file that tags a directory as a cache, and what it begins with: <https://bford.info/cachedir/>.
const CACHE_TAG: &std::ffi::CStr = c"CACHEDIR.TAG";
const CACHE_TAG_SIGNATURE: &[u8; 43] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// So many patterns cost a walk next to nothing, and are more than anybody writes by hand.
const PATTERNS_MAX: usize = 1000;
const PATTERN_BYTES_MAX: usize = 4096;

/// [`Exclusions`], ready to be asked about paths.
#[derive(Clone, Debug)]
pub struct ExclusionRules {
    patterns: Gitignore,
    caches: bool,
}

/// A pattern that means nothing, and why.
#[derive(Debug, thiserror::Error)]
#[error("\"{pattern}\" is no pattern: {reason}")]
pub struct BadPattern {
    pattern: String,
    reason: String,
}

impl Default for ExclusionRules {
    fn default() -> Self {
        Self { patterns: Gitignore::empty(), caches: false }
    }
}

impl ExclusionRules {
    /// Makes rules of exclusions.
    ///
    /// # Errors
    /// Names the first pattern that cannot be read.
    pub fn new(exclusions: &Exclusions) -> Result<Self, BadPattern> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in &exclusions.patterns {
            let bad = |error: ignore::Error| BadPattern { pattern: pattern.clone(), reason: error.to_string() };
            builder.add_line(None, pattern).map_err(bad)?;
        }
        let together = || format!("(all {} together)", exclusions.patterns.len());
        let patterns =
            builder.build().map_err(|error| BadPattern { pattern: together(), reason: error.to_string() })?;
        Ok(Self { patterns, caches: exclusions.caches })
    }

    /// Looks at what is given as exclusions: rules are made also of what an earlier version has let through.
    ///
    /// # Errors
    /// Names a pattern that is none, or would leave out nothing, or other things than it would in a `.gitignore`.
    pub fn check(exclusions: &Exclusions) -> Result<(), BadPattern> {
        if let Some(pattern) = exclusions.patterns.get(PATTERNS_MAX) {
            let reason = format!("it is one of {}, and at most {PATTERNS_MAX} can be given", exclusions.patterns.len());
            return Err(BadPattern { pattern: pattern.clone(), reason });
        }
        for pattern in &exclusions.patterns {
            if let Some(why) = why_useless(pattern) {
                return Err(BadPattern { pattern: pattern.clone(), reason: why.to_owned() });
            }
        }
        Self::new(exclusions).map(drop)
    }

    /// The pattern by which a path is left out.
    fn pattern_of(&self, path: &RelPath, is_directory: bool) -> Option<&str> {
        match self.patterns.matched(Path::new(OsStr::from_bytes(path.as_bytes())), is_directory) {
            Match::Ignore(glob) => Some(glob.original()),
            Match::Whitelist(_) | Match::None => None,
        }
    }
}

/// Why a pattern would leave nothing out, or other things than in a `.gitignore`.
fn why_useless(pattern: &str) -> Option<&'static str> {
    if pattern.trim().is_empty() || pattern.starts_with('#') {
        return Some("an empty line or a comment leaves nothing out");
    }
    if pattern.len() > PATTERN_BYTES_MAX {
        return Some("it is too long");
    }
    let names = pattern.strip_prefix('!').unwrap_or(pattern);
    let names = names.strip_prefix('/').unwrap_or(names);
    let mut names = names.strip_suffix('/').unwrap_or(names).split('/');
    if names.any(|name| matches!(name, "" | "." | "..")) {
        return Some("no path has empty names, . or .. in it");
    }
    let unescaped = pattern.replace("\\\\", "").replace("\\{", "").replace("\\}", "");
    if unescaped.contains(['{', '}']) {
        return Some("write \\{ for a brace, and a pattern for each of several names");
    }
    unescaped.contains("[[:").then_some("write out the letters of a class")
}

/// What a walk has left out so far: a pattern may name very many files, so they are counted and not listed.
#[derive(Debug, Default)]
pub(super) struct Excluded {
    by_pattern: BTreeMap<String, u64>,
    caches: u64,
}

impl Excluded {
    /// Whether a path is left out; what it leads to may not be known, and is then left out as whatever it may be.
    pub(super) fn leaves_out(&mut self, rules: &ExclusionRules, path: &RelPath, is_directory: Option<bool>) -> bool {
        let pattern = match is_directory {
            Some(is_directory) => rules.pattern_of(path, is_directory),
            None => rules.pattern_of(path, false).or_else(|| rules.pattern_of(path, true)),
        };
        let Some(pattern) = pattern else { return false };
        match self.by_pattern.get_mut(pattern) {
            Some(count) => *count += 1,
            None => _ = self.by_pattern.insert(pattern.to_owned(), 1),
        }
        true
    }

    /// Takes out of the names in a directory those that are left out with a cache.
    pub(super) fn empty_cache(&mut self, rules: &ExclusionRules, dir: impl AsFd, names: &mut Vec<CString>) {
        if rules.caches && names.binary_search_by(|name| name.as_c_str().cmp(CACHE_TAG)).is_ok() && is_tagged(dir) {
            names.retain(|name| name.as_c_str() == CACHE_TAG);
            self.caches += 1;
        }
    }

    /// What is to be said of it, one after the other.
    pub(super) fn take_omission(&mut self) -> Option<Omission> {
        let detail = match self.by_pattern.pop_first() {
            Some((pattern, count)) => format!("{count} by \"{}\"", pattern.escape_debug()),
            None => match std::mem::take(&mut self.caches) {
                0 => return None,
                caches => format!("the contents of {caches} tagged as caches"),
            },
        };
        Some(Omission { path: RelPath::root(), kind: OmissionKind::Excluded, detail })
    }
}

fn is_tagged(dir: impl AsFd) -> bool {
    let mut found = Vec::new();
    let Ok(tag) = open_to_read(dir, CACHE_TAG, OFlags::NOFOLLOW).map(File::from) else { return false };
    let is_file = tag.metadata().is_ok_and(|tag| tag.is_file());
    is_file
        && tag.take(CACHE_TAG_SIGNATURE.len() as u64).read_to_end(&mut found).is_ok()
        && found == CACHE_TAG_SIGNATURE
}
