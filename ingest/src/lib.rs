//! The ways in: what becomes an event on `petrel.triggers`, and where bound topics begin.
//!
//! Reading order: `event` (the record), `refusal`, `admission` (HTTP), `timers`, `sensors`,
//! `bindings`, `topics`.

mod dead_letter;
pub mod event;
mod json;
mod refusal;
pub mod timers;

pub use refusal::{BatchRefusal, Domain, ItemRefusal, Refusal, Violation};
