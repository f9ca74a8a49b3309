//! Rules: criteria in CEL over raw events, and the stage that turns matches into action requests.
//!
//! Reading order: `extract` (an event's bytes into slots), `cover` and `index` (which rules may match),
//! `program` (which do), `engine` (the rules of a trigger), `schema`, `plan` (all triggers of a revision), `stage`; beside them `explain` and `lint`. The language itself is in
//! `petrel-cel`.
//!
//! Pure: no clock, no I/O, no random numbers. The only threads are those that parse expressions.

mod cover;
mod engine;
mod explain;
pub mod extract;
mod index;
mod kv;
pub mod limits;
mod lint;
mod plan;
mod program;
mod schema;
mod stage;
#[cfg(test)]
mod template_tests;

pub use engine::{
    Evaluation, EventReader, Matcher, ParsedEvent, ParsedRules, RuleIndex, RuleSet, RuleSetStats, RuleSource, Verdict,
};
pub use explain::{ExplainError, Explanation, Outcome, Shown, Step, explain, explanation_text};
pub use extract::{Extractor, InvalidJson, Layout};
pub use kv::{InvalidKv, Kv};
pub use lint::{Finding, FindingKind, LintReport, LintRule, lint};
pub use petrel_cel::{Arena, CompileError, EvalError, Fault, Scope, Template};
pub use plan::{ActionPlan, Binding, FullCheck, MatchPlan, RulePlan, TriggerPlan};
pub use schema::{SchemaViolation, TriggerSchema};
pub use stage::{MatchCounters, MatchOptions, MatchStage, MatchTotals, MatchView, started_by};
