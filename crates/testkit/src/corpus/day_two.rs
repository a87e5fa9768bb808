//! The day after: about one per cent of a tree is edited, and some of it is added, removed, renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::at;
use super::content::{Content, Random};

/// What a day changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayTwoSummary {
    /// Bytes that are new: edits and added files.
    pub changed_bytes: u64,
    /// Files with new content under their old name.
    pub files_edited: u64,
    /// Files that were not there.
    pub files_added: u64,
    /// Files that are gone.
    pub files_removed: u64,
    /// Files under a new name, their content untouched.
    pub files_renamed: u64,
    /// Directories under a new name, their content untouched.
    pub directories_renamed: u64,
}

/// Files from this size up are edited in one place; smaller ones are written anew.
const EDITED_IN_PLACE_BYTES: u64 = 1 << 20;
/// One file in so many is added, removed, renamed.
const FILES_PER_MOVE: usize = 500;

/// Lives through a day in the tree at `dir`: about 1 % of its allocated bytes become new ones.
///
/// Depends on the tree and on `seed` alone, except for the times, which are those of the call.
///
/// # Errors
/// What the file system answers, with the path.
pub fn day_two(dir: &Path, seed: u64) -> io::Result<DayTwoSummary> {
    let mut random = Random::new(seed);
    let mut found = Found::default();
    find(dir, &mut found)?;
    random.shuffle(&mut found.files);

    let mut done = DayTwoSummary::default();
    let moves = found.files.len() / FILES_PER_MOVE + 1;
    // A tenth of the budget is kept for the files that are added.
    let budget = found.allocated_bytes / 100;
    while done.changed_bytes < budget - budget / 10 {
        let Some(file) = found.files.pop() else { break };
        done.changed_bytes += edit(&file, &mut random, budget)?;
        done.files_edited += 1;
    }
    for file in found.files.drain(..moves.min(found.files.len())) {
        at(&file.path, fs::remove_file(&file.path))?;
        done.files_removed += 1;
    }
    for file in found.files.drain(..moves.min(found.files.len())) {
        at(&file.path, fs::rename(&file.path, with_suffix(&file.path, ".renamed")))?;
        done.files_renamed += 1;
    }
    for serial in 0..moves {
        let parent = found.directories.get(random.index(found.directories.len())).map_or(dir, PathBuf::as_path);
        let path = parent.join(format!("added-{serial}.txt"));
        let bytes = budget / 10 / moves as u64;
        let mut file = at(&path, File::create_new(&path))?;
        at(&path, Content::Text.write(&mut file, &mut random, bytes))?;
        done.changed_bytes += bytes;
        done.files_added += 1;
    }
    if let Some(path) = found.directories.get(random.index(found.directories.len())) {
        at(path, fs::rename(path, with_suffix(path, "-renamed")))?;
        done.directories_renamed += 1;
    }
    Ok(done)
}

/// Writes anew those of a tree's small files that were made first, `files` of them: in trees of the same seed and kind that differ
/// in size alone, these are the same files in the same directories.
///
/// # Errors
/// What the file system answers, with the path.
pub fn edit_first_files(dir: &Path, seed: u64, files: u64) -> io::Result<DayTwoSummary> {
    let mut random = Random::new(seed);
    let mut found = Found::default();
    find(dir, &mut found)?;
    let mut done = DayTwoSummary::default();
    for file in found.files.iter().filter(|file| serial_of(&file.path).is_some_and(|serial| serial < files)) {
        done.changed_bytes += edit(file, &mut random, 0)?;
        done.files_edited += 1;
    }
    Ok(done)
}

/// The number in the name of a small file.
fn serial_of(path: &Path) -> Option<u64> {
    path.file_stem()?.to_str()?.strip_prefix("small-")?.parse().ok()
}

#[derive(Default)]
struct Found {
    /// Regular files with something in them, in the order of their names.
    files: Vec<FoundFile>,
    directories: Vec<PathBuf>,
    allocated_bytes: u64,
}

struct FoundFile {
    path: PathBuf,
    bytes: u64,
}

fn find(dir: &Path, found: &mut Found) -> io::Result<()> {
    let mut paths =
        at(dir, fs::read_dir(dir))?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let metadata = at(&path, fs::symlink_metadata(&path))?;
        if metadata.is_dir() {
            find(&path, found)?;
            found.directories.push(path);
        } else if metadata.is_file() {
            let allocated_bytes = metadata.blocks() * 512;
            found.allocated_bytes += allocated_bytes;
            if allocated_bytes > 0 {
                found.files.push(FoundFile { path, bytes: metadata.len() });
            }
        }
    }
    Ok(())
}

/// Returns how many bytes are new, at most `budget` of them in a large file.
fn edit(file: &FoundFile, random: &mut Random, budget: u64) -> io::Result<u64> {
    let path = &file.path;
    let mut open = at(path, OpenOptions::new().write(true).open(path))?;
    if file.bytes < EDITED_IN_PLACE_BYTES {
        at(path, open.set_len(0))?;
        // Never the old size, so that a file is seen to differ whatever its times say.
        let bytes = file.bytes + random.between(1, 100);
        at(path, Content::Text.write(&mut open, random, bytes))?;
        return Ok(bytes);
    }
    let bytes = (file.bytes / 12).min(budget / 3).max(1);
    at(path, open.seek(SeekFrom::Start(random.below(file.bytes - bytes))))?;
    let content = if random.one_in(2) { Content::Text } else { Content::Incompressible };
    at(path, content.write(&mut open, random, bytes))?;
    Ok(bytes)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::super::tree::{TreeShape, tree};
    use super::*;

    /// Every path with a hash of what is there: kind, mode, content or link target, names of its inode.
    pub(crate) fn fingerprint(dir: &Path) -> BTreeMap<PathBuf, u64> {
        let mut seen = BTreeMap::new();
        let mut left = vec![dir.to_owned()];
        while let Some(next) = left.pop() {
            for entry in fs::read_dir(&next).unwrap() {
                let path = entry.unwrap().path();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let mut hasher = DefaultHasher::new();
                metadata.mode().hash(&mut hasher);
                if metadata.is_dir() {
                    left.push(path.clone());
                } else if metadata.is_symlink() {
                    fs::read_link(&path).unwrap().hash(&mut hasher);
                } else if metadata.is_file() {
                    metadata.nlink().hash(&mut hasher);
                    fs::read(&path).unwrap().hash(&mut hasher);
                }
                seen.insert(path.strip_prefix(dir).unwrap().to_owned(), hasher.finish());
            }
        }
        seen
    }

    #[test]
    fn a_day_changes_about_one_per_cent() {
        for seed in 0..5 {
            let scratch = tempfile::tempdir().unwrap();
            let shape = TreeShape { small_files: 600, ..TreeShape::small() };
            let made = tree(scratch.path(), seed, &shape).unwrap();
            let done = day_two(scratch.path(), seed).unwrap();
            let share = done.changed_bytes as f64 / made.data_bytes as f64;
            assert!((0.008..0.025).contains(&share), "seed {seed}: {share} {done:?}");
            assert!(done.files_edited > 0 && done.files_added > 0, "seed {seed}: {done:?}");
            assert!(done.files_removed > 0 && done.files_renamed > 0, "seed {seed}: {done:?}");
            assert_eq!(done.directories_renamed, 1, "seed {seed}");
        }
    }

    #[test]
    fn one_seed_gives_one_day() {
        let days = [3, 3, 4].map(|seed| {
            let scratch = tempfile::tempdir().unwrap();
            tree(scratch.path(), 1, &TreeShape::small()).unwrap();
            let before = fingerprint(scratch.path());
            let done = day_two(scratch.path(), seed).unwrap();
            let after = fingerprint(scratch.path());
            assert_ne!(before, after);
            (done, after)
        });
        assert_eq!(days[0], days[1]);
        assert_ne!(days[0], days[2]);
    }

    #[test]
    fn the_first_files_are_the_same_in_a_larger_tree() {
        let scratch = tempfile::tempdir().unwrap();
        let edited = [200, 2000].map(|files| {
            let dir = scratch.path().join(files.to_string());
            tree(&dir, 1, &TreeShape::many_tiny(files)).unwrap();
            let done = edit_first_files(&dir, 2, 50).unwrap();
            // All but those that were empty.
            assert!((40..=50).contains(&done.files_edited), "{done:?}");
            let mut found = Found::default();
            find(&dir, &mut found).unwrap();
            let first = found.files.iter().filter(|file| serial_of(&file.path).is_some_and(|serial| serial < 30));
            first
                .map(|file| file.path.parent().unwrap().strip_prefix(&dir).unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        });
        assert_eq!(edited[0], edited[1]);
    }
}
