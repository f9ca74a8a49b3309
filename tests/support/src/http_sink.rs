//! An HTTP server outside Petrel that keeps what it is told: what an action reported, and how often.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::poll_until;

/// More than any report; a longer body is refused.
const BODY_BYTES_MAX: usize = 1 << 20;
/// More than any header line.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// For a client that stops in the middle of a request.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// `GET`, `POST`, …
    pub method: String,
    /// With the query, as sent: `/done/4f3a?attempt=1`.
    pub path: String,
    /// Without its line end.
    pub body: String,
}

impl Hit {
    /// What the request reports, by the convention of the end-to-end tests: the last segment of the
    /// path, without the query, or the body where that segment is empty.
    pub fn id(&self) -> &str {
        let path = self.path.split('?').next().unwrap_or_default();
        match path.rsplit('/').next() {
            Some(segment) if !segment.is_empty() => segment,
            _ => &self.body,
        }
    }
}

/// The server. It answers 204 to everything, after the hit has been written to its file and kept in
/// memory: what a client was told, is recorded.
#[derive(Debug)]
pub struct HttpSink {
    address: SocketAddr,
    file: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    stopped: AtomicBool,
}

#[derive(Debug)]
struct Log {
    hits: Vec<Hit>,
    file: File,
}

impl HttpSink {
    /// Listens on a free port of 127.0.0.1 and appends a line `METHOD PATH BODY` for each hit to
    /// `file`.
    pub fn start(file: &Path) -> Result<HttpSink> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .with_context(|| format!("cannot open {}", file.display()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind the sink's port")?;
        let address = listener.local_addr().context("the sink has no address")?;
        let log = Mutex::new(Log { hits: Vec::new(), file: output });
        let shared = Arc::new(Shared { log, stopped: AtomicBool::new(false) });
        let server = Arc::clone(&shared);
        std::thread::Builder::new().name("http-sink".into()).spawn(move || accept(&listener, &server))?;
        Ok(HttpSink { address, file: file.to_owned(), shared })
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The file with a line for each hit.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Everything so far, in the order of arrival.
    pub fn hits(&self) -> Vec<Hit> {
        self.shared.log().hits.clone()
    }

    /// The [`Hit::id`] of everything so far.
    pub fn ids(&self) -> Vec<String> {
        self.shared.log().hits.iter().map(|hit| hit.id().to_owned()).collect()
    }

    /// How many hits there were.
    pub fn count(&self) -> usize {
        self.shared.log().hits.len()
    }

    /// Waits for at least `count` hits; whether they came within `timeout`.
    pub fn wait_for(&self, count: usize, timeout: Duration) -> bool {
        poll_until(timeout, || (self.count() >= count).then_some(())).is_some()
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        // A thread for each connection: its clients are the actions that run at one moment.
        let spawned = std::thread::Builder::new().name("http-sink-connection".into()).spawn(move || {
            // A broken request is the client's affair, which sees its connection closed without 204.
            let _ = serve(&stream, &shared);
        });
        if spawned.is_err() {
            return;
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    let Some(hit) = read_request(&mut reader, stream)? else { return Ok(()) };
    {
        let mut log = shared.log();
        writeln!(log.file, "{} {} {}", hit.method, hit.path, hit.body.replace('\n', " "))?;
        log.hits.push(hit);
    }
    let mut out = stream;
    out.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    Ok(())
}

/// `None` for a connection without a request, as [`HttpSink::drop`] makes one.
fn read_request(reader: &mut BufReader<&TcpStream>, mut out: &TcpStream) -> Result<Option<Hit>> {
    let start = read_line(reader)?;
    let mut words = start.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let (method, path) = (method.to_owned(), path.to_owned());
    let mut body_bytes = 0;
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { bail!("a header without a colon: {line:?}") };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => body_bytes = value.trim().parse().context("content-length is no number")?,
            "transfer-encoding" => bail!("the sink reads bodies with a content-length only"),
            "expect" => out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    if body_bytes > BODY_BYTES_MAX {
        bail!("a body of {body_bytes} bytes; at most {BODY_BYTES_MAX}");
    }
    let mut body = vec![0; body_bytes];
    reader.read_exact(&mut body).context("the body ended early")?;
    let body = String::from_utf8_lossy(&body).trim_end().to_owned();
    Ok(Some(Hit { method, path, body }))
}

fn read_line(reader: &mut BufReader<&TcpStream>) -> Result<String> {
    let mut line = String::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(sink: &HttpSink, request: &str) -> String {
        let mut stream = TcpStream::connect(sink.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn keeps_what_it_is_told_in_memory_and_in_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let sink = HttpSink::start(&dir.path().join("hits")).unwrap();
        let answer = send(&sink, "POST /done/abc?attempt=2 HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nhello\n");
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        send(&sink, "POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\ndef");
        send(&sink, "GET /ghi HTTP/1.1\r\n\r\n");
        assert!(sink.wait_for(3, Duration::ZERO), "an answered hit is a recorded hit");
        assert_eq!(sink.ids(), ["abc", "def", "ghi"]);
        assert_eq!(sink.hits()[0].body, "hello");
        let lines = std::fs::read_to_string(sink.file()).unwrap();
        assert_eq!(lines, "POST /done/abc?attempt=2 hello\nPOST / def\nGET /ghi \n");
    }

    #[test]
    fn a_broken_request_is_neither_recorded_nor_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let sink = HttpSink::start(&dir.path().join("hits")).unwrap();
        for request in [
            "POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
            "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST /x HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(sink.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // The sink may close with unread bytes, which a client sees as a reset.
            let _ = stream.read_to_end(&mut answer);
            assert_eq!(answer, b"", "{request:?}");
        }
        assert_eq!(sink.count(), 0);
    }

    #[test]
    fn twenty_clients_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let sink = HttpSink::start(&dir.path().join("hits")).unwrap();
        std::thread::scope(|scope| {
            for client in 0..20 {
                let sink = &sink;
                scope.spawn(move || {
                    for turn in 0..10 {
                        send(sink, &format!("POST /{client}-{turn} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
                    }
                });
            }
        });
        let distinct: std::collections::HashSet<String> = sink.ids().into_iter().collect();
        assert_eq!((sink.count(), distinct.len()), (200, 200));
    }
}
