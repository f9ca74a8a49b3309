//! What an attempt wrote, as the text that is told.

use crate::limits::{head, tail};
use crate::outcome::{Stream, StreamEnd};

/// Bytes of a character that another one follows, at most.
const CONTINUATION_BYTES_MAX: usize = 3;

/// Output as text, invalid UTF-8 replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text {
    pub(super) content: String,
    pub(super) truncated: bool,
    pub(super) tail: String,
    pub(super) omitted_bytes: i64,
}

impl Text {
    /// A replaced byte takes three, so that even what was within its limit may have to be cut.
    pub(super) fn of(stream: Stream, bytes_max: usize) -> Self {
        let Stream { mut bytes, truncated, end } = stream;
        let mut text = match end {
            None => Self { content: lossy(&bytes), truncated, ..Self::default() },
            Some(StreamEnd { lead: _, bytes: last, omitted_bytes }) => {
                // No half of a character stands at a cut.
                let (kept, begun) = (whole_chars(&bytes), rest_of_char(&last));
                let more = bytes.len() - kept + begun;
                bytes.truncate(kept);
                let omitted_bytes = omitted_bytes.saturating_add(more as u64);
                Self {
                    content: lossy(&bytes),
                    truncated,
                    tail: lossy(&last[begun..]),
                    omitted_bytes: i64::try_from(omitted_bytes).unwrap_or(i64::MAX),
                }
            }
        };
        fit(&mut text.content, &mut text.tail, &mut text.omitted_bytes, &mut text.truncated, bytes_max);
        text
    }
}

/// Leaves out the middle of a text, or more of it, so that its beginning and its end have at most that many bytes together.
pub(super) fn fit(
    content: &mut String,
    end: &mut String,
    omitted_bytes: &mut i64,
    truncated: &mut bool,
    bytes_max: usize,
) {
    let before = content.len() + end.len();
    if before <= bytes_max {
        return;
    }
    let half = bytes_max / 2;
    // What was cut off before, without an end, has none.
    *end = if end.is_empty() && !*truncated { tail(content, half) } else { tail(end, half) }.to_owned();
    content.truncate(head(content, bytes_max - end.len()).len());
    let left_out = before - content.len() - end.len();
    *omitted_bytes = omitted_bytes.saturating_add(i64::try_from(left_out).unwrap_or(i64::MAX));
    *truncated = true;
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Length without a character at the end that is not complete.
fn whole_chars(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(CONTINUATION_BYTES_MAX).position(|byte| byte & 0xC0 != 0x80);
    match last {
        Some(back) if char_bytes(bytes[bytes.len() - 1 - back]) > back + 1 => bytes.len() - 1 - back,
        _ => bytes.len(),
    }
}

/// Bytes at the beginning that belong to a character before.
fn rest_of_char(bytes: &[u8]) -> usize {
    bytes.iter().take(CONTINUATION_BYTES_MAX).take_while(|byte| *byte & 0xC0 == 0x80).count()
}

/// How many bytes a character has that begins so; one for what begins none.
fn char_bytes(first: u8) -> usize {
    match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(first: &[u8], last: &[u8], omitted_bytes: u64) -> Stream {
        let end = Some(StreamEnd { lead: b"never told".to_vec(), bytes: last.to_vec(), omitted_bytes });
        Stream { bytes: first.to_vec(), truncated: true, end }
    }

    #[test]
    fn no_half_of_a_character_stands_at_a_cut() {
        let text = "aü€\u{10348}z".as_bytes();
        for first in 0..=text.len() {
            for last in first..=text.len() {
                let told = Text::of(cut(&text[..first], &text[last..], (last - first) as u64), 1_000);
                let Text { content, tail, omitted_bytes, truncated } = told;
                assert!(truncated && !format!("{content}{tail}").contains('\u{FFFD}'), "{content} {tail}");
                assert_eq!(content.len() + tail.len() + omitted_bytes as usize, text.len());
            }
        }
        // What is no UTF-8 at all is replaced, and said to be there.
        let told = Text::of(cut(&[0xFF; 5], &[0xFF; 4], 2), 1_000);
        assert_eq!((told.content.chars().count(), told.tail.chars().count(), told.omitted_bytes), (5, 4, 2));
    }

    #[test]
    fn what_does_not_fit_loses_its_middle() {
        let whole = Text::of(Stream::whole(b"0123456789".to_vec()), 6);
        let wanted = Text { content: "012".into(), truncated: true, tail: "789".into(), omitted_bytes: 4 };
        assert_eq!(whole, wanted);
        let cut_twice = Text::of(cut(b"0123", b"6789", 2), 4);
        assert_eq!(cut_twice, Text { content: "01".into(), truncated: true, tail: "89".into(), omitted_bytes: 6 });
        let cut_off = Text::of(Stream { truncated: true, ..Stream::whole(b"0123456789".to_vec()) }, 6);
        assert_eq!((&*cut_off.content, &*cut_off.tail), ("012345", ""), "the end of it is not known");
    }
}
