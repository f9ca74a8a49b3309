//! A conversation with a server of mail (RFC 5321), no line of which is longer than it may be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use petrel_secrets::Mask;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::runner::http::is_lack;

/// Longest line of a reply, and most lines of one.
const REPLY_LINE_BYTES_MAX: usize = 2_048;
const REPLY_LINES_MAX: usize = 100;
/// Longest part of a reply that is told.
const TOLD_BYTES_MAX: usize = 500;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<String>,
}

/// Why a conversation goes no further.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refuses.
    Refused { what: &'static str, reply: Reply },
    /// It is gone, or speaks no SMTP.
    Broken(String),
    /// This worker lacks what it takes.
    Lacking(String),
}

impl Reply {
    /// In one line, without control characters, and without secrets: a server may say again what it was told. Of what was
    /// cut, masking would not find what is left.
    pub(super) fn text(&self, mask: &Mask) -> String {
        let text = mask.text(self.lines.join("\n"));
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("{} {}", self.code, petrel_execution::limits::head(&text, TOLD_BYTES_MAX))
    }

    fn is_good(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

impl Fault {
    pub(super) fn of_io(error: &std::io::Error) -> Self {
        Self::of("", error)
    }

    /// The same, with what was tried.
    pub(super) fn of(what: &str, error: &std::io::Error) -> Self {
        let why = format!("{what}{error}");
        if is_lack(error) { Self::Lacking(why) } else { Self::Broken(why) }
    }
}

/// One end of a conversation.
pub(super) struct Session<S> {
    stream: S,
    /// What was read and belongs to no reply yet.
    read: Vec<u8>,
    /// What the server can do, in capital letters.
    able: Vec<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new(), able: Vec::new() }
    }

    /// What the server says first.
    pub(super) async fn greeting(&mut self) -> Result<(), Fault> {
        self.expect("the connection").await.map(drop)
    }

    /// Says who speaks, and hears what the server can do.
    pub(super) async fn hello(&mut self, name: &str) -> Result<(), Fault> {
        let reply = self.command("EHLO", &format!("EHLO {name}")).await?;
        self.able = reply.lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect();
        Ok(())
    }

    fn can(&self, what: &str) -> bool {
        self.able.iter().any(|line| line.split_ascii_whitespace().next() == Some(what))
    }

    /// Ends what is said in the clear. What the server has said beyond its answer was perhaps not said by it.
    pub(super) async fn begin_tls(mut self) -> Result<S, Fault> {
        if !self.can("STARTTLS") {
            return Err(Fault::Broken("the server offers no STARTTLS, and nothing is sent without TLS".to_owned()));
        }
        self.command("STARTTLS", "STARTTLS").await?;
        match self.read.is_empty() {
            true => Ok(self.stream),
            false => Err(Fault::Broken("somebody spoke between STARTTLS and TLS".to_owned())),
        }
    }

    /// Says as whom.
    pub(super) async fn login(&mut self, username: &str, password: &str) -> Result<(), Fault> {
        let ways = self.able.iter().find_map(|line| line.strip_prefix("AUTH ").or_else(|| line.strip_prefix("AUTH=")));
        let offers = |way: &str| ways.is_some_and(|ways| ways.split_ascii_whitespace().any(|offered| offered == way));
        if offers("PLAIN") {
            let token = STANDARD.encode(format!("\0{username}\0{password}"));
            return self.asked("the name and password", &format!("AUTH PLAIN {token}"), 235).await;
        }
        if !offers("LOGIN") {
            return Err(Fault::Broken("the server takes no name and password by PLAIN or LOGIN".to_owned()));
        }
        self.asked("AUTH", "AUTH LOGIN", 334).await?;
        self.asked("the name", &STANDARD.encode(username), 334).await?;
        self.asked("the name and password", &STANDARD.encode(password), 235).await
    }

    /// Names sender and recipients, and begins the message. One recipient that is refused refuses the message: that
    /// somebody did not get it would not be seen.
    pub(super) async fn envelope(&mut self, from: &str, recipients: &[&str]) -> Result<(), Fault> {
        self.command("the sender", &format!("MAIL FROM:<{from}>")).await?;
        for recipient in recipients {
            self.command("a recipient", &format!("RCPT TO:<{recipient}>")).await?;
        }
        self.asked("the message", "DATA", 354).await
    }

    /// Sends a message that ends with a line end, up to but without the line that ends it. Of what is sent so nothing is
    /// delivered.
    pub(super) async fn body(&mut self, message: &[u8]) -> Result<(), Fault> {
        let mut stuffed = Vec::with_capacity(message.len() + message.len() / 64);
        let mut is_line_begin = true;
        for byte in message {
            if is_line_begin && *byte == b'.' {
                stuffed.push(b'.');
            }
            stuffed.push(*byte);
            is_line_begin = *byte == b'\n';
        }
        self.write(&stuffed).await
    }

    /// Ends the message: from here on it may be delivered.
    pub(super) async fn finish(&mut self) -> Result<Reply, Fault> {
        self.write(b".\r\n").await?;
        self.expect("the message").await
    }

    /// Takes leave, whatever the server says.
    pub(super) async fn quit(mut self) {
        let _ = self.command("QUIT", "QUIT").await;
    }

    /// A line that holds no line end, and the reply to it; `what` is for messages.
    async fn command(&mut self, what: &'static str, line: &str) -> Result<Reply, Fault> {
        if line.bytes().any(|b| b.is_ascii_control()) {
            return Err(Fault::Broken(format!("{what} holds a control character")));
        }
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.expect(what).await
    }

    /// The same, where one answer alone is good.
    async fn asked(&mut self, what: &'static str, line: &str, code: u16) -> Result<(), Fault> {
        let reply = self.command(what, line).await?;
        if reply.code == code { Ok(()) } else { Err(Fault::Refused { what, reply }) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.stream.write_all(bytes).await.map_err(|e| Fault::of_io(&e))?;
        self.stream.flush().await.map_err(|e| Fault::of_io(&e))
    }

    async fn expect(&mut self, what: &'static str) -> Result<Reply, Fault> {
        let reply = self.reply().await?;
        if reply.is_good() { Ok(reply) } else { Err(Fault::Refused { what, reply }) }
    }

    /// Lines with the same code; in all but the last one a hyphen stands behind it.
    async fn reply(&mut self) -> Result<Reply, Fault> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let (code, rest) = line.split_at_checked(3).unwrap_or_default();
            let number = code.parse::<u16>().ok().filter(|code| (200..600).contains(code));
            let code = number.ok_or_else(|| Fault::Broken("the server speaks no SMTP".to_owned()))?;
            let is_last = !rest.starts_with('-');
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if is_last {
                return Ok(Reply { code, lines });
            }
            if lines.len() >= REPLY_LINES_MAX {
                return Err(Fault::Broken(format!("a reply of more than {REPLY_LINES_MAX} lines")));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.read.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.read.len() > REPLY_LINE_BYTES_MAX {
                return Err(Fault::Broken(format!("a line of more than {REPLY_LINE_BYTES_MAX} bytes")));
            }
            let mut some = [0; 1_024];
            let count = self.stream.read(&mut some).await.map_err(|e| Fault::of_io(&e))?;
            if count == 0 {
                return Err(Fault::Broken("the server closed the connection".to_owned()));
            }
            self.read.extend_from_slice(&some[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that has said all this already, and hears nothing.
    async fn said(text: &str) -> (Session<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (mine, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(text.as_bytes()).await.unwrap();
        (Session::new(mine), theirs)
    }

    #[tokio::test]
    async fn replies_are_read_line_by_line_and_bounded() {
        let (mut session, _server) =
            said("250-mail.example.com\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n220 go\r\n").await;
        session.hello("[127.0.0.1]").await.unwrap();
        assert!(session.can("STARTTLS") && session.can("AUTH") && !session.can("SIZE"));
        session.begin_tls().await.unwrap();
        for (text, why) in [
            ("hello\r\n".to_owned(), "speaks no SMTP"),
            ("é\r\n".to_owned(), "speaks no SMTP"),
            ("199 x\r\n".to_owned(), "speaks no SMTP"),
            ("x".repeat(5_000), "a line of more than 2048 bytes"),
            ("220-x\r\n".repeat(101), "a reply of more than 100 lines"),
        ] {
            let (mut session, _server) = said(&text).await;
            let Err(Fault::Broken(told)) = session.greeting().await else { panic!("{text}") };
            assert!(told.contains(why), "{told}");
        }
        let (mut session, server) = said("22").await;
        drop(server);
        assert!(matches!(session.greeting().await, Err(Fault::Broken(why)) if why.contains("closed")));
        let (mut session, _server) = said("554 go\u{7} away\r\n").await;
        let Err(Fault::Refused { reply, .. }) = session.greeting().await else { panic!() };
        assert_eq!(reply.text(&Mask::NOTHING), "554 go  away");
    }

    #[tokio::test]
    async fn what_is_said_before_tls_is_not_believed_behind_it() {
        let (mut session, _server) = said("250 STARTTLS\r\n").await;
        session.able = vec!["STARTTLS".to_owned()];
        session.hello("[127.0.0.1]").await.unwrap();
        assert!(matches!(session.begin_tls().await, Err(Fault::Broken(why)) if why.contains("offers no STARTTLS")));
        let (mut session, _server) = said("220 go\r\n250 AUTH PLAIN\r\n").await;
        session.able = vec!["STARTTLS".to_owned()];
        assert!(matches!(session.begin_tls().await, Err(Fault::Broken(why)) if why.contains("somebody spoke")));
    }

    #[tokio::test]
    async fn lines_that_begin_with_a_dot_end_nothing() {
        let (mut session, mut server) = said("").await;
        session.body(b".a\r\n..\r\n.\r\nb.\r\n").await.unwrap();
        drop(session);
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "..a\r\n...\r\n..\r\nb.\r\n");
    }

    #[tokio::test]
    async fn no_command_holds_two() {
        let (mut session, mut server) = said("250 ok\r\n").await;
        let error = session.envelope("a@x.org>\r\nRCPT TO:<eve@x.org", &[]).await;
        assert!(matches!(error, Err(Fault::Broken(why)) if why.contains("control character")));
        drop(session);
        let mut heard = String::new();
        server.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "");
    }
}
