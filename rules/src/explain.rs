//! Why a rule matches an event or does not: every sub-expression with its value, and what the index did.
//!
//! The rule's source is compiled again, alone; the engine keeps nothing for it.

mod text;
mod turns;

use std::sync::Arc;

use petrel_cel::compile::Parsed;
use petrel_cel::expr::{Expr, Kind};
use petrel_cel::{Arena, Cx, Fault, Paths, Slot, Value};
use serde_json::{Value as Json, json};

use crate::engine::{ParsedRules, RuleSource};
use crate::error::{CompileError, EvalError};
use crate::extract::{Doubles, Extractor, InvalidJson, Layout, SchemaCheck};
use crate::index::{Index, Scratch};
use crate::kv::Kv;
use crate::render::to_json;
use crate::schema::{SchemaViolation, TriggerSchema};
use crate::scope::instant;
use crate::{cover, names};

/// A sub-expression and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How deep it stands in the criterion: 0 is the whole of it.
    pub depth: usize,
    /// As it is written.
    pub source: String,
    /// Its value as JSON, where JSON has a form for it; else its type's name.
    pub value: Outcome,
    /// Inside a loop, where there is no single value: those of the first few turns, in which it may stand
    /// more than once or not at all. Then `value` is the last of them.
    pub turns: Vec<Outcome>,
}

/// A value as JSON, or why there is none.
pub type Outcome = Result<Json, EvalError>;

/// What was decided about one rule and one event, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The rule's reference.
    pub rule: Arc<str>,
    /// Whether the rule matches.
    pub matches: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// How the index finds the rule, one line per way; nothing if every event has to ask it.
    pub found_by: Vec<String>,
    /// Whether the index proposes the rule for this event.
    pub proposed: bool,
    /// What the trigger's schema refuses about the event, if anything; then no rule is asked.
    pub violation: Option<SchemaViolation>,
    /// The criterion and its parts, outermost first.
    pub steps: Vec<Step>,
}

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExplainError {
    /// The criterion does not compile.
    #[error("{0}")]
    Criteria(CompileError),
    /// The event is no JSON.
    #[error("the event is no JSON: {0}")]
    Event(#[from] InvalidJson),
}

/// Explains what a rule decides about an event. `now_ms` is the record's timestamp.
///
/// # Errors
/// A criterion that does not compile, an event that is no JSON.
pub fn explain(
    rule: &RuleSource,
    schema: &TriggerSchema,
    event: &[u8],
    now_ms: i64,
    kv: &Kv,
) -> Result<Explanation, ExplainError> {
    let first = |errors: Vec<CompileError>| match errors.into_iter().next() {
        Some(error) => ExplainError::Criteria(error),
        None => unreachable!("a failed compilation tells a mistake"),
    };
    let Some(parsed) = ParsedRules::parse_located([rule.clone()]).into_first().map_err(first)? else {
        return Ok(without_criteria(rule));
    };
    let mut paths = Paths::new();
    let compiled = parsed.compile(names::RULE, &mut paths, None).map_err(|mistakes| {
        first(mistakes.into_iter().map(|m| CompileError::new(&rule.rule, parsed.source(), m)).collect())
    })?;
    let reads = paths.clone();
    let check = SchemaCheck::new(schema, &reads, &mut paths);
    let layout = Layout::new(&paths, Doubles::new(schema));
    let arena = Arena::new();
    let slots = Extractor::new().extract(&layout, event, &arena)?;
    let vars = [Value::Timestamp(instant(now_ms)), kv.value()];
    let seen = Seen { parsed: &parsed, arena: &arena, paths: &paths, slots, vars: &vars };
    let mut steps = Vec::new();
    seen.walk(&compiled.expr, 0, &mut steps);

    let index = Index::build([(0, cover::cover(&compiled.expr, &paths))]);
    let mut proposed = false;
    index.candidates(slots, &mut Scratch::default(), &mut |_| proposed = true);
    let found_by = index.placement(0).iter().map(|placement| placement.describe(&paths)).collect();
    let outcome = seen.value(&compiled.expr);
    let violation = check.check(slots).err();
    let matches = violation.is_none() && matches!(outcome, Ok(Value::Bool(true)));
    let reason = match &violation {
        Some(violation) => format!("the trigger's schema refuses the event: {violation}"),
        None => seen.reason(&compiled.expr, &outcome),
    };
    Ok(Explanation { rule: rule.rule.clone(), matches, reason, found_by, proposed, violation, steps })
}

fn without_criteria(rule: &RuleSource) -> Explanation {
    Explanation {
        rule: rule.rule.clone(),
        matches: true,
        reason: "a rule without criteria matches every event".to_owned(),
        found_by: Vec::new(),
        proposed: true,
        violation: None,
        steps: Vec::new(),
    }
}

/// What the sub-expressions of one criterion see.
struct Seen<'a> {
    parsed: &'a Parsed,
    arena: &'a Arena,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    vars: &'a [Value<'a>],
}

impl<'a> Seen<'a> {
    fn value(&self, expr: &'a Expr) -> Result<Value<'a>, Fault<'a>> {
        Cx::new(self.arena, self.paths, self.slots, self.vars).eval(expr)
    }

    /// The node and those below it that can be evaluated by themselves.
    fn walk(&self, expr: &'a Expr, depth: usize, steps: &mut Vec<Step>) {
        steps.push(Step { depth, source: self.source(expr), value: outcome(self.value(expr)), turns: Vec::new() });
        for child in children(expr) {
            // A constant's value is its text.
            if !matches!(child.kind, Kind::Const(_)) {
                self.walk(child, depth + 1, steps);
            }
        }
        if let Kind::Loop(each) = &expr.kind {
            turns::walk(self, expr, each, depth + 1, steps);
        }
    }

    fn source(&self, expr: &Expr) -> String {
        let source = self.parsed.source();
        match self.parsed.extent(expr.id) {
            Some((start, end)) => source.chars().skip(start).take(end - start).collect(),
            None => source.to_owned(),
        }
    }

    /// Why the outcome is what it is, told by the smallest part that decides it.
    fn reason(&self, expr: &'a Expr, outcome: &Result<Value<'a>, Fault<'a>>) -> String {
        match outcome {
            Ok(Value::Bool(true)) => "the criterion is true".to_owned(),
            Ok(Value::Bool(false)) => {
                if let Kind::And(operands) = &expr.kind {
                    let is_false = |e: &&Expr| matches!(self.value(e), Ok(Value::Bool(false)));
                    if let Some(operand) = operands.iter().find(is_false) {
                        return self.reason(operand, &Ok(Value::Bool(false)));
                    }
                }
                format!("`{}` is false", self.source(expr))
            }
            Ok(other) => EvalError::from(Fault::NotBool(other.type_of())).text,
            Err(fault) => {
                let failed = |child: &&'a Expr| self.value(child).is_err();
                match children(expr).into_iter().find(failed) {
                    Some(child) => self.reason(child, &self.value(child)),
                    None => format!("`{}` has no value: {fault}", self.source(expr)),
                }
            }
        }
    }
}

fn outcome(value: Result<Value<'_>, Fault<'_>>) -> Outcome {
    match value {
        Ok(value) => Ok(to_json(value).unwrap_or_else(|_| json!(value.type_of().name()))),
        Err(fault) => Err(EvalError::from(fault)),
    }
}

/// The nodes below that see the same variables; the bodies of macros do not.
fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        Kind::Select(of, _) | Kind::Has(of, _) | Kind::OptSelect(of, _) => vec![of],
        Kind::Not(of) | Kind::Negate(of) | Kind::Matches(of, _) | Kind::InSet(of, _) => vec![of],
        Kind::Index(pair) | Kind::OptIndex(pair) | Kind::Compare(_, pair) | Kind::Arith(_, pair) => {
            pair.iter().collect()
        }
        Kind::And(operands) | Kind::Or(operands) | Kind::Call(_, operands) => operands.iter().collect(),
        Kind::Cond(parts) => parts.iter().collect(),
        Kind::List(elements) => elements.iter().map(|e| &e.value).collect(),
        Kind::Map(entries) => entries.iter().flat_map(|e| [&e.key, &e.value]).collect(),
        Kind::Loop(each) => vec![&each.range],
        Kind::Bind(pair) | Kind::OptMap(pair) | Kind::OptFlatMap(pair) => vec![&pair[0]],
        Kind::Const(_) | Kind::Slot(_) | Kind::OptSlot { .. } | Kind::HasSlot(_) | Kind::Var(_) | Kind::Local(_) => {
            Vec::new()
        }
    }
}

pub use text::explanation_text;

#[cfg(test)]
mod tests;
