//! One direction of a line: a thread that takes packets from one device and hands them to the other when they are due.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{GROTable, IDEAL_BATCH_SIZE, SyncDevice, VIRTIO_NET_HDR_LEN};

use super::pacer::Pacer;
use super::{LinePlan, MTU};

/// How long an idle line takes to see that it has been closed.
const IDLE: Duration = Duration::from_millis(50);

/// How many times packets are taken before those that are due are looked at again, and how many are handed over together.
const PACKETS_AT_ONCE: usize = 64;

/// The most that a device takes or gives at once: one packet, or several of a connection that belong together.
const TOGETHER_BYTES_MAX: usize = VIRTIO_NET_HDR_LEN + 65_535;

/// How long packets gather before they are taken and handed over together, as a network card has them gather before it calls
/// for its processor. A thread that slept between any two packets would take from the programs at the ends much of what they
/// need of a small machine.
const GATHER: Duration = Duration::from_micros(250);

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
    taken: Taken,
    handed: Handed,
}

/// What a device gives, and the packets that it is made of.
struct Taken {
    together: Vec<u8>,
    packets: Vec<[u8; MTU as usize]>,
    bytes: Vec<usize>,
}

/// Packets that another device is handed, each with room for those that follow it on the same connection.
struct Handed {
    packets: Vec<Vec<u8>>,
    connections: GROTable,
}

impl Carrier {
    pub(super) fn new(from: Arc<SyncDevice>, to: Arc<SyncDevice>, plan: &LinePlan, tally: Arc<Tally>) -> Self {
        let taken = Taken {
            together: vec![0; TOGETHER_BYTES_MAX],
            packets: vec![[0; MTU as usize]; IDEAL_BATCH_SIZE],
            bytes: vec![0; IDEAL_BATCH_SIZE],
        };
        let packets = std::iter::repeat_with(|| Vec::with_capacity(TOGETHER_BYTES_MAX)).take(PACKETS_AT_ONCE).collect();
        let handed = Handed { packets, connections: GROTable::default() };
        let (pacer, begun, under_way) = (Pacer::new(plan), Instant::now(), VecDeque::new());
        Self { from, to, pacer, tally, begun, under_way, taken, handed }
    }

    /// Carries packets until the line is closed.
    pub(super) fn run(mut self) -> io::Result<()> {
        take_precedence()?;
        while !self.tally.closed.load(Ordering::Relaxed) {
            let may_be_more = self.take_in()?;
            self.hand_over()?;
            if !may_be_more {
                std::thread::sleep(GATHER);
                self.wait()?;
            }
        }
        Ok(())
    }

    /// Takes what has come from the one device. Returns whether there may be more.
    fn take_in(&mut self) -> io::Result<bool> {
        let Taken { together, packets, bytes } = &mut self.taken;
        for _ in 0..PACKETS_AT_ONCE {
            let count = match self.from.recv_multiple(together, packets, bytes, 0) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            for (packet, bytes) in packets.iter().zip(bytes.iter()).take(count) {
                match self.pacer.take(self.begun.elapsed(), *bytes) {
                    Some(due) => self.under_way.push_back((due, packet[..*bytes].to_vec())),
                    None => drop(self.tally.dropped.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
        Ok(true)
    }

    /// Hands what is due to the other device.
    fn hand_over(&mut self) -> io::Result<()> {
        loop {
            let (now, mut count) = (self.begun.elapsed(), 0);
            let Handed { packets, connections } = &mut self.handed;
            while let Some(handed) = packets.get_mut(count)
                && let Some((due, packet)) = self.under_way.pop_front_if(|(due, _)| *due <= now)
            {
                handed.clear();
                handed.resize(VIRTIO_NET_HDR_LEN, 0);
                handed.extend_from_slice(&packet);
                count += 1;
                let late = (now - due).as_nanos();
                self.tally.packets.fetch_add(1, Ordering::Relaxed);
                self.tally.bytes.fetch_add(packet.len() as u64, Ordering::Relaxed);
                self.tally.late_nanoseconds.fetch_add(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            if count == 0 {
                return Ok(());
            }
            self.to.send_multiple(connections, &mut packets[..count], VIRTIO_NET_HDR_LEN)?;
        }
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
