//! What is odd about the rules of a trigger: rules that never match, that another makes redundant, that
//! overlap, that no index can find, and what the compiler warns of.
//!
//! Reading order: `atoms` (criteria as disjunctions of conjunctions), `implies` (which follows from which),
//! `pairs` (which rules are compared at all).

mod atoms;
mod implies;
mod pairs;

use std::fmt;
use std::sync::Arc;

use petrel_cel::Paths;
use petrel_cel::compile::{EventTypes, Parsed};
use petrel_cel::expr::{Expr, Kind};
use serde_json::{Value as Json, json};

use crate::cover::cover;
use crate::engine::{ParsedRule, ParsedRules, RuleSource};
use crate::error::CompileError;
use crate::index::Clause;
use crate::names;
use crate::schema::TriggerSchema;
use atoms::Conjunction;

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
    /// It cannot match any event.
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

/// A compiled rule, as it is compared with others.
struct Known<'r> {
    rule: Arc<str>,
    actions: &'r [(String, Json)],
    cover: Vec<Clause>,
    /// Of which one holds exactly when the rule matches; nothing if there would be too many.
    disjuncts: Option<Vec<Conjunction>>,
}

/// Finds what is odd about the rules of one trigger, in the order of the rules. Implications hold for every
/// event on which no criterion exceeds its budget; where they cannot be shown there is no finding.
///
/// # Errors
/// Criteria that do not compile.
pub fn lint(schema: &TriggerSchema, rules: &[LintRule]) -> Result<Vec<Finding>, Vec<CompileError>> {
    let parsed = ParsedRules::parse_located(rules.iter().map(|rule| rule.source.clone())).into_all()?;
    let types = schema.lists_fields().then_some(schema as &dyn EventTypes);
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
        match parsed.compile(names::RULE, &mut paths, types) {
            Ok(compiled) => {
                let at = |mistake| CompileError::new(&rule, parsed.source(), mistake);
                for warning in compiled.warnings.into_iter().chain(compiled.never_bool).map(at) {
                    let finding = Finding::new(FindingKind::UnknownField, &rule, warning.message);
                    findings.push(Finding { line: warning.line, column: warning.column, ..finding });
                }
                let cover = cover(&compiled.expr, &paths);
                findings.extend(alone(&rule, &parsed, &compiled.expr, &cover, &paths));
                known.push(Known { rule, actions, cover, disjuncts: atoms::disjuncts(&compiled.expr) });
            }
            Err(mistakes) => {
                errors.extend(mistakes.into_iter().map(|m| CompileError::new(&rule, parsed.source(), m)));
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    pairs::compare(&known, &paths, &mut findings);
    let order: std::collections::HashMap<&str, usize> =
        known.iter().enumerate().map(|(number, known)| (&*known.rule, number)).collect();
    findings.sort_by_key(|finding| (order.get(&*finding.rule).copied(), finding.kind));
    Ok(findings)
}

/// What can be said of a rule without the others.
fn alone(rule: &Arc<str>, parsed: &Parsed, expr: &Expr, cover: &[Clause], paths: &Paths) -> Option<Finding> {
    if cover.is_empty() {
        let message = "it never matches: its conditions contradict each other or are never true".to_owned();
        return Some(Finding::new(FindingKind::NeverMatches, rule, message));
    }
    if !cover.iter().any(|clause| clause.literals.is_empty()) {
        return None;
    }
    let (blamed, why) = blame(expr, paths);
    let (start, source) = match parsed.extent(blamed.id) {
        Some((start, end)) => (start, parsed.source().chars().skip(start).take(end - start).collect()),
        None => (0, parsed.source().to_owned()),
    };
    let message = format!("every event has to ask it: `{source}` {why}");
    let place = CompileError::new(rule, parsed.source(), petrel_cel::compile::Mistake { offset: start, message });
    let finding = Finding::new(FindingKind::AlwaysList, rule, place.message);
    Some(Finding { line: place.line, column: place.column, ..finding })
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
