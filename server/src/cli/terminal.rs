//! What others wrote, for a terminal: none of it commands it.

use std::fmt::Write;

/// Bytes as text, piece by piece: a character may be in two of them.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// The text so far; what is no UTF-8 is replaced, and what may be the beginning of a character is kept.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut used = 0;
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            used += chunk.valid().len();
            let invalid = chunk.invalid();
            let is_last = used + invalid.len() == self.pending.len();
            // Not enough of it to say that it is none.
            if is_last && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none()) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                used += invalid.len();
            }
        }
        self.pending.drain(..used);
        text
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// A text in which nothing moves the cursor, changes colours, or turns the direction: such characters are written out.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if c.is_control() || turns(c) => {
                // Writing to a text does not fail.
                let _ = write!(shown, "{}", c.escape_default());
            }
            c => shown.push(c),
        }
    }
    shown
}

/// Characters that change the direction in which others are shown.
fn turns(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{061C}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal() {
        assert_eq!(harmless("a\tb\r\nc\n"), "a\tb\nc\n");
        assert_eq!(harmless("\u{1b}[31mred\u{7}\rover\u{9b}2J"), "\\u{1b}[31mred\\u{7}\\rover\\u{9b}2J");
        assert_eq!(harmless("abc\u{202E}def é"), "abc\\u{202e}def é");
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        let bytes = [b"a\xFF", "ü€\u{10348}".as_bytes(), b"\xE2\x82"].concat();
        for piece in 1..=bytes.len() {
            let mut decoder = Decoder::default();
            let mut text: String = bytes.chunks(piece).map(|bytes| decoder.push(bytes)).collect();
            text += &decoder.finish();
            assert_eq!(text, "a\u{FFFD}ü€\u{10348}\u{FFFD}", "{piece}");
        }
    }
}
