//! A world whose server is running.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::{Clock, SystemClock};

use super::exchange::{Raw, Reply};
use crate::world::World;

/// A world and its server, which ends with it.
pub(crate) struct Served {
    pub(crate) world: World,
    /// Where it listens, as `Host` has it.
    pub(crate) host: String,
    pub(crate) keys: Keys,
    server: Child,
    frozen: Option<i64>,
}

/// What the first account's clients sign with.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) aws: [String; 2],
    pub(crate) tencent: [String; 2],
}

impl Served {
    pub(crate) fn new() -> Self {
        Self::of(World::new())
    }

    pub(crate) fn of(world: World) -> Self {
        Self::start(world, None)
    }

    /// A server whose clock stands still, and that knows these keys.
    pub(crate) fn frozen(seconds: i64, keys: &Keys) -> Self {
        let world = World::new();
        let file = world.site().join("identities.toml");
        let old = Keys::read(&client_env(&world));
        let mut text = std::fs::read_to_string(&file).unwrap();
        for (old, new) in old.all().zip(keys.all()) {
            text = text.replace(old, new);
        }
        std::fs::write(file, text).unwrap();
        // The one that the AWS examples are sent to.
        world.run(["region", "add", "us-west-1", "--partition", "aws"]).exits(0);
        let mut served = Self::start(world, Some(seconds));
        served.keys = keys.clone();
        served
    }

    fn start(world: World, frozen: Option<i64>) -> Self {
        let config = world.site().join("offsite.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(config, format!("cbs_requests_per_second = 100000\n{text}")).unwrap();
        let mut command = world.command(["serve", "--listen", "127.0.0.1:0"]);
        if let Some(seconds) = frozen {
            freeze(&mut command, seconds);
        }
        let mut server = command.stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut said = BufReader::new(server.stderr.take().expect("it is piped"));
        let mut log = File::create(world.path("server.log")).unwrap();
        let mut line = String::new();
        let host = loop {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "the server ended before it listened");
            if let Some((_, host)) = line.trim_end().split_once("listening on http://") {
                break host.to_owned();
            }
        };
        // So that it never waits for a reader.
        std::thread::spawn(move || io::copy(&mut said, &mut log));
        let keys = Keys::read(&client_env(&world));
        Self { world, host, keys, server, frozen }
    }

    /// The server's time, in seconds.
    pub(crate) fn now(&self) -> i64 {
        self.frozen.unwrap_or_else(|| SystemClock.now().0 / 1000)
    }

    /// A request to FSx.
    pub(crate) fn fsx(&self, region: &str, operation: &str, body: &str) -> Raw {
        Raw::aws(&self.host, region, "fsx", &format!("AWSSimbaAPIService_v20180301.{operation}"), body)
    }

    /// A request to CloudHSM.
    pub(crate) fn cloudhsm(&self, region: &str, operation: &str, body: &str) -> Raw {
        Raw::aws(&self.host, region, "cloudhsm", &format!("BaldrApiService.{operation}"), body)
    }

    /// A request to CBS in Guangzhou.
    pub(crate) fn cbs(&self, action: &str, body: &str) -> Raw {
        Raw::tencent(&self.host, action, body)
    }

    /// Dates and signs a request with the keys of this world, and sends it.
    pub(crate) fn ask(&self, request: Raw) -> Reply {
        self.send(&self.signed(request))
    }

    /// Dates and signs a request.
    pub(crate) fn signed(&self, request: Raw) -> Raw {
        request.signed(&self.keys, self.now())
    }

    /// Sends a request as it is.
    pub(crate) fn send(&self, request: &Raw) -> Reply {
        request.send(&self.host).expect("the server replies")
    }

    /// Asserts that the server answers well, and soon.
    #[track_caller]
    pub(crate) fn assert_serves(&self) {
        let started = Instant::now();
        let reply = self.ask(self.fsx("us-east-1", "DescribeBackups", "{}"));
        assert_eq!((reply.status, reply.text().as_str()), (200, r#"{"Backups":[]}"#));
        assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
    }

    /// The most memory that the server has held so far, in bytes.
    pub(crate) fn memory_bytes_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

impl Keys {
    /// Reads what `init` has written for clients.
    pub(crate) fn read(client_env: &Path) -> Self {
        let text = std::fs::read_to_string(client_env).unwrap();
        let value = |name: &str| {
            let line =
                text.lines().find_map(|line| line.strip_prefix("export ")?.strip_prefix(name)?.strip_prefix('='));
            line.expect("client.env has it").to_owned()
        };
        Self {
            aws: ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(value),
            tencent: ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"].map(value),
        }
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.aws.iter().chain(&self.tencent).map(String::as_str)
    }
}

fn client_env(world: &World) -> PathBuf {
    world.site().join("client.env")
}

/// Looks until there is something, and returns it.
#[track_caller]
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "nothing came of it in time");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Makes the wall clock of a command stand still; what it waits for goes on. `faketime` itself would stay between.
fn freeze(command: &mut Command, seconds: i64) {
    let time = jiff::Timestamp::from_second(seconds).unwrap().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let shown = Command::new("faketime").args(["-f", &time, "env"]).output().expect("faketime runs");
    let shown = String::from_utf8(shown.stdout).unwrap();
    let library = shown.lines().find_map(|line| line.strip_prefix("LD_PRELOAD=")).expect("faketime loads a library");
    command.env("LD_PRELOAD", library).env("FAKETIME", time).env("TZ", "UTC");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
}
