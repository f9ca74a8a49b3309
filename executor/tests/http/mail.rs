//! A server of mail that does what a test says, also what no server should.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A message that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    /// With its dots as they were meant.
    pub data: String,
    /// What was said behind `AUTH`.
    pub auth: Option<String>,
    pub is_secured: bool,
}

/// What the server does that others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Odd {
    Nothing,
    /// Refuses this recipient, with that code.
    Refuse(&'static str, u16),
    /// Says nothing from then on: when it is greeted, or when the message has ended.
    HangAtHello,
    HangAtEnd,
    /// Answers the greeting a second later than it is asked to.
    HelloIsLate,
    /// Closes the connection when the message has ended.
    CloseAtEnd,
    /// Refuses the message when it has ended, with that code.
    RefuseAtEnd(u16),
    /// Says that the name and password are wrong.
    RefuseLogin,
    /// The same, behind so many bytes, and says again what it was told.
    RepeatLogin(usize),
    /// Offers `AUTH LOGIN` alone.
    LoginOnly,
    /// Lets whoever takes leave wait.
    HangAtQuit,
    /// Speaks on before TLS begins.
    SpeakBeforeTls,
}

#[derive(Clone)]
pub struct MailServer {
    pub port: u16,
    taken: Arc<Mutex<Vec<Mail>>>,
    /// Every line that was heard, bodies left out.
    heard: Arc<Mutex<Vec<String>>>,
    odd: Odd,
    /// Whether a command was answered.
    has_answered: Arc<AtomicBool>,
}

/// How a conversation goes on.
enum Next<S> {
    Over,
    Tls(S),
}

impl MailServer {
    /// With TLS from the first byte on, or behind `STARTTLS`, or without any.
    pub async fn start(tls: Option<rustls::ServerConfig>, is_implicit: bool, odd: Odd) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, taken: Arc::default(), heard: Arc::default(), odd, has_answered: Arc::default() };
        let (own, acceptor) = (server.clone(), tls.map(|config| TlsAcceptor::from(Arc::new(config))));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (own, acceptor) = (own.clone(), acceptor.clone());
                tokio::spawn(async move { own.serve(stream, acceptor, is_implicit).await });
            }
        });
        server
    }

    pub fn taken(&self) -> Vec<Mail> {
        self.taken.lock().unwrap().clone()
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Whether a command was answered.
    pub fn has_answered(&self) -> bool {
        self.has_answered.load(Ordering::SeqCst)
    }

    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, is_implicit: bool) {
        match tls {
            Some(tls) if is_implicit => {
                if let Ok(stream) = tls.accept(stream).await {
                    self.talk(stream, false, true, true).await;
                }
            }
            Some(tls) => {
                if let Next::Tls(stream) = self.talk(stream, true, false, true).await
                    && let Ok(stream) = tls.accept(stream).await
                {
                    self.talk(stream, false, true, false).await;
                }
            }
            None => drop(self.talk(stream, false, false, true).await),
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        offers_tls: bool,
        is_secured: bool,
        greets: bool,
    ) -> Next<S> {
        let mut stream = BufReader::new(stream);
        let mut mail = Mail { is_secured, ..Mail::default() };
        if greets {
            say(&mut stream, "220 mail.test ready").await;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return Next::Over;
            }
            let line = line.trim_end().to_owned();
            self.heard.lock().unwrap().push(line.clone());
            let answer = match line.split(' ').next().unwrap_or_default() {
                "EHLO" if self.odd == Odd::HangAtHello => std::future::pending().await,
                "EHLO" => {
                    if self.odd == Odd::HelloIsLate {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    let ways = if self.odd == Odd::LoginOnly { "LOGIN" } else { "PLAIN LOGIN" };
                    let starttls = if offers_tls { "250-STARTTLS\r\n" } else { "" };
                    format!("250-mail.test\r\n{starttls}250-AUTH {ways}\r\n250 8BITMIME")
                }
                "STARTTLS" => {
                    let early = if self.odd == Odd::SpeakBeforeTls { "\r\n250-x\r\n250 AUTH PLAIN" } else { "" };
                    say(&mut stream, &format!("220 go ahead{early}")).await;
                    return Next::Tls(stream.into_inner());
                }
                "AUTH" if self.odd == Odd::RefuseLogin => "535 5.7.8 no".to_owned(),
                "AUTH" if matches!(self.odd, Odd::RepeatLogin(_)) => {
                    let Odd::RepeatLogin(before) = self.odd else { unreachable!() };
                    format!("535 {} {}", "x".repeat(before), &line["AUTH PLAIN ".len()..])
                }
                "AUTH" if line == "AUTH LOGIN" => {
                    let mut said = Vec::new();
                    for question in ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] {
                        say(&mut stream, question).await;
                        let mut line = String::new();
                        stream.read_line(&mut line).await.unwrap();
                        said.push(line.trim_end().to_owned());
                    }
                    mail.auth = Some(said.join(" "));
                    "235 welcome".to_owned()
                }
                "AUTH" => {
                    mail.auth = Some(line["AUTH ".len()..].to_owned());
                    "235 welcome".to_owned()
                }
                "MAIL" => {
                    mail.from = line;
                    "250 ok".to_owned()
                }
                "RCPT" => match self.odd {
                    Odd::Refuse(recipient, code) if line.contains(recipient) => format!("{code} 5.1.1 not here"),
                    _ => {
                        mail.to.push(line);
                        "250 ok".to_owned()
                    }
                },
                "DATA" => {
                    say(&mut stream, "354 go ahead").await;
                    match self.data(&mut stream, &mut mail).await {
                        Some(answer) => answer,
                        None => return Next::Over,
                    }
                }
                "QUIT" if self.odd == Odd::HangAtQuit => std::future::pending().await,
                "QUIT" => {
                    say(&mut stream, "221 bye").await;
                    return Next::Over;
                }
                _ => "500 what".to_owned(),
            };
            say(&mut stream, &answer).await;
            self.has_answered.store(true, Ordering::SeqCst);
        }
    }

    async fn data<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        mail: &mut Mail,
    ) -> Option<String> {
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return None;
            }
            if line == ".\r\n" {
                break;
            }
            mail.data += line.strip_prefix('.').unwrap_or(&line);
        }
        match self.odd {
            Odd::HangAtEnd => std::future::pending().await,
            Odd::CloseAtEnd => return None,
            Odd::RefuseAtEnd(code) => return Some(format!("{code} 5.7.1 spam")),
            _ => {}
        }
        self.taken.lock().unwrap().push(std::mem::take(mail));
        Some("250 2.0.0 queued as 4711".to_owned())
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, text: &str) {
    let _ = stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await;
    let _ = stream.get_mut().flush().await;
}
