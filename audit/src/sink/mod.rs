//! The sink: `petrel.audit` and `petrel.dead_letters` into the tables, each record's rows exactly once.
//!
//! A batch is one range of offsets of one partition. Before it is written, its range is recorded beside
//! the committed offset, together with those of other partitions whose batches are due; after a crash the
//! same range is read and written again, with the same tokens, which ClickHouse recognises. What a token no
//! longer covers is folded by the tables themselves. Offsets advance only when every table has the batch's
//! rows, counted.
//!
//! Reading order: `intent`, `buffer`, `step`, `round`, `writer`, `service`; `memory` is the sink over tables in memory,
//! for simulations.

mod buffer;
mod intent;
mod memory;
mod round;
mod service;
mod step;
mod writer;

pub use memory::{MemoryRow, MemorySink, MemoryTables};
pub use service::{SinkHandle, SinkOptions, SinkTopics, spawn_sink};
pub use stats::SinkStats;

mod stats;

#[cfg(test)]
mod tests;
