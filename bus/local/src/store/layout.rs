//! Keys and small values of the store. Numbers in keys are big endian, so that they sort.
//!
//! | Keyspace | Key | Value |
//! |---|---|---|
//! | `meta` | `format`, `cluster`, `commits` | format version; id of the log; number of the last batch |
//! | `meta` | `topics` | the highest id that a topic was ever given |
//! | `meta` | `topic/` name | id, partitions, compacted, retention, retention of tombstones |
//! | `log` | topic id, partition, last offset | chunk |
//! | `keys` | topic id, partition, record key | offset of the key's last record, bytes of its chunk (compacted topics) |
//! | `bounds` | topic id, partition | first offset, end, bytes of the chunks |
//! | `offsets` | group, 0, topic, 0, partition | offset, metadata |

use std::sync::Arc;

use petrel_bus::{TopicPartition, TopicSpec};

/// Version of this layout; another one is refused.
pub(crate) const FORMAT: u32 = 2;
pub(crate) const FORMAT_KEY: &str = "format";
pub(crate) const CLUSTER_KEY: &str = "cluster";
pub(crate) const COMMITS_KEY: &str = "commits";
pub(crate) const TOPICS_KEY: &str = "topics";
pub(crate) const TOPIC_PREFIX: &str = "topic/";

/// A topic's partition, by the topic's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) topic: u32,
    pub(crate) partition: u32,
}

pub(crate) fn slot_key(slot: Slot) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&slot.topic.to_be_bytes());
    key[4..].copy_from_slice(&slot.partition.to_be_bytes());
    key
}

pub(crate) fn log_key(slot: Slot, last: i64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&slot_key(slot));
    key[8..].copy_from_slice(&last.to_be_bytes());
    key
}

pub(crate) fn offset_of_log_key(key: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(*key.last_chunk::<8>()?))
}

pub(crate) fn compaction_key(slot: Slot, key: &[u8]) -> Vec<u8> {
    [&slot_key(slot), key].concat()
}

pub(crate) fn topic_key(name: &str) -> String {
    format!("{TOPIC_PREFIX}{name}")
}

pub(crate) fn topic_value(id: u32, spec: &TopicSpec) -> Vec<u8> {
    let mut value = Vec::with_capacity(25);
    value.extend_from_slice(&id.to_be_bytes());
    value.extend_from_slice(&spec.partitions.to_be_bytes());
    value.push(u8::from(spec.compacted));
    value.extend_from_slice(&spec.retention_ms.unwrap_or(-1).to_be_bytes());
    value.extend_from_slice(&spec.delete_retention_ms.unwrap_or(-1).to_be_bytes());
    value
}

pub(crate) fn parse_topic(key: &[u8], value: &[u8]) -> Option<(u32, TopicSpec)> {
    let name = std::str::from_utf8(key).ok()?.strip_prefix(TOPIC_PREFIX)?;
    let (id, rest) = value.split_first_chunk::<4>()?;
    let (partitions, rest) = rest.split_first_chunk::<4>()?;
    let (compacted, rest) = rest.split_first()?;
    let (retention_ms, rest) = rest.split_first_chunk::<8>()?;
    let time = |ms: [u8; 8]| Some(i64::from_be_bytes(ms)).filter(|ms| *ms >= 0);
    let spec = TopicSpec {
        name: name.into(),
        partitions: u32::from_be_bytes(*partitions),
        compacted: *compacted == 1,
        retention_ms: time(*retention_ms),
        delete_retention_ms: time(rest.try_into().ok()?),
    };
    Some((u32::from_be_bytes(*id), spec))
}

pub(crate) fn offsets_key(group: &str, at: &TopicPartition) -> Vec<u8> {
    [group.as_bytes(), &[0], at.topic.as_bytes(), &[0], &at.partition.to_be_bytes()].concat()
}

pub(crate) fn parse_offsets_key(key: &[u8]) -> Option<(Arc<str>, TopicPartition)> {
    let (names, partition) = key.split_last_chunk::<4>()?;
    let mut names = std::str::from_utf8(names).ok()?.split('\0');
    let (group, topic) = (names.next()?.into(), names.next()?.into());
    Some((group, TopicPartition { topic, partition: u32::from_be_bytes(*partition) }))
}

pub(crate) fn offsets_value(offset: i64, metadata: Option<&str>) -> Vec<u8> {
    let has_metadata = [u8::from(metadata.is_some())];
    [&offset.to_be_bytes(), &has_metadata[..], metadata.unwrap_or_default().as_bytes()].concat()
}

pub(crate) fn parse_offsets_value(value: &[u8]) -> Option<(i64, Option<String>)> {
    let (offset, rest) = value.split_first_chunk::<8>()?;
    let (has_metadata, text) = rest.split_first()?;
    let metadata = (*has_metadata == 1).then(|| String::from_utf8(text.to_vec()));
    Some((i64::from_be_bytes(*offset), metadata.transpose().ok()?))
}

/// What a partition holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// First offset.
    pub(crate) begin: i64,
    /// Offset behind the last record.
    pub(crate) end: i64,
    /// Bytes of all chunks.
    pub(crate) bytes: u64,
}

pub(crate) fn bounds_value(bounds: Bounds) -> Vec<u8> {
    [bounds.begin.to_be_bytes(), bounds.end.to_be_bytes(), bounds.bytes.to_be_bytes()].concat()
}

pub(crate) fn parse_bounds(value: &[u8]) -> Option<Bounds> {
    let (begin, rest) = value.split_first_chunk::<8>()?;
    let (end, bytes) = rest.split_first_chunk::<8>()?;
    let (begin, end) = (i64::from_be_bytes(*begin), i64::from_be_bytes(*end));
    Some(Bounds { begin, end, bytes: u64::from_be_bytes(bytes.try_into().ok()?) })
}

/// Where the last record of a key is, and the bytes of its chunk.
pub(crate) fn last_value(offset: i64, bytes: u32) -> Vec<u8> {
    [&offset.to_be_bytes()[..], &bytes.to_be_bytes()].concat()
}

pub(crate) fn parse_last(value: &[u8]) -> Option<(i64, u32)> {
    let (offset, bytes) = value.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*offset), u32::from_be_bytes(bytes.try_into().ok()?)))
}

/// Whether Kafka would take the name, too.
pub(crate) fn is_topic_name(name: &str) -> bool {
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=249).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = TopicPartition { topic: "petrel.x".into(), partition: 7 };
        assert_eq!(parse_offsets_key(&offsets_key("g", &at)), Some(("g".into(), at)));
        for metadata in [None, Some(""), Some("10-20")] {
            let read = parse_offsets_value(&offsets_value(9, metadata));
            assert_eq!(read, Some((9, metadata.map(str::to_owned))));
        }
        for retention_ms in [None, Some(0), Some(60_000)] {
            let (name, delete_retention_ms) = ("a".into(), retention_ms.map(|ms| ms + 1));
            let spec = TopicSpec { name, partitions: 3, compacted: true, retention_ms, delete_retention_ms };
            let read = parse_topic(topic_key("a").as_bytes(), &topic_value(4, &spec));
            assert_eq!(read, Some((4, spec)));
        }
        let bounds = Bounds { begin: 1, end: 2, bytes: 3 };
        assert_eq!(parse_bounds(&bounds_value(bounds)), Some(bounds));
        assert_eq!(parse_last(&last_value(4, 5)), Some((4, 5)));
        let slot = Slot { topic: 1, partition: 2 };
        assert_eq!(offset_of_log_key(&log_key(slot, 77)), Some(77));
        assert!(log_key(slot, 255) < log_key(slot, 256));
    }

    #[test]
    fn topic_names_are_kafkas() {
        for (name, legal) in
            [("a", true), ("A.b_c-9", true), ("", false), (".", false), ("..", false), ("a/b", false), ("ä", false)]
        {
            assert_eq!(is_topic_name(name), legal, "{name}");
        }
        assert!(is_topic_name(&"x".repeat(249)) && !is_topic_name(&"x".repeat(250)));
    }
}
