//! A network apart from the machine's: a network namespace of Linux.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network with its own devices, addresses and ports, of which it has the local ones alone at first.
///
/// It has no name and leaves nothing to remove: the kernel takes it away once this is dropped and the last process and
/// socket in it are gone.
#[derive(Debug)]
pub struct Network {
    namespace: File,
}

impl Network {
    /// Makes one.
    ///
    /// # Errors
    /// When this user may not, or `unshare` or `ip` is missing.
    pub fn create() -> io::Result<Self> {
        // Making a namespace takes unsafe code. A process that makes one for itself says when it has, and keeps it until
        // its input ends.
        let mut keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo made && cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("its output is piped")).read_line(&mut said)?;
        let namespace = File::open(format!("/proc/{}/ns/net", keeper.id()));
        drop(keeper.stdin.take());
        let status = keeper.wait()?;
        if said.is_empty() || !status.success() {
            return Err(io::Error::other(format!("no network could be made: unshare ended with {status}")));
        }
        let network = Self { namespace: namespace? };
        network.ip(&["link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// Runs `action` in it: the sockets that it opens and the processes that it starts are in this network, and remain so.
    ///
    /// # Errors
    /// When this process may not enter it.
    ///
    /// # Panics
    /// When `action` does.
    pub fn run<T: Send>(&self, action: impl FnOnce() -> T + Send) -> io::Result<T> {
        // On a thread of its own, for the network is a thread's, and there is no need to find the way back.
        let inside = || {
            move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(action())
        };
        std::thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Has the kernel forget what it has learned of paths, so that connections start as on the first day.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn forget_paths(&self) -> io::Result<()> {
        self.ip(&["tcp_metrics", "flush", "all"])
    }

    fn ip(&self, arguments: &[&str]) -> io::Result<()> {
        let status = self.run(|| Command::new("ip").args(arguments).status())??;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("ip {arguments:?}: {status}"))) }
    }
}
