//! Dead letters: what cannot be used is kept with its reason, the same for every stage and the sink.

use std::sync::Arc;

use petrel_schemas::{ActionRequest, DeadLetter, decode, encode, kind_of};

use crate::record::{Output, Record};
use crate::stage::StageSpec;

/// Most bytes of a record's value that a dead letter keeps.
pub const DEAD_LETTER_HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest explanation in a dead letter, in bytes.
pub const DEAD_LETTER_DETAIL_BYTES_MAX: usize = 4 << 10;

/// Why something was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable code, for programs.
    pub code: &'static str,
    /// What was wrong, for people.
    pub detail: String,
    /// What it was about, as far as known. Mostly nothing: a reason travels in errors, which are small.
    pub about: Box<About>,
}

/// What a dead letter is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Trigger concerned.
    pub trigger: Option<String>,
    /// Rule concerned.
    pub rule: Option<String>,
    /// Execution concerned.
    pub execution_id: Option<String>,
    /// Event concerned.
    pub event_id: Option<String>,
}

impl Reason {
    /// A reason about the record alone.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), about: Box::default() }
    }

    /// The same reason, about that.
    #[must_use]
    pub fn about(mut self, about: About) -> Self {
        *self.about = about;
        self
    }
}

/// The dead letter of a record that was read there. What no record led to is told as one at the offset -1, whose value
/// is what is known of it, if anything.
pub fn dead_letter(stage: &str, topic: &str, partition: u32, record: &Record<'_>, reason: Reason) -> DeadLetter {
    let value = record.value.unwrap_or_default();
    let Reason { code, mut detail, about } = reason;
    detail.truncate(detail.floor_char_boundary(DEAD_LETTER_DETAIL_BYTES_MAX));
    DeadLetter {
        stage: stage.to_owned(),
        topic: topic.to_owned(),
        // Kafka numbers partitions with 31 bits.
        partition: i32::try_from(partition).unwrap_or(i32::MAX),
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        reason: code.to_owned(),
        detail,
        trigger: about.trigger,
        rule: about.rule,
        execution_id: about.execution_id,
        event_id: about.event_id,
        record_bytes: i64::try_from(value.len()).unwrap_or(i64::MAX),
        head: value[..value.len().min(DEAD_LETTER_HEAD_BYTES_MAX)].to_vec(),
    }
}

impl StageSpec {
    /// The dead letter of a record that this stage was given, on its way to the log.
    pub fn give_up(&self, topic: &str, partition: u32, record: &Record<'_>, reason: Reason) -> Output {
        let letter = dead_letter(&self.name, topic, partition, record, reason);
        // Keyed by where it came from: the letters of one partition stay in order.
        Output::keyed(&self.dead_letters, format!("{topic}/{partition}"), encode(&letter))
    }

    /// What is written in the place of an output over `limit_bytes`. A dead letter keeps less of its record;
    /// anything else becomes a dead letter.
    pub fn give_up_output(&self, refused: &Output, limit_bytes: usize) -> Output {
        let value = refused.value.as_deref().unwrap_or_default();
        if let Ok(letter) = decode::<DeadLetter>(value) {
            return fitting(&refused.topic, refused.key.clone().unwrap_or_default(), letter, limit_bytes);
        }
        let kind = kind_of(value).unwrap_or("unknown");
        let detail = format!("a record of kind {kind} has {} bytes, more than {limit_bytes}", refused.bytes());
        let about = decode::<ActionRequest>(value).map(|request| About {
            trigger: request.trigger,
            rule: request.rule,
            execution_id: Some(request.execution_id),
            event_id: request.event_id,
        });
        let reason = Reason::new("output_too_large", detail).about(about.unwrap_or_default());
        let timestamp_ms = refused.timestamp_ms.unwrap_or_default();
        let record = Record { offset: -1, timestamp_ms, key: refused.key.as_deref(), value: Some(value) };
        let letter = dead_letter(&self.name, &refused.topic, 0, &record, reason);
        // It never got a place there.
        let letter = DeadLetter { partition: -1, ..letter };
        fitting(&self.dead_letters, refused.topic.as_bytes().to_vec(), letter, limit_bytes)
    }
}

/// A letter with as much of the head as the limit allows.
fn fitting(topic: &Arc<str>, key: Vec<u8>, letter: DeadLetter, limit_bytes: usize) -> Output {
    /// The length of a head is a number of at most so many bytes, in the place of one.
    const LENGTH_BYTES: usize = 4;
    let head = letter.head.clone();
    let mut letter = DeadLetter { head: Vec::new(), ..letter };
    let room = limit_bytes.saturating_sub(key.len() + encode(&letter).len() + LENGTH_BYTES);
    letter.head = head[..head.len().min(room)].to_vec();
    Output::keyed(topic, key, encode(&letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> StageSpec {
        StageSpec { name: "stage".into(), changelog: None, silence: None, dead_letters: "letters".into() }
    }

    fn letter(output: &Output) -> DeadLetter {
        assert_eq!(&*output.topic, "letters");
        decode(output.value.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn a_letter_says_where_and_why_and_keeps_the_head() {
        let value = vec![7; DEAD_LETTER_HEAD_BYTES_MAX + 9];
        let record = Record { offset: 5, timestamp_ms: 6, key: None, value: Some(&value) };
        let about = About { trigger: Some("p.t".into()), ..About::default() };
        let reason = Reason::new("code", "ä".repeat(DEAD_LETTER_DETAIL_BYTES_MAX)).about(about);
        let output = spec().give_up("in", 3, &record, reason);
        assert_eq!(output.key.as_deref(), Some(&b"in/3"[..]));
        let letter = letter(&output);
        assert_eq!((&*letter.stage, &*letter.topic, letter.partition, letter.offset), ("stage", "in", 3, 5));
        assert_eq!((&*letter.reason, letter.trigger.as_deref()), ("code", Some("p.t")));
        assert_eq!(letter.detail, "ä".repeat(DEAD_LETTER_DETAIL_BYTES_MAX / 2));
        assert_eq!((letter.record_bytes, letter.head.len()), (value.len() as i64, DEAD_LETTER_HEAD_BYTES_MAX));
    }

    #[test]
    fn what_stands_in_for_an_output_fits_whatever_the_limit() {
        let output = Output::keyed(&"out".into(), "key", vec![1; 200_000]);
        for limit_bytes in [1_000, 5_000, 65_536, 65_700, 100_000] {
            let instead = spec().give_up_output(&output, limit_bytes);
            assert!(instead.bytes() <= limit_bytes, "{} > {limit_bytes}", instead.bytes());
            let letter = letter(&instead);
            assert_eq!((&*letter.reason, &*letter.topic, letter.offset), ("output_too_large", "out", -1));
            assert!(letter.head.len() + 200 > limit_bytes.min(DEAD_LETTER_HEAD_BYTES_MAX), "{limit_bytes}");
        }
    }

    #[test]
    fn a_letter_that_is_too_large_keeps_all_but_its_head() {
        let value = vec![7; 50_000];
        let record = Record { offset: 5, timestamp_ms: 6, key: None, value: Some(&value) };
        let large = spec().give_up("in", 3, &record, Reason::new("code", "detail"));
        let instead = spec().give_up_output(&large, 10_000);
        assert!(instead.bytes() <= 10_000 && instead.key == large.key);
        let (large, small) = (letter(&large), letter(&instead));
        assert!(small.head.len() > 9_000);
        assert_eq!(DeadLetter { head: large.head.clone(), ..small }, large);
    }
}
