//! The ways in: what becomes an event on `petrel.triggers`, and where bound topics begin.
//!
//! Reading order: `event` (the record), `refusal`, `admission` (HTTP), `timers`, `sensors`,
//! `bindings`, `topics`.

pub mod admission;
pub mod bindings;
pub mod event;
mod json;
mod metrics;
mod refusal;
pub mod sensors;
pub mod timers;
pub mod topics;

pub use metrics::Metrics;
pub use refusal::{BatchRefusal, Domain, ItemRefusal, Refusal, Violation};
