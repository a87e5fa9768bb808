//! A directory tree like those people keep: many small texts, fewer and larger files, holes, links.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::at;
use super::content::{Content, Random};

/// How many files of each kind a tree gets, and how large they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeShape {
    /// Text files of 0 to `small_bytes_max` bytes, a quarter of that on average.
    pub small_files: u32,
    /// The size of the largest small file.
    pub small_bytes_max: u64,
    /// Files of 64 KiB to 1 MiB, three in five of them text.
    pub medium_files: u32,
    /// Files of half to one and a half times `large_bytes`, every third of them text.
    pub large_files: u32,
    /// The mean size of a large file.
    pub large_bytes: u64,
    /// Files of `sparse_bytes` with a few islands of data in a sea of holes.
    pub sparse_files: u32,
    /// The apparent size of a sparse file.
    pub sparse_bytes: u64,
    /// Symbolic links to small files, every tenth of them dangling.
    pub symlinks: u32,
    /// Second names of small files, mostly in other directories.
    pub hard_links: u32,
}

impl TreeShape {
    /// About 200 files and 10 MB: for tests.
    pub fn small() -> Self {
        Self {
            small_files: 168,
            small_bytes_max: 32 << 10,
            medium_files: 8,
            large_files: 2,
            large_bytes: 2 << 20,
            sparse_files: 4,
            sparse_bytes: 4 << 20,
            symlinks: 12,
            hard_links: 8,
        }
    }

    /// About 6,300 files and 300 MB: for a quick benchmark.
    pub fn quick() -> Self {
        Self {
            small_files: 6_000,
            medium_files: 190,
            large_files: 4,
            large_bytes: 30 << 20,
            sparse_files: 8,
            sparse_bytes: 16 << 20,
            symlinks: 60,
            hard_links: 40,
            ..Self::small()
        }
    }

    /// 45,478 files and 2.25 GB: for figures worth keeping.
    pub fn full() -> Self {
        Self {
            small_files: 43_500,
            medium_files: 1_400,
            large_files: 24,
            large_bytes: 40 << 20,
            sparse_files: 54,
            sparse_bytes: 16 << 20,
            symlinks: 300,
            hard_links: 200,
            ..Self::small()
        }
    }

    /// `files` files of up to a kibibyte and nothing else: for measuring memory.
    pub fn many_tiny(files: u32) -> Self {
        Self {
            small_files: files,
            small_bytes_max: 1 << 10,
            medium_files: 0,
            large_files: 0,
            sparse_files: 0,
            symlinks: 0,
            hard_links: 0,
            ..Self::small()
        }
    }
}

/// What a tree holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorpusSummary {
    /// Regular files, hard links not counted again.
    pub files: u64,
    /// Directories below the root.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Second names of regular files.
    pub hard_links: u64,
    /// The sum of the files' sizes, holes included.
    pub bytes: u64,
    /// The bytes that were written, holes left out.
    pub data_bytes: u64,
}

const FILES_PER_DIRECTORY: u32 = 12;
const DEPTH_MAX: usize = 8;

/// Builds a tree of `shape` in `dir`, which is created and should be empty.
///
/// Modes are set whatever the umask; modification times of files lie in 2020 to 2024.
///
/// # Errors
/// What the file system answers, with the path.
pub fn tree(dir: &Path, seed: u64, shape: &TreeShape) -> io::Result<CorpusSummary> {
    at(dir, fs::create_dir_all(dir))?;
    let mut builder =
        Builder { random: Random::new(seed), dirs: vec![dir.to_owned()], summary: CorpusSummary::default() };
    builder.make_directories(dir, shape)?;
    builder.make_small_files(shape)?;
    for serial in 0..shape.medium_files {
        let content = if builder.random.below(5) < 3 { Content::Text } else { Content::Incompressible };
        let bytes = builder.random.between(64 << 10, 1 << 20);
        builder.make_file(&format!("medium-{serial}.bin"), content, bytes)?;
    }
    for serial in 0..shape.large_files {
        let content = if serial % 3 == 2 { Content::Text } else { Content::Incompressible };
        let bytes = builder.random.between(shape.large_bytes / 2, shape.large_bytes / 2 * 3);
        builder.make_file(&format!("large-{serial}.dat"), content, bytes)?;
    }
    for serial in 0..shape.sparse_files {
        builder.make_sparse_file(&format!("sparse-{serial}.img"), shape.sparse_bytes)?;
    }
    builder.make_links(shape)?;
    Ok(builder.summary)
}

struct Builder {
    random: Random,
    /// The root first, then every directory after its parent.
    dirs: Vec<PathBuf>,
    summary: CorpusSummary,
}

impl Builder {
    fn make_directories(&mut self, root: &Path, shape: &TreeShape) -> io::Result<()> {
        let depth_of_root = root.components().count();
        for serial in 0..shape.small_files.div_ceil(FILES_PER_DIRECTORY) {
            let parent = loop {
                let candidate = self.random.index(self.dirs.len());
                if self.dirs[candidate].components().count() - depth_of_root < DEPTH_MAX {
                    break candidate;
                }
            };
            let path = self.dirs[parent].join(format!("dir-{serial}"));
            at(&path, fs::create_dir(&path))?;
            at(&path, fs::set_permissions(&path, Permissions::from_mode(0o755)))?;
            self.dirs.push(path);
            self.summary.directories += 1;
        }
        Ok(())
    }

    /// Directory by directory, as a copy would have made them.
    fn make_small_files(&mut self, shape: &TreeShape) -> io::Result<()> {
        for serial in 0..shape.small_files {
            let path = self.small_path(serial);
            let limit = self.random.below(shape.small_bytes_max + 1);
            let bytes = self.random.below(limit + 1);
            self.write_file(&path, Content::Text, bytes)?;
        }
        Ok(())
    }

    fn small_path(&self, serial: u32) -> PathBuf {
        let extension = ["txt", "rs", "c", "md", "json"][serial as usize % 5];
        let directory = (serial / FILES_PER_DIRECTORY) as usize + 1;
        self.dirs[directory].join(format!("small-{serial}.{extension}"))
    }

    fn make_file(&mut self, name: &str, content: Content, bytes: u64) -> io::Result<()> {
        let path = self.some_directory().join(name);
        self.write_file(&path, content, bytes)
    }

    fn some_directory(&mut self) -> PathBuf {
        let index = self.random.index(self.dirs.len());
        self.dirs[index].clone()
    }

    fn write_file(&mut self, path: &Path, content: Content, bytes: u64) -> io::Result<()> {
        let mut file = at(path, File::create_new(path))?;
        at(path, content.write(&mut file, &mut self.random, bytes))?;
        self.summary.data_bytes += bytes;
        self.finish_file(path, &file, bytes)
    }

    fn make_sparse_file(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        let path = self.some_directory().join(name);
        let mut file = at(&path, File::create_new(&path))?;
        at(&path, file.set_len(bytes))?;
        for _ in 0..self.random.below(5) {
            // A quarter of the file at most, so that most of it stays a hole.
            let island = self.random.between(1, bytes / 16 + 2);
            let offset = self.random.below(bytes.saturating_sub(island) + 1);
            at(&path, file.seek(SeekFrom::Start(offset)))?;
            at(&path, Content::Text.write(&mut file, &mut self.random, island))?;
            self.summary.data_bytes += island;
        }
        let bytes = at(&path, file.metadata())?.len();
        self.finish_file(&path, &file, bytes)
    }

    fn finish_file(&mut self, path: &Path, mut file: &File, bytes: u64) -> io::Result<()> {
        let mode = [0o644, 0o644, 0o644, 0o600, 0o755, 0o664][self.random.index(6)];
        let start_of_2020 = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800);
        let five_years_in_nanoseconds = 157_680_000 * 1_000_000_000;
        let modified = start_of_2020 + Duration::from_nanos(self.random.below(five_years_in_nanoseconds));
        at(path, file.flush())?;
        at(path, file.set_permissions(Permissions::from_mode(mode)))?;
        at(path, file.set_modified(modified))?;
        self.summary.files += 1;
        self.summary.bytes += bytes;
        Ok(())
    }

    fn make_links(&mut self, shape: &TreeShape) -> io::Result<()> {
        for serial in 0..shape.symlinks {
            let path = self.some_directory().join(format!("link-{serial}"));
            let target = match self.some_small_file(shape) {
                Some(target) if serial % 10 != 9 => relative(&path, &target),
                _ => PathBuf::from("nowhere/to-be-found"),
            };
            at(&path, symlink(&target, &path))?;
            self.summary.symlinks += 1;
        }
        for serial in 0..shape.hard_links {
            let Some(target) = self.some_small_file(shape) else { break };
            let path = self.some_directory().join(format!("hard-{serial}"));
            at(&path, fs::hard_link(&target, &path))?;
            self.summary.hard_links += 1;
        }
        Ok(())
    }

    fn some_small_file(&mut self, shape: &TreeShape) -> Option<PathBuf> {
        let serial = u32::try_from(self.random.below(shape.small_files.into())).ok()?;
        (shape.small_files > 0).then(|| self.small_path(serial))
    }
}

/// The way from the directory that `link` lies in to `target`.
fn relative(link: &Path, target: &Path) -> PathBuf {
    let from: Vec<_> = link.components().collect();
    let to: Vec<_> = target.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Path::new(".."), from.len() - shared - 1);
    up.chain(to[shared..].iter().map(AsRef::as_ref)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::day_two::tests::fingerprint;
    use super::*;

    #[test]
    fn one_seed_gives_one_tree() {
        let scratch = tempfile::tempdir().unwrap();
        let paths = ["a", "b", "c"].map(|name| scratch.path().join(name));
        let first = tree(&paths[0], 7, &TreeShape::small()).unwrap();
        let again = tree(&paths[1], 7, &TreeShape::small()).unwrap();
        tree(&paths[2], 8, &TreeShape::small()).unwrap();
        assert_eq!(first, again);
        assert_eq!(fingerprint(&paths[0]), fingerprint(&paths[1]));
        assert_ne!(fingerprint(&paths[0]), fingerprint(&paths[2]));
    }

    #[test]
    fn the_small_tree_is_small_and_has_every_kind() {
        let scratch = tempfile::tempdir().unwrap();
        let made = tree(scratch.path(), 1, &TreeShape::small()).unwrap();
        assert_eq!(made.files + made.symlinks + made.hard_links, 202);
        assert!((8_000_000..14_000_000).contains(&made.data_bytes), "{made:?}");
        assert!(made.bytes > made.data_bytes + (8 << 20), "{made:?}");
    }

    #[test]
    fn the_way_to_a_link_target_is_relative() {
        assert_eq!(relative(Path::new("/r/a/link"), Path::new("/r/b/c/file")), Path::new("../b/c/file"));
        assert_eq!(relative(Path::new("/r/link"), Path::new("/r/file")), Path::new("file"));
    }
}
