//! HTTP as a foreign client speaks it, without a library that could hide something.

use std::io::{Read, Write};
use std::net::TcpStream;

use petrel_audit::Address;

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One request on a connection of its own. `query` are the URL's parameters, not yet encoded.
pub fn send(at: &Address, method: &str, query: &[(&str, &str)], headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let host = at.url.strip_prefix("http://").expect("an http address");
    let pairs: Vec<String> = query.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect();
    let mut head = format!("{method} /?{} HTTP/1.1\r\nConnection: close\r\n", pairs.join("&"));
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: {host}\r\n");
    }
    if let Some(password) = &at.password {
        head += &format!("X-ClickHouse-Key: {password}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    let mut stream = TcpStream::connect(host).expect("the engine listens");
    stream.write_all(head.as_bytes()).expect("the head is sent");
    // A refused body may be cut off; the answer is there all the same.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    Reply { status, head, body: answer[split + 4..].to_vec() }
}

/// Runs a statement that must succeed.
pub fn run(at: &Address, sql: &str) -> String {
    let reply = send(at, "POST", &[], &[], sql.as_bytes());
    assert_eq!(reply.status, 200, "{sql}: {}", reply.text());
    reply.text()
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
