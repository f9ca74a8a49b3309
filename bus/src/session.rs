//! The seam that a bus implements for the driver: one member of one consumer group.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::globals::Waker;
use crate::record::{Output, Record};
use crate::restores::RestoreProgress;
use crate::stage::InputTopic;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Full name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: u32,
}

/// Next offset to read of a partition, as a consumer group commits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub at: TopicPartition,
    /// Offset of the next record to process.
    pub offset: i64,
    /// Text beside it: a driver says there of which topic of the name it is, a session without transactions may use it
    /// as it likes.
    pub metadata: Option<String>,
}

/// Where reading of a newly assigned partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The position.
    pub position: Position,
    /// Whether the group committed it. Else the log knows none, because there never was one or because it
    /// forgot it, and the position is where the input starts.
    pub committed: bool,
    /// Whether what the group committed is an offset of an earlier topic of the name. It counts as nothing, and the
    /// position is the first that the topic holds.
    pub is_made_anew: bool,
    /// What tells the topic from earlier ones of its name; none where the log cannot tell.
    pub incarnation: Option<Arc<str>>,
    /// First offset that the partition holds, and the one behind its last record, committed or not; asked for
    /// only where the group has committed nothing.
    pub bounds: Option<Range<i64>>,
    /// Why nobody can begin there now (the topic must not be read, say), for people; the others can. Nothing else of it
    /// counts then, and it is to be accepted and paused.
    pub refused: Option<String>,
}

/// What happened to the membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEvent {
    /// These partitions are now this member's: [`Session::begin`], restore, [`Session::accept`].
    Assigned(Vec<TopicPartition>),
    /// These are to be given up: commit, then [`Session::release`].
    Revoked(Vec<TopicPartition>),
    /// These are somebody else's already: abort, then [`Session::release`].
    Lost(Vec<TopicPartition>),
    /// This partition cannot be read on (its offset is out of range, say) until somebody acts. It is
    /// paused; the others go on.
    Halted(TopicPartition, String),
    /// This topic is not there, or must not be read; and what the log says. The others are read, and so is this one
    /// once it can be.
    Missing(Arc<str>, String),
}

/// Why a session failed, by what the driver must do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Abort the transaction and process its inputs again.
    #[error("transaction to be aborted: {0}")]
    Abort(String),
    /// The session is of no further use: fenced, disconnected around a commit, or failed for good.
    /// Discard all state, connect anew, restore.
    #[error("session to be rebuilt: {0}")]
    Rebuild(String),
    /// Trying again does not help; an operator must act.
    #[error("{0}")]
    Halt(String),
}

/// Consecutive records of one partition.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Full name of the topic.
    pub topic: &'a Arc<str>,
    /// Number of the partition.
    pub partition: u32,
    /// The records, in order of their offsets; never empty.
    pub records: &'a [Record<'a>],
}

/// Records of one fetch, grouped into runs of consecutive records of one partition.
#[derive(Debug, Default)]
pub struct Fetched<'a> {
    records: Vec<Record<'a>>,
    runs: Vec<(Arc<str>, u32, Range<usize>)>,
}

impl<'a> Fetched<'a> {
    /// Room for that many records.
    pub fn with_capacity(records: usize) -> Self {
        Self { records: Vec::with_capacity(records), runs: Vec::new() }
    }

    /// Adds a record, which follows those already there in its partition.
    pub fn push(&mut self, topic: &Arc<str>, partition: u32, record: Record<'a>) {
        let at = self.records.len();
        self.records.push(record);
        match self.runs.last_mut() {
            Some((t, p, run)) if *p == partition && (Arc::ptr_eq(t, topic) || t == topic) => run.end = at + 1,
            _ => self.runs.push((topic.clone(), partition, at..at + 1)),
        }
    }

    /// The runs, in order of arrival.
    pub fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.runs.iter().map(|(topic, partition, run)| Batch {
            topic,
            partition: *partition,
            records: &self.records[run.clone()],
        })
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// A changelog's partition to be read, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreFrom {
    /// The partition.
    pub at: TopicPartition,
    /// The first offset that is wanted; none begins at the beginning.
    pub from: Option<i64>,
}

/// What [`Session::restore`] answers instead of the next offset where the log does not hold everything
/// from the wanted offset on: it begins behind it, or ends before it. Nothing of that partition was
/// handed out; what was known of it is of no use, and it is to be read from its beginning.
pub const RESTORE_OUT_OF_RANGE: i64 = -1;

/// Takes a record of a changelog: partition, offset, key, value; none is a tombstone.
pub type Restored<'a> = dyn FnMut(u32, i64, &[u8], Option<&[u8]>) + 'a;

/// One member of one consumer group, with the transactions of one producer.
///
/// All calls come from one thread. A session that answered [`SessionError::Rebuild`] is dropped
/// without another call. Dropping it without [`Session::close`] is what a crash looks like.
pub trait Session {
    /// Name of the group.
    fn group(&self) -> &Arc<str>;

    /// Replaces the topics that are read. A topic that does not exist is told by
    /// [`GroupEvent::Missing`]; the others are read. The group assigns the partitions of
    /// topics that follow none; those of a follower come and go with the same numbers of its leader, in
    /// the same event.
    ///
    /// # Errors
    /// See [`SessionError`]. A follower that has another number of partitions than its leader, or is not
    /// there, is a [`SessionError::Halt`] that names both.
    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError>;

    /// Waits up to `wait` for records or a change of membership and hands at most `max` records to
    /// `each`, which is called at most once. Returns what happened to the membership, which concerns
    /// what comes after these records. May return earlier with nothing.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError>;

    /// Ends a [`Session::fetch`] that waits, or the next one, early.
    fn waker(&self) -> Waker {
        Arc::new(|| {})
    }

    /// First offsets of newly assigned partitions: the *stable* committed one (no transaction that
    /// could change it is open), else where the input starts. Whoever begins there commits it, so that a
    /// start does not move while nothing else is committed.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError>;

    /// Hands every committed record of partitions of a changelog to `each`, from the wanted offsets up
    /// to the ends that they have after [`Session::begin`] returned; those of one partition in order.
    /// Returns for each of them the next offset, or [`RESTORE_OUT_OF_RANGE`].
    ///
    /// # Errors
    /// See [`SessionError`]. A partition that does not exist is a [`SessionError::Halt`].
    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError>;

    /// Where later restores shall tell how far they are.
    fn tell_restores(&mut self, _progress: Arc<RestoreProgress>) {}

    /// Starts to fetch newly assigned partitions at these positions.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError>;

    /// Gives partitions up that were revoked or lost.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError>;

    /// Stops fetching a partition; records that were fetched ahead are not lost. Idempotent.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError>;

    /// Fetches a paused partition again. Idempotent.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError>;

    /// Reads a partition that was told by [`GroupEvent::Halted`] again, from where it stands: if it can be read now,
    /// its records or [`Session::caught_up`] tell so, and if not, that event does once more. Without effect on a
    /// partition that is not accepted, and where nothing that halts one goes away by itself.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn read_again(&mut self, _at: &TopicPartition) -> Result<(), SessionError> {
        Ok(())
    }

    /// Whether everything that partition holds has been handed out by [`Session::fetch`].
    fn caught_up(&self, at: &TopicPartition) -> bool;

    /// Whether everything that the accepted partitions hold, paused ones excepted, has been handed out by
    /// [`Session::fetch`], as far as known.
    fn all_caught_up(&self) -> bool;

    /// Everything of that partition below this offset has been handed out, gaps included.
    fn position(&self, at: &TopicPartition) -> i64;

    /// Where partitions end, what is not committed yet included; none where that is not known now. All of them
    /// are asked for at once, and the answer is not waited for long.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError>;

    /// What tells topics from earlier ones of their names now; none where the log cannot tell, and without those that
    /// are not there. The answer is not waited for long.
    ///
    /// # Errors
    /// See [`SessionError`]. Where no answer comes in time, it is empty.
    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError>;

    /// Records not fetched yet, as far as known, over all assigned partitions. Called after every
    /// commit: answers from what it knows, without asking the log each time.
    fn lag(&mut self) -> Option<u64>;

    /// Number of partitions of a topic, for outputs.
    ///
    /// # Errors
    /// A topic that does not exist is a [`SessionError::Halt`] that names it.
    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError>;

    /// Adds a record to the open transaction, opening one if there is none.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError>;

    /// Commits the open transaction, if any, together with these positions; all or nothing. Fenced by
    /// the group's generation. On a session without transactions it commits the positions alone.
    ///
    /// # Errors
    /// An outcome that is not known is a [`SessionError::Rebuild`].
    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError>;

    /// Aborts the open transaction, if any, and continues to read at these positions.
    ///
    /// # Errors
    /// See [`SessionError`].
    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError>;

    /// Leaves the group in order; everything is committed or aborted before.
    fn close(&mut self);
}
