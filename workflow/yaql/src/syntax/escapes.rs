//! What stands for other characters in a text in quotes.

use crate::error::ParseError;

/// The text without its escapes: those of Python's texts. What is none stays as it is.
pub(crate) fn decode(text: &str, position: usize) -> Result<String, ParseError> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(kind) = rest.chars().next() else {
            decoded.push('\\');
            break;
        };
        let after = &rest[kind.len_utf8()..];
        if let Some(character) = single(kind) {
            decoded.push(character);
            rest = after;
            continue;
        }
        if kind.is_digit(8) {
            let digits: String = rest.chars().take(3).take_while(|digit| digit.is_digit(8)).collect();
            rest = &rest[digits.len()..];
            decoded.extend(u32::from_str_radix(&digits, 8).ok().and_then(char::from_u32));
            continue;
        }
        match hexadecimal(kind, after) {
            Some((digits, end)) => {
                let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
                decoded.push(code.ok_or_else(|| wrong(&format!("\\{kind}{digits}"), position))?);
                rest = &after[end..];
            }
            None if kind == 'N' && after.starts_with('{') && after.contains('}') => {
                return Err(wrong("\\N{…}", position));
            }
            None => decoded.push('\\'),
        }
    }
    decoded.push_str(rest);
    Ok(decoded)
}

fn single(kind: char) -> Option<char> {
    match kind {
        '\\' | '\'' | '"' => Some(kind),
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        _ => None,
    }
}

/// The digits of `\x41`, `\u0041` and `\U00000041`, and where they end.
fn hexadecimal(kind: char, after: &str) -> Option<(&str, usize)> {
    let length = match kind {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let (last, character) = after.char_indices().nth(length - 1)?;
    let end = last + character.len_utf8();
    let digits = &after[..end];
    (!digits.contains('\n')).then_some((digits, end))
}

fn wrong(escape: &str, position: usize) -> ParseError {
    let message = format!("the text at position {position} has the escape {escape}, which is no character");
    ParseError::new("UnicodeDecodeError", message, Some(position))
}
