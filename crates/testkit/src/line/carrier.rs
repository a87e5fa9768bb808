//! One direction of a line: a thread that takes packets from one device and hands them to the other when they are due.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::SyncDevice;

use super::pacer::Pacer;
use super::{LinePlan, MTU};

/// How long an idle line takes to see that it has been closed.
const IDLE: Duration = Duration::from_millis(50);

/// How many packets are taken before those that are due are looked at again.
const PACKETS_AT_ONCE: usize = 64;

/// What one direction has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets that were handed over.
    pub packets: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Packets for which there was no room in the queue.
    pub dropped: u64,
    /// By how much all of them together were handed over later than due.
    pub late: Duration,
}

/// What is counted while packets go by.
#[derive(Debug, Default)]
pub(super) struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    late_nanoseconds: AtomicU64,
    closed: AtomicBool,
}

impl Tally {
    pub(super) fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            packets: count(&self.packets),
            bytes: count(&self.bytes),
            dropped: count(&self.dropped),
            late: Duration::from_nanos(count(&self.late_nanoseconds)),
        }
    }

    /// Ends the thread that counts here.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

pub(super) struct Carrier {
    from: Arc<SyncDevice>,
    to: Arc<SyncDevice>,
    pacer: Pacer,
    tally: Arc<Tally>,
    begun: Instant,
    /// In the order in which they are due.
    under_way: VecDeque<(Duration, Vec<u8>)>,
}

impl Carrier {
    pub(super) fn new(from: Arc<SyncDevice>, to: Arc<SyncDevice>, plan: &LinePlan, tally: Arc<Tally>) -> Self {
        Self { from, to, pacer: Pacer::new(plan), tally, begun: Instant::now(), under_way: VecDeque::new() }
    }

    /// Carries packets until the line is closed.
    pub(super) fn run(mut self) -> io::Result<()> {
        take_precedence()?;
        while !self.tally.closed.load(Ordering::Relaxed) {
            let may_be_more = self.take_in()?;
            self.hand_over()?;
            if !may_be_more {
                self.wait()?;
            }
        }
        Ok(())
    }

    /// Takes what has come from the one device. Returns whether there may be more.
    fn take_in(&mut self) -> io::Result<bool> {
        let mut packet = [0; MTU as usize];
        for _ in 0..PACKETS_AT_ONCE {
            let bytes = match self.from.recv(&mut packet) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            match self.pacer.take(self.begun.elapsed(), bytes) {
                Some(due) => self.under_way.push_back((due, packet[..bytes].to_vec())),
                None => drop(self.tally.dropped.fetch_add(1, Ordering::Relaxed)),
            }
        }
        Ok(true)
    }

    /// Hands what is due to the other device.
    fn hand_over(&mut self) -> io::Result<()> {
        while let Some((due, packet)) = self.under_way.pop_front_if(|(due, _)| *due <= self.begun.elapsed()) {
            let late = (self.begun.elapsed() - due).as_nanos();
            self.to.send(&packet)?;
            self.tally.packets.fetch_add(1, Ordering::Relaxed);
            self.tally.bytes.fetch_add(packet.len() as u64, Ordering::Relaxed);
            self.tally.late_nanoseconds.fetch_add(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until a packet comes or is due.
    fn wait(&self) -> io::Result<()> {
        let due = self.under_way.front().map_or(IDLE, |(due, _)| due.saturating_sub(self.begun.elapsed()));
        let timeout = Timespec::try_from(due.min(IDLE)).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.from, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Puts this thread before all that are not in a hurry: a line that waits for a processor is another line.
fn take_precedence() -> io::Result<()> {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let status = Command::new("chrt").args(["--fifo", "--pid", "1", &thread]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("chrt ended with {status}"))) }
}
