//! The workflows of an owner's partitions: those that are at hand.
//!
//! What is at hand is as the open transaction has it. When that is undone, all of it is thrown away, so that nothing
//! survives that was not committed; so is what is of a partition that another member has now.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use petrel_bus::Context;
use petrel_execution::workflow::{Changed, Conduct, Piece, Workflows};
use petrel_execution::{Known, Status, codec};
use petrel_schemas::ExecutionId;

use super::pieces::{self, PieceTooLarge, Stored};

/// Most children of workflows that begin in one step: the others have their turn in steps of their own, and what else is
/// to be done comes in between.
pub(super) const STARTS_MAX: usize = 100;

/// Most of them in one transaction, which may have many steps.
const TRANSACTION_STARTS_MAX: usize = 1_000;

/// Most workflows that a thread of owners has at hand; the others are restored when they are asked.
const AT_HAND_MAX: usize = 4_000;

/// Most bytes of what those have gathered that a thread of owners has at hand; of one there is always room.
pub(super) const AT_HAND_BYTES_MAX: usize = 256 << 20;

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
    /// The pieces that are stored in parts, with how many those are, of the workflows that have been at hand since nothing
    /// was. Most have none.
    parts: HashMap<ExecutionId, (u32, HashMap<String, usize>)>,
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
        self.inner.borrow_mut().open_starts = 0;
    }

    /// Another member has that partition.
    pub(super) fn revoked(&self, partition: u32) {
        let mut inner = self.inner.borrow_mut();
        let gone: Vec<One> = inner.by_id.extract_if(|_, one| one.partition == partition).map(|(_, one)| one).collect();
        for one in gone {
            inner.by_use.remove(&one.used);
            inner.bytes -= one.bytes;
        }
        inner.parts.retain(|_, (of, _)| *of != partition);
    }

    /// A new step begins.
    pub(super) fn begin_step(&self) {
        self.inner.borrow_mut().starts = 0;
    }

    /// It is not to be gone on with as it is.
    pub(super) fn drop_one(&self, id: &ExecutionId) {
        self.inner.borrow_mut().take(id);
    }

    /// Nothing is stored of it any more.
    pub(super) fn forgotten(&self, id: &ExecutionId) {
        self.inner.borrow_mut().parts.remove(id);
    }

    /// Stores a piece that has changed, or removes it. Whoever changes one that others may have written before has asked for
    /// the pieces since nothing was at hand, so that it is known here which of them are stored in parts.
    pub(super) fn write<G>(
        &self,
        context: &mut Context<'_, G>,
        id: &ExecutionId,
        changed: &Changed,
    ) -> Result<(), PieceTooLarge> {
        let mut inner = self.inner.borrow_mut();
        let before = inner.parts.get(id).and_then(|(_, parts)| parts.get(&changed.key)).copied().unwrap_or_default();
        let parts = pieces::write(context, id, changed, before)?;
        if parts != before {
            inner.note(context.partition(), id, &changed.key, parts);
        }
        Ok(())
    }
}

impl Inner {
    /// A piece is stored in so many parts.
    fn note(&mut self, partition: u32, id: &ExecutionId, piece: &str, parts: usize) {
        let (_, of) = self.parts.entry(id.clone()).or_insert_with(|| (partition, HashMap::new()));
        match parts {
            0 => _ = of.remove(piece),
            parts => _ = of.insert(piece.to_owned(), parts),
        }
        if of.is_empty() {
            self.parts.remove(id);
        }
    }

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
        let Stored { pieces, parts } = pieces::read(self.context, id)?;
        let mut inner = self.at_hand.inner.borrow_mut();
        match parts.is_empty() {
            true => _ = inner.parts.remove(id),
            false => _ = inner.parts.insert(id.clone(), (self.context.partition(), parts)),
        }
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
