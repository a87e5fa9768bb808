//! A link to any server that listens on a socket of its machine: it carries whatever bytes, and can be cut.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::connections::Connections;

/// A tunnel that is there until this is dropped.
#[derive(Debug)]
pub struct Tunnel {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: Connections,
    closed: AtomicBool,
}

impl Tunnel {
    /// Opens a tunnel to the server at a socket, which may come and go.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub fn to(socket: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tunnel = Self { address: listener.local_addr()?, state: Arc::default() };
        let state = Arc::clone(&tunnel.state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.closed.load(Ordering::SeqCst) {
                    return;
                }
                let client = state.connections.add(client);
                // Where there is no server, the client is hung up on.
                if let Ok(server) = UnixStream::connect(&socket) {
                    carry(client, server);
                }
            }
        });
        Ok(tunnel)
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on, connections end at once, those that are open too; or new ones no longer do.
    pub fn cut(&self, cut: bool) {
        self.state.connections.cut(cut);
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes the listener. One that is gone needs no waking.
        drop(TcpStream::connect(self.address));
        self.cut(true);
    }
}

/// Carries bytes both ways until one of the two ends the connection, which ends that of the other.
fn carry(client: Arc<TcpStream>, server: UnixStream) {
    // Without it, answers wait for each other.
    drop(client.set_nodelay(true));
    let (server, client_too) = (Arc::new(server), Arc::clone(&client));
    let server_too = Arc::clone(&server);
    thread::spawn(move || {
        drop(io::copy(&mut &*client, &mut &*server));
        drop(server.shutdown(Shutdown::Both));
    });
    thread::spawn(move || {
        drop(io::copy(&mut &*server_too, &mut &*client_too));
        drop(client_too.shutdown(Shutdown::Both));
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn bytes_go_both_ways_until_it_is_cut_and_again_after_that() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        // It says what it hears.
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|server| drop(io::copy(&mut &server, &mut &server)))
        });
        let tunnel = Tunnel::to(socket).unwrap();
        for _ in 0..2 {
            tunnel.cut(false);
            let mut client = TcpStream::connect(tunnel.address()).unwrap();
            let mut heard = [0; 4];
            client.write_all(b"said").unwrap();
            client.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, b"said");
            tunnel.cut(true);
            assert!(!matches!(client.read(&mut heard), Ok(1..)), "nothing comes any more");
        }
    }
}
