//! A PostgreSQL server for tests: in a scratch directory, reached through a socket there.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::program;

/// Debian's package makes this user, as the server refuses to run as root.
const USER: &str = "postgres";

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
}

impl Postgres {
    /// Makes a new cluster and starts its server. What is committed there need not survive a power loss.
    ///
    /// # Errors
    /// When a program is missing or fails.
    pub fn start() -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("offsite-postgres-").tempdir()?;
        if is_root() {
            check(Command::new("chown").arg(USER).arg(folder.path()))?;
        }
        let server = Self { folder };
        let made = ["--auth=trust", "--username=offsite", "--no-sync", "--encoding=UTF8", "--no-locale"];
        check(server_program("initdb")?.args(made).arg("--pgdata").arg(server.data()))?;
        // A server of offsite opens up to five connections for each of its regions, and many servers run at once.
        let settings = "-c listen_addresses= -c fsync=off -c max_connections=1000";
        let options = format!("-k {} {settings}", server.folder.path().display());
        let log = server.folder.path().join("log");
        check(server.control()?.args(["--wait", "--options", &options, "--log"]).arg(log).arg("start"))?;
        Ok(server)
    }

    /// Ends the server as a crash would, and starts it again at the same place.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn crash(&self) -> io::Result<()> {
        let log = self.folder.path().join("log");
        check(self.control()?.args(["--wait", "--mode=immediate", "--log"]).arg(log).arg("restart"))
    }

    /// Has the server stand still, its connections with it, until what is returned is dropped.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> io::Result<Paused> {
        let text = fs::read_to_string(self.data().join("postmaster.pid"))?;
        let server = text.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw);
        let server = server.ok_or_else(|| io::Error::other("no process in postmaster.pid"))?;
        let mut paused = Paused(Vec::new());
        // The first of them makes the others: once it stands still there will be no more.
        paused.stop(server)?;
        for process in children_of(server)? {
            paused.stop(process)?;
        }
        Ok(paused)
    }

    /// The address of a database that is there from the start, in which anything can be made.
    pub fn url(&self) -> String {
        self.address("postgres")
    }

    /// Makes an empty database and returns its address.
    ///
    /// # Errors
    /// When there is one of that name, or the program for that is missing.
    pub fn new_database(&self, name: &str) -> io::Result<String> {
        let mut command = server_program("createdb")?;
        check(command.args(["--username=offsite", "--host"]).arg(self.folder.path()).arg(name))?;
        Ok(self.address(name))
    }

    /// The address of a database. Anyone may connect, with whatever password.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://offsite:secret@localhost/{database}?host={}", self.folder.path().display())
    }

    /// The same, where `host:port` leads to its socket.
    pub fn address_through(&self, host: &str, database: &str) -> String {
        format!("postgres://offsite:secret@{host}/{database}")
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(".s.PGSQL.5432")
    }

    /// As [`Postgres::ask_in`], of the database that is there from the start.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ask(&self, query: &str) -> io::Result<String> {
        self.ask_in("postgres", query)
    }

    /// The first column of what a query says of a database, a line for each row.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn ask_in(&self, database: &str, query: &str) -> io::Result<String> {
        let mut command = server_program("psql")?;
        command.args([
            "--username=offsite",
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "--command",
            query,
            "--host",
        ]);
        let output = command.arg(self.folder.path()).arg(database).output()?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned())),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn control(&self) -> io::Result<Command> {
        let mut command = server_program("pg_ctl")?;
        command.arg("--pgdata").arg(self.data());
        Ok(command)
    }
}

/// Processes that stand still until this is dropped.
#[derive(Debug)]
pub struct Paused(Vec<Pid>);

impl Paused {
    fn stop(&mut self, process: Pid) -> io::Result<()> {
        kill_process(process, Signal::STOP)?;
        self.0.push(process);
        Ok(())
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        for process in &self.0 {
            // One that is gone needs no waking.
            let _gone = kill_process(*process, Signal::CONT);
        }
    }
}

/// The processes that a process has made (proc(5), field 4 of `stat`).
fn children_of(parent: Pid) -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
        let Some(process) = process else { continue };
        // One that has ended meanwhile is nobody's.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
        if fields.split_whitespace().nth(1) == Some(&parent.as_raw_nonzero().to_string()) {
            found.push(process);
        }
    }
    Ok(found)
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = self.control().and_then(|mut command| check(command.args(["--mode=immediate", "stop"])));
        if let Err(error) = stopped {
            eprintln!("the scratch PostgreSQL server did not stop: {error}");
        }
    }
}

/// A program of the server, run as the user that may run it.
fn server_program(name: &str) -> io::Result<Command> {
    let path = program::find(name).ok_or_else(|| io::Error::other(format!("there is no {name}")))?;
    if !is_root() {
        return Ok(Command::new(path));
    }
    let mut command = Command::new("runuser");
    command.args(["-u", USER, "--"]).arg(path).current_dir("/");
    Ok(command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn check(command: &mut Command) -> io::Result<()> {
    let status = command.stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
