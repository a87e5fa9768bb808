//! Crash points: dies by `kill -9` at the N-th effect, so that a test sees what a crash there leaves.
//!
//! Compiled for tests only (feature `crash-points`). Effects are counted from 1, over all threads.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::Context;
use rustix::process::{Signal, getpid, kill_process};

use crate::config::environment;

#[derive(Debug)]
struct CrashPoints {
    seen: AtomicU64,
    crash_at: Option<u64>,
    log: Option<Mutex<File>>,
}

static POINTS: OnceLock<CrashPoints> = OnceLock::new();

/// Reads `OFFSITE_CRASH_AT` and `OFFSITE_EFFECTS_LOG` and hooks every effect.
pub(crate) fn install() -> anyhow::Result<()> {
    let log = match environment::effects_log() {
        Some(path) => {
            let opened = File::options().create(true).append(true).open(&path);
            Some(Mutex::new(opened.with_context(|| format!("failed to open {}", path.display()))?))
        }
        None => None,
    };
    let crash_at = environment::crash_at()?;
    POINTS.get_or_init(|| CrashPoints { seen: AtomicU64::new(0), crash_at, log });
    model::effect::install(pass);
    Ok(())
}

fn pass(name: &'static str) {
    let Some(points) = POINTS.get() else { return };
    if let Some(Ok(mut log)) = points.log.as_ref().map(Mutex::lock) {
        // One write call, so that lines of several processes do not mix.
        drop(log.write_all(format!("{name}\n").as_bytes()));
    }
    let count = points.seen.fetch_add(1, Ordering::SeqCst) + 1;
    if points.crash_at == Some(count) {
        let _unreached = kill_process(getpid(), Signal::KILL);
        // The signal may arrive a moment later; nothing may happen until it does.
        loop {
            std::thread::park();
        }
    }
}
