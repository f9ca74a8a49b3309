//! CEL, the Common Expression Language, for events: compiled once, evaluated without allocating.
//!
//! The crate `cel` parses; everything behind the syntax tree is ours. Reading order: `value` (what an
//! expression computes with), `paths` and `slot` (what it reads of an event), `expr` (a compiled
//! expression), `compile` (from text to it), `eval` (from it to a value or a [`Fault`]), `functions`
//! (everything that is called by name).
//!
//! Pure: no clock, no I/O, no random numbers. The only thread is the one that parses, for its stack.

mod arena;
pub mod compile;
mod eval;
pub mod expr;
mod fault;
mod functions;
pub mod limits;
mod owned;
mod paths;
mod slot;
mod time;
mod tree;
mod value;
mod version;

pub use arena::Arena;
pub use eval::compare::{equal, order};
pub use eval::{Cx, Trace};
pub use fault::Fault;
pub use functions::{Function, all as functions};
pub use owned::OwnedValue;
pub use paths::{Path, Paths, SlotId};
pub use slot::Slot;
pub use time::{Duration, Timestamp};
pub use tree::TextMap;
pub use value::{Cidr, List, Map, Type, Value};
pub use version::Version;
