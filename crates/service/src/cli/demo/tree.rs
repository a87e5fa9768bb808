//! A day in the life of a tree: 1 % of its bytes are edited, and some of it is added, removed, renamed.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::random::Random;
use crate::output::{counted, grouped};

/// Of a large file, this many bytes in one place are edited.
const EDIT_BYTES_MAX: u64 = 64 << 10;

/// One file in so many is added, one removed and one renamed.
const FILES_PER_MOVE: usize = 200;

const ADDED_LINES: usize = 400;

/// A regular file of the tree.
#[derive(Debug)]
pub(super) struct TreeFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Its length.
    pub(super) bytes: u64,
}

/// What a walk through the tree found, in the order of the names.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Regular files.
    pub(super) files: Vec<TreeFile>,
    /// Directories below the root.
    directories: Vec<PathBuf>,
    /// The files' bytes.
    pub(super) bytes: u64,
}

/// What a day changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DayTwo {
    edited: u64,
    edited_bytes: u64,
    added: u64,
    removed: u64,
    renamed: u64,
    directories_renamed: u64,
}

impl fmt::Display for DayTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = model::ByteSize(self.edited_bytes);
        let (added, removed, renamed) = (grouped(self.added), grouped(self.removed), grouped(self.renamed));
        write!(
            f,
            "{} edited ({bytes}), {added} added, {removed} removed, {renamed} renamed",
            counted(self.edited, "file")
        )?;
        if self.directories_renamed > 0 { f.write_str(", a directory renamed") } else { Ok(()) }
    }
}

impl Census {
    /// Walks through the tree.
    pub(super) fn take(root: &Path) -> io::Result<Self> {
        let mut census = Self::default();
        census.walk(root)?;
        Ok(census)
    }

    fn walk(&mut self, dir: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let meta = entry.metadata()?;
            if meta.is_dir() {
                self.walk(&entry.path())?;
                self.directories.push(entry.path());
            } else if meta.is_file() {
                self.bytes += meta.len();
                self.files.push(TreeFile { path: entry.path(), bytes: meta.len() });
            }
        }
        Ok(())
    }

    /// The directory with the most bytes that holds no more than a fifth of all.
    fn directory_to_rename(&self) -> Option<&PathBuf> {
        let mut below: HashMap<&Path, u64> = HashMap::new();
        for file in &self.files {
            for dir in file.path.ancestors().skip(1) {
                *below.entry(dir).or_default() += file.bytes;
            }
        }
        let bytes = |dir: &PathBuf| below.get(dir.as_path()).copied().unwrap_or(0);
        self.directories.iter().filter(|dir| bytes(dir) <= self.bytes / 5).max_by_key(|dir| bytes(dir))
    }
}

/// Lives through a day. What this user may not change stays as it is.
pub(super) fn live_through_a_day(root: &Path, random: &mut Random) -> io::Result<DayTwo> {
    let mut census = Census::take(root)?;
    let directory = census.directory_to_rename().cloned();
    let mut files = std::mem::take(&mut census.files);
    random.shuffle(&mut files);
    let mut day = DayTwo::default();
    let moves = files.len() / FILES_PER_MOVE + 1;
    for file in files.drain(..moves.min(files.len() / 4)) {
        day.removed += u64::from(fs::remove_file(&file.path).is_ok());
    }
    for file in files.drain(..moves.min(files.len() / 4)) {
        day.renamed += u64::from(fs::rename(&file.path, with_suffix(&file.path, ".renamed")).is_ok());
    }
    for file in files.iter().filter(|file| file.bytes > 0) {
        if day.edited_bytes >= census.bytes / 100 && day.edited > 0 {
            break;
        }
        if let Ok(bytes) = edit(file, random) {
            day.edited += 1;
            day.edited_bytes += bytes;
        }
    }
    for serial in 0..moves {
        day.added += u64::from(add(root, &census.directories, serial, random).is_ok());
    }
    if let Some(directory) = directory {
        day.directories_renamed += u64::from(fs::rename(&directory, with_suffix(&directory, "-renamed")).is_ok());
    }
    Ok(day)
}

/// Turns a stretch of the file around: other bytes that compress about as well as those before.
fn edit(file: &TreeFile, random: &mut Random) -> io::Result<u64> {
    let len = file.bytes.min(EDIT_BYTES_MAX);
    let start = random.below(file.bytes - len);
    let mut open = File::options().read(true).write(true).open(&file.path)?;
    let mut stretch = Vec::new();
    open.seek(SeekFrom::Start(start))?;
    (&open).take(len).read_to_end(&mut stretch)?;
    stretch.reverse();
    // It may have read the same both ways.
    if let Some(first) = stretch.first_mut() {
        *first ^= 1;
    }
    open.seek(SeekFrom::Start(start))?;
    open.write_all(&stretch)?;
    Ok(len)
}

fn add(root: &Path, directories: &[PathBuf], serial: usize, random: &mut Random) -> io::Result<()> {
    let place = usize::try_from(random.below(directories.len() as u64)).unwrap_or(0);
    let path = directories.get(place).map_or(root, PathBuf::as_path).join(format!("added-on-day-2-{serial}.txt"));
    let mut file = File::create_new(path)?;
    let line = |line| format!("file {serial}, line {line}: {:016x}\n", random.below(u64::MAX));
    file.write_all((0..ADDED_LINES).map(line).collect::<String>().as_bytes())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_changes_about_one_per_cent() {
        let scratch = tempfile::tempdir().unwrap();
        for dir in 0..10 {
            fs::create_dir(scratch.path().join(dir.to_string())).unwrap();
            for file in 0..40 {
                fs::write(scratch.path().join(format!("{dir}/{file}")), format!("{dir} {file} ").repeat(500)).unwrap();
            }
        }
        let before = Census::take(scratch.path()).unwrap();
        let day = live_through_a_day(scratch.path(), &mut Random::new(1)).unwrap();
        assert!((before.bytes / 100..before.bytes / 50).contains(&day.edited_bytes), "{day:?}");
        assert_eq!((day.added, day.removed, day.renamed, day.directories_renamed), (3, 3, 3, 1));
    }

    #[test]
    fn a_day_in_an_empty_tree_adds_a_file() {
        let scratch = tempfile::tempdir().unwrap();
        let day = live_through_a_day(scratch.path(), &mut Random::new(1)).unwrap();
        assert_eq!(day, DayTwo { added: 1, ..DayTwo::default() });
    }
}
