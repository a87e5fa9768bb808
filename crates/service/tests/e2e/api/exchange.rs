//! Requests and replies as bytes on a connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::served::Keys;
use super::sign;

/// A request, byte by byte but for what is only known when it is signed.
///
/// In header values, query and body stand `{amz_date}`, `{day}`, `{date}`, `{timestamp}`, `{aws_key}`, `{secret_id}`,
/// `{length}`, `{hash}` and `{signature}` for that.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// How long a reply is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

impl Raw {
    /// Takes a request apart that is written as HTTP has it, with plain line ends.
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").expect("an empty line ends the head");
        let mut lines = head.lines();
        let mut first = lines.next().expect("a request line").split(' ');
        let (method, target) = (first.next().unwrap().to_owned(), first.next().unwrap().to_owned());
        let header = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no header: {line}"));
            (name.to_owned(), value.into())
        };
        Self { method, target, headers: lines.map(header).collect(), body: body.trim_end_matches('\n').into() }
    }

    /// A call of an AWS service, as botocore sends it.
    pub(crate) fn aws(host: &str, region: &str, service: &str, target: &str, body: &str) -> Self {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={{aws_key}}/{{day}}/{region}/{service}/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={{signature}}"
        );
        let empty = Self { method: "POST".into(), target: "/".into(), headers: Vec::new(), body: body.into() };
        empty
            .with("Host", host)
            .with("X-Amz-Target", target)
            .with("Content-Type", "application/x-amz-json-1.1")
            .with("X-Amz-Date", "{amz_date}")
            .with("Authorization", &authorization)
            .with("Content-Length", "{length}")
    }

    /// A call of CBS, as Tencent's Python SDK sends it.
    pub(crate) fn tencent(host: &str, action: &str, body: &str) -> Self {
        let authorization = "TC3-HMAC-SHA256 Credential={secret_id}/{date}/cbs/tc3_request, \
                             SignedHeaders=content-type;host, Signature={signature}";
        let empty = Self { method: "POST".into(), target: "/".into(), headers: Vec::new(), body: body.into() };
        empty
            .with("Content-Type", "application/json")
            .with("Host", host)
            .with("X-TC-Action", action)
            .with("X-TC-Timestamp", "{timestamp}")
            .with("X-TC-Version", "2017-03-12")
            .with("X-TC-Region", "ap-guangzhou")
            .with("Authorization", authorization)
            .with("Content-Length", "{length}")
    }

    /// Sets a header, in its place or as the last.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        match self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value.into(),
            None => self.headers.push((name.to_owned(), value.into())),
        }
        self
    }

    /// Adds a header, whether or not there is one of its name.
    pub(crate) fn and(mut self, name: &str, value: &[u8]) -> Self {
        self.headers.push((name.to_owned(), value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Changes a text in a header, wherever it stands there.
    pub(crate) fn reworded(self, name: &str, wanted: &str, instead: &str) -> Self {
        let old = self.header(name).expect("the header is there");
        assert!(old.contains(wanted), "{old}");
        self.with(name, &old.replace(wanted, instead))
    }

    /// The first header of that name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// Fills in what is known by now, and signs. What has a date or a signature already keeps it.
    pub(crate) fn signed(mut self, keys: &Keys, seconds: i64) -> Self {
        let time = jiff::Timestamp::from_second(seconds).expect("a time");
        let secret = if sign::is_tencents(&self) { &keys.tencent[1] } else { &keys.aws[1] };
        self.fill(&[
            ("{amz_date}", &time.strftime("%Y%m%dT%H%M%SZ").to_string()),
            ("{day}", &time.strftime("%Y%m%d").to_string()),
            ("{date}", &time.strftime("%Y-%m-%d").to_string()),
            ("{timestamp}", &seconds.to_string()),
            ("{aws_key}", &keys.aws[0]),
            ("{secret_id}", &keys.tencent[0]),
        ]);
        let is_in_body = self.body.windows(11).any(|part| part == b"{signature}");
        if !is_in_body {
            self.fill(&[("{hash}", &sign::sha256_hex(&self.body)), ("{length}", &self.body.len().to_string())]);
        }
        let signature = sign::signature(&self, secret);
        self.fill(&[("{signature}", &signature)]);
        self.fill(&[("{length}", &self.body.len().to_string())]);
        self
    }

    fn fill(&mut self, values: &[(&str, &str)]) {
        for (name, value) in values {
            let filled = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map(|text| text.replace(name, value));
            self.target = self.target.replace(name, value);
            for (_, header) in &mut self.headers {
                *header = filled(header).map_or_else(|error| error.into_bytes(), String::into_bytes);
            }
            if self.body.len() < 64 << 10 {
                self.body = filled(&self.body).map_or_else(|error| error.into_bytes(), String::into_bytes);
            }
        }
    }

    /// Everything up to the body.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// Sends it on a connection of its own.
    pub(crate) fn send(&self, address: &str) -> io::Result<Reply> {
        exchange(address, &self.bytes())
    }
}

/// Sends bytes on a connection of their own, and reads one reply.
pub(crate) fn exchange(address: &str, bytes: &[u8]) -> io::Result<Reply> {
    let mut stream = connect(address)?;
    stream.write_all(bytes)?;
    Reply::read(&mut BufReader::new(stream))
}

pub(crate) fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

impl Reply {
    /// Reads a reply; an error when the connection ends before.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let line = |from: &mut dyn BufRead| {
            let mut line = String::new();
            match from.read_line(&mut line)? {
                0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                _ => Ok(line.trim_end().to_owned()),
            }
        };
        let first = line(from)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {first}")))?;
        let mut headers = Vec::new();
        loop {
            let header = line(from)?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let reply = Self { status, headers, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut body = vec![0; length];
        from.read_exact(&mut body)?;
        Ok(Self { body, ..reply })
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("replies are text")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }

    /// The error code of either dialect; `Success` where there is none.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let body = self.json();
        let code = body.get("__type").or_else(|| body.pointer("/Response/Error/Code"));
        code.map_or("Success", |code| code.as_str().expect("codes are text")).to_owned()
    }
}
