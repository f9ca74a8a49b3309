//! The rules of one trigger, compiled, and their verdicts on an event.
//!
//! The boundary that an indexed engine keeps: [`RuleSet::compile`] once per revision, a [`Matcher`] per
//! thread over raw bytes (or over a [`ParsedEvent`] that several sets share), a [`Verdict`] per rule. An
//! indexed engine only calls back for candidates, so callers must not count on hearing of every rule.

use std::sync::Arc;

use crate::event::ParsedEvent;
use crate::expr::{
    CompileError, EvalError, Expr, Failure, Names, Quick, Reads, Scope, Slots, compile, on_parser_thread, position,
};
use crate::json::{InvalidJson, Shape};
use crate::kv::Kv;
use crate::schema_check::{SchemaCheck, SchemaViolation, TriggerSchema};

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// Its reference, `pack.name`.
    pub rule: Arc<str>,
    /// Its criterion in CEL; none is a rule that matches every event.
    pub criteria: Option<String>,
}

/// The number of a rule in its set, from 0, in the order of compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub usize);

/// What a criterion says of an event. Only [`Verdict::True`] is a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is exactly `true`.
    True,
    /// It is `false`.
    False,
    /// It needs this field or key, which is not there: a plain no match.
    Missing(&'a str),
    /// It has no value or one that is no bool: no match, and counted.
    Error(&'a EvalError),
}

#[derive(Debug)]
struct Rule {
    rule: Arc<str>,
    criteria: Option<Expr>,
    quick: Option<Quick>,
}

/// The compiled rules of one trigger, with what they need of its schema.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    slots: Slots,
    shape: Shape,
    check: SchemaCheck,
}

impl RuleSet {
    /// Compiles the criteria of a trigger's rules.
    ///
    /// # Errors
    /// Every mistake in every criterion; [`CompileError::at`] is the rule's reference.
    pub fn compile(
        schema: &TriggerSchema,
        rules: impl IntoIterator<Item = RuleSource>,
    ) -> Result<Self, Vec<CompileError>> {
        let sources: Vec<RuleSource> = rules.into_iter().collect();
        let mut errors = Vec::new();
        let build = |errors: &mut Vec<CompileError>| -> Vec<Rule> {
            sources.into_iter().filter_map(|source| compile_rule(source, errors)).collect()
        };
        let rules = on_parser_thread(|| build(&mut errors));
        if !errors.is_empty() {
            return Err(errors);
        }
        let (rules, slots) = with_quick(rules);
        let mut reads = Reads::default();
        rules.iter().filter_map(|r| r.criteria.as_ref()).for_each(|c| reads.merge(c.reads()));
        let check = schema.check(&reads);
        let mut keep = reads.keep();
        keep.merge(&check.keep);
        Ok(Self { rules, slots, shape: Shape { keep, doubles: schema.doubles() }, check })
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Reference of a rule of this set.
    ///
    /// # Panics
    /// If there is no rule of that number.
    pub fn rule(&self, index: RuleIndex) -> &Arc<str> {
        &self.rules[index.0].rule
    }

    pub(crate) fn references(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|r| &r.rule)
    }

    /// What these rules, and [`RuleSet::check`], need of an event.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Checks what the schema requires, and the types of the paths that these rules read. The event must
    /// have been parsed with at least [`RuleSet::shape`].
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, event: &ParsedEvent<'_>) -> Result<(), SchemaViolation> {
        self.check.check(event)
    }
}

/// Adds to each rule what can decide it without the interpreter.
fn with_quick(mut rules: Vec<Rule>) -> (Vec<Rule>, Slots) {
    let mut slots = Slots::default();
    for rule in &mut rules {
        rule.quick = rule.criteria.as_ref().and_then(|c| Quick::compile(c, &mut slots));
    }
    (rules, slots)
}

fn compile_rule(source: RuleSource, errors: &mut Vec<CompileError>) -> Option<Rule> {
    let Some(text) = source.criteria else {
        return Some(Rule { rule: source.rule, criteria: None, quick: None });
    };
    match compile(&text, Names::Rule) {
        Ok(criteria) => Some(Rule { rule: source.rule, criteria: Some(criteria), quick: None }),
        Err(mistakes) => {
            errors.extend(mistakes.into_iter().map(|mistake| {
                let (line, column) = position(&text, mistake.offset);
                CompileError { at: source.rule.to_string(), line, column, message: mistake.message }
            }));
            None
        }
    }
}

/// Runs rule sets on one thread, with buffers of its own.
#[derive(Debug, Default)]
pub struct Matcher {}

impl Matcher {
    /// A matcher with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses an event and runs all rules on it. `now_ms` is the record's timestamp.
    ///
    /// # Errors
    /// What is no JSON; no rule has run then.
    pub fn run(
        &mut self,
        rules: &RuleSet,
        event: &[u8],
        now_ms: i64,
        kv: &Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) -> Result<(), InvalidJson> {
        let event = ParsedEvent::parse(event, rules.shape())?;
        self.run_parsed(rules, &event, now_ms, kv, on);
        Ok(())
    }

    /// Runs all rules on an event that was parsed with at least their shape.
    pub fn run_parsed(
        &mut self,
        rules: &RuleSet,
        event: &ParsedEvent<'_>,
        now_ms: i64,
        kv: &Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) {
        let scope = Scope::rule(event, now_ms, kv);
        let values = rules.slots.read(&scope);
        for (index, rule) in rules.rules.iter().enumerate() {
            let index = RuleIndex(index);
            let decided = rule.quick.as_ref().and_then(|quick| quick.decide(&values));
            let interpret = || rule.criteria.as_ref().map_or(Ok(true), |c| c.is_true(&scope));
            match decided.map_or_else(interpret, Ok) {
                Ok(true) => on(index, Verdict::True),
                Ok(false) => on(index, Verdict::False),
                Err(Failure::Missing(name)) => on(index, Verdict::Missing(&name)),
                Err(Failure::Error(error)) => on(index, Verdict::Error(&error)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
