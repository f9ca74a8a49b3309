//! A server of HTTP/1.1 that does what a test says, also what no server should.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request that came.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// By names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// All lines of the head behind its first.
    lines: Vec<String>,
}

impl Seen {
    /// The values of a header that comes several times.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let pairs = self.lines.iter().filter_map(|line| line.split_once(": "));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// What the server does about a request.
pub enum Reply {
    /// Answers: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Says nothing more.
    Hang,
    /// Closes the connection.
    Close,
    /// Begins a body and adds to it a byte at a time, for ever.
    Drip,
    /// Sends as much as is taken.
    Endless,
    /// Connects to that address, and lets both talk.
    Tunnel(SocketAddr),
}

pub fn json(status: u16, body: &str) -> Reply {
    Reply::Answer(status, vec![("Content-Type", "application/json".to_owned())], body.as_bytes().to_vec())
}

pub fn redirect(status: u16, to: &str) -> Reply {
    Reply::Answer(status, vec![("Location", to.to_owned())], Vec::new())
}

type Handler = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

#[derive(Clone)]
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    handler: Arc<Handler>,
}

impl Server {
    /// Answers every request by the function, which is told how many came before it.
    pub async fn start(handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", handler).await
    }

    pub async fn start_at(address: &str, handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(address, None, Arc::new(handler)).await
    }

    pub async fn start_tls(
        tls: rustls::ServerConfig,
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1:0", Some(TlsAcceptor::from(Arc::new(tls))), Arc::new(handler)).await
    }

    async fn listen(address: &str, tls: Option<TlsAcceptor>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
            connections: Arc::default(),
            closed: Arc::default(),
            handler,
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, tls) = (own.clone(), tls.clone());
                tokio::spawn(async move {
                    own.connections.fetch_add(1, Ordering::SeqCst);
                    match tls {
                        None => own.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                own.serve(stream).await;
                            }
                        }
                    }
                    own.closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Whether no connection is open.
    pub fn is_idle(&self) -> bool {
        self.closed.load(Ordering::SeqCst) == self.connections()
    }

    /// Until a connection is closed, by whomever.
    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(seen) = request(&mut stream).await {
            let before = {
                let mut all = self.seen.lock().unwrap();
                all.push(seen.clone());
                all.len() - 1
            };
            if !self.reply(&mut stream, (self.handler)(&seen, before)).await {
                return;
            }
        }
    }

    /// Whether the connection goes on.
    async fn reply(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), reply: Reply) -> bool {
        match reply {
            Reply::Answer(status, headers, body) => {
                let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("\r\n");
                stream.write_all(head.as_bytes()).await.is_ok() && stream.write_all(&body).await.is_ok()
            }
            Reply::Hang => {
                // The other side closes it.
                let _ = stream.read(&mut [0; 1]).await;
                false
            }
            Reply::Close => false,
            Reply::Drip => {
                let mut open = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n").await.is_ok();
                while open {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    open = stream.write_all(b"x").await.is_ok() && stream.flush().await.is_ok();
                }
                false
            }
            Reply::Endless => {
                let mut open = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.is_ok();
                while open {
                    open = stream.write_all(&[b'y'; 4096]).await.is_ok();
                }
                false
            }
            Reply::Tunnel(to) => {
                let mut other = TcpStream::connect(to).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 X\r\n\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(stream, &mut other).await;
                false
            }
        }
    }
}

/// The next request; nothing once the connection is closed.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut more = [0; 1024];
        match stream.read(&mut more).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&more[..read]),
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let headers: BTreeMap<String, String> = lines
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = bytes[head_end..].to_vec();
    let missing = length - body.len();
    let mut rest = vec![0; missing];
    stream.read_exact(&mut rest).await.ok()?;
    body.extend(rest);
    Some(Seen {
        method: first.next().unwrap().to_owned(),
        target: first.next().unwrap().to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
        lines,
    })
}
