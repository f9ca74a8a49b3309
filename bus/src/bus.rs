//! What a bus is, beside its sessions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::publisher::{Publisher, SoleWriter};
use crate::record::Record;
use crate::session::Session;

/// Why a bus could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The log cannot be reached now; trying again may help.
    #[error("the log cannot be reached: {0}")]
    Unavailable(String),
    /// There is no such topic.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// A topic of Petrel's own exists with other settings.
    #[error("topic {topic} has {setting} {found}, the configuration says {wanted}")]
    TopicDiffers {
        /// The topic.
        topic: String,
        /// Which setting.
        setting: &'static str,
        /// What the topic has.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// The data is damaged or its disk full; an operator must act.
    #[error("{0}")]
    Storage(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Configuration(String),
}

/// A topic of Petrel's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Full name.
    pub name: Arc<str>,
    /// Number of partitions.
    pub partitions: u32,
    /// Whether the last record of every key stays (else records go after the retention time).
    pub compacted: bool,
    /// How long records stay, in milliseconds; none for compacted topics and for ever.
    pub retention_ms: Option<i64>,
    /// How long the tombstones of a compacted topic stay, in milliseconds: whoever reads it from its
    /// beginning, or goes on where it was, must get from a record to its tombstone within that time.
    /// None for other topics and for ever.
    pub delete_retention_ms: Option<i64>,
}

impl TopicSpec {
    /// Whether this, an existing topic, is what the configuration says.
    ///
    /// # Errors
    /// [`BusError::TopicDiffers`] names the first difference.
    pub fn matches(&self, wanted: &Self) -> Result<(), BusError> {
        let cleanup = |spec: &Self| if spec.compacted { "compact".to_owned() } else { "delete".to_owned() };
        let time = |ms: Option<i64>| ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
        let settings = [
            ("partitions", self.partitions.to_string(), wanted.partitions.to_string()),
            ("cleanup", cleanup(self), cleanup(wanted)),
            ("retention", time(self.retention_ms), time(wanted.retention_ms)),
            ("delete retention", time(self.delete_retention_ms), time(wanted.delete_retention_ms)),
        ];
        match settings.into_iter().find(|(_, found, wanted)| found != wanted) {
            None => Ok(()),
            Some((setting, found, wanted)) => {
                Err(BusError::TopicDiffers { topic: self.name.to_string(), setting, found, wanted })
            }
        }
    }
}

/// What a session is opened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    /// Consumer group.
    pub group: Arc<str>,
    /// Name of this member, stable over restarts and unique in the group: `<instance>-<thread>`.
    pub member: Arc<str>,
    /// Whether it writes; without transactions [`Session::send`] is an error.
    pub transactional: bool,
}

/// Follows a topic from its beginning, all partitions, committed records only, outside of any group.
pub trait Tail: Send {
    /// Waits up to `wait` and hands the next records to `each`: partition, record.
    ///
    /// # Errors
    /// See [`BusError`]. Whoever goes on opens another tail: this one may not tell the same a second time.
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError>;

    /// Whether everything that was there when the tail was opened has been handed out.
    fn caught_up(&self) -> bool;

    /// Notes the end that the log has now, what is not committed yet included.
    ///
    /// # Errors
    /// See [`BusError`]; the earlier mark stands then.
    fn mark(&mut self) -> Result<(), BusError>;

    /// Whether everything in front of the latest mark has been handed out, or will never be; not before the
    /// first one. Transactions that are open there are waited for, however long they take.
    fn passed_mark(&self) -> bool;

    /// Whether the log has let it read since it was opened: as long as nothing was heard of the topic, nothing
    /// wrong was heard of it, either.
    fn is_reading(&self) -> bool {
        true
    }
}

/// What a log that has a limit of its own holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogUsage {
    /// Bytes of all records, with their framing.
    pub bytes: u64,
    /// Most of them; then writers are refused.
    pub bytes_max: u64,
    /// What is wrong with it, for people; empty when all is well.
    pub problems: Vec<String>,
}

/// A log with topics, consumer groups and transactions.
pub trait Bus: Send + Sync {
    /// Identifies the log; part of every event id of a bound topic.
    ///
    /// # Errors
    /// See [`BusError`].
    fn cluster_id(&self) -> Result<String, BusError>;

    /// Creates what is missing and refuses what differs.
    ///
    /// # Errors
    /// [`BusError::TopicDiffers`] names the first difference; see [`BusError`].
    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError>;

    /// Number of partitions of any topic; none if it does not exist.
    ///
    /// # Errors
    /// See [`BusError`].
    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError>;

    /// Offset behind the last record, by partition.
    ///
    /// # Errors
    /// See [`BusError`].
    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError>;

    /// Offset of the first record that is there, by partition.
    ///
    /// # Errors
    /// See [`BusError`].
    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError>;

    /// Offset of the first record not older than an instant (milliseconds since the epoch), by
    /// partition; the end where there is none.
    ///
    /// # Errors
    /// See [`BusError`].
    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError>;

    /// What tells topics from earlier ones of the same names, where the log can tell.
    ///
    /// # Errors
    /// See [`BusError`].
    fn incarnations(&self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, String>, BusError> {
        let _ = topics;
        Ok(BTreeMap::new())
    }

    /// How full the log is; none where its limits are not Petrel's business.
    fn usage(&self) -> Option<LogUsage> {
        None
    }

    /// A publisher; `name` is stable over restarts and unique among the log's publishers.
    ///
    /// # Errors
    /// See [`BusError`].
    fn publisher(&self, name: &str) -> Result<Arc<dyn Publisher>, BusError>;

    /// Opens the sole writer of a name among all processes of the log: every earlier one of that name has
    /// written what it ever will, and it is visible. So whoever opens one, reads to the end and writes, has
    /// compared and set. Buses that carry a catalog have them.
    ///
    /// # Errors
    /// See [`BusError`].
    fn sole_writer(&self, name: &str) -> Result<Box<dyn SoleWriter>, BusError> {
        Err(BusError::Configuration(format!("this log has no sole writers, and none of the name {name:?}")))
    }

    /// Follows a topic from its beginning.
    ///
    /// # Errors
    /// See [`BusError`].
    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError>;

    /// Follows a topic from these offsets, one for each partition; a bus that cannot may begin earlier.
    ///
    /// # Errors
    /// See [`BusError`].
    fn tail_from(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        let _ = offsets;
        self.tail(topic)
    }

    /// As [`Bus::tail_from`], for whoever may learn of a record a quarter of a second late, and shall not be woken for
    /// each of them.
    ///
    /// # Errors
    /// See [`BusError`].
    fn tail_batched(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        self.tail_from(topic, offsets)
    }

    /// Joins a consumer group. Called on the thread that will use the session.
    ///
    /// # Errors
    /// See [`BusError`].
    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError>;
}
