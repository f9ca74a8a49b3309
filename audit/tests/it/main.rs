//! Tests with the real ClickHouse engine.

mod engine;
mod http;
mod process;
mod query;
mod sink;
mod tables;
