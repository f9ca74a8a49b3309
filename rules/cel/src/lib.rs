//! CEL, the Common Expression Language, for events: compiled once, evaluated without allocating.
//!
//! The crate `cel` parses; everything behind the syntax tree is ours. Reading order: `value` (what an
//! expression computes with), `paths` and `slot` (what it reads of an event), `expr` (a compiled
//! expression), `compile` (from text to it), `eval` (from it to a value or a [`Fault`]), `functions`
//! (everything that is called by name); beside them `template` (`${…}` in JSON), what it sees (`scope`) and
//! what it yields (`render`).
//!
//! Pure: no clock, no I/O, no random numbers. The only thread is the one that parses, for its stack.

mod arena;
pub mod compile;
mod constants;
mod error;
mod eval;
pub mod expr;
mod fault;
mod functions;
pub mod limits;
pub mod names;
mod owned;
mod paths;
mod render;
mod scope;
mod secret_names;
mod slot;
mod template;
mod time;
mod tree;
mod value;
mod version;

pub use arena::Arena;
pub use constants::{Constant, Constants};
pub use error::{CompileError, EvalError};
pub use eval::compare::{equal, order};
pub use eval::{Cx, Trace};
pub use fault::Fault;
pub use functions::{Function, all as functions};
pub use owned::OwnedValue;
pub use paths::{Path, Paths, SlotId};
pub use render::{key_text, to_json};
pub use scope::{Scope, instant};
pub use slot::Slot;
pub use template::Template;
pub use time::{Duration, Timestamp};
pub use tree::TextMap;
pub use value::{Cidr, List, Map, Type, Value};
pub use version::Version;
