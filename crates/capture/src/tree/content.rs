//! Comparing the bytes of two files, without reading where both have holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::context::Context;
use crate::piece::next_run;

/// Read at a time from each of the two.
const COMPARED_TOGETHER_BYTES: usize = 1024 * 1024;

/// The first of `size` bytes in which the files differ; where one of them ends early, they differ.
pub(super) fn first_difference(a: &File, b: &File, size: u64) -> io::Result<Option<u64>> {
    let buffer_len = usize::try_from(size).unwrap_or(usize::MAX).min(COMPARED_TOGETHER_BYTES);
    let mut buffers = (vec![0; buffer_len], vec![0; buffer_len]);
    let mut position = 0;
    while position < size {
        let (start, end) = next_common_run(a, b, position, size)?;
        position = start;
        while position < end {
            let wanted = usize::try_from(end - position).unwrap_or(usize::MAX).min(buffer_len);
            let (in_a, in_b) = (&mut buffers.0[..wanted], &mut buffers.1[..wanted]);
            let (len_a, len_b) = (read_full(a, in_a, position)?, read_full(b, in_b, position)?);
            if let Some(at) = differs_at(&in_a[..len_a], &in_b[..len_b]) {
                return Ok(Some(position + at as u64));
            }
            if len_a < wanted {
                return Ok(Some(position + len_a as u64));
            }
            position += wanted as u64;
        }
    }
    Ok(None)
}

/// The next run in which either file has data.
fn next_common_run(a: &File, b: &File, position: u64, size: u64) -> io::Result<(u64, u64)> {
    // A file that ends before `size` counts as data there, so that its end is found by reading.
    let run = |file| Ok::<_, io::Error>(next_run(file, position, size)?.unwrap_or((position, size)));
    let looked = || format!("look for holes at byte {position}");
    let ((start_a, end_a), (start_b, end_b)) = (run(a).context(looked)?, run(b).context(looked)?);
    Ok(if start_a <= start_b { (start_a, end_a) } else { (start_b, end_b) })
}

fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], offset + len as u64) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context(|| format!("read at byte {offset}")),
        }
    }
    Ok(len)
}

fn differs_at(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    let common = a.iter().zip(b).position(|(a, b)| a != b);
    Some(common.unwrap_or(a.len().min(b.len())))
}
