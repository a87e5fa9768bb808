//! What commands print: standard output for results, standard error for everything else, and the
//! forms that results take (aligned columns, JSON).

use std::fmt::{self, Display};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use model::Omission;
use serde::Serialize;

use crate::exit::Outcome;

/// Whoever has to mend what was left out needs all of it; more lines than this are a reader's no more, and fill a log.
const OMISSIONS_SHOWN_MAX: usize = 1000;

/// Prints a line on standard error. That it may be closed is nobody's failure.
pub(crate) fn say(line: impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Standard output was closed by its reader.
#[derive(Debug)]
pub(crate) struct StdoutClosed;

impl Display for StdoutClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed")
    }
}

impl std::error::Error for StdoutClosed {}

/// Standard output without line buffering, so that gigabytes pass through it quickly.
///
/// A reader that went away shows as an error that holds [`StdoutClosed`].
#[derive(Debug)]
pub(crate) struct Stdout(BufWriter<File>);

impl Stdout {
    /// Opens standard output.
    pub(crate) fn open() -> io::Result<Self> {
        let handle = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self(BufWriter::with_capacity(1 << 16, File::from(handle))))
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(name_stdout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(name_stdout)
    }
}

fn name_stdout(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(error.kind(), StdoutClosed),
        // A retry by the caller is not a failure yet.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, format!("failed to write to standard output: {error}")),
    }
}

/// Prints one line on standard output.
pub(crate) fn print_line(line: impl Display) -> io::Result<()> {
    let mut out = Stdout::open()?;
    writeln!(out, "{line}")?;
    out.flush()
}

/// Prints a value as indented JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(serde_json::to_string_pretty(value)?)?;
    Ok(())
}

/// Prints a JSON array, an element a line, without holding the elements in memory.
#[derive(Debug)]
pub(crate) struct JsonArray {
    out: Stdout,
    is_empty: bool,
}

impl JsonArray {
    /// Begins the array.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { out: Stdout::open()?, is_empty: true })
    }

    /// Prints the next element.
    pub(crate) fn push(&mut self, element: &impl Serialize) -> anyhow::Result<()> {
        self.out.write_all(if self.is_empty { b"[\n" } else { b",\n" })?;
        self.is_empty = false;
        serde_json::to_writer(&mut self.out, element).map_err(io::Error::from)?;
        Ok(())
    }

    /// Ends the array.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.write_all(if self.is_empty { b"[]\n" } else { b"\n]\n" })?;
        self.out.flush()
    }
}

/// Rows in columns that are as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a line of titles.
    pub(crate) fn new(titles: &[&str]) -> Self {
        Self { rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()] }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints all rows.
    pub(crate) fn print(&self) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let width = |column| self.rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = Stdout::open()?;
        for row in &self.rows {
            writeln!(out, "{}", aligned(row, &widths))?;
        }
        out.flush()
    }
}

/// Cells padded to `widths`, two blanks apart, none at the end of the line.
pub(crate) fn aligned(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

/// Prints `name  value` lines, the values aligned.
pub(crate) fn print_fields(fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut out = Stdout::open()?;
    for (name, value) in fields {
        writeln!(out, "{name:<width$}  {value}")?;
    }
    out.flush()
}

/// Lists what was left out on standard error, a line each; `more` says where the rest is to be seen.
pub(crate) fn say_omissions(omissions: &[Omission], more: &str) -> Outcome {
    say_each("left out", omissions, more);
    Outcome::of_left_out(!omissions.is_empty())
}

/// The same with another word for what happened to them.
pub(crate) fn say_each(what: &str, omissions: &[Omission], more: &str) {
    for omission in omissions.iter().take(OMISSIONS_SHOWN_MAX) {
        say(format_args!("{what}: {omission}"));
    }
    if let Some(rest @ 1..) = omissions.len().checked_sub(OMISSIONS_SHOWN_MAX) {
        say(format_args!("and {rest} more: {more}"));
    }
}

/// Bytes of a name as text: what is neither UTF-8 nor printable comes out escaped.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            if c.is_control() || c == '\\' { text.extend(c.escape_default()) } else { text.push(c) }
        }
        text.push_str(&part.invalid().escape_ascii().to_string());
    }
    text
}

/// Bytes of a name for JSON: as they are where they are UTF-8, else escaped and in hex beside it.
pub(crate) fn json_text(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (printable(bytes), Some(hex::encode(bytes))),
    }
}

/// `1 pack`, `2 packs`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A number with a comma after every third digit.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "pack"), "1 pack");
    }

    #[test]
    fn names_that_are_not_text_keep_their_bytes_in_json() {
        assert_eq!(json_text("é\n".as_bytes()), ("é\n".to_owned(), None));
        assert_eq!(json_text(b"\xff/a"), ("\\xff/a".to_owned(), Some("ff2f61".to_owned())));
        assert_eq!(printable("é\n".as_bytes()), "é\\n");
    }

    #[test]
    fn columns_line_up_without_blanks_at_the_end() {
        let cells = ["a", "b", ""].map(str::to_owned);
        assert_eq!(aligned(&cells, &[3, 1, 9]), "a    b");
    }
}
