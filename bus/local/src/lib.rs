//! The log for one machine: durable in a local directory, without a broker.
//!
//! All writes, of stages and publishers alike, queue up before one committer thread. It takes what has
//! gathered, lets the consumer groups fence it, assigns offsets, writes all of it as one atomic batch
//! to the store, waits for the disk as [`Fsync`] says, and acknowledges. So a process killed at any
//! moment loses nothing that was acknowledged, and nothing is half there.
//!
//! The store is fjall, an LSM tree; docs/adr/0001-local-log-store.md says why. One process opens a
//! directory at a time.
//!
//! The records' bytes are limited by [`LocalOptions::log_bytes_max`], and the disk's free space by
//! [`LocalOptions::disk_free_bytes_min`]: where either is reached, publishers are refused as
//! unavailable and stages' commits fail, to be made again; [`petrel_bus::Bus::usage`] says so.
//!
//! User topics come into being by [`petrel_bus::Bus::ensure_topics`] or with the first record that is
//! published to them, with [`LocalOptions::topic_partitions_default`] partitions; names follow
//! Kafka's rules. A stage never creates a topic.
//!
//! Reading order: `options`, `store`, `state`, `committer`, `log`, `bus`.

mod bus;
mod committer;
mod disk;
mod lock;
mod log;
mod options;
mod publisher;
mod retention;
mod stage_batch;
mod state;
mod store;
#[cfg(test)]
mod tests;

pub use bus::LocalBus;
pub use options::{Fsync, LocalOptions};
