//! Everything that Petrel did, in SQL: ClickHouse tables, the sink that fills them, queries over
//! them, and the embedded engine that holds them where there is no ClickHouse server.
//!
//! Reading order: `address`, `engine`, `tables`, `sink`, `query`.

mod address;
pub mod engine;

pub use address::{Address, Endpoint};
