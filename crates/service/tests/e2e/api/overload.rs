//! Clients that send too much, too slowly, or nothing at all: what they cost is bounded, and others are served.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::exchange::{Raw, Reply, connect};
use super::served::{Served, until};

const MIB: usize = 1 << 20;

/// What a server may hold under any of these attacks.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

fn of_size(request: Raw, bytes: usize) -> Raw {
    let body = format!("{{\"Colour\": \"{}\"}}", "x".repeat(bytes - 14));
    assert_eq!(body.len(), bytes);
    Raw { body: body.into_bytes(), ..request }
}

#[test]
fn bodies_that_are_too_large_are_refused_in_the_callers_dialect() {
    let served = Served::new();
    let aws = |bytes| served.ask(of_size(served.fsx("us-east-1", "DescribeBackups", ""), bytes));
    assert_eq!(aws(MIB).code(), "Success");
    for bytes in [MIB + 1, 10 * MIB] {
        let reply = aws(bytes);
        assert_eq!((reply.status, reply.code().as_str()), (413, "RequestEntityTooLargeException"), "{bytes}");
    }
    let tencent = |bytes| served.ask(of_size(served.cbs("DescribeSnapshots", ""), bytes));
    assert_eq!(tencent(10 * MIB).code(), "UnknownParameter");
    for bytes in [10 * MIB + 1, 40 * MIB] {
        let reply = tencent(bytes);
        assert_eq!((reply.status, reply.code().as_str()), (200, "RequestSizeLimitExceeded"), "{bytes}");
    }
    let form =
        "POST / HTTP/1.1\nHost: x\nContent-Type: application/x-www-form-urlencoded\nContent-Length: {length}\n\n";
    let mut form = Raw::parse(form);
    form.body = [b"Action=DescribeSnapshots&Order=".as_slice(), &vec![b'x'; MIB]].concat();
    let form = form.signed(&served.keys, served.now());
    assert_eq!(served.send(&form).code(), "RequestSizeLimitExceeded");
    let mut query = served.cbs("DescribeSnapshots", "").with("Content-Type", "application/x-www-form-urlencoded");
    query.method = "GET".to_owned();
    query.target = format!("/?Order={}", "x".repeat(33 << 10));
    assert_eq!(served.ask(query).code(), "RequestSizeLimitExceeded");
}

/// The length is not known before the last chunk, and none comes.
#[test]
fn a_body_without_an_end_is_refused() {
    let served = Served::new();
    let request = served.signed(served.fsx("us-east-1", "DescribeBackups", ""));
    let request = request.without("content-length").with("Transfer-Encoding", "chunked");
    let mut stream = connect(&served.host).unwrap();
    stream.write_all(&request.head()).unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; MIB], b"\r\n"].concat();
    let sent = (0..1000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1000, "it was read without end");
    served.assert_serves();
    assert!(served.memory_bytes_max() < MEMORY_BYTES_MAX, "{}", served.memory_bytes_max());
}

#[test]
fn a_hundred_large_bodies_at_once_share_a_room() {
    let served = Served::new();
    let request = served.signed(of_size(served.cbs("DescribeSnapshots", ""), 9 * MIB));
    // All but the last byte, so that all of them are held at once.
    let (early, last) = (request.bytes(), b"}");
    let early = &early[..early.len() - last.len()];
    let codes: Vec<String> = std::thread::scope(|scope| {
        let send = || {
            let mut stream = connect(&served.host).unwrap();
            stream.write_all(early).and_then(|()| stream.write_all(last)).unwrap();
            Reply::read(&mut BufReader::new(stream)).unwrap().code()
        };
        let clients: Vec<_> = (0..100).map(|_| scope.spawn(send)).collect();
        served.assert_serves();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let counted = |code: &str| codes.iter().filter(|seen| *seen == code).count();
    assert!(counted("UnknownParameter") > 0, "some are served: {codes:?}");
    assert_eq!(counted("UnknownParameter") + counted("ServiceUnavailable"), codes.len(), "{codes:?}");
    served.assert_serves();
    assert!(served.memory_bytes_max() < MEMORY_BYTES_MAX, "{}", served.memory_bytes_max());
}

/// Heads and bodies that come a byte at a time, bodies that are announced and never come, and replies that nobody
/// reads: the server waits for a while, but not for ever.
#[test]
fn slow_clients_are_cut_off_and_hold_up_nobody() {
    let served = Served::new();
    let request = served.signed(served.fsx("us-east-1", "DescribeBackups", &format!("{{{}}}", " ".repeat(10_000))));
    let body_at = request.head().len();
    let bytes = request.bytes();
    let (head, body) = bytes.split_at(body_at);
    let ends: Vec<Duration> = std::thread::scope(|scope| {
        let clients = [
            scope.spawn(|| trickle(&served.host, b"", &bytes)),
            scope.spawn(|| trickle(&served.host, head, body)),
            scope.spawn(|| trickle(&served.host, head, b"")),
            scope.spawn(|| trickle(&served.host, b"POST / HT", b"")),
            scope.spawn(|| trickle(&served.host, b"", b"")),
        ];
        let started = Instant::now();
        while clients.iter().any(|client| !client.is_finished()) {
            served.assert_serves();
            assert!(started.elapsed() < Duration::from_secs(120), "they are never cut off");
        }
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for end in &ends {
        assert!((Duration::from_secs(10)..Duration::from_secs(60)).contains(end), "{ends:?}");
    }
}

/// Sends what comes `at_once`, then a byte at a time, until the server has closed; returns how long that took.
fn trickle(address: &str, at_once: &[u8], slowly: &[u8]) -> Duration {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(at_once).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut slowly = slowly.iter();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return started.elapsed(),
            // It may say why before it closes.
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {
                if let Some(byte) = slowly.next() {
                    drop(stream.write_all(&[*byte]));
                }
            }
            Err(_) => return started.elapsed(),
        }
        assert!(started.elapsed() < Duration::from_secs(120), "it is never closed");
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let served = Served::new();
    let request = served.signed(served.fsx("us-east-1", "MakeCoffee", "{}")).bytes().repeat(100);
    let started = Instant::now();
    let mut stream = connect(&served.host).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    // Its buffers fill up first; then it takes no more, and at last it is gone.
    until_within(Duration::from_secs(120), || match stream.write(&request) {
        Ok(_) => None,
        Err(error) if is_timeout(&error) => None,
        Err(_) => Some(()),
    });
    assert!(started.elapsed() > Duration::from_secs(10), "{:?}", started.elapsed());
    served.assert_serves();
    assert!(served.memory_bytes_max() < MEMORY_BYTES_MAX, "{}", served.memory_bytes_max());
}

fn until_within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + time;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "nothing came of it in time");
    }
}

#[test]
fn a_thousand_idle_connections_cost_little_and_end_by_themselves() {
    let served = Served::new();
    let before = served.memory_bytes_max();
    let head = b"POST / HTTP/1.1\r\nHost: x\r\n";
    let idle: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = connect(&served.host).unwrap();
            // Some have said nothing yet, others have begun.
            stream.write_all(&head[..number % head.len()]).unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        served.assert_serves();
    }
    let cost = served.memory_bytes_max() - before;
    assert!(cost < 64 << 20, "{cost} bytes for {}", idle.len());
    for mut stream in idle {
        let mut said = Vec::new();
        until(|| match stream.read(&mut [0; 1024]) {
            Ok(0) => Some(()),
            Ok(length) => {
                said.push(length);
                None
            }
            Err(error) if is_timeout(&error) => None,
            Err(_) => Some(()),
        });
    }
}
