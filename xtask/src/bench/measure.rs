//! One whole process: its wall time with the `sync` after it, processor time, peak memory.
//!
//! Before each, everything written earlier is synced, and memory is touched: on a virtual machine
//! the first touch of a page costs microseconds, and lasts until the host takes the page back. A
//! process that makes gigabytes of page cache varies threefold without it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

/// What one process took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// From start to exit, and to the end of the `sync` after it.
    pub(super) wall_seconds: f64,
    /// User and system time of the process and its children.
    pub(super) cpu_seconds: f64,
    /// The most memory that was resident at one time.
    pub(super) peak_bytes: u64,
    /// How much the store that is written to has grown; `None` where nothing is stored.
    pub(super) stored_bytes: Option<u64>,
}

/// What one process took, and what it printed on standard output.
pub(super) struct Finished {
    pub(super) sample: Sample,
    pub(super) stdout: String,
}

/// Takes the page cache, and the names and attributes that the kernel remembers.
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Runs processes and measures them.
pub(super) struct Meter {
    log: PathBuf,
    touched_bytes: u64,
    cold: bool,
    until_exit: bool,
}

impl Meter {
    /// Keeps the processes' standard error in `folder`. Before each process touches so much memory and, when `cold`,
    /// has the kernel forget the files it has read.
    pub(super) fn new(folder: &Path, touched_bytes: u64, cold: bool) -> Self {
        Self { log: folder.join("stderr.txt"), touched_bytes, cold, until_exit: false }
    }

    /// The same for programs that write to a server: how soon it has that on its disk is the server's matter, so that the
    /// wall time ends with the process.
    pub(super) fn until_exit(self) -> Self {
        Self { until_exit: true, ..self }
    }

    /// Reads all files below `path`, for a process that is to find them in the page cache: it need not hold what another
    /// process wrote long ago, and on a virtual machine its pages can have gone back to the host. Nothing when the cache is
    /// to be cold.
    pub(super) fn warm(&self, path: &Path) -> Result<()> {
        if self.cold { Ok(()) } else { read_all(path, &mut vec![0; 1 << 20]) }
    }

    /// Runs `command` under the conditions that every sample has in common.
    ///
    /// # Errors
    /// When it does not end with status 0; the end of its standard error is in the message.
    pub(super) fn run(&self, command: &mut Command) -> Result<Finished> {
        touch_memory_elsewhere(self.touched_bytes)?;
        rustix::fs::sync();
        if self.cold {
            fs::write(DROP_CACHES, "3")
                .with_context(|| format!("failed to write to {DROP_CACHES}: --cold is for root"))?;
        }
        let log = File::create(&self.log).with_context(|| format!("failed to make {}", self.log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("failed to run {}", shown(command)))?;
        let mut stdout = String::new();
        child.stdout.take().context("standard output was not piped")?.read_to_string(&mut stdout)?;
        let used = child.wait4().context("failed to wait for a child")?;
        if !self.until_exit {
            rustix::fs::sync();
        }
        let wall_seconds = start.elapsed().as_secs_f64();
        if !used.status.success() {
            bail!("{} ended with {}: {}", shown(command), used.status, self.last_words());
        }
        let cpu_seconds = (used.rusage.utime + used.rusage.stime).as_secs_f64();
        let sample = Sample { wall_seconds, cpu_seconds, peak_bytes: used.rusage.maxrss, stored_bytes: None };
        Ok(Finished { sample, stdout })
    }

    /// Runs `command` for its effect alone and returns what it printed on standard output.
    ///
    /// # Errors
    /// When it does not end with status 0; the end of its standard error is in the message.
    pub(super) fn prepare(&self, command: &mut Command) -> Result<String> {
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("failed to run {}", shown(command)))?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} ended with {}: {}", shown(command), output.status, stderr.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from);
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// In a child, since what it needs must neither stay here nor count as the peak of later children.
fn touch_memory_elsewhere(bytes: u64) -> Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    // At most half of what is free, so that no source is pushed out of the page cache.
    let memory = rustix::system::sysinfo();
    let bytes = bytes.min(memory.freeram as u64 * u64::from(memory.mem_unit) / 2);
    let mut command = Command::new(std::env::current_exe().context("failed to find xtask itself")?);
    let status = command.arg("touch-memory").arg(bytes.to_string()).status().context("failed to run xtask itself")?;
    ensure!(status.success(), "touching memory failed: {status}");
    Ok(())
}

/// Writes to every page of `bytes` of new memory.
pub(crate) fn touch_memory(bytes: usize) {
    const PAGE_BYTES: usize = 4096;
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    std::hint::black_box(&memory);
}

/// Reads what is there of the files below `path`.
fn read_all(path: &Path, buffer: &mut [u8]) -> Result<()> {
    let failed = || format!("failed to read {}", path.display());
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if metadata.is_dir() {
        for entry in fs::read_dir(path).with_context(failed)? {
            read_all(&entry.with_context(failed)?.path(), buffer)?;
        }
    } else if metadata.is_file() {
        let mut file = File::open(path).with_context(failed)?;
        while file.read(buffer).with_context(failed)? > 0 {}
    }
    Ok(())
}

/// The sum of the sizes of the files below `path`; zero when there is nothing.
pub(super) fn stored_bytes(path: &Path) -> Result<u64> {
    sum(path, |metadata| metadata.len())
}

/// The space that the files below `path` take, holes left out.
pub(super) fn allocated_bytes(path: &Path) -> Result<u64> {
    sum(path, |metadata| metadata.blocks() * 512)
}

fn sum(path: &Path, bytes_of: impl Fn(&fs::Metadata) -> u64 + Copy) -> Result<u64> {
    if !path.exists() {
        return Ok(0);
    }
    let metadata = fs::symlink_metadata(path).with_context(|| format!("failed to look at {}", path.display()))?;
    if !metadata.is_dir() {
        return Ok(bytes_of(&metadata));
    }
    let mut total = 0;
    for entry in fs::read_dir(path).with_context(|| format!("failed to list {}", path.display()))? {
        total += sum(&entry?.path(), bytes_of)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_charged_for_its_memory_and_its_children() {
        let scratch = tempfile::tempdir().unwrap();
        let meter = Meter::new(scratch.path(), 0, false);
        let mut command = Command::new("sh");
        command.args(["-c", "echo id-1; head -c 50000000 /dev/zero | tail -c 50000000 | wc -c >&2"]);
        let finished = meter.run(&mut command).unwrap();
        assert_eq!(finished.stdout, "id-1\n");
        assert!(finished.sample.peak_bytes > 40_000_000, "{:?}", finished.sample);
        assert!(finished.sample.cpu_seconds > 0.0 && finished.sample.wall_seconds > 0.0);
    }

    #[test]
    fn a_failure_shows_what_the_process_said() {
        let scratch = tempfile::tempdir().unwrap();
        let meter = Meter::new(scratch.path(), 0, false);
        let Err(error) = meter.run(Command::new("sh").args(["-c", "echo no such key >&2; exit 7"])) else {
            panic!("status 7 is a failure")
        };
        let text = format!("{error:#}");
        assert!(text.contains("exit status: 7") && text.contains("no such key"), "{text}");
    }
}
