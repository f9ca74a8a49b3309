//! Rules: criteria in CEL over raw events, and the stage that turns matches into action requests.
//!
//! Reading order: `json` (events into values), `expr` (one CEL expression), `template` (`${CEL}` in JSON),
//! `engine` (the rules of a trigger), `schema_check`, `plan` (all triggers of a revision), `stage`.
//!
//! Pure: no clock, no I/O, no random numbers. The only thread is the one that parses expressions, for
//! its stack.

mod engine;
mod event;
mod expr;
pub mod extract;
#[cfg(feature = "internals")]
#[allow(missing_docs)]
pub mod index;
#[cfg(not(feature = "internals"))]
#[allow(dead_code, unused_imports, reason = "on its way")]
mod index;
mod json;
mod kv;
pub mod limits;
mod plan;
mod schema_check;
mod stage;
mod template;

pub use engine::{Matcher, RuleIndex, RuleSet, RuleSource, Verdict};
pub use event::ParsedEvent;
pub use expr::{CompileError, EvalError, Scope};
pub use json::{InvalidJson, Shape};
pub use kv::{InvalidKv, Kv};
pub use plan::{ActionPlan, Binding, FullCheck, MatchPlan, RulePlan, TriggerPlan};
pub use schema_check::{SchemaViolation, TriggerSchema};
pub use stage::{MatchCounters, MatchOptions, MatchStage, MatchTotals, MatchView};
pub use template::Template;
