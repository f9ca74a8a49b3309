//! Writing into topics of the `local` bus, all but HTTP: `POST /v1/topics/{topic}`.
//!
//! On one machine there are no other producers, so Petrel takes records for them. Values are not looked
//! at: a malformed one is a dead letter of whoever reads the topic, as it is on Kafka.

use std::sync::Arc;

use petrel_bus::{Output, To};
use petrel_schemas::Topics;

use crate::json;
use crate::metrics::Metrics;
use crate::refusal::{Domain, Refusal};

/// Longest name of a topic, in bytes, as in Kafka.
const TOPIC_BYTES_MAX: usize = 249;

/// Limits of what is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicOptions {
    /// Largest body, and so largest record, in bytes.
    pub body_bytes_max: usize,
    /// Most records of one call.
    pub records_max: usize,
    /// Longest key, in bytes.
    pub key_bytes_max: usize,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self { body_bytes_max: 16 << 20, records_max: 10_000, key_bytes_max: 1_024 }
    }
}

/// How a body is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicFormat {
    /// One record: the body as it is.
    Record,
    /// A record a line (`?format=ndjson`); blank lines are left out.
    Lines,
}

/// Makes records for user topics.
pub struct TopicWriter {
    topics: Topics,
    options: TopicOptions,
    metrics: Metrics,
}

impl TopicWriter {
    /// `topics` tells which names are Petrel's own.
    pub fn new(topics: Topics, options: TopicOptions, metrics: Metrics) -> Self {
        Self { topics, options, metrics }
    }

    /// The limits; whoever reads bodies stops at `body_bytes_max`.
    pub fn options(&self) -> &TopicOptions {
        &self.options
    }

    /// The records of one call, to be published together. All get the same key. Whether the topic exists
    /// is for the publisher to say.
    ///
    /// # Errors
    /// Why not; nothing is to be written then.
    pub fn records(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        body: &[u8],
        format: TopicFormat,
    ) -> Result<Vec<Output>, Refusal> {
        let outputs =
            self.outputs(topic, key, body, format).inspect_err(|refusal| self.metrics.refused(refusal.code))?;
        self.metrics.topic_records.inc_by(outputs.len() as u64);
        Ok(outputs)
    }

    fn outputs(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        body: &[u8],
        format: TopicFormat,
    ) -> Result<Vec<Output>, Refusal> {
        check_name(topic)?;
        if self.topics.is_own(topic) {
            let message = format!("{topic} is one of Petrel's own topics: only Petrel writes there");
            return Err(Refusal::new(Domain::Conflict, "topic_own", message));
        }
        let (bytes_max, key_max) = (self.options.body_bytes_max, self.options.key_bytes_max);
        if body.len() > bytes_max {
            return Err(Refusal::too_large(
                "topic_body_too_large",
                "the body",
                body.len(),
                "body_bytes_max",
                bytes_max,
            ));
        }
        if let Some(key) = key.filter(|key| key.len() > key_max) {
            return Err(Refusal::too_large("topic_key_too_large", "the key", key.len(), "key_bytes_max", key_max));
        }
        let values = match format {
            TopicFormat::Record => vec![body],
            TopicFormat::Lines => json::split_lines(body, self.options.records_max).map_err(|_| {
                let message = format!("the body has more than records_max ({}) lines", self.options.records_max);
                Refusal::new(Domain::TooLarge, "topic_too_many_records", message)
            })?,
        };
        let topic: Arc<str> = topic.into();
        let record = |value: &[u8]| Output {
            topic: topic.clone(),
            to: To::Key,
            key: key.map(<[u8]>::to_vec),
            value: Some(value.to_vec()),
            timestamp_ms: None,
            headers: Vec::new(),
        };
        Ok(values.into_iter().map(record).collect())
    }
}

/// Whether Kafka would take this as a topic's name.
fn check_name(topic: &str) -> Result<(), Refusal> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let named = !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic != "." && topic != "..";
    if named && topic.bytes().all(legal) {
        return Ok(());
    }
    let message = format!("a topic's name has 1 to {TOPIC_BYTES_MAX} letters, digits, dots, underscores and hyphens");
    Err(Refusal::new(Domain::BadRequest, "topic_name_invalid", message))
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    fn writer() -> TopicWriter {
        let options = TopicOptions { body_bytes_max: 20, records_max: 3, key_bytes_max: 4 };
        TopicWriter::new(Topics::new("petrel.", 3, 3), options, Metrics::register(&Registry::new()).unwrap())
    }

    #[test]
    fn records() {
        let writer = writer();
        let outputs = writer.records("a.b", Some(b"k"), b" not json\n", TopicFormat::Record).unwrap();
        let expected = Output::keyed(&"a.b".into(), "k", b" not json\n".to_vec());
        assert_eq!(outputs, [expected]);
        let outputs = writer.records("a.b", None, b"{}\n\r\n{\"a\":1}\r\n", TopicFormat::Lines).unwrap();
        let values: Vec<_> = outputs.iter().map(|o| (o.key.clone(), o.value.as_deref().unwrap())).collect();
        assert_eq!(values, [(None, &b"{}"[..]), (None, b"{\"a\":1}")]);
        assert_eq!(writer.metrics.topic_records.get(), 3);
        assert_eq!(writer.records("petrelous", None, b"", TopicFormat::Record).unwrap()[0].value, Some(vec![]));
    }

    #[test]
    fn refusals() {
        let check = |topic: &str, key: &str, body: &str, format, domain, code| {
            let refusal = writer().records(topic, Some(key.as_bytes()), body.as_bytes(), format).expect_err(code);
            assert_eq!((refusal.domain, refusal.code), (domain, code), "{refusal}");
        };
        use TopicFormat::{Lines, Record};
        for topic in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(250)] {
            check(topic, "", "", Record, Domain::BadRequest, "topic_name_invalid");
        }
        check("petrel.requests", "", "", Record, Domain::Conflict, "topic_own");
        check("petrel.anything", "", "", Lines, Domain::Conflict, "topic_own");
        check("t", "", &"x".repeat(21), Record, Domain::TooLarge, "topic_body_too_large");
        check("t", "12345", "", Record, Domain::TooLarge, "topic_key_too_large");
        check("t", "", "1\n2\n3\n4", Lines, Domain::TooLarge, "topic_too_many_records");
    }
}
