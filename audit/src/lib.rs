//! Everything that Petrel did, in SQL: ClickHouse tables, the sink that fills them, queries over
//! them, and the embedded engine that holds them where there is no ClickHouse server.
//!
//! Reading order: `address`, `engine`, `tables`, `rows`, `sink`, `query`.

// The tests below `sink` run against the same engine process as those under tests/.
#[cfg(test)]
extern crate self as petrel_audit;
// Not all of what the other tests need is needed here.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/it/process.rs"]
mod process;

mod address;
mod client;
pub mod engine;
mod query;
mod rows;
mod sink;
mod tables;

pub use address::{Address, Endpoint};
pub use client::SqlError;
pub use query::{Format, QueryLimits, SqlClient};
pub use rows::Table;
pub use sink::{MemoryRow, MemorySink, MemoryTables, SinkHandle, SinkOptions, SinkStats, SinkTopics, spawn_sink};
pub use tables::{KeepDays, Migrated, TablesError, keep, migrate};
