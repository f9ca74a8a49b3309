//! A stand-in for a server of mail: as much of SMTP (RFC 5321) as it takes to be given a message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::demo::journal::Journal;

/// What it is called where it is told what it got.
pub const MAIL: &str = "mail";
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Serves until it is dropped.
pub async fn serve(journal: Journal, socket: TcpListener) {
    while let Ok((stream, _)) = socket.accept().await {
        let journal = journal.clone();
        tokio::spawn(async move {
            // A client that goes away has said what it wanted to say.
            let _ = converse(&journal, stream).await;
        });
    }
}

async fn converse(journal: &Journal, stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    say(&mut stream, "220 mail.shop.example").await?;
    let mut envelope = Envelope::default();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" => say(&mut stream, "250 mail.shop.example").await?,
            "MAIL" => {
                envelope = Envelope { from: address(line), to: Vec::new() };
                say(&mut stream, "250 2.1.0 sender is well").await?;
            }
            "RCPT" => {
                envelope.to.push(address(line));
                say(&mut stream, "250 2.1.5 recipient is well").await?;
            }
            "DATA" => {
                say(&mut stream, "354 go on").await?;
                let message = message(&mut stream).await?;
                envelope.note(journal, &message);
                say(&mut stream, "250 2.0.0 queued").await?;
            }
            "RSET" | "NOOP" => say(&mut stream, "250 2.0.0 so be it").await?,
            "QUIT" => return say(&mut stream, "221 2.0.0 bye").await,
            _ => say(&mut stream, "502 5.5.1 no such command").await?,
        }
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await
}

/// A message up to its single dot.
async fn message(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        let is_over = stream.read_line(&mut line).await? == 0 || line.trim_end() == ".";
        if is_over || message.len() + line.len() > MESSAGE_BYTES_MAX {
            return Ok(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}

/// Who a message is from and for.
#[derive(Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
}

impl Envelope {
    fn note(&self, journal: &Journal, message: &str) {
        let header = |name: &str| {
            let lines = message.lines().take_while(|line| !line.is_empty());
            lines
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, v)| v)
        };
        let body = json!({
            "from": self.from, "to": self.to, "subject": header("Subject"), "message_id": header("Message-ID"),
            "text": text(message),
        });
        journal.note(MAIL, &format!("a message for {}", self.to.join(", ")), 250, body, "");
    }
}

/// What a message of one part in base64 says; none where it is anything else.
fn text(message: &str) -> Option<String> {
    let (headers, body) = message.split_once("\r\n\r\n")?;
    let is_encoded = headers.lines().any(|line| line.eq_ignore_ascii_case("Content-Transfer-Encoding: base64"));
    let bytes = STANDARD.decode(body.split_whitespace().collect::<String>()).ok().filter(|_| is_encoded)?;
    String::from_utf8(bytes).ok()
}

/// What stands between the angle brackets of a command.
fn address(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(address, _)| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_stand_in_angle_brackets() {
        assert_eq!(address("RCPT TO:<ann@shop.example> NOTIFY=NEVER"), "ann@shop.example");
        assert_eq!(address("RCPT TO:nobody"), "");
    }

    #[test]
    fn a_message_in_base64_is_read() {
        let headers = "Subject: a\r\nContent-Transfer-Encoding: base64\r\n";
        assert_eq!(text(&format!("{headers}\r\naGVs\r\nbG8=\r\n")).as_deref(), Some("hello"));
        assert_eq!(text("Subject: a\r\n\r\naGVsbG8=\r\n"), None);
        assert_eq!(text(headers), None);
    }
}
