//! A moto server for tests: a key service that speaks AWS's protocol and really encrypts. It does not refuse disabled keys.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What the server prints before its address, once it takes requests.
const READY: &str = "Running on http://";

/// A server that runs until this is dropped. Any credentials will do.
#[derive(Debug)]
pub struct Moto {
    process: Child,
    address: String,
}

impl Moto {
    /// Starts a server that has no keys.
    ///
    /// # Errors
    /// When `program`, which is `moto_server`, cannot be run or does not come up.
    pub fn start(program: &Path) -> io::Result<Self> {
        let mut command = Command::new(program);
        // Tencent's regions are regions, too.
        command.env("MOTO_ALLOW_NONEXISTENT_REGION", "true");
        command.args(["-H", "127.0.0.1", "-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let log = BufReader::new(process.stderr.take().expect("standard error is piped"));
        let mut server = Self { process, address: String::new() };
        let mut said = Vec::new();
        let mut lines = log.split(b'\n');
        while let Some(line) = lines.next().transpose()? {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some((_, address)) = line.split_once(READY) {
                server.address = address.trim().to_owned();
                // What else it says is read, so that it can go on saying it.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
            said.push(line);
        }
        Err(io::Error::other(format!("the moto server did not come up:\n{}", said.join("\n"))))
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // One that is gone already needs no killing.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
