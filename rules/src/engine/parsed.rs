//! Criteria, parsed: the slow part of compiling, done on all cores.

use std::sync::Arc;

use petrel_cel::compile::{Mistake, Parsed, on_parser_thread, parse, parse_quickly};

use super::RuleSource;
use crate::limits::PARSE_RULES_MIN;
use petrel_cel::CompileError;

/// Rules whose criteria are parsed, and neither compiled nor indexed.
#[derive(Debug, Default)]
pub struct ParsedRules {
    pub(super) rules: Vec<ParsedRule>,
    /// Syntax errors, told by whoever compiles.
    pub(super) errors: Vec<CompileError>,
}

#[derive(Debug)]
pub(crate) struct ParsedRule {
    pub rule: Arc<str>,
    pub criteria: Option<Parsed>,
}

impl ParsedRules {
    /// Parses criteria, many of them on as many threads as there are cores. What is no CEL is told when the
    /// rules are compiled, with all other mistakes.
    pub fn parse(rules: impl IntoIterator<Item = RuleSource>) -> Self {
        Self::parse_by(parse_quickly, rules)
    }

    /// As [`ParsedRules::parse`], but parts of criteria know their places in the text, which takes many times
    /// as long: for telling of them.
    pub(crate) fn parse_located(rules: impl IntoIterator<Item = RuleSource>) -> Self {
        Self::parse_by(parse, rules)
    }

    fn parse_by(parser: Parser, rules: impl IntoIterator<Item = RuleSource>) -> Self {
        let sources: Vec<RuleSource> = rules.into_iter().collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = sources.len().div_ceil(cores).max(PARSE_RULES_MIN);
        let shares: Vec<Vec<Result<ParsedRule, Vec<CompileError>>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = sources
                .chunks(share)
                .map(|share| {
                    scope.spawn(|| on_parser_thread(|| share.iter().map(|rule| parse_rule(parser, rule)).collect()))
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<_>>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect()
        });
        let mut parsed = Vec::with_capacity(sources.len());
        let mut errors = Vec::new();
        for rule in shares.into_iter().flatten() {
            match rule {
                Ok(rule) => parsed.push(rule),
                Err(mistakes) => errors.extend(mistakes),
            }
        }
        Self { rules: parsed, errors }
    }

    /// Number of rules that were parsed.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// The criterion of the first rule, which may have none.
    pub(crate) fn into_first(self) -> Result<Option<Parsed>, Vec<CompileError>> {
        if self.errors.is_empty() {
            Ok(self.rules.into_iter().next().and_then(|r| r.criteria))
        } else {
            Err(self.errors)
        }
    }

    /// All rules with their criteria, in order.
    pub(crate) fn into_all(self) -> Result<Vec<ParsedRule>, Vec<CompileError>> {
        if self.errors.is_empty() { Ok(self.rules) } else { Err(self.errors) }
    }

    /// Whether there is none, nor any mistake.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.errors.is_empty()
    }
}

type Parser = fn(&str) -> Result<Parsed, Vec<Mistake>>;

fn parse_rule(parser: Parser, source: &RuleSource) -> Result<ParsedRule, Vec<CompileError>> {
    let criteria = match &source.criteria {
        None => None,
        Some(text) => {
            let located = |mistakes: Vec<Mistake>| {
                mistakes.into_iter().map(|m| CompileError::new(&source.rule, text, m)).collect::<Vec<_>>()
            };
            Some(parser(text).map_err(located)?)
        }
    };
    Ok(ParsedRule { rule: source.rule.clone(), criteria })
}
