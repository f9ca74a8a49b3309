//! How programs escape characters, and what an escape stands for.

use std::convert::identity;

/// A way of escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// `%2B` in parts of a URL.
    Url,
    /// The same in a form, where `+` is a space.
    Form,
    /// `\"`, `\n`, `\u00e4` in JSON and in the literals of programs, `\303` and `\ ` in those of shells.
    Backslash,
    /// `&quot;`, `&#228;` in HTML and XML.
    Entity,
}

/// What bytes that begin as an escape does are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    /// That depends on what follows.
    Open,
    /// No escape.
    No,
    /// One of that many bytes.
    Of(Meaning, usize),
}

/// What an escape stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Byte(u8),
    Char(char),
}

/// Longest entity, in bytes: a number of six hexadecimal digits.
const ENTITY_BYTES_MAX: usize = 10;
const ENTITIES: [(&[u8], u8); 5] =
    [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];

impl Escapes {
    /// Whether an escape begins with that byte.
    pub(super) fn begin_with(self, byte: u8) -> bool {
        match self {
            Self::Url => byte == b'%',
            Self::Form => matches!(byte, b'%' | b'+'),
            Self::Backslash => byte == b'\\',
            Self::Entity => byte == b'&',
        }
    }

    /// What stands at the beginning of bytes the first of which begins an escape.
    pub(super) fn read(self, bytes: &[u8]) -> Escape {
        match self {
            Self::Form if bytes[0] == b'+' => Escape::Of(Meaning::Byte(b' '), 1),
            Self::Url | Self::Form => match bytes.get(1) {
                Some(b'u') => unit(bytes, 2),
                _ => number(bytes, 1, 2)
                    .map(|value| Escape::Of(Meaning::Byte(low_byte(value)), 3))
                    .unwrap_or_else(identity),
            },
            Self::Backslash => backslash(bytes),
            Self::Entity => entity(bytes),
        }
    }
}

fn backslash(bytes: &[u8]) -> Escape {
    let Some(kind) = bytes.get(1) else { return Escape::Open };
    let byte = |byte| Escape::Of(Meaning::Byte(byte), 2);
    let of =
        |digits: Result<u32, Escape>, length| digits.map(|value| character(value, length)).unwrap_or_else(identity);
    match kind {
        b'u' if bytes.get(2) == Some(&b'{') => braced(bytes),
        b'u' => pair(bytes),
        b'U' => of(number(bytes, 2, 8), 10),
        b'x' => number(bytes, 2, 2).map(|value| Escape::Of(Meaning::Byte(low_byte(value)), 4)).unwrap_or_else(identity),
        b'0'..=b'7' => octal(bytes),
        b'n' => byte(b'\n'),
        b'r' => byte(b'\r'),
        b't' => byte(b'\t'),
        b'b' => byte(8),
        b'f' => byte(12),
        b'a' => byte(7),
        b'v' => byte(11),
        b'e' | b'E' => byte(27),
        other => byte(*other),
    }
}

/// `\303`, or a digit that is escaped by itself.
fn octal(bytes: &[u8]) -> Escape {
    let digits = bytes[1..].iter().take(3).take_while(|digit| matches!(digit, b'0'..=b'7')).count();
    match digits {
        3 => {
            let value = bytes[1..4].iter().fold(0, |value, digit| value * 8 + u32::from(digit - b'0'));
            Escape::Of(Meaning::Byte(low_byte(value)), 4)
        }
        _ if bytes.len() == 1 + digits => Escape::Open,
        _ => Escape::Of(Meaning::Byte(bytes[1]), 2),
    }
}

/// `\u{e4}`
fn braced(bytes: &[u8]) -> Escape {
    let digits = bytes[3..].iter().take(7).take_while(|digit| digit.is_ascii_hexdigit()).count();
    match bytes.get(3 + digits) {
        Some(b'}') if (1..=6).contains(&digits) => {
            number(bytes, 3, digits).map(|value| character(value, digits + 4)).unwrap_or_else(identity)
        }
        None if digits <= 6 => Escape::Open,
        _ => Escape::No,
    }
}

/// `\u00e4`, or two of them that are one character.
fn pair(bytes: &[u8]) -> Escape {
    let first = match number(bytes, 2, 4) {
        Ok(first @ 0xd800..0xdc00) => first,
        _ => return unit(bytes, 2),
    };
    let follows = bytes[6..].iter().zip(b"\\u").all(|(found, wanted)| found == wanted);
    match number(bytes, 8.min(bytes.len()), 4) {
        _ if !follows => Escape::No,
        Ok(second @ 0xdc00..0xe000) if bytes.len() >= 12 => {
            character(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
        }
        Err(Escape::Open) => Escape::Open,
        _ => Escape::No,
    }
}

/// Four digits from there on.
fn unit(bytes: &[u8], from: usize) -> Escape {
    number(bytes, from, 4).map(|value| character(value, from + 4)).unwrap_or_else(identity)
}

fn entity(bytes: &[u8]) -> Escape {
    let end =
        bytes.iter().skip(1).take(ENTITY_BYTES_MAX).position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'#');
    let length = match end {
        Some(end) if bytes[end + 1] == b';' => end + 2,
        None if bytes.len() <= ENTITY_BYTES_MAX => return Escape::Open,
        _ => return Escape::No,
    };
    let named = ENTITIES.iter().find(|(name, _)| *name == &bytes[..length]);
    if let Some((_, byte)) = named {
        return Escape::Of(Meaning::Byte(*byte), length);
    }
    let text = std::str::from_utf8(&bytes[1..length - 1]).unwrap_or_default();
    let value = match text.strip_prefix("#x").or_else(|| text.strip_prefix("#X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.strip_prefix('#').and_then(|digits| digits.parse().ok()),
    };
    value.map_or(Escape::No, |value| character(value, length))
}

/// The value of so many hexadecimal digits; else what that makes of the escape.
fn number(bytes: &[u8], from: usize, digits: usize) -> Result<u32, Escape> {
    let there = &bytes[from.min(bytes.len())..(from + digits).min(bytes.len())];
    let mut value = 0;
    for digit in there {
        value = value * 16 + char::from(*digit).to_digit(16).ok_or(Escape::No)?;
    }
    if there.len() < digits { Err(Escape::Open) } else { Ok(value) }
}

fn character(value: u32, length: usize) -> Escape {
    char::from_u32(value).map_or(Escape::No, |c| Escape::Of(Meaning::Char(c), length))
}

/// Of two or three digits.
fn low_byte(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_the_programs_that_write_them_mean_them() {
        let (byte, c) =
            (|b, length| Escape::Of(Meaning::Byte(b), length), |c, length| Escape::Of(Meaning::Char(c), length));
        let cases: [(Escapes, &str, Escape); 36] = [
            (Escapes::Url, "%2b rest", byte(b'+', 3)),
            (Escapes::Url, "%2", Escape::Open),
            (Escapes::Url, "%", Escape::Open),
            (Escapes::Url, "%2x", Escape::No),
            (Escapes::Url, "% 2", Escape::No),
            (Escapes::Url, "%u00E4", c('ä', 6)),
            (Escapes::Form, "+", byte(b' ', 1)),
            (Escapes::Backslash, "\\", Escape::Open),
            (Escapes::Backslash, "\\n", byte(b'\n', 2)),
            (Escapes::Backslash, "\\ x", byte(b' ', 2)),
            (Escapes::Backslash, "\\/", byte(b'/', 2)),
            (Escapes::Backslash, "\\u00e", Escape::Open),
            (Escapes::Backslash, "\\u00E4x", c('ä', 6)),
            (Escapes::Backslash, "\\ud800", Escape::Open),
            (Escapes::Backslash, "\\ud800\\u", Escape::Open),
            (Escapes::Backslash, "\\ud800\\udf48", c('\u{10348}', 12)),
            (Escapes::Backslash, "\\ud800x", Escape::No),
            (Escapes::Backslash, "\\ud800\\u0041", Escape::No),
            (Escapes::Backslash, "\\udc00", Escape::No),
            (Escapes::Backslash, "\\u{e4}", c('ä', 6)),
            (Escapes::Backslash, "\\u{", Escape::Open),
            (Escapes::Backslash, "\\u{}", Escape::No),
            (Escapes::Backslash, "\\U000000e4", c('ä', 10)),
            (Escapes::Backslash, "\\x2b", byte(b'+', 4)),
            (Escapes::Backslash, "\\303\\244", byte(0xc3, 4)),
            (Escapes::Backslash, "\\30", Escape::Open),
            (Escapes::Backslash, "\\30x", byte(b'3', 2)),
            (Escapes::Entity, "&", Escape::Open),
            (Escapes::Entity, "&amp;x", byte(b'&', 5)),
            (Escapes::Entity, "&quo", Escape::Open),
            (Escapes::Entity, "&#228;", c('ä', 6)),
            (Escapes::Entity, "&#xE4;", c('ä', 6)),
            (Escapes::Entity, "&auml;", Escape::No),
            (Escapes::Entity, "&&", Escape::No),
            (Escapes::Entity, "&a b", Escape::No),
            (Escapes::Entity, "&abcdefghijk", Escape::No),
        ];
        for (escapes, text, wanted) in cases {
            assert_eq!(escapes.read(text.as_bytes()), wanted, "{escapes:?} {text}");
        }
    }
}
