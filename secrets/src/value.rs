//! The value of a secret, while a process has to have it.

use std::collections::BTreeSet;
use std::fmt;

use zeroize::Zeroizing;

use crate::limits::{VALUE_BYTES_MAX, VALUE_BYTES_MIN, VALUE_DISTINCT_MIN};

/// A value in the clear. It shows itself to nobody who does not ask for it, and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

/// Why a value cannot be a secret. None of the sentences tells anything of the value but its length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedValue {
    /// Masking it would eat what is no secret.
    #[error(
        "a secret has at least {VALUE_BYTES_MIN} bytes beside its white space, or masking it would eat other output; \
         this one has {0}"
    )]
    TooShort(usize),
    /// Printed line by line, most of it could not be found.
    #[error(
        "a secret of several lines stands for the most part on lines of at least {VALUE_BYTES_MIN} bytes, or masking \
         would not find it where a program prints them singly; encode it, in base64 for example"
    )]
    ShortLines,
    /// The same.
    #[error("a secret has at least {VALUE_DISTINCT_MIN} different characters, or masking it would eat other output")]
    TooPlain,
    /// Over the limit.
    #[error("a secret has at most {VALUE_BYTES_MAX} bytes; this one has {0}")]
    TooLong(usize),
    /// No variable and no argument can hold it.
    #[error("a secret holds no NUL character")]
    Nul,
    /// It is no text.
    #[error("a secret is UTF-8 text; encode other bytes, in base64 for example")]
    NoText,
}

impl SecretValue {
    /// A value that may be set as a secret.
    ///
    /// # Errors
    /// [`RefusedValue`].
    pub fn new(text: String) -> Result<Self, RefusedValue> {
        let value = Self(Zeroizing::new(text));
        let solid = solid(&value.0);
        let found: usize =
            value.0.lines().map(str::trim).filter(|line| line.len() >= VALUE_BYTES_MIN).map(self::solid).sum();
        match solid {
            _ if value.0.contains('\0') => Err(RefusedValue::Nul),
            _ if value.0.len() > VALUE_BYTES_MAX => Err(RefusedValue::TooLong(value.0.len())),
            _ if solid < VALUE_BYTES_MIN => Err(RefusedValue::TooShort(solid)),
            _ if found * 2 < solid => Err(RefusedValue::ShortLines),
            _ if value.0.chars().collect::<BTreeSet<_>>().len() < VALUE_DISTINCT_MIN => Err(RefusedValue::TooPlain),
            _ => Ok(value),
        }
    }

    /// The same, of bytes.
    ///
    /// # Errors
    /// [`RefusedValue`].
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self, RefusedValue> {
        match String::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(error) => {
                drop(Zeroizing::new(error.into_bytes()));
                Err(RefusedValue::NoText)
            }
        }
    }

    /// What was sealed once, whatever the limits are now.
    pub(crate) fn opened(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The value itself, for whoever hands it on to where it belongs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// How many bytes are no white space.
fn solid(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).map(char::len_utf8).sum()
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_masking_could_not_find_or_would_find_everywhere_is_refused() {
        let refused = |text: &str| SecretValue::new(text.to_owned()).unwrap_err();
        assert_eq!(refused("short"), RefusedValue::TooShort(5));
        assert_eq!(refused("a\nb\r\nc\n\n\n\nd"), RefusedValue::TooShort(4));
        assert_eq!(refused("        abcd\t        "), RefusedValue::TooShort(4));
        assert_eq!(refused(&" ".repeat(20)), RefusedValue::TooShort(0));
        assert_eq!(refused(&"-".repeat(20)), RefusedValue::TooPlain);
        for lines in ["abcdefg\nhijklmn\n", "  abcdefg\r\n  hijklmn", "user\nhunter2\npasswd\nhorses\n12345678"] {
            assert_eq!(refused(lines), RefusedValue::ShortLines, "{lines:?}");
        }
        for lines in ["kim\ncorrect horse\n", "-----BEGIN-----\nMIIEowIBAAKCAQEAx1\nKw==\n-----END-----\n"] {
            assert_eq!(SecretValue::new(lines.to_owned()).unwrap().expose(), lines);
        }
        assert_eq!(refused("abcabcabc"), RefusedValue::TooPlain);
        assert_eq!(refused("with\0inside it"), RefusedValue::Nul);
        assert_eq!(refused(&"abcd".repeat(5_000)), RefusedValue::TooLong(20_000));
        assert_eq!(SecretValue::of_bytes(vec![0xff; 20]).unwrap_err(), RefusedValue::NoText);
        assert_eq!(SecretValue::new("12345678".to_owned()).unwrap().expose(), "12345678");
        assert!(!refused("short").to_string().contains("short "));
    }

    #[test]
    fn it_does_not_show_itself() {
        let value = SecretValue::new("correct horse".to_owned()).unwrap();
        assert_eq!(format!("{value:?} {:#?}", Some(&value)).matches("horse").count(), 0);
    }
}
