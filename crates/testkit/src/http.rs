//! As much of HTTP as servers for tests need that are started, asked and stood in for.

use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);

/// The status of the answer of the server at a port to a request that needs no key.
pub(crate) fn ask(port: u16, what: &str, body: &str) -> io::Result<u16> {
    let head = format!("{what} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}", body.len());
    let answer = exchange(port, &format!("{head}\r\n\r\n{body}"))?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::other(format!("an answer that is not HTTP: {answer}")))
}

/// What the server at a port answers that is asked for a page.
pub(crate) fn page(port: u16, path: &str) -> io::Result<String> {
    // Of this version an answer comes in one piece.
    let answer = exchange(port, &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"))?;
    let page = answer.split_once("\r\n\r\n").filter(|(head, _)| head.contains(" 200 "));
    page.map(|(_, page)| page.to_owned()).ok_or_else(|| io::Error::other(format!("no page {path}: {answer}")))
}

fn exchange(port: u16, request: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(ANSWERED_WITHIN))?;
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// What stands before the body of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Their names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a head, if one comes before the connection ends.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = from.lines();
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut headers = Vec::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| io::Error::other("a header without a value"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Self { method, target, headers }))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// How long the body is that follows.
    pub(crate) fn body_bytes(&self) -> io::Result<u64> {
        self.header("content-length").unwrap_or("0").parse().map_err(io::Error::other)
    }

    /// Writes it so that the connection ends with the answer.
    pub(crate) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let headers = self.headers.iter().filter(|(name, _)| name != "connection");
        let headers: String = headers.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        write!(to, "{} {} HTTP/1.1\r\n{headers}connection: close\r\n\r\n", self.method, self.target)
    }
}
