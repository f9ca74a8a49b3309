//! Runs the `tests:` of rules: one event each, the rule's own criteria and templates, no other part. Those of workflows
//! are in `workflow`.

mod workflow;

use std::fmt;

use petrel_rules::{Arena, Kv, Matcher, ParsedEvent, RuleIndex, RuleSet, RuleSource, Scope, TriggerSchema, Verdict};
use serde_json::{Map, Value};

use crate::compile::CompiledRevision;
use crate::engine::rule_template;
use crate::model::{ActionCall, RuleDef};
use crate::pack::{ExpectDraft, TestDraft};
use crate::problems::Place;

/// `now` of a test that says no time: 2026-01-01T00:00:00Z, in milliseconds since the epoch.
pub const TEST_NOW_MS: i64 = 1_767_225_600_000;

pub use workflow::rehearse_file;

/// What is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tested {
    /// A rule.
    Rule,
    /// A workflow.
    Workflow,
}

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestOutcome {
    /// What is tested.
    pub tested: Tested,
    /// Reference of the rule or workflow; of a rehearsal of Orquesta's, the path of the workflow.
    pub subject: String,
    /// Number of the test in its rule or file, from 0.
    pub index: usize,
    /// The test's name, or its number such as `#1`.
    pub name: String,
    /// Where the test is written.
    pub place: Place,
    /// Why it failed, a sentence a line; nothing if it passed.
    pub failure: Option<String>,
}

impl TestOutcome {
    /// Whether it did what the test expects.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

impl fmt::Display for TestOutcome {
    /// `ok disk.clean_tmp: name`, or `FAILED …` with the place and the indented differences.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(failure) = &self.failure else { return write!(f, "ok {}: {}", self.subject, self.name) };
        write!(f, "FAILED {}: {} ({})", self.subject, self.name, self.place)?;
        failure.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Runs every test of every rule, disabled rules included, in the order of the rules' references, and then those of
/// workflows, in the order of packs and files.
pub fn run_tests(revision: &CompiledRevision) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for rule in revision.rules() {
        for (index, test) in revision.tests_of(&rule.reference).iter().enumerate() {
            outcomes.push(TestOutcome {
                tested: Tested::Rule,
                subject: rule.reference.clone(),
                index,
                name: test.name.clone().unwrap_or_else(|| format!("#{}", index + 1)),
                place: test.place.clone(),
                failure: run(revision, rule, test).err(),
            });
        }
    }
    outcomes.extend(revision.workflow_tests().iter().flat_map(|draft| workflow::run(revision, draft)));
    outcomes
}

fn run(revision: &CompiledRevision, rule: &RuleDef, test: &TestDraft) -> Result<(), String> {
    if let Some(trigger) = revision.trigger(&rule.trigger)
        && let Err(reasons) = trigger.check_payload(&test.given)
    {
        return Err(format!("the given event breaks the schema of {}: {}", rule.trigger, reasons.join("; ")));
    }
    match (decide(revision, rule, test)?, test.expect.is_empty()) {
        (Decision::Match(_), false) if test.expect.len() != rule.calls.len() => {
            Err(format!("expected {} actions, the rule has {}", test.expect.len(), rule.calls.len()))
        }
        (Decision::Match(calls), false) => compare(&test.expect, &calls),
        (Decision::Match(calls), true) => {
            let calls: Vec<String> = calls.iter().map(|(action, values)| format!("{action} {values}")).collect();
            Err(format!("expected no match, the rule matched and asks for {}", calls.join(", ")))
        }
        (Decision::NoMatch(_), true) => Ok(()),
        (Decision::NoMatch(why), false) => {
            let wanted: Vec<&str> = test.expect.iter().map(|expected| expected.action.as_str()).collect();
            Err(format!("expected {}, the rule did not match: {why}", wanted.join(", ")))
        }
    }
}

/// What a rule decides about an event.
enum Decision {
    /// Actions with their resolved parameters.
    Match(Vec<(String, Value)>),
    /// Why there is no match.
    NoMatch(String),
}

fn decide(revision: &CompiledRevision, rule: &RuleDef, test: &TestDraft) -> Result<Decision, String> {
    let schema = revision.trigger(&rule.trigger).and_then(|trigger| trigger.schema.as_ref());
    let schema = schema.map_or_else(TriggerSchema::none, TriggerSchema::compile);
    let source = RuleSource { rule: rule.reference.as_str().into(), criteria: rule.criteria.clone() };
    let rules = RuleSet::compile(&schema, [source]).map_err(|errors| {
        errors.first().map_or_else(|| "the criteria do not compile".to_owned(), ToString::to_string)
    })?;
    let kv = Kv::new(test.kv.iter().map(|(key, value)| (key.clone(), value.to_string()))).map_err(|e| e.to_string())?;
    let now_ms = test.at_ms.unwrap_or(TEST_NOW_MS);
    let text = test.given.to_string();
    let mut why = None;
    let on = &mut |_: RuleIndex, verdict: Verdict<'_>| {
        why = match verdict {
            Verdict::True => None,
            Verdict::False => Some("the criteria are false".to_owned()),
            Verdict::Missing(name) => Some(format!("the criteria need {name:?}, which is not there")),
            Verdict::Error(fault) => Some(format!("the criteria failed: {fault}")),
        }
    };
    Matcher::new().scan(&rules, text.as_bytes(), now_ms, &kv, on).map_err(|e| e.to_string())?;
    if let Some(why) = why {
        return Ok(Decision::NoMatch(why));
    }
    let arena = Arena::new();
    let event = ParsedEvent::whole(text.as_bytes(), &schema, &arena).map_err(|e| e.to_string())?;
    let scope = Scope::rule(event.root(), now_ms, &kv);
    rule.calls.iter().map(|call| rendered(revision, rule, call, &scope)).collect::<Result<_, _>>().map(Decision::Match)
}

/// An action and the parameters that it would get, defaults filled in.
fn rendered(
    revision: &CompiledRevision,
    rule: &RuleDef,
    call: &ActionCall,
    scope: &Scope<'_>,
) -> Result<(String, Value), String> {
    let pack = rule.reference.split('.').next().unwrap_or_default();
    let config = revision.config(pack).cloned().unwrap_or_default();
    let action = revision.action(&call.action).ok_or_else(|| format!("there is no action {:?}", call.action))?;
    let template = rule_template(call.parameters.clone(), &config).map_err(|errors| {
        errors.first().map_or_else(|| "the parameters do not compile".to_owned(), ToString::to_string)
    })?;
    let values = template.render(scope).map_err(|e| format!("the parameters of {}: {e}", call.action))?;
    let resolved = action.resolve_parameters(&values).map_err(|e| e.to_string())?;
    Ok((call.action.clone(), resolved))
}

fn compare(expected: &[ExpectDraft], calls: &[(String, Value)]) -> Result<(), String> {
    let mut differences = Vec::new();
    for (index, (expected, (action, values))) in expected.iter().zip(calls).enumerate() {
        let which = if calls.len() > 1 { format!("action {}: ", index + 1) } else { String::new() };
        if expected.action != *action {
            differences.push(format!("{which}expected {}, found {action}", expected.action));
            continue;
        }
        let found = values.as_object();
        differences.extend(compare_parameters(&expected.parameters, found).map(|text| format!("{which}{text}")));
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

fn compare_parameters<'v>(
    expected: &'v Map<String, Value>,
    found: Option<&'v Map<String, Value>>,
) -> impl Iterator<Item = String> + 'v {
    expected.iter().filter_map(move |(name, expected)| match found.and_then(|found| found.get(name)) {
        Some(found) if same(expected, found) => None,
        Some(found) => Some(format!("parameters.{name}: expected {expected}, found {found}")),
        None => Some(format!("parameters.{name}: expected {expected}, found nothing")),
    })
}

/// Equality of JSON values in which `95` and `95.0` are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || (x.as_f64() == y.as_f64() && (x.is_f64() || y.is_f64())),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests;
