//! A request over HTTP/1.1 on a Unix socket, with a connection of its own.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Longest head of an answer, and longest line within a body, in bytes.
const HEAD_BYTES_MAX: u64 = 64 << 10;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    /// Path with its query.
    pub(super) path: &'r str,
    pub(super) headers: &'r [(&'r str, &'r str)],
    /// JSON.
    pub(super) body: Option<&'r [u8]>,
    /// Longest silence of the daemon; none where it may take as long as it likes.
    pub(super) patience: Option<Duration>,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Body {
    reader: BufReader<UnixStream>,
    left: Left,
}

#[derive(Debug, Clone, Copy)]
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of this chunk, and then others.
    Chunk(u64),
    /// Until the connection ends.
    Open,
}

/// Why nothing was answered.
#[derive(Debug)]
pub(super) enum Failed {
    /// Nothing was asked.
    NoConnection(io::Error),
    /// It was asked, and nobody knows what came of it.
    Broken(io::Error),
}

/// Asks.
pub(super) fn ask(socket: &Path, request: Request<'_>) -> Result<Answer, Failed> {
    let mut stream = UnixStream::connect(socket).map_err(Failed::NoConnection)?;
    let exchange = |stream: &mut UnixStream| {
        stream.set_read_timeout(request.patience)?;
        stream.set_write_timeout(request.patience)?;
        stream.write_all(&head(request))?;
        stream.write_all(request.body.unwrap_or_default())
    };
    exchange(&mut stream).map_err(Failed::Broken)?;
    answer(BufReader::new(stream)).map_err(Failed::Broken)
}

fn head(request: Request<'_>) -> Vec<u8> {
    let Request { method, path, headers, body, .. } = request;
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !headers.iter().any(|(name, _)| *name == "Connection") {
        head.push_str("Connection: close\r\n");
    }
    if body.is_some() {
        head.push_str("Content-Type: application/json\r\n");
    }
    if method != "GET" {
        head.push_str(&format!("Content-Length: {}\r\n", body.map_or(0, <[u8]>::len)));
    }
    head.push_str("\r\n");
    head.into_bytes()
}

fn answer(mut reader: BufReader<UnixStream>) -> io::Result<Answer> {
    let mut head = reader.by_ref().take(HEAD_BYTES_MAX);
    let first = line(&mut head)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status: u16 = status.filter(|_| first.starts_with("HTTP/1.")).ok_or_else(|| invalid("no answer of HTTP"))?;
    let mut left = Left::Open;
    loop {
        let header = line(&mut head)?;
        if header.is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            left = Left::Bytes(value.parse().map_err(|_| invalid("a content length that is none"))?);
        } else if name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            left = Left::Chunk(0);
        }
    }
    if matches!(status, 204 | 304) {
        left = Left::Bytes(0);
    }
    let mut body = Body { reader, left };
    if matches!(left, Left::Chunk(_)) {
        body.next_chunk(true)?;
    }
    Ok(Answer { status, body })
}

/// A line without its end.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, "the answer ends in its head"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| invalid("a head that is no text"))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

impl Body {
    /// The connection, for what comes behind an answer that gives it away.
    pub(super) fn into_stream(self) -> BufReader<UnixStream> {
        self.reader
    }

    /// Goes to the next chunk; the last one has no bytes.
    fn next_chunk(&mut self, is_first: bool) -> io::Result<()> {
        let mut reader = self.reader.by_ref().take(HEAD_BYTES_MAX);
        if !is_first {
            line(&mut reader)?;
        }
        let size = line(&mut reader)?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let bytes = u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk without a size"))?;
        self.left = if bytes == 0 { Left::Bytes(0) } else { Left::Chunk(bytes) };
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Left::Chunk(0) = self.left {
            self.next_chunk(false)?;
        }
        let most = match self.left {
            Left::Bytes(left) | Left::Chunk(left) => left,
            Left::Open => u64::MAX,
        };
        if most == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let room = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..room])?;
        match &mut self.left {
            Left::Open => {}
            Left::Bytes(_) | Left::Chunk(_) if read == 0 => {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the answer ends in its body"));
            }
            Left::Bytes(left) | Left::Chunk(left) => *left -= read as u64,
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What comes of an answer, to a request that is told back.
    fn exchange(answered: &'static str) -> (String, Result<(u16, String), String>) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = vec![0; 4096];
            let read = stream.read(&mut asked).unwrap();
            stream.write_all(answered.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..read]).into_owned()
        });
        let request = Request { method: "POST", path: "/x?y=1", headers: &[], body: Some(b"{}"), patience: None };
        let answer = ask(&socket, request).map_err(|failed| format!("{failed:?}")).and_then(|mut answer| {
            let mut body = String::new();
            answer.body.read_to_string(&mut body).map_err(|e| e.to_string())?;
            Ok((answer.status, body))
        });
        (server.join().unwrap(), answer)
    }

    #[test]
    fn a_body_ends_where_its_head_says() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 200, "abc"),
            (
                "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
                404,
                "abcde",
            ),
            ("HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end"),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
        ];
        for (answered, status, body) in cases {
            let (asked, answer) = exchange(answered);
            assert_eq!(answer, Ok((status, body.to_owned())), "{answered}");
            assert!(
                asked.starts_with("POST /x?y=1 HTTP/1.1\r\n") && asked.contains("Content-Length: 2\r\n"),
                "{asked}"
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_no_answer() {
        for answered in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n",
            "SMTP ready\r\n\r\n",
        ] {
            let (_, answer) = exchange(answered);
            assert!(answer.is_err(), "{answered:?} {answer:?}");
        }
    }
}
