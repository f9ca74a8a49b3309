//! The seam between Petrel's logic and the log that carries it (DESIGN §2.2).
//!
//! A [`Stage`] is a synchronous, deterministic function over batches of records, partition-scoped
//! keyed state and durable timers. The [`Driver`] runs it over a [`Session`]: poll, step, then commit
//! outputs, state and input offsets atomically. Three buses implement [`Bus`]: Apache Kafka
//! (`petrel-bus-kafka`), a durable log in a local directory (`petrel-bus-local`), and [`sim`], in
//! memory under virtual time. One conformance suite holds for all three.
//!
//! Pure: no clock, no I/O, no random numbers. Reading order: `record`, `stage`, `unreadable`,
//! `dead_letters`, `state`, `session`, `halts`, `driver`, `run`. What buses in one process share:
//! [`group`], `member`, `tail`.

mod bus;
mod clock;
mod dead_letters;
mod driver;
mod follow;
mod globals;
pub mod group;
mod halts;
mod incarnation;
mod log;
mod member;
mod outgoing;
mod panics;
mod partition;
mod publisher;
mod record;
mod restores;
mod run;
mod service;
mod session;
pub mod sim;
mod stage;
mod state;
mod stats;
mod store;
mod tail;
mod troubles;
mod unreadable;

pub use bus::{Bus, BusError, LogUsage, SessionOptions, Tail, TopicSpec};
pub use clock::Clock;
pub use dead_letters::{About, DEAD_LETTER_DETAIL_BYTES_MAX, DEAD_LETTER_HEAD_BYTES_MAX, Reason, dead_letter};
pub use driver::{
    Driver, DriverError, DriverOptions, DriverPoint, POISON_TIMER_DELAY_MS, RECORD_PANICS_MAX, Suspects, Tick,
};
pub use follow::{check_followers, with_followers};
pub use globals::{GlobalsSource, Versioned, Waker};
pub use halts::Halts;
pub use incarnation::is_of_earlier_topic;
pub use log::{Block, Log, Transaction};
pub use member::Member;
pub use outgoing::Outgoing;
pub use partition::{murmur2, partition_of};
pub use publisher::{Acknowledge, PublishError, Publisher, Receipt, SoleWriteError, SoleWriter, Written, receipt};
pub use record::{Output, OwnedRecord, Record, To};
pub use restores::{RestoreProgress, Restoring};
pub use run::{StageHandle, spawn_stage};
pub use service::{Failure, Life, Service, ServiceThread, StopSignal};
pub use session::{
    Batch, Begin, Fetched, GroupEvent, Position, RESTORE_OUT_OF_RANGE, RestoreFrom, Restored, Session, SessionError,
    TopicPartition,
};
pub use stage::{Context, Facts, InputTopic, Longest, Silence, Stage, StageSpec, Start, Taken};
pub use state::{PartitionState, StateTooLarge};
pub use stats::{BlockedPartition, DELAYED_TIMERS_MAX, DelayedTimer, StageStats, TURN_MS_MAX};
pub use store::{
    Change, DueTimer, KEY_BYTES_MAX, Mark, MemoryStore, MemoryStores, Pair, Pairs, StateStore, StateStores, StoreError,
    StoreName, Timer, TimerKind, Timers, is_fresh,
};
pub use tail::LogTail;
pub use troubles::{Trouble, Troubles};
pub use unreadable::{NotYet, Unreadable};
