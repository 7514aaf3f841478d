//! As much of HTTP/1.1 as a stand-in needs: requests with a length, one after the other on a connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without its first slash.
    pub(super) path: String,
    query: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    body: String,
    index: Option<u64>,
}

impl Answer {
    pub(super) fn json(body: &Value) -> Self {
        Self { status: 200, body: body.to_string(), index: None }
    }

    pub(super) fn refused(status: u16, why: &str) -> Self {
        Self { status, body: why.to_owned(), index: None }
    }

    /// With the index that the next read may wait for.
    pub(super) fn with_index(self, index: u64) -> Self {
        Self { index: Some(index), ..self }
    }
}

/// Serves a connection until it is closed.
pub(super) fn serve(stream: &TcpStream, answer: impl Fn(&Request) -> Answer) {
    let mut reader = BufReader::new(stream);
    // A client that goes away in the middle is none of ours.
    while let Ok(Some(request)) = read(&mut reader) {
        if write(stream, &answer(&request)).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP");
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().ok_or_else(broken)?, words.next().ok_or_else(broken)?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let query = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut request = Request {
        method: method.to_owned(),
        path: path.trim_start_matches('/').to_owned(),
        query: query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| broken())?;
        }
    }
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

fn write(mut stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    let Answer { status, body, index } = answer;
    let index = index.map_or_else(String::new, |index| format!("X-Consul-Index: {index}\r\n"));
    let length = body.len();
    let text = format!("HTTP/1.1 {status} -\r\nContent-Length: {length}\r\n{index}\r\n{body}");
    stream.set_nodelay(true)?;
    stream.write_all(text.as_bytes())
}
