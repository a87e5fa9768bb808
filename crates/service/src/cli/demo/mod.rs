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

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use model::ByteSize;
use tempfile::TempDir;

use crate::config::environment;
use crate::exit::Outcome;

/// How much is taken of files found on the machine, and at most the size of the disk image.
const FOUND_BYTES_MAX: u64 = 300_000_000;

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
    let scratch = tempfile::Builder::new().prefix("offsite-demo-").tempdir_in(&place);
    let mut scratch = scratch.with_context(|| format!("failed to make a scratch place in {}", place.display()))?;
    if args.keep {
        scratch.disable_cleanup(true);
    }
    let told = acts::play(&args, scratch.path(), quiet).await;
    close(scratch).await?;
    told
}

/// Removes the scratch place, if it is not to be kept, and says so if that fails.
async fn close(scratch: TempDir) -> anyhow::Result<()> {
    let path = scratch.path().to_owned();
    let closed = tokio::task::spawn_blocking(|| scratch.close()).await.context("removing files does not panic")?;
    closed.with_context(|| format!("failed to remove {}", path.display()))
}
