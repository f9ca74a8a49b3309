//! `petrel clickhouse`: the real ClickHouse engine (libchdb) behind ClickHouse's HTTP interface.
//!
//! The library carries its own allocator and signal handlers, and a crash of it must not take the
//! log with it: so it lives in a process of its own, which [`serve`] is the body of, and which
//! [`EngineProcess`] starts, watches and starts anew. Everything else talks to it as to any
//! ClickHouse, over HTTP, so that moving to a server is a change of address.
//!
//! Reading order: `options`, `host`, `request`, `statement`, `insert`, `readonly`, `library`.

mod answer;
mod compression;
mod form;
mod host;
mod insert;
// The only place that calls C functions of the engine.
mod lexer;
#[allow(unsafe_code)]
mod library;
// memfd_create and prctl have no safe form in the standard library.
mod options;
#[allow(unsafe_code)]
mod os;
mod readonly;
mod request;
mod statement;
mod supervisor;

pub use host::serve;
pub use options::{EngineError, EngineLimits, EngineOptions};
pub use supervisor::{EngineProcess, SupervisorError, SupervisorOptions};
