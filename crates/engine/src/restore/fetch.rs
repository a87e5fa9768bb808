//! Fetching the windows of a restore: some at the same time, handed on in the order of their plan.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use store::{ChunkError, ChunkSource};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::plan::Window;

/// Windows whose chunks are read and opened at the same time: on a thread each, while another one writes.
const WINDOWS_AT_ONCE: usize = 2;

/// Fetches what was planned and hands it on, until there is no more or nobody takes it.
///
/// # Errors
/// When the store is gone.
pub(super) async fn fetch_windows(
    source: &Arc<ChunkSource>,
    mut planned: mpsc::Receiver<Window>,
    fetched: mpsc::Sender<Window>,
) -> Result<(), ChunkError> {
    let mut fetching = stream::poll_fn(move |context| planned.poll_recv(context))
        .map(|window| Fetch::begin(window, source).end())
        .buffered(WINDOWS_AT_ONCE);
    while let Some(window) = fetching.next().await {
        if fetched.send(window?).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// A task of its own, so that it goes on while the window before waits to be taken. It ends when this is dropped.
struct Fetch(JoinHandle<Result<Window, ChunkError>>);

impl Fetch {
    fn begin(window: Window, source: &Arc<ChunkSource>) -> Self {
        let source = Arc::clone(source);
        Self(tokio::spawn(async move { window.fetch(&source).await }))
    }

    async fn end(mut self) -> Result<Window, ChunkError> {
        (&mut self.0).await.expect("fetching does not panic")
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.0.abort();
    }
}
