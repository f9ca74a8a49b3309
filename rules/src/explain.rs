//! Why a rule matches an event or does not: every sub-expression with its value, and what the index did.
//!
//! The rule's source is compiled again, alone; the engine keeps nothing for it.

mod text;
mod turns;
mod value;

use std::sync::Arc;

use petrel_cel::compile::Parsed;
use petrel_cel::expr::{Expr, Kind};
use petrel_cel::{Arena, Cx, Fault, OwnedValue, Paths, Slot, Value};
use serde_json::Value as Json;

use crate::cover;
use crate::engine::{ParsedEvent, ParsedRules, RuleSet, RuleSource};
use crate::extract::{Doubles, Extractor, InvalidJson, Layout};
use crate::index::{Index, Placement, Scratch};
use crate::kv::Kv;
use crate::schema::TriggerSchema;
use petrel_cel::{CompileError, EvalError};
use petrel_cel::{instant, names};

/// A sub-expression and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// How deep it stands in the criterion: 0 is the whole of it.
    pub depth: usize,
    /// As it is written.
    pub source: String,
    /// Its value; nothing if it stands in a loop or a binding that ended before it.
    pub value: Option<Outcome>,
    /// Inside a loop, where there is no single value: those of the first few turns, in which it may stand
    /// more than once or not at all. Then `value` is the last of them.
    pub turns: Vec<Outcome>,
    /// How often it was evaluated inside a loop; `turns` has the first few of them.
    pub turn_count: usize,
}

/// A value, or why there is none.
pub type Outcome = Result<Shown, EvalError>;

/// A value as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// Name of its type in CEL.
    pub type_name: &'static str,
    /// As JSON. What JSON has no form for is text: `NaN`, the name of a type, a timestamp. An optional is a
    /// list of no or one value.
    pub json: Json,
    /// Whether it was too long, and this is the beginning of it.
    pub cut: bool,
}

/// What was decided about one rule and one event, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The rule's reference.
    pub rule: Arc<str>,
    /// Whether the rule matches.
    pub matches: bool,
    /// Why, in a sentence.
    pub reason: String,
    /// How the index finds the rule, one line per way; nothing if every event has to ask it, or none does.
    pub found_by: Vec<String>,
    /// Whether the index proposes the rule for this event.
    pub proposed: bool,
    /// Why the rule is not asked about this event, whatever its criterion says; see [`Explanation::not_asked`].
    pub not_asked: Option<String>,
    /// The criterion and its parts, outermost first.
    pub steps: Vec<Step>,
}

impl Explanation {
    /// The rule does not match because nobody asks it: it is disabled, or the event is refused before.
    #[must_use]
    pub fn not_asked(self, why: String) -> Self {
        Self { matches: false, reason: why.clone(), not_asked: Some(why), ..self }
    }
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

/// Explains what a rule decides about an event. `now_ms` is the record's timestamp. That events are checked
/// against the schema before is not looked at here; the schema says which numbers are doubles. What the index
/// did is that of `set`, if the rule is in force in it, or else of an index that has no other rules.
///
/// # Errors
/// A criterion that does not compile, an event that is no JSON.
pub fn explain(
    rule: &RuleSource,
    schema: &TriggerSchema,
    set: Option<&RuleSet>,
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
    let layout = Layout::new(&paths, Doubles::new(schema));
    let arena = Arena::new();
    let slots = Extractor::new().extract(&layout, event, &arena)?;
    let vars = [Value::Timestamp(instant(now_ms)), kv.value()];
    let seen = Seen { parsed: &parsed, paths: &paths, slots, vars: &vars };
    let mut steps = Vec::new();
    seen.walk(&compiled.expr, 0, &mut steps);

    let in_force = set.and_then(|set| Some((set, set.find(&rule.rule)?)));
    let (found_by, proposed) = match in_force {
        Some((set, number)) => {
            let event = ParsedEvent::parse(event, set.layout(), &mut Extractor::new(), &arena)?;
            let (index, number) = set.index_of(number);
            finding(index, number, set.paths(), event.slots())
        }
        None => {
            let index = Index::build([(0, cover::cover(&compiled.expr, &paths))]);
            finding(&index, 0, &paths, slots)
        }
    };
    let (matches, reason) = seen.verdict(&compiled.expr);
    Ok(Explanation { rule: rule.rule.clone(), matches, reason, found_by, proposed, not_asked: None, steps })
}

/// How an index finds a rule, and whether it proposes it for an event.
fn finding(index: &Index, rule: u32, paths: &Paths, slots: &[Slot<'_>]) -> (Vec<String>, bool) {
    let mut proposed = false;
    index.candidates(slots, &mut Scratch::default(), &mut |found| proposed |= found == rule);
    if index.always().binary_search(&rule).is_ok() {
        return (Vec::new(), proposed);
    }
    let describe = |placement: Placement| match placement.by[..] {
        [] => "conditions that are checked for every event".to_owned(),
        _ => placement.describe(paths),
    };
    (index.placement(rule).into_iter().map(describe).collect(), proposed)
}

fn without_criteria(rule: &RuleSource) -> Explanation {
    Explanation {
        rule: rule.rule.clone(),
        matches: true,
        reason: "a rule without criteria matches every event".to_owned(),
        found_by: Vec::new(),
        proposed: true,
        not_asked: None,
        steps: Vec::new(),
    }
}

/// What the sub-expressions of one criterion see.
struct Seen<'a> {
    parsed: &'a Parsed,
    paths: &'a Paths,
    slots: &'a [Slot<'a>],
    vars: &'a [Value<'a>],
}

impl Seen<'_> {
    /// What `show` makes of a node's value. Each evaluation has memory of its own, so that a long criterion
    /// needs no more of it than its costliest part.
    fn value<T>(&self, expr: &Expr, show: impl FnOnce(Result<Value<'_>, Fault<'_>>) -> T) -> T {
        let arena = Arena::new();
        let mut cx = Cx::new(&arena, self.paths, self.slots, self.vars);
        show(cx.eval(expr))
    }

    fn is(&self, expr: &Expr, wanted: bool) -> bool {
        self.value(expr, |value| matches!(value, Ok(Value::Bool(bool)) if bool == wanted))
    }

    /// The node and those below it.
    fn walk(&self, expr: &Expr, depth: usize, steps: &mut Vec<Step>) {
        let value = Some(self.value(expr, value::outcome));
        steps.push(Step { depth, source: self.source(expr), value, turns: Vec::new(), turn_count: 0 });
        for child in self.shown_children(expr) {
            self.walk(child, depth + 1, steps);
        }
        turns::walk(self, expr, depth + 1, steps);
    }

    /// The nodes below whose value is not their text, and not the whole key-value store.
    fn shown_children<'e>(&self, expr: &'e Expr) -> impl Iterator<Item = &'e Expr> {
        children(expr).into_iter().filter(|child| match &child.kind {
            Kind::Const(value) => self.is_computed(child, value),
            Kind::Var(_) => !matches!(expr.kind, Kind::Select(..) | Kind::OptSelect(..) | Kind::Has(..)),
            _ => true,
        })
    }

    /// Whether a constant is the value of something that was computed when the criterion was compiled.
    fn is_computed(&self, expr: &Expr, value: &OwnedValue) -> bool {
        let is_token = self.parsed.place(expr.id) == self.parsed.extent(expr.id);
        let is_literal =
            matches!(value, OwnedValue::List(_) | OwnedValue::Map(_)) || self.source(expr).starts_with('-');
        !is_token && !is_literal
    }

    fn source(&self, expr: &Expr) -> String {
        let source = self.parsed.source();
        match self.parsed.extent(expr.id) {
            Some((start, end)) => source.chars().skip(start).take(end - start).collect(),
            None => source.to_owned(),
        }
    }

    /// Whether the criterion matches, and why.
    fn verdict(&self, criterion: &Expr) -> (bool, String) {
        match &criterion.kind {
            Kind::Const(OwnedValue::Bool(true)) => (true, "the criterion is true of every event".to_owned()),
            Kind::Const(OwnedValue::Bool(false)) => (false, "the criterion is false of every event".to_owned()),
            _ if self.is(criterion, true) => (true, "the criterion is true".to_owned()),
            _ => (false, self.reason(criterion)),
        }
    }

    /// Why a node is not true, told by the smallest part that decides it.
    fn reason(&self, expr: &Expr) -> String {
        let failed = |expr: &Expr| self.value(expr, |value| value.is_err());
        let decides = match &expr.kind {
            Kind::And(operands) if !failed(expr) => operands.iter().find(|operand| self.is(operand, false)),
            // The branch that is not taken has no say.
            Kind::Cond(parts) if !failed(&parts[0]) => {
                Some(if self.is(&parts[0], true) { &parts[1] } else { &parts[2] })
            }
            _ if failed(expr) => children(expr).into_iter().find(|child| failed(child)),
            _ => None,
        };
        if let Some(part) = decides {
            return self.reason(part);
        }
        let source = self.source(expr);
        self.value(expr, |value| match value {
            Ok(Value::Bool(bool)) => format!("`{source}` is {bool}"),
            Ok(other) => format!("`{source}`: {}", EvalError::from(Fault::NotBool(other.type_of())).text),
            Err(fault) => format!("`{source}` has no value: {fault}"),
        })
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
