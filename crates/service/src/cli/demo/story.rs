//! The story as plain text: a heading per act, a line per step, numbers in columns.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

use model::ByteSize;

use crate::output::Stdout;
use crate::progress::rate;

/// Where the story is told.
#[derive(Debug)]
pub(super) struct Story(Stdout);

impl Story {
    /// Tells it on standard output.
    pub(super) fn open() -> std::io::Result<Self> {
        Stdout::open().map(Self)
    }

    /// The first line.
    pub(super) fn begin(&mut self, line: impl Display) -> std::io::Result<()> {
        writeln!(self.0, "{line}")?;
        self.0.flush()
    }

    /// A new act.
    pub(super) fn act(&mut self, heading: impl Display) -> std::io::Result<()> {
        self.begin(format_args!("\n{heading}"))
    }

    /// One step of the act: what it is about, and what happened.
    pub(super) fn step(&mut self, about: &str, what: impl Display) -> std::io::Result<()> {
        writeln!(self.0, "  {about:<18} {what}")?;
        self.0.flush()
    }

    /// The last line.
    pub(super) fn end(&mut self, line: impl Display) -> std::io::Result<()> {
        self.begin(format_args!("\n{line}"))
    }
}

/// `read  289.3 MiB`: a word and how many bytes, as wide as every other.
pub(super) fn amount(word: &str, bytes: u64) -> String {
    format!("{word} {:>10}", ByteSize(bytes))
}

/// `in   1.25 s   231.4 MiB/s`: how long something took, and how many bytes it got through in a second.
pub(super) fn speed(bytes: u64, took: Duration) -> String {
    format!("in {:>6.2} s {:>10}/s", took.as_secs_f64(), ByteSize(rate(bytes, took)))
}
