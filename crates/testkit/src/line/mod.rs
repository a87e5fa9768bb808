//! A long line between two networks: packets are delayed, paced and queued, each direction by itself.
//!
//! Programs at its ends notice nothing but the line: their kernel's own TCP runs over it, with real packets. Needs root and
//! `/dev/net/tun`, for each end is a network of its own ([`Network`]) with a TUN device, and threads of this process carry
//! packets from one device to the other. Nothing of it outlives the process, however that ends.

mod carrier;
mod network;
mod pacer;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tun_rs::{DeviceBuilder, SyncDevice};

pub use carrier::Traffic;
use carrier::{Carrier, Tally};
pub use network::Network;

/// The address of the near end.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// The address of the far end.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// How many bits their network part has.
const PREFIX_BITS: u8 = 30;

/// What Ethernet carries, so that slow start and losses are those of common lines.
const MTU: u16 = 1500;

/// Room for what senders put into a device at once: only the line's own queue is to drop packets.
const DEVICE_PACKETS: u32 = 20_000;

/// The device's name in both networks.
const DEVICE: &str = "line";

/// What a line is like, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinePlan {
    /// How long a packet takes to the other end and its answer back, on an idle line.
    pub round_trip: Duration,
    /// Of IP packets with their headers.
    pub bits_per_second: u64,
    /// What may wait to be sent. A packet for which there is no room is dropped.
    pub queue_bytes: u64,
}

impl LinePlan {
    /// A line whose queue holds as much as is under way on it.
    pub fn new(round_trip: Duration, bits_per_second: u64) -> Self {
        let bytes = u128::from(bits_per_second) * round_trip.as_nanos() / 8_000_000_000;
        Self { round_trip, bits_per_second, queue_bytes: bytes.try_into().unwrap_or(u64::MAX) }
    }
}

/// A line that is there until this is dropped.
#[derive(Debug)]
pub struct Line {
    directions: [Arc<Tally>; 2],
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Line {
    /// Joins two networks, one of which gets [`NEAR`] and the other [`FAR`].
    ///
    /// # Errors
    /// When a device cannot be made: only root may, and each network can have one line at a time.
    pub fn join(near: &Network, far: &Network, plan: &LinePlan) -> io::Result<Self> {
        let near = Arc::new(near.run(|| device(NEAR))??);
        let far = Arc::new(far.run(|| device(FAR))??);
        let mut line = Self { directions: Default::default(), threads: Vec::new() };
        for (from, to, tally) in [(&near, &far, &line.directions[0]), (&far, &near, &line.directions[1])] {
            let carrier = Carrier::new(Arc::clone(from), Arc::clone(to), plan, Arc::clone(tally));
            line.threads.push(std::thread::spawn(|| carrier.run()));
        }
        Ok(line)
    }

    /// What has gone from the near end to the far one.
    pub fn outward(&self) -> Traffic {
        self.directions[0].traffic()
    }

    /// What has come from the far end to the near one.
    pub fn homeward(&self) -> Traffic {
        self.directions[1].traffic()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        for direction in &self.directions {
            direction.close();
        }
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("the line broke: {error}"),
                Err(_) => eprintln!("the line broke"),
            }
        }
    }
}

/// Makes the device of one end in the network of this thread.
fn device(address: Ipv4Addr) -> io::Result<SyncDevice> {
    let builder = DeviceBuilder::new().name(DEVICE).ipv4(address, PREFIX_BITS, None).mtu(MTU);
    // As network cards do, it takes several packets of a connection at once from the kernel, and gives them at once.
    let device = builder.tx_queue_len(DEVICE_PACKETS).offload(true).build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_queue_holds_what_is_under_way() {
        assert_eq!(LinePlan::new(Duration::from_millis(80), 500_000_000).queue_bytes, 5_000_000);
    }

    /// Bytes go there and back unchanged, and no sooner than the line allows.
    #[test]
    fn a_question_and_its_answer_take_a_round_trip() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (near, far) = (Network::create().unwrap(), Network::create().unwrap());
        let plan = LinePlan::new(Duration::from_millis(30), 100_000_000);
        let line = Line::join(&near, &far, &plan).unwrap();
        let listener = far.run(|| TcpListener::bind((FAR, 0)).unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let echo = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            std::io::copy(&mut connection.try_clone().unwrap(), &mut connection).unwrap();
        });
        let mut connection = near.run(|| TcpStream::connect((FAR, port)).unwrap()).unwrap();
        connection.set_nodelay(true).unwrap();
        let question: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let (mut answer, asked) = (vec![0; question.len()], Instant::now());
        let mut writer = connection.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&question).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            connection.read_exact(&mut answer).unwrap();
        });
        assert!(asked.elapsed() >= plan.round_trip, "{:?}", asked.elapsed());
        assert!(answer == question);
        assert!(line.homeward().bytes >= 100_000, "{:?}", line.homeward());
        echo.join().unwrap();
    }
}
