//! What a log that lives in one process offers, for [`crate::Member`] and [`crate::LogTail`].

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::globals::Waker;
use crate::group::{Counts, Group};
use crate::record::{Output, Record};
#[cfg(doc)]
use crate::session::Session;
use crate::session::{Position, SessionError, TopicPartition};

/// Consecutive records as the log holds them.
pub trait Block {
    /// The records, in order of their offsets.
    fn records(&self) -> impl Iterator<Item = Record<'_>>;
}

/// Outputs and positions that become durable and visible together.
#[derive(Debug)]
pub struct Transaction<'a> {
    /// Consumer group.
    pub group: &'a Arc<str>,
    /// Name of the member.
    pub member: &'a Arc<str>,
    /// Its epoch; [`Group::check`] fences by it.
    pub epoch: u64,
    /// What [`Log::init_producer`] answered; none for a member that does not write.
    pub producer: Option<u64>,
    /// Records and their partitions, as far as [`Log::send`] has not taken them.
    pub outputs: Vec<(Output, u32)>,
    /// What the group has processed.
    pub positions: &'a [Position],
}

/// What [`crate::Member`] and [`crate::LogTail`] need of a log.
pub trait Log {
    /// How it hands out records.
    type Block: Block;

    /// Time of the log, in milliseconds since the epoch.
    fn now_ms(&self) -> i64;

    /// Whether the log can be reached now.
    ///
    /// # Errors
    /// If it cannot.
    fn reach(&self) -> Result<(), SessionError> {
        Ok(())
    }

    /// Number of partitions of a topic; none if it does not exist.
    fn partitions(&self, topic: &str) -> Option<u32>;

    /// What tells a topic from earlier ones of its name; none if it does not exist.
    fn incarnation(&self, topic: &str) -> Option<Arc<str>>;

    /// First offset that is there, and the offset up to which committed records can be read.
    fn bounds(&self, at: &TopicPartition) -> Option<Range<i64>>;

    /// The offset behind the last record, committed or not. A log whose transactions are not seen
    /// before they are committed has one end.
    ///
    /// # Errors
    /// If that cannot be known now.
    fn high_watermark(&self, at: &TopicPartition) -> Result<i64, SessionError> {
        Ok(self.bounds(at).map_or(0, |bounds| bounds.end))
    }

    /// Committed records from `from` on, about `records_max` of them, within the log's limit of bytes;
    /// the first block may begin before `from`. Empty only if there is nothing up to the end.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn read(&self, at: &TopicPartition, from: i64, records_max: usize) -> Result<Vec<Self::Block>, SessionError>;

    /// Waits until no transaction is open that could still move these offsets of this group.
    ///
    /// # Errors
    /// If that cannot be known now.
    fn settle(&self, group: &str, partitions: &[TopicPartition]) -> Result<(), SessionError>;

    /// Waits until a partition can be read up to a high watermark that was asked for before.
    ///
    /// # Errors
    /// If that cannot be known now.
    fn stabilise(&self, at: &TopicPartition, end: i64) -> Result<(), SessionError> {
        let _ = (at, end);
        Ok(())
    }

    /// What a group committed for a partition.
    fn offset(&self, group: &str, at: &TopicPartition) -> Option<(i64, Option<String>)>;

    /// Begins the life of a member's producer, which ends that of an earlier one; its epoch. A log that
    /// fences by the group alone has none.
    fn init_producer(&self, group: &Arc<str>, member: &Arc<str>) -> u64 {
        let _ = (group, member);
        0
    }

    /// Takes an output into the member's open transaction; one that keeps nothing before the commit
    /// hands it back.
    ///
    /// # Errors
    /// As [`Session::send`].
    fn send(
        &self,
        transaction: &Transaction<'_>,
        output: Output,
        partition: u32,
    ) -> Result<Option<(Output, u32)>, SessionError> {
        let _ = transaction;
        Ok(Some((output, partition)))
    }

    /// Takes everything back that the member has sent since its last commit.
    ///
    /// # Errors
    /// As [`Session::abort`].
    fn abort(&self, transaction: &Transaction<'_>) -> Result<(), SessionError> {
        let _ = transaction;
        Ok(())
    }

    /// Commits all or nothing, after the group has let it pass.
    ///
    /// # Errors
    /// As [`Session::commit`].
    fn commit(&self, transaction: Transaction<'_>) -> Result<(), SessionError>;

    /// Runs `f` over a group, made if it is new.
    fn group<R>(&self, group: &str, f: impl FnOnce(&mut Group, &Counts<'_>) -> R) -> R;

    /// A session of that group was dropped without a farewell.
    fn crashed(&self, group: &str, member: &str, epoch: u64);

    /// Makes [`Log::version`] grow, whatever happens.
    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }

    /// Grows whenever something was committed or a group changed.
    fn version(&self) -> u64;

    /// Waits until [`Log::version`] is not `seen`, at most `wait`; whether it is another now.
    fn wait(&self, seen: u64, wait: Duration) -> bool;
}
