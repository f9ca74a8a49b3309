//! What the rules of a set say of one event.

use std::ops::Range;

use petrel_cel::Fault;

use super::matcher::ParsedEvent;
use super::segment::Segment;
use super::{Removed, RuleIndex, RuleSet};
use crate::program::{Memo, Out, Run, Scope};

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
    Error(Fault<'a>),
}

impl<'a> From<Fault<'a>> for Verdict<'a> {
    fn from(fault: Fault<'a>) -> Self {
        match fault {
            Fault::Missing(name) => Self::Missing(name),
            fault => Self::Error(fault),
        }
    }
}

/// The evaluation of one event, which is asked rule by rule. What rules share is evaluated once.
pub struct Evaluation<'a, 'm> {
    rules: &'a RuleSet,
    /// Rules that were removed from the set, a bit each.
    removed: &'a [u64],
    /// The segment that was asked last, and the numbers of its rules in the set: here, so that a question need
    /// not follow the segment for them.
    segment: &'a Segment,
    numbers: Range<usize>,
    run: Run<'a, 'm>,
}

impl<'a, 'm> Evaluation<'a, 'm> {
    #[inline]
    pub(super) fn new(rules: &'a RuleSet, event: &ParsedEvent<'a>, scope: Scope<'a>, memo: &'m mut Memo) -> Self {
        memo.begin(rules.shared_leaves());
        let run = Run::new(rules.paths(), event.slots(), scope, event.arena(), memo);
        // A set has one segment at least.
        let first = &*rules.segments[0];
        let mut evaluation = Self { rules, removed: rules.removed.words(), segment: first, numbers: 0..0, run };
        evaluation.turn_to(first);
        evaluation
    }

    /// What a rule says of the event; nothing if it was removed, or never was. Each question that ends in an error
    /// takes a little of the event's memory.
    #[inline]
    pub fn verdict(&mut self, rule: RuleIndex) -> Option<Verdict<'a>> {
        if !self.numbers.contains(&rule.0) {
            let segment = self.rules.segments.iter().find(|segment| segment.numbers().contains(&rule.0))?;
            self.turn_to(segment);
        }
        self.ask(rule.0 - self.numbers.start)
    }

    /// Asks rules of a segment, by their numbers there.
    #[inline(always)]
    pub(super) fn ask_all(
        &mut self,
        segment: &'a Segment,
        asked: impl Iterator<Item = usize>,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) {
        self.turn_to(segment);
        for rule in asked {
            if let Some(verdict) = self.ask(rule) {
                on(RuleIndex(self.numbers.start + rule), verdict);
            }
        }
    }

    fn turn_to(&mut self, segment: &'a Segment) {
        (self.segment, self.numbers) = (segment, segment.numbers());
        self.run.turn_to(&segment.programs, segment.shared_leaves().start);
    }

    /// Asks a rule of the segment that is turned to.
    #[inline(always)]
    fn ask(&mut self, rule: usize) -> Option<Verdict<'a>> {
        if Removed::holds(self.removed, self.numbers.start + rule) {
            return None;
        }
        if self.segment.quarantine.holds(rule) {
            return Some(Verdict::Error(Fault::Quarantined));
        }
        Some(match self.run.rule(rule) {
            Out::TRUE => Verdict::True,
            Out::FALSE => Verdict::False,
            failed => self.failed(rule, failed),
        })
    }

    #[cold]
    fn failed(&self, rule: usize, failed: Out) -> Verdict<'a> {
        let fault = self.run.told(failed);
        self.segment.quarantine.note(rule, &fault);
        fault.into()
    }
}
