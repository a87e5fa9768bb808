//! `offsite demo`: the whole story on real files, in a scratch place.
//!
//! It calls what the commands call, and ends well only if both days come back from the second region
//! equal to their originals after the first region is gone.

mod acts;
mod compare;
mod image;
mod input;
mod random;
mod story;
mod tree;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use model::ByteSize;

use crate::config::environment;
use crate::exit::Outcome;
use crate::output::say;

/// How much is taken of files found on the machine, and at most the size of the disk image.
const FOUND_BYTES_MAX: u64 = 300_000_000;

/// Two seconds in all: as long as a person who pressed Ctrl-C likes to wait.
const REMOVALS_MAX: u32 = 20;
const REMOVAL_PAUSE: Duration = Duration::from_millis(100);

/// Arguments of `offsite demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// A directory to tell the story with; it is copied, never changed [default: files found on this machine].
    dir: Option<PathBuf>,
    /// Take no more than this of the directory [default: all of DIR, 300MB of files found on this machine].
    #[arg(long)]
    size: Option<ByteSize>,
    /// Keep the scratch place instead of removing it at the end.
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(args: DemoArgs, quiet: bool) -> anyhow::Result<Outcome> {
    let place = environment::temporary_directory();
    let made = tempfile::Builder::new().prefix("offsite-demo-").disable_cleanup(true).tempdir_in(&place);
    let made = made.with_context(|| format!("failed to make a scratch place in {}", place.display()))?;
    let scratch = Scratch { path: made.keep(), is_kept: args.keep };
    let told = acts::play(&args, &scratch.path, quiet).await;
    tokio::task::spawn_blocking(|| drop(scratch)).await.context("failed to clear up")?;
    told
}

/// The scratch place; removed when dropped, be it that the story has ended or was interrupted.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // What was interrupted may still make files in it, and stops once it finds no directory to do so.
        for _ in 0..REMOVALS_MAX {
            match std::fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(REMOVAL_PAUSE),
                _ => return,
            }
        }
        say(format_args!("note: the scratch place {} could not be removed", self.path.display()));
    }
}
