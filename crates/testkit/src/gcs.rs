//! A stand-in for Google Cloud Storage: takes requests of its XML API and has a SeaweedFS server carry them out.
//!
//! That API is S3's but for tokens in place of signatures, names whose `/` are encoded, generations of objects in place of
//! conditions on their ETag and the answer to a deletion of nothing; these are what stands in here, everything else is SeaweedFS.
//! (<https://cloud.google.com/storage/docs/xml-api/overview>)

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::http::{Head, ask};
use crate::seaweed::Seaweed;

/// The one token that the server knows. It has no secrets to keep.
pub const TOKEN: &str = "offsite-tests-token";

/// A server that runs until this is dropped. Buckets come into being with the first object written to them.
#[derive(Debug)]
pub struct Gcs {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    _server: Seaweed,
}

impl Gcs {
    /// Starts a server that has no objects.
    ///
    /// # Errors
    /// When `weed`, SeaweedFS's program, cannot be run or does not come up.
    pub fn start(weed: &Path) -> io::Result<Self> {
        let server = Seaweed::start_for_anyone(weed)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, port) = (listener.local_addr()?, server.port());
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = Arc::clone(&closed);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                // A client or server that hangs up ends the connection of the other.
                thread::spawn(move || carry(&client, port));
            }
        });
        Ok(Self { address, closed, _server: server })
    }

    /// Where it listens, as `host:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Gcs {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the listener. One that is gone needs no waking.
        drop(TcpStream::connect(self.address));
    }
}

/// Carries one request and its answer. Each has a connection of its own.
fn carry(mut client: &TcpStream, port: u16) -> io::Result<()> {
    let mut from_client = BufReader::new(client);
    let Some(head) = Head::read(&mut from_client)? else { return Ok(()) };
    let mut body = from_client.take(head.body_bytes()?);
    match in_terms_of_s3(head, port)? {
        Ok(head) => {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            head.write(&server)?;
            io::copy(&mut body, &mut server)?;
            hand_on(&server, client)?;
        }
        Err(status) => {
            io::copy(&mut body, &mut io::sink())?;
            write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
    }
    client.shutdown(Shutdown::Write)
}

/// Hands an answer on, with the object's generation, which S3 does not have.
fn hand_on(server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
    let mut from_server = BufReader::new(server);
    let mut line = String::new();
    while from_server.read_line(&mut line)? > 0 {
        if let Some(generation) = generation_of(&line) {
            write!(client, "x-goog-generation: {generation}\r\n")?;
        }
        client.write_all(line.as_bytes())?;
        if line == "\r\n" {
            break;
        }
        line.clear();
    }
    io::copy(&mut from_server, &mut client).map(drop)
}

/// What stands for a generation: the ETag, a checksum, as a number. So the same bytes have the same one again.
fn generation_of(header: &str) -> Option<u128> {
    let (_, etag) = header.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("etag"))?;
    u128::from_str_radix(etag.trim().trim_matches('"'), 16).ok()
}

/// The request that S3 would be sent, or the status that is the answer.
fn in_terms_of_s3(mut head: Head, port: u16) -> io::Result<Result<Head, &'static str>> {
    if head.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Ok(Err("401 Unauthorized"));
    }
    if head.method == "PUT" && head.body_bytes()? > 0 && head.header("content-md5").is_none() {
        return Ok(Err("400 No checksum"));
    }
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    let path = path.replace("%2F", "/");
    if head.method == "DELETE" && query.is_empty() && ask(port, &format!("HEAD {path}"), "")? == 404 {
        return Ok(Err("404 Not Found"));
    }
    head.target = if query.is_empty() { path } else { format!("{path}?{query}") };
    head.headers.retain(|(name, _)| name != "authorization");
    for (name, value) in &mut head.headers {
        match (name.as_str(), value.parse::<u128>()) {
            ("x-goog-if-generation-match", Ok(0)) => (*name, *value) = ("if-none-match".to_owned(), "*".to_owned()),
            ("x-goog-if-generation-match", Ok(generation)) => {
                (*name, *value) = ("if-match".to_owned(), format!("\"{generation:032x}\""));
            }
            _ => {}
        }
    }
    Ok(Ok(head))
}
