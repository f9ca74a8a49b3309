//! Criteria, parsed: the slow part of compiling, done on all cores.

use std::sync::Arc;

use petrel_cel::compile::{Mistake, Parsed, on_parser_thread, parse};

use super::RuleSource;
use crate::error::CompileError;
use crate::limits::PARSE_RULES_MIN;

/// Rules whose criteria are parsed, and neither compiled nor indexed.
#[derive(Debug, Default)]
pub struct ParsedRules {
    pub(super) rules: Vec<ParsedRule>,
}

#[derive(Debug)]
pub(super) struct ParsedRule {
    pub rule: Arc<str>,
    pub criteria: Option<Parsed>,
}

impl ParsedRules {
    /// Parses criteria, many of them on as many threads as there are cores.
    ///
    /// # Errors
    /// Every syntax error; [`CompileError::at`] is the rule's reference.
    pub fn parse(rules: impl IntoIterator<Item = RuleSource>) -> Result<Self, Vec<CompileError>> {
        let sources: Vec<RuleSource> = rules.into_iter().collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = sources.len().div_ceil(cores).max(PARSE_RULES_MIN);
        let shares: Vec<Vec<Result<ParsedRule, Vec<CompileError>>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = sources
                .chunks(share)
                .map(|share| scope.spawn(|| on_parser_thread(|| share.iter().map(parse_rule).collect())))
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
        if errors.is_empty() { Ok(Self { rules: parsed }) } else { Err(errors) }
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// The criteria, of rules that have one.
    pub(crate) fn into_criteria(self) -> impl Iterator<Item = Option<Parsed>> {
        self.rules.into_iter().map(|rule| rule.criteria)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn parse_rule(source: &RuleSource) -> Result<ParsedRule, Vec<CompileError>> {
    let criteria = match &source.criteria {
        None => None,
        Some(text) => {
            let located = |mistakes: Vec<Mistake>| {
                mistakes.into_iter().map(|m| CompileError::new(&source.rule, text, m)).collect::<Vec<_>>()
            };
            Some(parse(text).map_err(located)?)
        }
    };
    Ok(ParsedRule { rule: source.rule.clone(), criteria })
}
