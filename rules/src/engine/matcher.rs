//! Runs rule sets over events, one event at a time.

use petrel_cel::{Arena, Paths, Slot, SlotId, Value};

use super::evaluation::{Evaluation, Verdict};
use super::{RuleIndex, RuleSet};
use crate::extract::{Doubles, Extractor, InvalidJson, Layout};
use crate::index::Scratch;
use crate::kv::Kv;
use crate::program::{Memo, Scope};
use crate::schema::TriggerSchema;

/// A validated event, with the values of the paths of one layout.
#[derive(Debug, Clone, Copy)]
pub struct ParsedEvent<'a> {
    slots: &'a [Slot<'a>],
    arena: &'a Arena,
}

impl<'a> ParsedEvent<'a> {
    /// Validates the whole document and reads what `layout` names. What it holds lives in `arena` and in
    /// `bytes`.
    ///
    /// # Errors
    /// What is no JSON, is nested deeper than [`crate::limits::JSON_DEPTH_MAX`], is not UTF-8, or has
    /// something behind it.
    pub fn parse(
        bytes: &'a [u8],
        layout: &Layout,
        extractor: &mut Extractor,
        arena: &'a Arena,
    ) -> Result<Self, InvalidJson> {
        Ok(Self { slots: extractor.extract(layout, bytes, arena)?, arena })
    }

    /// Validates a document and reads all of it, with the schema's numbers.
    ///
    /// # Errors
    /// As [`ParsedEvent::parse`].
    pub fn whole(bytes: &'a [u8], schema: &TriggerSchema, arena: &'a Arena) -> Result<Self, InvalidJson> {
        let mut root = Paths::new();
        root.read_whole(SlotId::ROOT);
        Self::parse(bytes, &Layout::new(&root, Doubles::new(schema)), &mut Extractor::new(), arena)
    }

    /// What stands at the layout's paths.
    pub fn slots(&self) -> &'a [Slot<'a>] {
        self.slots
    }

    pub(super) fn arena(&self) -> &'a Arena {
        self.arena
    }

    /// All of the event as one value, if it was read so.
    pub fn root(&self) -> Value<'a> {
        if let Some(Slot::Value(value)) = self.slots.first() { *value } else { Value::Null }
    }

    /// The event as another layout numbers it: `map` has, by the slot there, the slot here.
    pub(crate) fn renumbered(&self, map: &[SlotId]) -> Self {
        let slots = self.arena.bump().alloc_slice_fill_iter(map.iter().map(|slot| self.slots[slot.index()]));
        Self { slots, arena: self.arena }
    }
}

/// Reads events, one at a time, into memory that it uses again.
#[derive(Debug, Default)]
pub struct EventReader {
    extractor: Extractor,
    arena: Arena,
}

impl EventReader {
    /// A reader without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads an event as [`ParsedEvent::parse`] does; the one before is gone.
    ///
    /// # Errors
    /// As [`ParsedEvent::parse`].
    pub fn read<'a>(&'a mut self, payload: &'a [u8], layout: &Layout) -> Result<ParsedEvent<'a>, InvalidJson> {
        self.arena.reset();
        ParsedEvent::parse(payload, layout, &mut self.extractor, &self.arena)
    }
}

/// Runs rule sets on one thread, with buffers of its own; in steady state it allocates nothing.
#[derive(Debug, Default)]
pub struct Matcher {
    reader: EventReader,
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    scratch: Scratch,
    memo: Memo,
    candidates: Vec<u32>,
}

impl Matcher {
    /// A matcher with empty buffers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses an event and runs the rules that may match it: those that the index proposes. `now_ms` is
    /// the record's timestamp. Verdicts come in no particular order; rules that the index rules out have
    /// none.
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
        let event = self.reader.read(event, rules.layout())?;
        self.buffers.decide(rules, &event, now_ms, kv, on);
        Ok(())
    }

    /// As [`Matcher::run`], but runs every rule and asks no index: what the index is measured and tested
    /// against.
    ///
    /// # Errors
    /// As [`Matcher::run`].
    pub fn scan(
        &mut self,
        rules: &RuleSet,
        event: &[u8],
        now_ms: i64,
        kv: &Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) -> Result<(), InvalidJson> {
        let event = self.reader.read(event, rules.layout())?;
        self.buffers.scan(rules, &event, now_ms, kv, on);
        Ok(())
    }

    /// The evaluation of an event that was parsed with the rules' layout, which is asked rule by rule and
    /// asks no index.
    pub fn evaluation<'a>(
        &mut self,
        rules: &'a RuleSet,
        event: &ParsedEvent<'a>,
        now_ms: i64,
        kv: &'a Kv,
    ) -> Evaluation<'a, '_> {
        Evaluation::new(rules, event, Scope { now_ms, kv }, &mut self.buffers.memo)
    }

    /// Runs the rules that may match an event that was parsed with their layout.
    pub fn run_parsed<'a>(
        &mut self,
        rules: &'a RuleSet,
        event: &ParsedEvent<'a>,
        now_ms: i64,
        kv: &'a Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) {
        self.buffers.decide(rules, event, now_ms, kv, on);
    }
}

impl Buffers {
    fn scan<'a>(
        &mut self,
        rules: &'a RuleSet,
        event: &ParsedEvent<'a>,
        now_ms: i64,
        kv: &'a Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) {
        let mut evaluation = Evaluation::new(rules, event, Scope { now_ms, kv }, &mut self.memo);
        for segment in &rules.segments {
            evaluation.ask_all(segment, 0..segment.programs.len(), on);
        }
    }

    fn decide<'a>(
        &mut self,
        rules: &'a RuleSet,
        event: &ParsedEvent<'a>,
        now_ms: i64,
        kv: &'a Kv,
        on: &mut dyn FnMut(RuleIndex, Verdict<'_>),
    ) {
        let Self { scratch, memo, candidates } = self;
        let mut evaluation = Evaluation::new(rules, event, Scope { now_ms, kv }, memo);
        for segment in &rules.segments {
            candidates.clear();
            segment.index.candidates(event.slots, scratch, &mut |rule| candidates.push(rule));
            evaluation.ask_all(segment, candidates.iter().map(|rule| *rule as usize), on);
        }
    }
}
