//! Rules that were compiled together: their programs and their index.

use std::ops::Range;

use petrel_cel::Paths;
use petrel_cel::compile::EventTypes;

use super::RuleIndex;
use super::parsed::{ParsedRule, ParsedRules};
use super::quarantine::Quarantine;
use super::references::References;
use crate::cover::cover;
use crate::extract::RuleReads;
use crate::index::{Clause, Index, IndexBuilder};
use crate::program::{Builder, Programs};
use crate::schema::TriggerSchema;
use petrel_cel::CompileError;
use petrel_cel::names;

/// A part of a rule set that never changes.
#[derive(Debug)]
pub(super) struct Segment {
    /// Numbers of its rules in the set; inside, rules count from 0.
    numbers: Range<usize>,
    /// Numbers of its shared leaves in the set.
    shared_leaves: Range<usize>,
    references: References,
    pub programs: Programs,
    pub index: Index,
    pub quarantine: Quarantine,
    /// What each rule reads.
    pub reads: RuleReads,
    /// With the numbers of their rules here.
    pub warnings: Vec<(usize, CompileError)>,
}

impl Segment {
    /// Compiles rules that come behind those of `before`, adding what they read to `paths`.
    pub fn build(
        before: Option<&Self>,
        schema: &TriggerSchema,
        rules: ParsedRules,
        paths: &mut Paths,
    ) -> Result<Self, Vec<CompileError>> {
        let mut references = References::with_capacity(rules.len());
        let (mut programs, mut index) = (Builder::default(), IndexBuilder::new());
        let (mut reads, mut warnings, mut errors) = (RuleReads::default(), Vec::new(), rules.errors);
        let types = schema.lists_fields().then_some(schema as &dyn EventTypes);
        for (number, ParsedRule { rule, criteria }) in (0..).zip(rules.rules) {
            let Some(parsed) = criteria else {
                programs.add_always();
                index.add(number, vec![Clause::default()]);
                reads.push(None);
                references.push(&rule);
                continue;
            };
            match parsed.compile(names::RULE, paths, types) {
                Ok(compiled) => {
                    programs.add(&compiled.expr);
                    index.add(number, cover(&compiled.expr, paths));
                    reads.push(Some(&compiled.expr));
                    let located = |warning| (number as usize, CompileError::new(&rule, parsed.source(), warning));
                    warnings.extend(compiled.warnings.into_iter().chain(compiled.never_bool).map(located));
                }
                Err(mistakes) => {
                    errors.extend(mistakes.into_iter().map(|m| CompileError::new(&rule, parsed.source(), m)));
                }
            }
            references.push(&rule);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let index = index.finish();
        let quarantine = Quarantine::new(references.len());
        references.shrink();
        reads.shrink();
        let programs = programs.finish();
        let (first, first_leaf) = before.map_or((0, 0), |before| (before.numbers.end, before.shared_leaves.end));
        let numbers = first..first + references.len();
        let shared_leaves = first_leaf..first_leaf + programs.shared_leaves();
        Ok(Self { numbers, shared_leaves, references, programs, index, quarantine, reads, warnings })
    }

    pub fn numbers(&self) -> Range<usize> {
        self.numbers.clone()
    }

    pub fn shared_leaves(&self) -> Range<usize> {
        self.shared_leaves.clone()
    }

    /// The reference of a rule, by its number in the set.
    pub fn reference(&self, rule: usize) -> &str {
        self.references.get(rule - self.numbers.start)
    }

    pub fn references(&self) -> impl Iterator<Item = (RuleIndex, &str)> {
        self.numbers.clone().map(RuleIndex).zip(self.references.iter())
    }
}
