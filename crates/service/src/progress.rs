//! Progress on standard error: a bar on a terminal, a plain line every few seconds elsewhere, nothing with `-q`.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use model::ByteSize;

use crate::output::say;

/// Fast enough to look alive, slow enough to cost nothing.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// A log of an hour's copy should still be readable.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

const WITH_TOTAL: &str = "{msg:12} [{bar:30}] {bytes}/{total_bytes}  {binary_bytes_per_sec}  ETA {eta}";
const WITHOUT_TOTAL: &str = "{msg:12} {spinner} {bytes}  {binary_bytes_per_sec}  {elapsed}";
const WITHOUT_BYTES: &str = "{msg:12} {spinner} {elapsed}";

/// Runs `work` and shows how far `progress` has come until it ends.
pub(crate) async fn watch<T>(progress: &Arc<Progress>, quiet: bool, work: impl Future<Output = T>) -> T {
    if quiet {
        return work.await;
    }
    // Aborted when dropped, so that an interrupted command does not go on painting.
    let display = Painter(tokio::spawn(paint(Arc::clone(progress))));
    let done = work.await;
    display.end(progress).await;
    done
}

struct Painter(tokio::task::JoinHandle<()>);

impl Painter {
    async fn end(mut self, progress: &Progress) {
        self.0.abort();
        // An aborted task ends with the error that says so; the bar is gone with it.
        drop((&mut self.0).await);
        progress.take_notes().iter().for_each(say);
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn paint(progress: Arc<Progress>) {
    if std::io::stderr().is_terminal() { paint_bar(&progress).await } else { paint_lines(&progress).await }
}

async fn paint_bar(progress: &Progress) {
    let bar = Bar(ProgressBar::new_spinner());
    let mut shown = (String::new(), "");
    loop {
        tokio::time::sleep(BAR_INTERVAL).await;
        for note in progress.take_notes() {
            bar.0.println(note);
        }
        let (done, total) = (progress.done_bytes(), progress.total_bytes());
        let now = (progress.phase(), template(done, total));
        if now != shown {
            bar.begin(&now.0, now.1);
            shown = now;
        }
        if total > 0 {
            bar.0.set_length(total);
        }
        bar.0.set_position(done);
        bar.0.tick();
    }
}

fn template(done: u64, total: u64) -> &'static str {
    match (done, total) {
        (0, 0) => WITHOUT_BYTES,
        (_, 0) => WITHOUT_TOTAL,
        _ => WITH_TOTAL,
    }
}

/// Wiped off the terminal when dropped.
struct Bar(ProgressBar);

impl Bar {
    fn begin(&self, phase: &str, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("=> "));
        }
        self.0.set_message(phase.to_owned());
        self.0.reset();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn paint_lines(progress: &Progress) {
    let mut next_line = Instant::now() + LINE_INTERVAL;
    let mut phase = (progress.phase(), Instant::now());
    loop {
        tokio::time::sleep(BAR_INTERVAL).await;
        progress.take_notes().iter().for_each(say);
        let now = progress.phase();
        if now != phase.0 {
            phase = (now, Instant::now());
        }
        if Instant::now() >= next_line {
            next_line = Instant::now() + LINE_INTERVAL;
            say(line(&phase.0, progress.done_bytes(), progress.total_bytes(), phase.1.elapsed()));
        }
    }
}

/// `copying: 1.0 GiB of 4.0 GiB, 100.0 MiB/s, ETA 31s`
fn line(phase: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let per_second = rate(done, elapsed);
    let mut text = format!("{phase}: {}", ByteSize(done));
    if total > 0 {
        text = format!("{text} of {}", ByteSize(total));
    }
    text = format!("{text}, {}/s", ByteSize(per_second));
    if let Some(left @ 1..) = total.checked_sub(done)
        && let Some(seconds) = left.checked_div(per_second)
    {
        text = format!("{text}, ETA {seconds}s");
    }
    text
}

/// Bytes per second.
pub(crate) fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = elapsed.as_millis().max(1);
    u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_bytes_rate_and_eta() {
        let second = Duration::from_secs(1);
        assert_eq!(line("copying", 1 << 30, 4 << 30, second), "copying: 1.0 GiB of 4.0 GiB, 1.0 GiB/s, ETA 3s");
        assert_eq!(line("reading", 512, 0, second), "reading: 512 B, 512 B/s");
        assert_eq!(line("reading", 0, 10, Duration::ZERO), "reading: 0 B of 10 B, 0 B/s");
    }
}
