//! What is odd about the rules of a trigger: rules that never match, that another makes redundant, that
//! overlap, that no index can find, and what the compiler warns of.
//!
//! Reading order: `atoms` (criteria as disjunctions of conjunctions), `implies` (which follows from which),
//! `exclude` (which contradict each other), `pairs` (which rules are compared at all).

mod atoms;
mod exclude;
mod implies;
mod pairs;

use std::fmt;
use std::sync::Arc;

use petrel_cel::Paths;
use petrel_cel::compile::{EventTypes, Mistake, Parsed};
use petrel_cel::expr::{Expr, Kind};
use serde_json::{Value as Json, json};

use crate::cover::cover;
use crate::engine::{ParsedRule, ParsedRules, RuleSource};
use crate::index::Clause;
use crate::schema::TriggerSchema;
use atoms::{Atom, Conjunction};
use exclude::Contradiction;
use petrel_cel::CompileError;
use petrel_cel::names;

/// A rule of a trigger, with what it does.
#[derive(Debug, Clone, PartialEq)]
pub struct LintRule {
    /// Its reference and criterion.
    pub source: RuleSource,
    /// References of its actions, with their parameters as written.
    pub actions: Vec<(String, Json)>,
}

/// What is odd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// It cannot match any event: its conditions contradict each other or the schema, or it is no bool.
    NeverMatches,
    /// Another rule with the same actions matches whenever this one does.
    Redundant,
    /// It and another rule can match the same event and ask for the same action.
    Overlap,
    /// A warning of the compiler: a field that no event has, a comparison that is never true.
    UnknownField,
    /// No index can find it, so that every event has to ask it.
    AlwaysList,
}

impl FindingKind {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverMatches => "never_matches",
            Self::Redundant => "redundant",
            Self::Overlap => "overlap",
            Self::UnknownField => "unknown_field",
            Self::AlwaysList => "always_list",
        }
    }
}

/// Something odd about a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Reference of the rule.
    pub rule: Arc<str>,
    /// Reference of the other rule, where there is one.
    pub other: Option<Arc<str>>,
    /// For people.
    pub message: String,
    /// Line in the criterion, from 1.
    pub line: u32,
    /// Column in the criterion, in characters, from 1.
    pub column: u32,
}

impl Finding {
    fn new(kind: FindingKind, rule: &Arc<str>, message: String) -> Self {
        Self { kind, rule: rule.clone(), other: None, message, line: 1, column: 1 }
    }

    /// `{"kind", "rule", "other", "message", "line", "column"}`
    pub fn to_json(&self) -> Json {
        json!({
            "kind": self.kind.name(), "rule": &*self.rule, "other": self.other.as_deref(), "message": self.message,
            "line": self.line, "column": self.column,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.rule, self.line, self.column, self.kind.name(), self.message)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LintReport {
    /// In the order of the rules.
    pub findings: Vec<Finding>,
    /// Whether there were so many pairs of rules that some were left out.
    pub pairs_left_out: bool,
}

/// A compiled rule, as it is compared with others.
struct Known<'r> {
    rule: Arc<str>,
    actions: &'r [(String, Json)],
    cover: Vec<Clause>,
    /// Of which one holds exactly when the rule matches, without those that never hold; nothing if there
    /// would be too many.
    disjuncts: Option<Vec<Conjunction>>,
}

/// The cover and the disjuncts of a [`Known`].
type Conditions = (Vec<Clause>, Option<Vec<Conjunction>>);

impl Known<'_> {
    /// Whether it is known to match no event; that is told, and it is compared with no other rule.
    fn never_matches(&self) -> bool {
        self.cover.is_empty()
    }
}

/// Finds what is odd about the rules of one trigger. What is said holds for every event that the schema lets
/// through and on which no criterion exceeds its budget; what cannot be shown is no finding.
///
/// # Errors
/// Criteria that do not compile.
pub fn lint(schema: &TriggerSchema, rules: &[LintRule]) -> Result<LintReport, Vec<CompileError>> {
    let parsed = ParsedRules::parse_located(rules.iter().map(|rule| rule.source.clone())).into_all()?;
    let mut paths = Paths::new();
    let (mut findings, mut errors) = (Vec::new(), Vec::new());
    let mut known = Vec::with_capacity(rules.len());
    for (ParsedRule { rule, criteria }, lint_rule) in parsed.into_iter().zip(rules) {
        let actions = &lint_rule.actions[..];
        let Some(parsed) = criteria else {
            let message = "every event has to ask it: it has no criteria, and matches every event".to_owned();
            findings.push(Finding::new(FindingKind::AlwaysList, &rule, message));
            known.push(Known { rule, actions, cover: vec![Clause::default()], disjuncts: Some(vec![Vec::new()]) });
            continue;
        };
        match alone(&rule, &parsed, schema, &mut paths, &mut findings) {
            Ok((cover, disjuncts)) => known.push(Known { rule, actions, cover, disjuncts }),
            Err(mistakes) => {
                errors.extend(mistakes.into_iter().map(|m| CompileError::new(&rule, parsed.source(), m)));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let pairs_left_out = pairs::compare(&known, &paths, &mut findings);
    let order: std::collections::HashMap<&str, usize> =
        known.iter().enumerate().map(|(number, known)| (&*known.rule, number)).collect();
    findings.sort_by_key(|finding| (order.get(&*finding.rule).copied(), finding.kind));
    Ok(LintReport { findings, pairs_left_out })
}

/// Compiles a criterion and tells what can be said of it without the others.
fn alone(
    rule: &Arc<str>,
    parsed: &Parsed,
    schema: &TriggerSchema,
    paths: &mut Paths,
    findings: &mut Vec<Finding>,
) -> Result<Conditions, Vec<Mistake>> {
    let types = schema.lists_fields().then_some(schema as &dyn EventTypes);
    let compiled = parsed.compile(names::RULE, paths, types)?;
    let mut tell = |kind, mistake| {
        let CompileError { line, column, message, .. } = CompileError::new(rule, parsed.source(), mistake);
        findings.push(Finding { line, column, ..Finding::new(kind, rule, message) });
    };
    compiled.warnings.into_iter().for_each(|warning| tell(FindingKind::UnknownField, warning));
    let cover = cover(&compiled.expr, paths);
    let disjuncts = atoms::disjuncts(&compiled.expr);
    let (never, disjuncts) = possible(disjuncts, parsed, schema, paths);
    if let Some(never) = compiled.never_bool.or(never).or_else(|| cover.is_empty().then(never_holds)) {
        tell(FindingKind::NeverMatches, never);
        return Ok((Vec::new(), disjuncts));
    }
    if cover.iter().any(|clause| clause.literals.is_empty()) {
        let (blamed, why) = blame(&compiled.expr, paths);
        let (offset, source) = written(parsed, blamed);
        let message = format!("every event has to ask it: `{source}` {why}");
        tell(FindingKind::AlwaysList, Mistake { offset, message });
    }
    Ok((cover, disjuncts))
}

fn never_holds() -> Mistake {
    let message = "it never matches: its conditions contradict each other or are never true".to_owned();
    Mistake { offset: 0, message }
}

/// The conjunctions that can hold, and if none can, why the first of them cannot.
fn possible(
    disjuncts: Option<Vec<Conjunction>>,
    parsed: &Parsed,
    schema: &TriggerSchema,
    paths: &Paths,
) -> (Option<Mistake>, Option<Vec<Conjunction>>) {
    let Some(disjuncts) = disjuncts else { return (None, None) };
    let first = disjuncts.first().and_then(|first| exclude::contradiction(first, schema, paths));
    let alternatives = if disjuncts.len() > 1 { "none of its alternatives can hold; of the first, " } else { "" };
    let never = first.map(|first| contradiction(first, alternatives, parsed));
    let holds = |conjunction: &Conjunction| exclude::contradiction(conjunction, schema, paths).is_none();
    let possible: Vec<Conjunction> = disjuncts.into_iter().filter(holds).collect();
    (never.filter(|_| possible.is_empty()), Some(possible))
}

fn contradiction(found: Contradiction<'_>, alternatives: &str, parsed: &Parsed) -> Mistake {
    let text = |atom: &Atom| match written(parsed, &atom.expr) {
        (offset, source) if atom.as_written => (offset, source),
        (offset, source) => (offset, format!("!({source})")),
    };
    let (offset, why) = match found {
        Contradiction::Alone(atom) => {
            let (offset, source) = text(atom);
            (offset, format!("`{source}` is true of no value that the schema allows"))
        }
        Contradiction::Pair(a, b) => {
            let (offset, source) = text(b);
            (offset, format!("`{}` and `{source}` exclude each other", text(a).1))
        }
    };
    Mistake { offset, message: format!("it never matches: {alternatives}{why}") }
}

/// Where an expression begins, in characters, and how it is written.
fn written(parsed: &Parsed, expr: &Expr) -> (usize, String) {
    match parsed.extent(expr.id) {
        Some((start, end)) => (start, parsed.source().chars().skip(start).take(end - start).collect()),
        None => (0, parsed.source().to_owned()),
    }
}

/// The part of a criterion because of which the index knows nothing of it.
fn blame<'e>(expr: &'e Expr, paths: &Paths) -> (&'e Expr, &'static str) {
    let unknown = |e: &&Expr| cover(e, paths).iter().any(|clause| clause.literals.is_empty());
    match &expr.kind {
        Kind::Or(operands) => match operands.iter().find(unknown) {
            Some(operand) => blame(operand, paths),
            None => (expr, "has too many alternatives for the index"),
        },
        Kind::And(_) => (expr, "has no condition on a field that always has to hold"),
        Kind::Const(_) => (expr, "is true of every event"),
        _ => (expr, "reads no field of the event in every case"),
    }
}

#[cfg(test)]
mod tests;
