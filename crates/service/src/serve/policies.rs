//! The policies of a running server: read again whenever a file in their directory has changed.
//!
//! A change that is broken, or not whole yet, changes nothing: the last good set goes on deciding.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use model::Timestamp;

use crate::authorization::{Policies, is_policy_file};
use crate::config::PolicyDirectory;

/// A file that was changed less than this ago may still be being written. Half of one can be valid, and lack what
/// forbids.
const SETTLING_MILLISECONDS: i64 = 200;

/// What tells whether a directory of policies has changed: the name, inode, size and time of change of each file.
type Stamp = Vec<(std::ffi::OsString, u64, u64, i64, i64)>;

/// The policies of a server, and what their directory was like when they were last looked at.
#[derive(Debug)]
pub(crate) struct PolicyFolder {
    directory: PolicyDirectory,
    known: RwLock<(Option<Stamp>, Arc<Policies>)>,
}

impl PolicyFolder {
    /// Reads the policies.
    ///
    /// # Errors
    /// When a policy is broken, or a directory that the configuration names is not there. The error names file and
    /// line.
    pub(crate) fn open(directory: PolicyDirectory) -> anyhow::Result<Self> {
        // Of no state yet: the first look reads it again, if it has settled.
        let policies = directory.load()?;
        warn(&policies);
        Ok(Self { directory, known: RwLock::new((None, Arc::new(policies))) })
    }

    /// What decides at the time `now`.
    pub(crate) fn get(&self, now: Timestamp) -> Arc<Policies> {
        let (seen, known) = self.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        let stamp = match stamp(&self.directory.path, now) {
            Ok(Some(stamp)) => stamp,
            Ok(None) => return known,
            // Nothing was there before, and nothing is there now.
            Err(error) if error.kind() == ErrorKind::NotFound && known.is_built_in() => return known,
            // As a state of its own, so that it is said once.
            Err(_) => Stamp::new(),
        };
        if seen.as_ref() == Some(&stamp) {
            return known;
        }
        let loaded = Policies::load(&self.directory.path);
        if !stamp.is_empty() && self::stamp(&self.directory.path, now).ok().flatten().as_ref() != Some(&stamp) {
            // It was changed while it was read.
            return known;
        }
        let policies = match loaded {
            Ok(policies) => {
                // The first look reads what was read at the start again, and finds a change if there was one in between.
                if seen.is_some() || !policies.are_those_of(&known) {
                    warn(&policies);
                    tracing::info!(policies = policies.len(), "policies were taken over");
                }
                Arc::new(policies)
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the policies are not taken over; those before decide");
                known
            }
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = (Some(stamp), Arc::clone(&policies));
        policies
    }
}

fn warn(policies: &Policies) {
    policies.warnings().iter().for_each(|warning| tracing::warn!(warning, "policies"));
}

/// The state of a directory; `None` while it may be being changed.
fn stamp(dir: &Path, now: Timestamp) -> std::io::Result<Option<Stamp>> {
    let settling = |meta: &Metadata| {
        let age = now.0 - (meta.ctime() * 1000 + meta.ctime_nsec() / 1_000_000);
        // A time to come is another machine's, whose clock is ahead.
        (0..SETTLING_MILLISECONDS).contains(&age)
    };
    let mut stamp = Stamp::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().filter(|_| is_policy_file(&path)) else { continue };
        // Of what a link names, as that is what is read.
        let meta = std::fs::metadata(&path)?;
        if settling(&meta) {
            return Ok(None);
        }
        stamp.push((name.to_owned(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec()));
    }
    // A file that was removed leaves its time here.
    let meta = std::fs::metadata(dir)?;
    stamp.sort();
    stamp.push((".".into(), meta.ino(), 0, meta.ctime(), meta.ctime_nsec()));
    Ok((!settling(&meta)).then_some(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long after every file that a test writes.
    const LATER: Timestamp = Timestamp(i64::MAX);

    const NOTHING: &str = "forbid (principal, action, resource);";

    struct Site {
        dir: tempfile::TempDir,
        folder: PolicyFolder,
    }

    fn site(text: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.cedar"), text).unwrap();
        let path = dir.path().to_owned();
        let folder = PolicyFolder::open(PolicyDirectory { path, is_named: true }).unwrap();
        Site { dir, folder }
    }

    impl Site {
        fn write(&self, name: &str, text: &str) {
            // As a new file, whose inode tells it from the one before even within one tick of the clock.
            let file = tempfile::NamedTempFile::new_in(self.dir.path()).unwrap();
            std::fs::write(file.path(), text).unwrap();
            file.persist(self.dir.path().join(name)).unwrap();
        }

        fn count(&self) -> usize {
            self.folder.get(LATER).len()
        }
    }

    #[test]
    fn a_change_is_taken_over_and_a_broken_one_is_not() {
        let site = site(NOTHING);
        assert_eq!(site.count(), 1);
        site.write("b.cedar", NOTHING);
        assert_eq!(site.count(), 2);
        site.write("b.cedar", "forbid (principal, action, resource) when { nonsense };");
        assert_eq!(site.count(), 2);
        site.write(".b.cedar.swp", "nonsense");
        site.write("notes.txt", "nonsense");
        site.write("b.cedar", &[NOTHING, NOTHING].concat());
        assert_eq!(site.count(), 3);
        std::fs::remove_file(site.dir.path().join("a.cedar")).unwrap();
        assert_eq!(site.count(), 2);
    }

    #[test]
    fn a_directory_that_goes_away_opens_nothing() {
        let site = site(NOTHING);
        assert_eq!(site.count(), 1);
        std::fs::rename(site.dir.path().join("a.cedar"), site.dir.path().join("a.away")).unwrap();
        assert_eq!(site.count(), 0);
        std::fs::remove_dir_all(site.dir.path()).unwrap();
        assert_eq!(site.count(), 0);
    }

    #[test]
    fn what_may_still_be_being_written_waits() {
        let site = site(NOTHING);
        assert_eq!(site.count(), 1);
        site.write("b.cedar", NOTHING);
        let meta = std::fs::metadata(site.dir.path().join("b.cedar")).unwrap();
        let changed_at = meta.ctime() * 1000 + meta.ctime_nsec() / 1_000_000;
        assert_eq!(site.folder.get(Timestamp(changed_at + SETTLING_MILLISECONDS - 1)).len(), 1);
        assert_eq!(site.folder.get(Timestamp(0)).len(), 2);
    }

    #[test]
    fn a_directory_that_is_named_must_be_there() {
        let path = tempfile::tempdir().unwrap().path().join("policies");
        let error = PolicyFolder::open(PolicyDirectory { path: path.clone(), is_named: true }).unwrap_err();
        assert!(format!("{error:#}").contains("policies"), "{error:#}");
        let folder = PolicyFolder::open(PolicyDirectory { path, is_named: false }).unwrap();
        assert!(folder.get(LATER).is_built_in());
    }
}
