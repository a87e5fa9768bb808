//! `offsite backup files`: what a backup holds, one entry at a time as its pages are read.

use std::io::Write;

use catalog::BackupRow;
use clap::Args;
use engine::EngineError;
use engine::manifest_view::open_manifest;
use model::{Entry, EntryKind, FileTime, RelPath};
use serde::Serialize;

use crate::app::App;
use crate::cli::Format;
use crate::cli::arguments::{BackupName, path_parser};
use crate::exit::{Outcome, hinted};
use crate::output::{JsonArray, Stdout, json_text, printable};

/// Arguments of `offsite backup files`.
#[derive(Debug, Args)]
pub(crate) struct FilesArgs {
    /// The backup to look into, or a resource, for its latest one.
    #[arg(value_name = "BACKUP")]
    name: BackupName,
    /// Only this file, or this directory and what is below it.
    #[arg(default_value = ".", value_parser = path_parser())]
    path: RelPath,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(app: &App, args: &FilesArgs) -> anyhow::Result<Outcome> {
    let (ctx, BackupRow { id, .. }) = app.find_backup(&args.name).await?.open().await?;
    let mut entries = open_manifest(&ctx, &app.account, &id).await?.entries();
    let mut printer = Printer::open(args.format)?;
    let mut found = false;
    while let Some(next) = entries.next().await.map_err(EngineError::from)? {
        if next.entry.path.starts_with(&args.path) {
            found = true;
            printer.push(&next.entry)?;
        } else if found {
            // Entries come depth first: the rest lies outside.
            break;
        }
    }
    if !found {
        let error = anyhow::anyhow!("backup {id} has no {}", args.path);
        return Err(hinted(error, format!("`offsite backup files {id}` lists what it has")));
    }
    printer.finish()?;
    Ok(Outcome::Done)
}

/// Opens standard output at the first entry, so that an error prints nothing there.
enum Printer {
    Json(Option<JsonArray>),
    Lines(Stdout),
}

impl Printer {
    fn open(format: Format) -> std::io::Result<Self> {
        if format.json { Ok(Self::Json(None)) } else { Stdout::open().map(Self::Lines) }
    }

    fn push(&mut self, entry: &Entry) -> anyhow::Result<()> {
        match self {
            Self::Json(array) => {
                let array = match array {
                    Some(array) => array,
                    None => array.insert(JsonArray::open()?),
                };
                array.push(&EntryView::new(entry))
            }
            Self::Lines(out) => Ok(writeln!(out, "{}", line(entry))?),
        }
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Self::Json(array) => array.map_or(Ok(()), JsonArray::finish),
            Self::Lines(mut out) => out.flush(),
        }
    }
}

/// Like a line of `ls -l`: mode, owner, group, size or device number, time, name.
fn line(entry: &Entry) -> String {
    let size = match &entry.kind {
        EntryKind::CharDevice(device) | EntryKind::BlockDevice(device) => format!("{}, {}", device.major, device.minor),
        _ => entry.size().to_string(),
    };
    let target = match &entry.kind {
        EntryKind::Symlink { target } => format!(" -> {}", printable(target)),
        _ => String::new(),
    };
    let mode = mode_text(&entry.kind, entry.mode);
    let (uid, gid, mtime, path) = (entry.uid, entry.gid, time_text(entry.mtime, 0), &entry.path);
    format!("{mode} {uid:>5} {gid:>5} {size:>12} {mtime} {path}{target}")
}

/// `drwxr-xr-t`, with the letters of `ls`.
fn mode_text(kind: &EntryKind, mode: u32) -> String {
    let kind = match kind {
        EntryKind::Directory => 'd',
        EntryKind::File { .. } => '-',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Fifo => 'p',
        EntryKind::Socket => 's',
        EntryKind::CharDevice(_) => 'c',
        EntryKind::BlockDevice(_) => 'b',
    };
    let mut text = String::from(kind);
    for (shift, special, with_x, without_x) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')] {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => with_x,
            (true, false) => without_x,
        });
    }
    text
}

/// RFC 3339 with so many digits of the second; seconds and nanoseconds for what no calendar has.
fn time_text(time: FileTime, digits: usize) -> String {
    let at = i32::try_from(time.nanos).ok().and_then(|nanos| jiff::Timestamp::new(time.seconds, nanos).ok());
    at.map_or_else(|| format!("{}.{:09}", time.seconds, time.nanos), |at| format!("{at:.digits$}"))
}

/// An entry as JSON.
#[derive(Debug, Serialize)]
struct EntryView {
    path: String,
    /// The path's bytes, where they are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Octal, as `chmod` takes it.
    mode: String,
    uid: u32,
    gid: u32,
    size_bytes: u64,
    mtime: String,
    links: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<String>,
}

impl EntryView {
    fn new(entry: &Entry) -> Self {
        let (path, path_hex) = json_text(if entry.path.is_root() { b"." } else { entry.path.as_bytes() });
        let (mut target, mut target_hex, mut device) = (None, None, None);
        let kind = match &entry.kind {
            EntryKind::Directory => "directory",
            EntryKind::File { .. } => "file",
            EntryKind::Symlink { target: bytes } => {
                let (text, hex) = json_text(bytes);
                (target, target_hex) = (Some(text), hex);
                "symlink"
            }
            EntryKind::Fifo => "fifo",
            EntryKind::Socket => "socket",
            EntryKind::CharDevice(number) => {
                device = Some(format!("{}:{}", number.major, number.minor));
                "char-device"
            }
            EntryKind::BlockDevice(number) => {
                device = Some(format!("{}:{}", number.major, number.minor));
                "block-device"
            }
        };
        Self {
            path,
            path_hex,
            kind,
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            size_bytes: entry.size(),
            mtime: time_text(entry.mtime, 9),
            links: entry.links,
            target,
            target_hex,
            device,
            xattrs: entry.xattrs.iter().map(|(name, _)| printable(name)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_as_ls_prints_them() {
        let file = EntryKind::File { size: 0 };
        assert_eq!(mode_text(&file, 0o4755), "-rwsr-xr-x");
        assert_eq!(mode_text(&file, 0o2640), "-rw-r-S---");
        assert_eq!(mode_text(&EntryKind::Directory, 0o1777), "drwxrwxrwt");
    }

    #[test]
    fn times_that_no_calendar_has_still_print() {
        assert_eq!(time_text(FileTime { seconds: 0, nanos: 5 }, 9), "1970-01-01T00:00:00.000000005Z");
        assert_eq!(time_text(FileTime { seconds: i64::MAX, nanos: 0 }, 0), format!("{}.000000000", i64::MAX));
    }
}
