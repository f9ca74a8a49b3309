//! A message as bytes (RFC 5322, RFC 2045): ASCII, lines no longer than 76 characters, bodies in base64. Nothing that an
//! action says stands in it as it is, but for names and subjects of harmless letters.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use petrel_execution::runner::{EmailCall, Mailbox};

/// Characters of a line.
const LINE_MAX: usize = 76;
/// Bytes that one encoded word holds: with what stands around them it has at most 75 characters (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 45;

/// The message of an execution, and its `Message-ID`, which is the same in every attempt.
pub(super) fn compose(call: &EmailCall, execution_id: &str, now_ms: i64) -> (Vec<u8>, String) {
    let id = format!("<{execution_id}@{}>", call.from.domain());
    let mut message = String::new();
    let date = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    header(&mut message, "Date", &date.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string());
    header(&mut message, "Message-ID", &id);
    header(&mut message, "From", &mailbox(&call.from));
    for (name, list) in [("Reply-To", &call.reply_to), ("To", &call.to), ("Cc", &call.cc)] {
        if !list.is_empty() {
            header(&mut message, name, &list.iter().map(mailbox).collect::<Vec<_>>().join(",\r\n "));
        }
    }
    header(&mut message, "Subject", &words(&call.subject));
    // Automatic answers would go round (RFC 3834).
    header(&mut message, "Auto-Submitted", "auto-generated");
    header(&mut message, "X-Petrel-Execution", execution_id);
    header(&mut message, "MIME-Version", "1.0");
    match (&call.text, &call.html) {
        (Some(text), Some(html)) => {
            // No line of base64 holds an underscore.
            let boundary = format!("petrel_{}", execution_id.replace('.', "_"));
            header(&mut message, "Content-Type", &format!("multipart/alternative;\r\n boundary=\"{boundary}\""));
            for (kind, body) in [("plain", text), ("html", html)] {
                let _ = write!(message, "\r\n--{boundary}\r\n");
                part(&mut message, kind, body);
            }
            let _ = write!(message, "\r\n--{boundary}--\r\n");
        }
        (Some(text), None) => part(&mut message, "plain", text),
        (None, html) => part(&mut message, "html", html.as_deref().unwrap_or_default()),
    }
    (message.into_bytes(), id)
}

fn header(message: &mut String, name: &str, value: &str) {
    let _ = write!(message, "{name}: {value}\r\n");
}

/// Its headers, an empty line, and the body with line ends of CRLF, as text has them in mail.
fn part(message: &mut String, kind: &str, body: &str) {
    header(message, "Content-Type", &format!("text/{kind}; charset=utf-8"));
    header(message, "Content-Transfer-Encoding", "base64");
    message.push_str("\r\n");
    let canonical = body.replace("\r\n", "\n").replace('\n', "\r\n");
    let encoded = STANDARD.encode(canonical);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE_MAX));
        let _ = write!(message, "{line}\r\n");
        rest = after;
    }
}

fn mailbox(mailbox: &Mailbox) -> String {
    match mailbox.name.as_str() {
        "" => mailbox.address.clone(),
        name => format!("{}\r\n <{}>", words(name), mailbox.address),
    }
}

/// A text in a header: as it is where it is harmless and short, else as encoded words.
fn words(text: &str) -> String {
    let is_harmless = |b: u8| b.is_ascii_alphanumeric() || b" !#$%&'*+-/^_`{|}~".contains(&b);
    if text.len() <= WORD_BYTES_MAX && text.bytes().all(is_harmless) && text.trim() == text {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD_BYTES_MAX));
        words.push(format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use petrel_execution::runner::{MailServer, Security};

    use super::*;

    fn call(subject: &str, name: &str) -> EmailCall {
        let server = MailServer {
            host: "mail.example.com".to_owned(),
            port: 25,
            security: Security::None,
            ca: None,
            ca_file: None,
            credentials: None,
        };
        let mailbox = |name: &str, address: &str| Mailbox { name: name.to_owned(), address: address.to_owned() };
        EmailCall {
            server,
            from: mailbox(name, "petrel@example.com"),
            to: vec![mailbox("", "ann@example.com"), mailbox("Bob", "bob@example.com")],
            cc: Vec::new(),
            bcc: vec![mailbox("", "eve@example.com")],
            reply_to: Vec::new(),
            subject: subject.to_owned(),
            text: Some("a\n.\nb\r\nc".to_owned()),
            html: None,
        }
    }

    fn composed(call: &EmailCall) -> String {
        String::from_utf8(compose(call, "e1.2", 1_795_000_000_000).0).unwrap()
    }

    #[test]
    fn a_message_of_one_part() {
        let expected = "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n\
            Message-ID: <e1.2@example.com>\r\n\
            From: Petrel\r\n <petrel@example.com>\r\n\
            To: ann@example.com,\r\n Bob\r\n <bob@example.com>\r\n\
            Subject: disk full\r\n\
            Auto-Submitted: auto-generated\r\n\
            X-Petrel-Execution: e1.2\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\n\
            \r\n\
            YQ0KLg0KYg0KYw==\r\n";
        assert_eq!(composed(&call("disk full", "Petrel")), expected);
    }

    #[test]
    fn nothing_but_harmless_letters_stands_as_it_is() {
        for odd in ["é", "a: b\r\nBcc: eve@example.com", "=?UTF-8?B?eA==?=", " a", "a, b <x@y.z>", "\"a\""] {
            let text = composed(&call(odd, odd));
            let lines: Vec<&str> = text.split("\r\n").collect();
            assert!(lines.iter().all(|line| line.len() <= LINE_MAX && !line.starts_with("Bcc")), "{text}");
            assert!(text.contains(&format!("Subject: =?UTF-8?B?{}?=", STANDARD.encode(odd))), "{text}");
        }
        assert!(!composed(&call("s", "")).contains("eve"), "whom it is for, too, stands in no header");
    }

    #[test]
    fn a_long_subject_is_cut_between_characters() {
        let subject = "ä".repeat(100);
        let text = composed(&call(&subject, ""));
        let (_, rest) = text.split_once("Subject: ").unwrap();
        let (folded, _) = rest.split_once("\r\nAuto-Submitted").unwrap();
        let mut decoded = String::new();
        for word in folded.split("\r\n ") {
            assert!(word.len() <= 75, "{word}");
            let inner = word.strip_prefix("=?UTF-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
            decoded += std::str::from_utf8(&STANDARD.decode(inner).unwrap()).unwrap();
        }
        assert_eq!(decoded, subject);
    }

    #[test]
    fn two_parts_are_alternatives() {
        let both = EmailCall { html: Some("<p>ä</p>".to_owned()), ..call("s", "") };
        let text = composed(&both);
        assert!(text.contains("boundary=\"petrel_e1_2\"\r\n\r\n--petrel_e1_2\r\nContent-Type: text/plain"), "{text}");
        assert!(text.ends_with("PHA+w6Q8L3A+\r\n\r\n--petrel_e1_2--\r\n"), "{text}");
        let long = EmailCall { text: Some("x".repeat(10_000)), ..call("s", "") };
        assert!(composed(&long).split("\r\n").all(|line| line.len() <= LINE_MAX));
    }
}
