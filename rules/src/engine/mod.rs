//! The rules of one trigger, compiled and indexed, and their verdicts on an event.
//!
//! A [`RuleSet`] is immutable and shared between threads; each thread has a [`Matcher`]. A change of a few
//! rules makes a new set that shares everything else with the old one ([`RuleSet::update`]); whoever
//! publishes sets swaps one pointer, between two batches.

mod evaluation;
mod matcher;
mod parsed;
mod quarantine;
mod references;
mod segment;

use std::sync::Arc;

use petrel_cel::{Paths, SlotId};

use crate::extract::{Doubles, Layout, Reads, SchemaCheck};
use crate::index::Index;
use crate::limits::{RULE_SET_PARTS_MAX, RULE_SET_REMOVED_PERCENT_MAX};
use crate::schema::{SchemaViolation, TriggerSchema};
use petrel_cel::CompileError;

pub use evaluation::{Evaluation, Verdict};
pub use matcher::{EventReader, Matcher, ParsedEvent};
pub(crate) use parsed::ParsedRule;
pub use parsed::ParsedRules;
use segment::Segment;

/// A rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// Its reference, `pack.name`.
    pub rule: Arc<str>,
    /// Its criterion in CEL; none is a rule that matches every event.
    pub criteria: Option<String>,
}

/// The number of a rule in its set, from 0, in the order of compilation. An update never renumbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub usize);

/// What a rule set is made of, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleSetStats {
    /// Rules that are in force.
    pub rules: usize,
    /// Rules that no index can find, and that every event pays for.
    pub always: usize,
    /// Rules that used up their budget too often and are not asked any more.
    pub quarantined: usize,
    /// Resident bytes of the index.
    pub index_bytes: usize,
    /// Resident bytes of the programs, regular expressions and the like left out.
    pub program_bytes: usize,
    /// Parts that updates have left; each is searched.
    pub segments: usize,
    /// Sub-expressions that are evaluated at most once per event, whichever rules ask.
    pub shared: usize,
}

/// The compiled rules of one trigger, with what they need of its schema.
#[derive(Debug)]
pub struct RuleSet {
    schema: Arc<TriggerSchema>,
    segments: Vec<Arc<Segment>>,
    /// Rules that updates have taken out, by number.
    removed: Arc<Removed>,
    paths: Paths,
    /// Of the rules in force.
    reads: Reads,
    layout: Layout,
    /// All of an event in one slot, with the schema's numbers.
    whole: Layout,
    check: SchemaCheck,
}

/// A set of rules' numbers.
#[derive(Debug, Clone, Default)]
struct Removed {
    words: Vec<u64>,
    count: usize,
}

impl Removed {
    fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether a rule is among those of [`Removed::words`].
    #[inline(always)]
    fn holds(words: &[u64], rule: usize) -> bool {
        words.get(rule / 64).is_some_and(|word| word >> (rule % 64) & 1 == 1)
    }

    fn contains(&self, rule: usize) -> bool {
        Self::holds(&self.words, rule)
    }

    /// Adds a rule; whether it is new.
    fn insert(&mut self, rule: usize) -> bool {
        if self.contains(rule) {
            return false;
        }
        self.words.resize(self.words.len().max(rule / 64 + 1), 0);
        self.words[rule / 64] |= 1 << (rule % 64);
        self.count += 1;
        true
    }
}

impl RuleSet {
    /// Parses and compiles the criteria of a trigger's rules.
    ///
    /// # Errors
    /// Every mistake in every criterion; [`CompileError::at`] is the rule's reference.
    pub fn compile(
        schema: &TriggerSchema,
        rules: impl IntoIterator<Item = RuleSource>,
    ) -> Result<Self, Vec<CompileError>> {
        Self::build(schema, ParsedRules::parse(rules))
    }

    /// Compiles and indexes rules that were parsed before.
    ///
    /// # Errors
    /// As [`RuleSet::compile`].
    pub fn build(schema: &TriggerSchema, rules: ParsedRules) -> Result<Self, Vec<CompileError>> {
        let (mut paths, mut reads) = (Paths::new(), Reads::default());
        let segment = Segment::build(None, schema, rules, &mut paths)?;
        reads.add(segment.reads.all(), &paths);
        let schema = Arc::new(schema.clone());
        Ok(Self::new(schema, vec![Arc::new(segment)], Arc::default(), paths, reads))
    }

    fn new(
        schema: Arc<TriggerSchema>,
        segments: Vec<Arc<Segment>>,
        removed: Arc<Removed>,
        mut paths: Paths,
        reads: Reads,
    ) -> Self {
        // What a removed rule read is not built for the others.
        paths.set_whole(|slot| reads.whole(slot));
        let check = SchemaCheck::new(&schema, &reads, &mut paths);
        let layout = Layout::new(&paths, Doubles::new(&schema));
        let mut root = Paths::new();
        root.read_whole(SlotId::ROOT);
        let whole = Layout::new(&root, Doubles::new(&schema));
        Self { schema, segments, removed, paths, reads, layout, whole, check }
    }

    /// This set without some rules and with others, which get the next numbers. It shares all that is
    /// unchanged, so that it is made in microseconds. It matches and refuses events as one that is made of the
    /// same rules anew; its index may rule out others, so that errors and missing fields may be counted of
    /// others, and rules that stay in quarantine are those that were. What was removed keeps its memory and
    /// its places in the layout, and each update that adds rules leaves a part that every event has to search:
    /// after many of them a set should be compiled anew ([`RuleSet::has_room_for`]).
    ///
    /// # Errors
    /// As [`RuleSet::compile`], of the rules that are added.
    pub fn update(
        &self,
        without: &[RuleIndex],
        with: impl IntoIterator<Item = RuleSource>,
    ) -> Result<Self, Vec<CompileError>> {
        let parsed = ParsedRules::parse(with);
        let (mut paths, mut reads) = (self.paths.clone(), self.reads.clone());
        let (mut segments, mut removed) = (self.segments.clone(), self.removed.clone());
        for rule in without.iter().filter(|rule| rule.0 < self.numbers()) {
            if Arc::make_mut(&mut removed).insert(rule.0) {
                let segment = self.segment_of(*rule);
                reads.remove(segment.reads.of(rule.0 - segment.numbers().start), &paths);
            }
        }
        if !parsed.is_empty() {
            let last = segments.last().map(|last| &**last);
            let segment = Segment::build(last, &self.schema, parsed, &mut paths)?;
            reads.add(segment.reads.all(), &paths);
            segments.push(Arc::new(segment));
        }
        Ok(Self::new(self.schema.clone(), segments, removed, paths, reads))
    }

    /// Whether one more update, which removes and adds so many rules, is better than compiling everything anew.
    pub fn has_room_for(&self, without: usize, with: usize) -> bool {
        let removed = self.removed.count + without;
        (with == 0 || self.segments.len() < RULE_SET_PARTS_MAX)
            && removed * 100 <= (self.numbers() + with) * RULE_SET_REMOVED_PERCENT_MAX
    }

    /// Rules' numbers that were ever given, those of removed rules too.
    fn numbers(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.numbers().end)
    }

    /// Leaves that are evaluated once per event.
    fn shared_leaves(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.shared_leaves().end)
    }

    /// Number of rules in force.
    pub fn len(&self) -> usize {
        self.numbers() - self.removed.count
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reference of a rule of this set.
    ///
    /// # Panics
    /// If there is no rule of that number.
    pub fn rule(&self, index: RuleIndex) -> &str {
        self.segment_of(index).reference(index.0)
    }

    /// The number of the rule in force that has this reference.
    pub fn find(&self, reference: &str) -> Option<RuleIndex> {
        self.rules().find(|(_, rule)| *rule == reference).map(|(number, _)| number)
    }

    /// The index that finds a rule, and the rule's number in it.
    pub(crate) fn index_of(&self, rule: RuleIndex) -> (&Index, u32) {
        let segment = self.segment_of(rule);
        // Numbers of a segment's rules fit: its entries count in them.
        (&segment.index, (rule.0 - segment.numbers().start) as u32)
    }

    fn segment_of(&self, rule: RuleIndex) -> &Segment {
        &self.segments[self.segments.partition_point(|segment| segment.numbers().start <= rule.0) - 1]
    }

    /// The rules in force, in order.
    pub fn rules(&self) -> impl Iterator<Item = (RuleIndex, &str)> {
        let all = self.segments.iter().flat_map(|segment| segment.references());
        all.filter(|(rule, _)| !self.removed.contains(rule.0))
    }

    /// What these rules, and [`RuleSet::check`], need of an event.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What it takes to read all of an event: its root as one value.
    pub(crate) fn whole_layout(&self) -> &Layout {
        &self.whole
    }

    /// The schema that the rules were compiled for.
    pub fn schema(&self) -> &TriggerSchema {
        &self.schema
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// What is allowed but cannot be meant, by rule: fields that no event of the schema has, comparisons
    /// that are never true.
    pub fn warnings(&self) -> impl Iterator<Item = &CompileError> {
        let all = self.segments.iter().flat_map(|segment| {
            segment.warnings.iter().map(|(rule, warning)| (segment.numbers().start + rule, warning))
        });
        all.filter(|(rule, _)| !self.removed.contains(*rule)).map(|(_, warning)| warning)
    }

    /// What the set is made of.
    pub fn stats(&self) -> RuleSetStats {
        let (rules, segments, shared) = (self.len(), self.segments.len(), self.shared_leaves());
        let mut stats = RuleSetStats { rules, segments, shared, ..RuleSetStats::default() };
        for segment in &self.segments {
            let in_force = |rule: usize| !self.removed.contains(segment.numbers().start + rule);
            stats.always += segment.index.always().iter().filter(|rule| in_force(**rule as usize)).count();
            stats.quarantined += segment.quarantine.rules().filter(|rule| in_force(*rule)).count();
            stats.index_bytes += segment.index.stats().bytes;
            stats.program_bytes += segment.programs.bytes();
        }
        stats
    }

    /// Checks what the schema requires, and the types of the paths that these rules read.
    ///
    /// # Errors
    /// The first violation.
    pub fn check(&self, event: &ParsedEvent<'_>) -> Result<(), SchemaViolation> {
        self.check.check(event.slots())
    }
}

#[cfg(test)]
mod tests;
