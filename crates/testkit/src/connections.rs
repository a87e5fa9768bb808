//! The connections of a link, which end all at once when it is cut.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// Connections that are open, while someone has them.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    connections: Vec<Weak<TcpStream>>,
    cut: bool,
}

impl Connections {
    /// Takes in a connection. It ends at once if the link is cut.
    pub(crate) fn add(&self, connection: TcpStream) -> Arc<TcpStream> {
        let connection = Arc::new(connection);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.connections.retain(|known| known.strong_count() > 0);
        open.connections.push(Arc::downgrade(&connection));
        if open.cut {
            end(&connection);
        }
        connection
    }

    /// From now on, connections end at once, those that are open too; or new ones no longer do.
    pub(crate) fn cut(&self, cut: bool) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.cut = cut;
        if cut {
            open.connections.drain(..).filter_map(|known| known.upgrade()).for_each(|connection| end(&connection));
        }
    }
}

/// Ends a connection in the middle of whatever is on its way.
fn end(connection: &TcpStream) {
    // What has not gone out when it is closed does not: the other end is told that the connection was reset. One that has
    // ended by itself needs none of this.
    let _ended = rustix::net::sockopt::set_socket_linger(connection, Some(Duration::ZERO));
    drop(connection.shutdown(Shutdown::Both));
}
