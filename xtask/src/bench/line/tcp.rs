//! What plain TCP makes of the line: bytes without meaning, over so many connections at once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use testkit::line::{FAR, Network};

/// What is sent or received with one call.
const PIECE_BYTES: usize = 256 << 10;

/// Sends `bytes` from the far end to the near one and returns after how many seconds they were there, the time to connect
/// included.
pub(super) fn transfer(near: &Network, far: &Network, connections: u64, bytes: u64) -> Result<f64> {
    let listener = far.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)))?.context("failed to listen")?;
    let port = listener.local_addr()?.port();
    let share = bytes.div_ceil(connections);
    let begun = Instant::now();
    let received: Result<Vec<u64>> = std::thread::scope(|scope| {
        let receivers: Vec<_> = (0..connections).map(|_| scope.spawn(|| receive(near, port))).collect();
        for _ in 0..connections {
            let (connection, _) = listener.accept()?;
            scope.spawn(move || send(connection, share));
        }
        receivers.into_iter().map(|receiver| receiver.join().expect("a receiver does not panic")).collect()
    });
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(received?.iter().sum::<u64>() == share * connections, "a connection broke off");
    Ok(seconds)
}

/// Whether all of it went is seen where it arrives.
fn send(mut connection: TcpStream, bytes: u64) {
    let piece = vec![0xa5; PIECE_BYTES];
    let mut left = bytes;
    while left > 0 {
        let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if connection.write_all(&piece[..wanted]).is_err() {
            return;
        }
        left -= wanted as u64;
    }
}

fn receive(near: &Network, port: u16) -> Result<u64> {
    let mut connection = near.run(|| TcpStream::connect((FAR, port)))?.context("failed to connect")?;
    let (mut piece, mut total) = (vec![0; PIECE_BYTES], 0);
    loop {
        match connection.read(&mut piece)? {
            0 => return Ok(total),
            bytes => total += bytes as u64,
        }
    }
}
