//! The workflows of an owner's partitions: those that are at hand.
//!
//! What is at hand is as the open transaction has it. When that is undone, all of it is thrown away, so that nothing
//! survives that was not committed; so is what is of a partition that another member has now.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use petrel_bus::Context;
use petrel_execution::workflow::{Changed, Conduct, Piece, Workflows};
use petrel_execution::{Known, Status, TimerKind, codec};
use petrel_schemas::ExecutionId;

use super::layout::Layout;
use super::pieces::{self, PieceTooLarge, Stored};

/// Most children of workflows that begin in one step: the others have their turn in steps of their own, and what else is
/// to be done comes in between.
pub(super) const STARTS_MAX: usize = 100;

/// Most of them in one transaction, which may have many steps.
const TRANSACTION_STARTS_MAX: usize = 4_000;

/// Most workflows that a thread of owners has at hand; the others are restored when they are asked.
const AT_HAND_MAX: usize = 10_000;

/// Most bytes of what those have gathered that a thread of owners has at hand; of one there is always room.
pub(super) const AT_HAND_BYTES_MAX: usize = 256 << 20;

/// So many workflows it is known of at most how they are stored though they are not at hand, once a transaction is over.
const LAYOUTS_BESIDE_MAX: usize = 1_000;

/// Most pieces that are removed in one step.
pub(super) const FORGOTTEN_MAX: usize = 1_000;

/// The workflows that are at hand, of all partitions of a thread.
#[derive(Default)]
pub(super) struct AtHand {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<ExecutionId, One>,
    by_use: BTreeMap<u64, ExecutionId>,
    /// About how many bytes all of them have gathered.
    bytes: usize,
    uses: u64,
    starts: usize,
    /// Those of the steps since the last commit.
    open_starts: usize,
    /// How the pieces of those at hand are stored, and of those that were asked for and are not at hand again yet.
    layouts: HashMap<ExecutionId, Layout>,
    /// Number of the open transaction.
    transaction: u64,
}

/// A workflow that is at hand.
struct One {
    partition: u32,
    /// When it was asked last.
    used: u64,
    /// About how many bytes it has gathered.
    bytes: usize,
    conduct: Box<dyn Conduct>,
}

impl AtHand {
    /// Nothing is at hand any more.
    pub(super) fn clear(&self) {
        *self.inner.borrow_mut() = Inner::default();
    }

    /// The open transaction is committed.
    pub(super) fn committed(&self) {
        let inner = &mut *self.inner.borrow_mut();
        inner.open_starts = 0;
        inner.transaction += 1;
        if inner.layouts.len() > inner.by_id.len() + LAYOUTS_BESIDE_MAX {
            inner.layouts.retain(|id, _| inner.by_id.contains_key(id));
        }
    }

    /// Another member has that partition.
    pub(super) fn revoked(&self, partition: u32) {
        let mut inner = self.inner.borrow_mut();
        let gone: Vec<One> = inner.by_id.extract_if(|_, one| one.partition == partition).map(|(_, one)| one).collect();
        for one in gone {
            inner.by_use.remove(&one.used);
            inner.bytes -= one.bytes;
        }
        inner.layouts.retain(|_, layout| layout.partition != partition);
    }

    /// A new step begins.
    pub(super) fn begin_step(&self) {
        self.inner.borrow_mut().starts = 0;
    }

    /// It is not to be gone on with as it is.
    pub(super) fn drop_one(&self, id: &ExecutionId) {
        let mut inner = self.inner.borrow_mut();
        inner.take(id);
        inner.layouts.remove(id);
    }

    /// Nothing is stored of it any more.
    pub(super) fn forgotten(&self, id: &ExecutionId) {
        self.inner.borrow_mut().layouts.remove(id);
    }

    /// A piece has changed, or is gone. Whoever changes one that others may have written before has asked for the pieces
    /// since nothing was at hand, so that it is known here how they are stored. [`Self::store`] follows.
    pub(super) fn write<G>(
        &self,
        context: &mut Context<'_, G>,
        id: &ExecutionId,
        changed: &Changed,
    ) -> Result<(), PieceTooLarge> {
        let inner = &mut *self.inner.borrow_mut();
        let transaction = inner.transaction;
        if let Some(layout) = inner.layouts.get_mut(id) {
            return layout.write(context, id, changed, transaction);
        }
        let mut layout = Layout::new(context.partition());
        let written = layout.write(context, id, changed, transaction);
        inner.layouts.insert(id.clone(), layout);
        written
    }

    /// Whether that is a timer of a workflow of which it is known here that it is not set.
    pub(super) fn has_no_timer(&self, id: &ExecutionId, kind: TimerKind) -> bool {
        let is_unset = |layout: &Layout| layout.has_timer == Some(false);
        kind == TimerKind::Conduct && self.inner.borrow().layouts.get(id).is_some_and(is_unset)
    }

    /// A timer was set, or is not set any more.
    pub(super) fn timer_is(&self, id: &ExecutionId, kind: TimerKind, is_set: bool) {
        if kind != TimerKind::Conduct {
            return;
        }
        if let Some(layout) = self.inner.borrow_mut().layouts.get_mut(id) {
            layout.has_timer = Some(is_set);
        }
    }

    /// Stores what has changed and is not stored yet.
    pub(super) fn store<G>(&self, context: &mut Context<'_, G>, id: &ExecutionId) -> Result<(), PieceTooLarge> {
        let inner = &mut *self.inner.borrow_mut();
        let Some(layout) = inner.layouts.get_mut(id) else { return Ok(()) };
        layout.pages.store(context, id)?;
        // One that is over is not at hand any more.
        if !inner.by_id.contains_key(id) {
            inner.layouts.remove(id);
        }
        Ok(())
    }
}

impl Inner {
    fn take(&mut self, id: &ExecutionId) -> Option<Box<dyn Conduct>> {
        let One { used, bytes, conduct, .. } = self.by_id.remove(id)?;
        self.by_use.remove(&used);
        self.bytes -= bytes;
        Some(conduct)
    }

    fn keep(&mut self, partition: u32, id: &ExecutionId, conduct: Box<dyn Conduct>) {
        self.take(id);
        self.uses += 1;
        let one = One { partition, used: self.uses, bytes: conduct.gathered_bytes(), conduct };
        self.bytes += one.bytes;
        self.by_use.insert(one.used, id.clone());
        self.by_id.insert(id.clone(), one);
        while (self.by_id.len() > AT_HAND_MAX || self.bytes > AT_HAND_BYTES_MAX) && self.by_id.len() > 1 {
            let Some(eldest) = self.by_use.first_key_value().map(|(_, eldest)| eldest.clone()) else { return };
            self.take(&eldest);
            self.layouts.remove(&eldest);
        }
    }
}

/// The workflows of a partition, as a step asks for them.
pub(super) struct OfStep<'a, 'c, G> {
    pub(super) context: &'a Context<'c, G>,
    pub(super) at_hand: &'a AtHand,
}

impl<G> Workflows for OfStep<'_, '_, G> {
    fn take(&self, id: &ExecutionId) -> Option<Box<dyn Conduct>> {
        self.at_hand.inner.borrow_mut().take(id)
    }

    fn keep(&self, id: &ExecutionId, conduct: Box<dyn Conduct>) {
        self.at_hand.inner.borrow_mut().keep(self.context.partition(), id, conduct);
    }

    fn pieces(&self, id: &ExecutionId) -> Result<Vec<Piece>, String> {
        let Stored { pieces, parts, pages } = pieces::read(self.context, id)?;
        let layout = Layout { parts, pages, ..Layout::new(self.context.partition()) };
        self.at_hand.inner.borrow_mut().layouts.insert(id.clone(), layout);
        Ok(pieces)
    }

    fn known(&self, id: &ExecutionId) -> Option<Known> {
        codec::from_bytes(&self.context.get(id.as_str().as_bytes())?).ok()
    }

    fn children(&self, id: &ExecutionId) -> Vec<(ExecutionId, Status)> {
        let prefix = format!("{id}.").into_bytes();
        let below = self.context.scan(&prefix).take_while(|(key, _)| key.starts_with(&prefix));
        // Theirs, and pieces, stand at longer keys.
        let is_child = |key: &[u8]| key[prefix.len()..].iter().all(u8::is_ascii_digit);
        let of_children = below.filter(|(key, _)| is_child(key));
        let live = of_children.filter_map(|(_, value)| match codec::from_bytes(&value) {
            Ok(Known::Live(execution)) => Some((execution.id().clone(), execution.status())),
            _ => None,
        });
        live.collect()
    }

    fn starts_left(&self) -> usize {
        let inner = self.at_hand.inner.borrow();
        let of_transaction = TRANSACTION_STARTS_MAX.saturating_sub(inner.open_starts);
        STARTS_MAX.saturating_sub(inner.starts).min(of_transaction)
    }

    fn started(&self, count: usize) {
        let mut inner = self.at_hand.inner.borrow_mut();
        inner.starts += count;
        inner.open_starts += count;
    }
}
