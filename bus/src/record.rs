//! What goes into a stage and what comes out of it.

use std::sync::Arc;

use crate::partition::partition_of;

/// A record as the log holds it, borrowed from the bus for the length of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Offset in its partition.
    pub offset: i64,
    /// Timestamp, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key, if the producer gave one.
    pub key: Option<&'a [u8]>,
    /// Value; none is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A record that outlives the batch it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// Offset in its partition.
    pub offset: i64,
    /// Timestamp, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Key, if the producer gave one.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Record<'_> {
    /// A copy that can be kept.
    pub fn to_owned(&self) -> OwnedRecord {
        OwnedRecord {
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.map(<[u8]>::to_vec),
            value: self.value.map(<[u8]>::to_vec),
        }
    }
}

impl OwnedRecord {
    /// A view of it, as a stage takes it.
    pub fn as_record(&self) -> Record<'_> {
        Record {
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
        }
    }
}

/// How the partition of an output is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// By murmur2 of the key, as Kafka's own producers do; an output without a key goes to 0.
    Key,
    /// This partition.
    Partition(u32),
}

/// A record on its way to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Topic, full name.
    pub topic: Arc<str>,
    /// How its partition is chosen.
    pub to: To,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value; none is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Timestamp in milliseconds since the epoch; none takes the time of writing.
    pub timestamp_ms: Option<i64>,
    /// Headers, in this order. Only Kafka keeps them: nothing of Petrel's reads any, and other buses have no other readers.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Output {
    /// A record that goes where its key says.
    pub fn keyed(topic: &Arc<str>, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        let value = Some(value);
        Self { to: To::Key, ..Self::to_partition(topic, 0, key, value) }
    }

    /// A record that goes to a partition chosen by the caller.
    pub fn to_partition(topic: &Arc<str>, partition: u32, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> Self {
        let (topic, key) = (topic.clone(), Some(key.into()));
        Self { topic, to: To::Partition(partition), key, value, timestamp_ms: None, headers: Vec::new() }
    }

    /// Partition it goes to, of a topic with that many.
    pub fn partition(&self, partitions: u32) -> u32 {
        match (self.to, &self.key) {
            (To::Partition(partition), _) => partition,
            (To::Key, Some(key)) => partition_of(key, partitions),
            (To::Key, None) => 0,
        }
    }

    /// Bytes of key, value and headers together.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }
}
