//! Rules that were compiled together: their programs and their index.

use petrel_cel::Paths;
use petrel_cel::compile::EventTypes;

use super::RuleIndex;
use super::parsed::{ParsedRule, ParsedRules};
use super::quarantine::Quarantine;
use super::references::References;
use crate::cover::cover;
use crate::error::CompileError;
use crate::index::{Clause, Index, IndexBuilder};
use crate::names;
use crate::program::{Builder, Programs};
use crate::schema::TriggerSchema;

/// A part of a rule set that never changes.
#[derive(Debug)]
pub(super) struct Segment {
    /// Number of its first rule in the set; inside, rules count from 0.
    pub first: usize,
    references: References,
    pub programs: Programs,
    pub index: Index,
    pub quarantine: Quarantine,
    pub warnings: Vec<CompileError>,
}

impl Segment {
    /// Compiles rules, adding what they read to `paths`.
    pub fn build(
        first: usize,
        schema: &TriggerSchema,
        rules: ParsedRules,
        paths: &mut Paths,
    ) -> Result<Self, Vec<CompileError>> {
        let mut references = References::with_capacity(rules.len());
        let (mut programs, mut index) = (Builder::default(), IndexBuilder::new());
        let (mut warnings, mut errors) = (Vec::new(), rules.errors);
        let types = schema.lists_fields().then_some(schema as &dyn EventTypes);
        for (number, ParsedRule { rule, criteria }) in (0..).zip(rules.rules) {
            let Some(parsed) = criteria else {
                programs.add_always();
                index.add(number, vec![Clause::default()]);
                references.push(&rule);
                continue;
            };
            match parsed.compile(names::RULE, paths, types) {
                Ok(compiled) => {
                    programs.add(&compiled.expr);
                    index.add(number, cover(&compiled.expr, paths));
                    let located = |warning| CompileError::new(&rule, parsed.source(), warning);
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
        Ok(Self { first, references, programs: programs.finish(), index, quarantine, warnings })
    }

    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// The reference of a rule, by its number in the set.
    pub fn reference(&self, rule: usize) -> &str {
        self.references.get(rule - self.first)
    }

    pub fn references(&self) -> impl Iterator<Item = (RuleIndex, &str)> {
        (self.first..).map(RuleIndex).zip(self.references.iter())
    }
}
