//! Keyed state and timers on disk, so that they may be larger than memory.
//!
//! A cache and nothing else: every entry of it comes from a changelog and comes back from there. All
//! partitions of a process share one fjall database, with one keyspace; a partition has a *slot*, a number
//! that its keys begin with. So memory and file handles do not grow with the number of partitions, and a
//! partition is forgotten by giving its name another slot; what the old one holds is removed little by
//! little.
//!
//! - A batch is atomic and carries the position that it brings. Nothing waits for the disk: a killed
//!   process finds a prefix of its batches, a power loss leaves a shorter prefix or a damaged directory.
//! - Whatever fails, a read, a write, a checksum, a panic of the store itself, makes the whole database
//!   unusable: it is left and an empty one is begun beside it. Its partitions are restored from their
//!   changelogs.
//! - The directory remembers the cluster, and each partition its topic and when it was last known to be
//!   whole; see [`petrel_bus::Mark`].
//!
//! docs/adr/0006-state-cache.md says why it is built so. Reading order: `options`, `layout`, `database`,
//! `store`, `stores`.

mod attempts;
mod database;
mod journals;
mod layout;
mod options;
mod store;
mod stores;

pub use options::CacheOptions;
pub use stores::DiskStores;
