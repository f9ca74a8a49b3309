//! Addresses of mail: `ann@example.com`, or `Ann Smith <ann@example.com>`. They are ASCII, and what they hold can neither
//! end a line of a header nor a command of SMTP.

use serde_json::Value;

use super::super::RenderError;
use super::super::keys::kind;

/// Longest address, in bytes (RFC 5321 §4.5.3.1.3, without the brackets).
const ADDRESS_BYTES_MAX: usize = 254;
/// Longest name before an address, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Somebody's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// How they are called; may be empty.
    pub name: String,
    /// `local@domain`.
    pub address: String,
}

impl Mailbox {
    /// Reads one.
    ///
    /// # Errors
    /// One sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (unquoted(name.trim()), address),
            None => (String::new(), text),
        };
        if name.chars().any(char::is_control) || name.len() > NAME_BYTES_MAX {
            return Err(format!("the name before <{address}> holds control characters, or is too long"));
        }
        check(address)?;
        Ok(Self { name, address: address.to_owned() })
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// A dot-atom, an `@`, and names of a domain.
fn check(address: &str) -> Result<(), String> {
    let is_atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let parts = address.split_once('@').filter(|(local, domain)| {
        address.len() <= ADDRESS_BYTES_MAX
            && local.len() <= 64
            && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atom))
            && domain.split('.').all(is_label)
    });
    match parts {
        Some(_) => Ok(()),
        None => Err(format!("{:?} is no address such as ann@example.com", crate::limits::head(address, 255))),
    }
}

/// The addresses of a value: a text with commas between them, or a list of texts. Null is none.
pub(super) fn all<'v>(value: &'v Value, what: &str) -> Result<Vec<Mailbox>, RenderError> {
    let wrong = |why: String| RenderError(format!("{what}: {why}"));
    let texts: Vec<&str> = match value {
        Value::Null => Vec::new(),
        Value::String(text) => split(text),
        Value::Array(items) => {
            let text = |item: &'v Value| match item {
                Value::String(text) => Ok(text.as_str()),
                other => Err(wrong(format!("an address must be a string, found {}", kind(other)))),
            };
            items.iter().map(text).collect::<Result<_, _>>()?
        }
        other => return Err(wrong(format!("addresses are a string or a list of strings, found {}", kind(other)))),
    };
    texts.into_iter().map(|text| Mailbox::parse(text).map_err(wrong)).collect()
}

/// At the commas that stand in no quoted name; what is empty is left out.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut from, mut is_quoted, mut before) = (Vec::new(), 0, false, ' ');
    for (at, c) in text.char_indices() {
        match c {
            '"' if before != '\\' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(&text[from..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mailbox(name: &str, address: &str) -> Mailbox {
        Mailbox { name: name.to_owned(), address: address.to_owned() }
    }

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, expected) in [
            ("ann@example.com", mailbox("", "ann@example.com")),
            (" <a.b+c@x-y.example> ", mailbox("", "a.b+c@x-y.example")),
            ("Ann Smith <ann@example.com>", mailbox("Ann Smith", "ann@example.com")),
            ("\"Smith, \\\"Ann\\\"\" <ann@localhost>", mailbox("Smith, \"Ann\"", "ann@localhost")),
            ("Jörg <joerg@example.com>", mailbox("Jörg", "joerg@example.com")),
        ] {
            assert_eq!(Mailbox::parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "ann",
            "@example.com",
            "ann@",
            "ann@@example.com",
            "ann@example..com",
            "ann@-x.com",
            ".ann@example.com",
            "ann smith@example.com",
            "ann@example.com\r\nBcc: eve@example.com",
            "ann@example.com> SIZE=1",
            "Ann <ann@example.com>\r\nBcc: <eve@example.com>",
            "Ann\r\nBcc: eve@example.com\r\nX: <ann@example.com>",
            "änn@example.com",
            "ann@[127.0.0.1]",
            "ann@example.com\0",
        ] {
            assert!(Mailbox::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn several_stand_in_a_text_or_in_a_list() {
        let both = [mailbox("", "a@x.org"), mailbox("B, C", "b@x.org")];
        assert_eq!(all(&json!("a@x.org, \"B, C\" <b@x.org>,"), "to").unwrap(), both);
        assert_eq!(all(&json!(["a@x.org", "\"B, C\" <b@x.org>"]), "to").unwrap(), both);
        assert_eq!(all(&Value::Null, "to").unwrap(), []);
        for (wrong, why) in [
            (json!([1]), "to: an address must be a string, found a number"),
            (json!({}), "to: addresses are a string or a list of strings, found a mapping"),
            (json!(["a@x.org, b@x.org"]), "to: \"a@x.org, b@x.org\" is no address such as ann@example.com"),
        ] {
            assert_eq!(all(&wrong, "to").unwrap_err().to_string(), why);
        }
    }
}
