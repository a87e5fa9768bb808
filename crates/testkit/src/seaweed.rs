//! A SeaweedFS server for tests: an S3 service that keeps its objects in a scratch directory.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::{ask, page};

/// The one key that the server knows. It has no secrets to keep.
pub const ACCESS_KEY: &str = "offsite-tests";
/// What requests of [`ACCESS_KEY`] are signed with.
pub const SECRET_KEY: &str = "offsite-tests-secret";

/// How often a server is started anew that found one of its ports taken.
const STARTS_MAX: usize = 5;

/// What the server prints once it takes requests. Those for objects may fail until its parts have found each other.
const LISTENING: &str = "Start Seaweed S3 API Server";

/// How long its parts may take to find each other.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long it is left alone between two questions whether they have.
const ASKED_EVERY: Duration = Duration::from_millis(50);

/// How many ports a server has.
const PORTS: usize = 9;

/// Below this are the ports of well-known services.
const PORT_MIN: u16 = 10_000;

/// The first and the last port that the system gives to whoever names none.
const GIVEN_BY_SYSTEM: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// How many ports are tried before it is said that none are free.
const PORTS_TRIED_MAX: u16 = 1000;

/// A server that runs until this is dropped. Buckets come into being with the first object written to them.
#[derive(Debug)]
pub struct Seaweed {
    program: PathBuf,
    folder: TempDir,
    ports: [u16; PORTS],
    /// Where its S3 service takes requests.
    listens_at: Ipv4Addr,
    process: Option<Child>,
}

impl Seaweed {
    /// Starts a server that has no objects.
    ///
    /// # Errors
    /// When `program`, which is `weed`, cannot be run or does not come up.
    pub fn start(program: &Path) -> io::Result<Self> {
        Self::start_with(program, "Read:ready", Ipv4Addr::LOCALHOST)
    }

    /// The same for a server that takes requests without a signature.
    pub(crate) fn start_for_anyone(program: &Path) -> io::Result<Self> {
        Self::start_with(program, "Admin", Ipv4Addr::LOCALHOST)
    }

    /// The same as [`Seaweed::start`] for a server whose S3 service takes requests at all addresses of its network.
    ///
    /// # Errors
    /// When `program`, which is `weed`, cannot be run or does not come up.
    pub fn start_within_reach(program: &Path) -> io::Result<Self> {
        Self::start_with(program, "Read:ready", Ipv4Addr::UNSPECIFIED)
    }

    fn start_with(program: &Path, anyone_may: &str, listens_at: Ipv4Addr) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("offsite-seaweed-").tempdir()?;
        let identity = format!(
            r#"{{"identities": [{{"name": "tests", "actions": ["Admin", "Read", "Write", "List", "Tagging"],
               "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}]}},
               {{"name": "anonymous", "actions": ["{anyone_may}"]}}]}}"#
        );
        fs::write(folder.path().join("s3.json"), identity)?;
        fs::create_dir(folder.path().join("data"))?;
        let mut server = Self { program: program.to_owned(), folder, ports: [0; PORTS], listens_at, process: None };
        let mut outcome = Ok(());
        for _ in 0..STARTS_MAX {
            server.ports = free_ports()?;
            outcome = server.run();
            if outcome.is_ok() {
                return Ok(server);
            }
        }
        outcome.map(|()| server)
    }

    /// Where its S3 service is.
    pub fn endpoint(&self) -> String {
        self.endpoint_at(Ipv4Addr::LOCALHOST)
    }

    /// The same for those who know the machine by this address.
    pub fn endpoint_at(&self, address: Ipv4Addr) -> String {
        format!("http://{address}:{}", self.port())
    }

    /// How many requests its S3 service has answered since it was started.
    ///
    /// # Errors
    /// When it does not say, or this is called from another network.
    pub fn requests(&self) -> io::Result<u64> {
        let [.., metrics] = self.ports;
        Ok(counted(&page(metrics, "/metrics")?))
    }

    pub(crate) fn port(&self) -> u16 {
        self.ports[0]
    }

    /// Kills it. Its objects stay.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that is gone already needs no killing.
            drop(process.kill());
            drop(process.wait());
        }
        for port in self.ports {
            for name in ["master-grpc", "volume-grpc", "filer-grpc", "filer", "s3-grpc", "s3"] {
                drop(fs::remove_file(format!("/tmp/seaweedfs-{name}-{port}.sock")));
            }
        }
    }

    /// Starts it again at the same place, after [`Seaweed::stop`].
    ///
    /// # Errors
    /// When it does not come up.
    pub fn run(&mut self) -> io::Result<()> {
        let [s3, s3_grpc, master, master_grpc, volume, volume_grpc, filer, filer_grpc, metrics] = self.ports;
        let mut command = Command::new(&self.program);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-master.telemetry=false"]);
        // Volumes are for one bucket each, and it makes several at once.
        command.args(["-volume.max=200", "-master.volumeSizeLimitMB=128", "-master.volumePreallocate=false"]);
        command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]);
        for (name, port) in [
            ("s3.port", s3),
            ("s3.port.grpc", s3_grpc),
            ("master.port", master),
            ("master.port.grpc", master_grpc),
            ("volume.port", volume),
            ("volume.port.grpc", volume_grpc),
            ("filer.port", filer),
            ("filer.port.grpc", filer_grpc),
            ("metricsPort", metrics),
        ] {
            command.arg(format!("-{name}={port}"));
        }
        command.arg(format!("-s3.ip.bind={}", self.listens_at));
        command.arg(format!("-dir={}", self.folder.path().join("data").display()));
        command.arg(format!("-s3.config={}", self.folder.path().join("s3.json").display()));
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = BufReader::new(process.stderr.take().expect("standard error is piped"));
        self.process = Some(process);
        let mut said = Vec::new();
        let mut lines = log.split(b'\n');
        while let Some(line) = lines.next().transpose()? {
            let line = String::from_utf8_lossy(&line).into_owned();
            if line.contains(LISTENING) {
                // What else it says is read, so that it can go on saying it.
                std::thread::spawn(move || lines.for_each(drop));
                return self.become_ready();
            }
            said.push(line);
        }
        self.stop();
        Err(io::Error::other(format!("the SeaweedFS server did not come up:\n{}", said.join("\n"))))
    }

    /// Returns once objects can be written, and those written before can be read.
    fn become_ready(&mut self) -> io::Result<()> {
        let [s3, .., filer, _, _] = self.ports;
        let begun = Instant::now();
        while begun.elapsed() < READY_WITHIN {
            match ask(s3, "GET /ready/ready", "") {
                Ok(200) => return Ok(()),
                // It runs for the first time. Only what the S3 service is built on takes objects without a signature.
                Ok(404) => drop(ask(filer, "PUT /buckets/ready/ready", "ready")),
                _ => {}
            }
            std::thread::sleep(ASKED_EVERY);
        }
        self.stop();
        Err(io::Error::other("the SeaweedFS server listens, but does not serve objects"))
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ports that nobody listens on. The server takes no 0, and derives those that it is not told from the others.
///
/// They are none of those that the system gives to others, if it leaves any: a server that was stopped is to find them free when
/// it starts again.
fn free_ports() -> io::Result<[u16; PORTS]> {
    let given = fs::read_to_string(GIVEN_BY_SYSTEM)?;
    let first_given: u64 = given.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or_default();
    let (left, random) = (first_given.saturating_sub(PORT_MIN.into()), RandomState::new());
    let any = |tried: u16| random.hash_one(tried).checked_rem(left).map_or(0, |nth| u64::from(PORT_MIN) + nth);
    let tried = (0..PORTS_TRIED_MAX).filter_map(|tried| {
        let port = u16::try_from(any(tried)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
    });
    let listeners: Vec<_> = tried.take(PORTS).collect();
    if listeners.len() < PORTS {
        return Err(io::Error::other("there are not enough free ports"));
    }
    let mut ports = [0; PORTS];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// The sum of what the server's metrics say of requests to its S3 service.
fn counted(metrics: &str) -> u64 {
    let counts = metrics.lines().filter_map(|line| line.strip_prefix("SeaweedFS_s3_request_total{")?.rsplit_once("} "));
    counts.filter_map(|(_, count)| count.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_all_kinds_are_counted() {
        let metrics = "# TYPE SeaweedFS_s3_request_total counter\n\
                       SeaweedFS_s3_request_total{bucket=\"b\",code=\"200\",type=\"GET\"} 33\n\
                       SeaweedFS_s3_request_total{bucket=\"b\",code=\"404\",type=\"HEAD\"} 2\n\
                       SeaweedFS_s3_in_flight_requests{type=\"GET\"} 7\n";
        assert_eq!(counted(metrics), 35);
    }
}
