//! Where committed state lives: a cache of a changelog, which the driver owns.
//!
//! The changelog is the truth. A store holds what the changelog says about one partition and remembers
//! up to which offset it certainly does; a restore reads only what is newer. It may hold more than its
//! position says: replaying records that it holds already ends in the same state, because the last
//! record of a key decides. In between, a replay may show a value older than one that was there before,
//! so nobody looks at a store until its restore has read the changelog to its end.
//!
//! One thing a replay cannot repair: a tombstone that the store missed and that compaction has removed
//! from the changelog. Therefore a store remembers when it was last known to hold everything
//! ([`Mark::at_ms`]), and one for which that is too long ago is thrown away: half of the time for which
//! tombstones stay.
//!
//! An error of a store is never an answer: the driver undoes what is open, discards the store and
//! restores.

mod memory;

use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

pub use memory::{MemoryStore, MemoryStores};

/// Longest key of the state or of a timer, in bytes.
pub const KEY_BYTES_MAX: usize = 32 * 1024;

/// Which partition's state a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreName {
    /// Name of the stage.
    pub stage: Arc<str>,
    /// Full name of its changelog.
    pub changelog: Arc<str>,
    /// Number of the partition.
    pub partition: u32,
}

/// Why a store gave no answer. Whatever it was, the store is discarded and the partition restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the state cache failed: {0}")]
pub struct StoreError(pub String);

/// What makes a timer fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// Its instant has come.
    Time,
    /// Its instant has come, and everything that was written until then has been heard.
    Silence,
}

impl TimerKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Time, Self::Silence];

    /// The byte that stands for it in changelogs and stores.
    pub fn byte(self) -> u8 {
        match self {
            Self::Time => 1,
            Self::Silence => 2,
        }
    }

    /// The kind that a byte stands for.
    pub fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// When and why a key's timer fires. A key has one timer at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// What makes it fire.
    pub kind: TimerKind,
    /// Its instant, in milliseconds since the epoch.
    pub due_ms: i64,
}

/// A timer as it is found by its instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueTimer {
    /// The instant it was set to, in milliseconds since the epoch.
    pub due_ms: i64,
    /// Its key.
    pub key: Vec<u8>,
}

impl DueTimer {
    /// Not above any timer.
    pub const FIRST: Self = Self { due_ms: i64::MIN, key: Vec::new() };
    /// Behind every timer that means anything.
    pub const LAST: Self = Self { due_ms: i64::MAX, key: Vec::new() };
}

/// A key of the state or of a timer, and what it has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// A key of the state; no value removes it.
    Value(&'a [u8], Option<&'a [u8]>),
    /// A key's timer; none removes it.
    Timer(&'a [u8], Option<Timer>),
}

/// What a store is known to hold once a batch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Everything of the changelog below this offset; none leaves the position as it is.
    pub position: Option<i64>,
    /// Everything that was committed until that instant, in milliseconds since the epoch.
    pub at_ms: i64,
}

/// How far another clock may be ahead of this one's for what it dated to be believed, in milliseconds.
const CLOCK_SKEW_MS_MAX: i64 = 3_600_000;

/// Whether a store that was whole at an instant is used at another, both in milliseconds since the epoch: it
/// is at most so many milliseconds old.
pub fn is_fresh(at_ms: i64, now_ms: i64, age_ms_max: i64) -> bool {
    // An instant that lies far ahead was written by a clock that was wrong: how old it is, nobody knows.
    let age_ms = now_ms.saturating_sub(at_ms);
    (-CLOCK_SKEW_MS_MAX..=age_ms_max).contains(&age_ms)
}

/// A key of the state and its value, owned or borrowed from the store.
pub type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);
/// Pairs in order of their keys.
pub type Pairs<'a> = Box<dyn Iterator<Item = Result<Pair<'a>, StoreError>> + 'a>;
/// Timers in order of their instants, then keys.
pub type Timers<'a> = Box<dyn Iterator<Item = Result<DueTimer, StoreError>> + 'a>;

/// Committed state and timers of one partition.
pub trait StateStore: Debug + Send {
    /// Value of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError>;

    /// All keys in order, from the first that is not below `from`. Behind an error comes nothing.
    fn scan(&self, from: &[u8]) -> Pairs<'_>;

    /// Timer of a key.
    ///
    /// # Errors
    /// If it cannot be read.
    fn timer(&self, key: &[u8]) -> Result<Option<Timer>, StoreError>;

    /// All timers of a kind in order, from the first that is not below `from`. Behind an error comes
    /// nothing.
    fn timers(&self, kind: TimerKind, from: &DueTimer) -> Timers<'_>;

    /// Everything of the changelog below this offset is in it; none only if it is empty.
    fn position(&self) -> Option<i64>;

    /// Takes changes, in order, all or nothing. Without a mark they are part of a restore that has not
    /// reached its end.
    ///
    /// # Errors
    /// If they cannot be written; what a process finds there afterwards is all of them or none.
    fn apply(&mut self, changes: &[Change<'_>], mark: Option<Mark>) -> Result<(), StoreError>;

    /// Forgets everything, the position too.
    ///
    /// # Errors
    /// If it cannot be written.
    fn discard(&mut self) -> Result<(), StoreError>;
}

/// Opens the stores of a process.
pub trait StateStores: Debug + Send + Sync {
    /// The store of a partition, with what it held when it was last open; empty if there was none or
    /// what there was is of no use. One that is open elsewhere under that name fails from now on.
    ///
    /// # Errors
    /// If neither the old store nor a new one can be used.
    fn open(&self, name: &StoreName, now_ms: i64) -> Result<Box<dyn StateStore>, StoreError>;
}
