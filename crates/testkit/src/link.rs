//! A link to an HTTP server for tests: it notes the requests, answers some of them itself with a refusal, and can be cut,
//! slow or stuck.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::connections::Connections;

/// What a busy S3 service answers.
const SLOW_DOWN: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A link that is there until this is dropped.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    server: SocketAddr,
    requests: AtomicU64,
    /// Bytes of bodies that went to the server, and of its answers.
    carried: AtomicU64,
    /// How many of ten requests fail.
    failing: AtomicU64,
    /// The error of AWS's JSON protocol that all requests are refused with.
    refusal: Mutex<Option<String>>,
    /// For how many seconds whoever asks next is told to stay away.
    patience: Mutex<Option<u64>>,
    /// After how many bytes the next answer stops.
    stop: Mutex<Option<u64>>,
    /// What requests of AWS's JSON protocol asked for.
    actions: Mutex<Vec<String>>,
    connections: Connections,
    /// How long each request is on its way, in milliseconds.
    delay: AtomicU64,
    closed: AtomicBool,
}

impl Link {
    /// Opens a link to the server at `host:port`.
    ///
    /// # Errors
    /// When that is no address, or there is no port to listen on.
    pub fn to(server: &str) -> io::Result<Self> {
        let server = server.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = State {
            server,
            requests: 0.into(),
            carried: 0.into(),
            failing: 0.into(),
            refusal: Mutex::default(),
            patience: Mutex::default(),
            stop: Mutex::default(),
            actions: Mutex::default(),
            connections: Connections::default(),
            delay: 0.into(),
            closed: false.into(),
        };
        let link = Self { address, state: Arc::new(state) };
        let state = Arc::clone(&link.state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if state.closed.load(Ordering::SeqCst) {
                    return;
                }
                let (client, state) = (state.connections.add(client), Arc::clone(&state));
                // A client or server that hangs up ends the connection of the other.
                thread::spawn(move || state.carry(&client));
            }
        });
        Ok(link)
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on, `of_ten` of ten requests are answered with 503, evenly: no run of luck decides a test.
    pub fn fail(&self, of_ten: u64) {
        self.state.failing.store(of_ten, Ordering::SeqCst);
    }

    /// The next request is answered with 429, and that it may come again in so many seconds.
    pub fn ask_for_patience(&self, seconds: u64) {
        *self.state.patience.lock().unwrap_or_else(PoisonError::into_inner) = Some(seconds);
    }

    /// The next answer stops after so many bytes, while its connection stays open.
    pub fn stop_after(&self, bytes: u64) {
        *self.state.stop.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// From now on, every request is refused with an error of AWS's JSON protocol, or none is.
    pub fn refuse(&self, code: Option<&str>) {
        *self.state.refusal.lock().unwrap_or_else(PoisonError::into_inner) = code.map(str::to_owned);
    }

    /// From now on, connections end at once, those that are open too, with what is on its way in them; or new ones no longer do.
    pub fn cut(&self, cut: bool) {
        self.state.connections.cut(cut);
    }

    /// From now on, each request is on its way for so many milliseconds.
    pub fn delay(&self, milliseconds: u64) {
        self.state.delay.store(milliseconds, Ordering::SeqCst);
    }

    /// What requests of AWS's JSON protocol have asked for since the last time this was asked, as `Service.Operation`.
    pub fn actions(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.actions.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many requests have come since the last time this was asked.
    pub fn requests(&self) -> u64 {
        self.state.requests.swap(0, Ordering::SeqCst)
    }

    /// How many bytes of requests' bodies and of answers have gone by since the last time this was asked.
    pub fn carried(&self) -> u64 {
        self.state.carried.swap(0, Ordering::SeqCst)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.closed.store(true, Ordering::SeqCst);
        // Wakes the listener. One that is gone needs no waking.
        drop(TcpStream::connect(self.address));
        self.cut(true);
    }
}

impl State {
    /// Carries one request and its reply. Each has a connection of its own.
    fn carry(&self, client: &TcpStream) -> io::Result<()> {
        thread::sleep(Duration::from_millis(self.delay.load(Ordering::SeqCst)));
        let mut from_client = BufReader::new(client);
        let (mut head, mut body_bytes) = (Vec::new(), 0);
        loop {
            let start = head.len();
            if from_client.read_until(b'\n', &mut head)? == 0 {
                return Ok(());
            }
            let line = String::from_utf8_lossy(&head[start..]);
            if let Some((_, action)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("x-amz-target"))
            {
                self.actions.lock().unwrap_or_else(PoisonError::into_inner).push(action.trim().to_owned());
            }
            let line = line.to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length:") {
                body_bytes = length.trim().parse().map_err(io::Error::other)?;
            }
            if line.trim().is_empty() {
                head.truncate(start);
                break;
            }
        }
        let mut body = from_client.take(body_bytes);
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let failing = self.failing.load(Ordering::SeqCst);
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).as_deref().map(refused_with);
        let patience = self.patience.lock().unwrap_or_else(PoisonError::into_inner).take().map(too_many);
        let refusal = refusal.or(patience).or_else(|| (number * failing % 10 < failing).then(|| SLOW_DOWN.to_owned()));
        if let Some(refusal) = refusal {
            io::copy(&mut body, &mut io::sink())?;
            let mut to_client = client;
            to_client.write_all(refusal.as_bytes())?;
            return client.shutdown(Shutdown::Write);
        }
        let server = self.connections.add(TcpStream::connect(self.server)?);
        let (mut to_server, mut from_server, mut to_client) = (&*server, &*server, client);
        to_server.write_all(&head)?;
        to_server.write_all(b"Connection: close\r\n\r\n")?;
        self.carried.fetch_add(io::copy(&mut body, &mut to_server)?, Ordering::SeqCst);
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(bytes) = stop {
            io::copy(&mut from_server.take(bytes), &mut to_client)?;
            // Until the client gives it up.
            return io::copy(&mut to_client, &mut io::sink()).map(drop);
        }
        self.carried.fetch_add(io::copy(&mut from_server, &mut to_client)?, Ordering::SeqCst);
        client.shutdown(Shutdown::Write)
    }
}

fn too_many(seconds: u64) -> String {
    format!(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: {seconds}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

/// What a service of AWS's JSON protocol answers that refuses a request.
fn refused_with(code: &str) -> String {
    let body = format!(r#"{{"__type":"{code}","message":"so it is here"}}"#);
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nConnection: close";
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The server sends half of what it says it will, and waits.
    #[test]
    fn a_cut_ends_what_is_under_way_at_both_ends() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::to(&listener.local_addr().unwrap().to_string()).unwrap();
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!").unwrap();
            // Until the other end is gone.
            io::copy(&mut connection, &mut io::sink())
        });
        let mut client = TcpStream::connect(link.address()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"half!") {
            client.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        link.cut(true);
        assert!(!matches!(client.read(&mut byte), Ok(1..)), "nothing comes any more");
        drop(server.join().unwrap());
        assert!(!matches!(TcpStream::connect(link.address()).unwrap().read(&mut byte), Ok(1..)));
    }
}
