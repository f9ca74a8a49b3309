//! Limits that are not for users to set.

/// Head of a record that its dead letter holds, in bytes (DESIGN §4).
pub(crate) const DEAD_LETTER_HEAD_BYTES_MAX: usize = 64 << 10;

/// Longest error text of an execution, in bytes.
pub(crate) const ERROR_BYTES_MAX: usize = 4 << 10;

/// Longest text of a stream in a result, in bytes: two of them fit into a record of a million bytes.
pub(crate) const STREAM_BYTES_MAX: usize = 440 << 10;

/// The longest head of a text that has at most `bytes_max` bytes and ends between two characters.
pub(crate) fn head(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_between_characters() {
        for (text, bytes_max, expected) in [("abc", 3, "abc"), ("abc", 2, "ab"), ("aüb", 2, "a"), ("ü", 1, "")] {
            assert_eq!(head(text, bytes_max), expected);
        }
    }
}
