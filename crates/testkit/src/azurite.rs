//! An Azurite server for tests: Azure Blob Storage that keeps its blobs in a scratch directory.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::http::ask;

/// The one account that the server knows. It has no secrets to keep.
pub const ACCOUNT: &str = "offsite";
/// What requests of [`ACCOUNT`] are signed with.
pub const KEY: &str = "b2Zmc2l0ZS10ZXN0cy1rZXk=";

/// May make containers of [`ACCOUNT`], until the year 2999: a signature of [`KEY`]'s
/// (<https://learn.microsoft.com/rest/api/storageservices/create-account-sas>).
const MAKES_CONTAINERS: &str = "sv=2021-12-02&ss=b&srt=c&sp=c&se=2999-01-01T00%3A00%3A00Z&\
                                sig=%2BUoqxfuwI5HwaJ4uckxP3lZW9kyHm8qg63Bl0M3kTso%3D";

/// What the server prints before its address, once it takes requests.
const LISTENING: &str = "successfully listens on http://127.0.0.1:";

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Azurite {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Azurite {
    /// Starts a server that has no containers.
    ///
    /// # Errors
    /// When `program`, which is `azurite-blob`, cannot be run or does not come up.
    pub fn start(program: &Path) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("offsite-azurite-").tempdir()?;
        let mut command = Command::new(program);
        command.env("AZURITE_ACCOUNTS", format!("{ACCOUNT}:{KEY}")).arg("--location").arg(folder.path());
        command.args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--silent", "--disableTelemetry"]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut lines = BufReader::new(process.stdout.take().expect("standard output is piped")).lines();
        let mut server = Self { process, port: 0, _folder: folder };
        let mut said = Vec::new();
        while let Some(line) = lines.next().transpose()? {
            if let Some((_, port)) = line.split_once(LISTENING) {
                server.port = port.trim().parse().map_err(io::Error::other)?;
                // What else it says is read, so that it can go on saying it.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(server);
            }
            said.push(line);
        }
        Err(io::Error::other(format!("the Azurite server did not come up:\n{}", said.join("\n"))))
    }

    /// Where it listens, as `host:port`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes a container, unless it is there.
    ///
    /// # Errors
    /// When the server refuses to.
    pub fn make_container(&self, name: &str) -> io::Result<()> {
        match ask(self.port, &format!("PUT /{ACCOUNT}/{name}?restype=container&{MAKES_CONTAINERS}"), "")? {
            201 | 409 => Ok(()),
            status => Err(io::Error::other(format!("the container {name} was not made: {status}"))),
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // One that is gone already needs no killing.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
