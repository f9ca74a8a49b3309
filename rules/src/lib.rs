//! Rules: criteria in CEL over raw events, and the stage that turns matches into action requests.
//!
//! Reading order: `extract` (an event's bytes into slots), `cover` and `index` (which rules may match),
//! `program` (which do), `engine` (the rules of a trigger), `schema`, `template` (`${CEL}` in JSON),
//! `plan` (all triggers of a revision), `stage`; beside them `explain` and `lint`. The language itself is in
//! `petrel-cel`.
//!
//! Pure: no clock, no I/O, no random numbers. The only threads are those that parse expressions.

mod cover;
mod engine;
mod error;
mod explain;
pub mod extract;
mod index;
mod kv;
pub mod limits;
mod lint;
mod names;
mod plan;
mod program;
mod render;
mod schema;
mod scope;
mod stage;
mod template;

pub use engine::{
    Evaluation, EventReader, Matcher, ParsedEvent, ParsedRules, RuleIndex, RuleSet, RuleSetStats, RuleSource, Verdict,
};
pub use error::{CompileError, EvalError};
pub use explain::{ExplainError, Explanation, Outcome, Shown, Step, explain, explanation_text};
pub use extract::{Extractor, InvalidJson, Layout};
pub use kv::{InvalidKv, Kv};
pub use lint::{Finding, FindingKind, LintReport, LintRule, lint};
pub use petrel_cel::{Arena, Fault};
pub use plan::{ActionPlan, Binding, FullCheck, MatchPlan, RulePlan, TriggerPlan};
pub use schema::{SchemaViolation, TriggerSchema};
pub use scope::Scope;
pub use stage::{MatchCounters, MatchOptions, MatchStage, MatchTotals, MatchView};
pub use template::Template;
