//! Timers that a transaction changed, over those of the store, and which is the earliest of both.
//!
//! Taken timers leave a long trail of removed entries at the front of a store on disk. So the state
//! remembers how far there is nothing, and looks from there on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::store::{DueTimer, StateStore, StoreError, Timer, TimerKind};

#[derive(Debug, Default)]
pub(super) struct OpenTimers {
    by_key: BTreeMap<Vec<u8>, Option<Timer>>,
    due: BTreeSet<(TimerKind, DueTimer)>,
    /// By kind.
    fronts: RefCell<[Front; 2]>,
}

/// Where the store's timers of one kind begin.
#[derive(Debug, Clone)]
struct Front {
    /// The store has none below, but for those that the open transaction changed.
    from: DueTimer,
    /// The store has none below at all.
    committed: DueTimer,
    /// The first that is not changed, if that is known.
    first: Option<Option<DueTimer>>,
}

impl Default for Front {
    fn default() -> Self {
        Self { from: DueTimer::FIRST, committed: DueTimer::FIRST, first: None }
    }
}

impl OpenTimers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether the open transaction changed a key's timer.
    pub(super) fn is_changed(&self, key: &[u8]) -> bool {
        self.by_key.contains_key(key)
    }

    /// What the open transaction made of a key's timer, if it changed it.
    pub(super) fn changed(&self, key: &[u8]) -> Option<Option<Timer>> {
        self.by_key.get(key).copied()
    }

    /// What the open transaction changed, by key.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&[u8], Option<Timer>)> {
        self.by_key.iter().map(|(key, timer)| (key.as_slice(), *timer))
    }

    /// Sets or removes a key's timer; `stored` is what the store has.
    pub(super) fn set(&mut self, key: &[u8], stored: Option<Timer>, timer: Option<Timer>) {
        if let Some(Some(old)) = self.by_key.remove(key) {
            self.due.remove(&(old.kind, DueTimer { due_ms: old.due_ms, key: key.to_vec() }));
        }
        if let Some(stored) = stored {
            self.cover(stored, key, timer == Some(stored));
        }
        // As it was before the transaction: nothing to write.
        if timer == stored {
            return;
        }
        self.by_key.insert(key.to_vec(), timer);
        if let Some(timer) = timer {
            self.due.insert((timer.kind, DueTimer { due_ms: timer.due_ms, key: key.to_vec() }));
        }
    }

    /// The earliest timer of a kind.
    pub(super) fn next(&self, kind: TimerKind, store: &dyn StateStore) -> Result<Option<DueTimer>, StoreError> {
        let open = self.of_kind(kind).next();
        let stored = self.first_stored(kind, store)?;
        Ok(open.cloned().into_iter().chain(stored).min())
    }

    /// Removes and returns timers of a kind that are due, in order.
    pub(super) fn take_due(
        &mut self,
        kind: TimerKind,
        now_ms: i64,
        max: usize,
        store: &dyn StateStore,
    ) -> Result<Vec<DueTimer>, StoreError> {
        let is_due = |timer: &DueTimer| timer.due_ms <= now_ms;
        let open: Vec<DueTimer> = self.of_kind(kind).take_while(|t| is_due(t)).take(max).cloned().collect();
        let mut due: Vec<(DueTimer, bool)> = open.into_iter().map(|timer| (timer, false)).collect();
        if self.first_stored(kind, store)?.is_some_and(|first| is_due(&first)) {
            let from = self.fronts.borrow()[index(kind)].from.clone();
            let mut found = 0;
            for timer in store.timers(kind, &from) {
                let timer = timer?;
                if !is_due(&timer) || found >= max {
                    break;
                }
                if !self.by_key.contains_key(&timer.key) {
                    found += 1;
                    due.push((timer, true));
                }
            }
        }
        due.sort();
        due.truncate(max);
        for (DueTimer { due_ms, key }, is_stored) in &due {
            let timer = Timer { kind, due_ms: *due_ms };
            let stored = if *is_stored { Some(timer) } else { store.timer(key)? };
            self.set(key, stored, None);
        }
        Ok(due.into_iter().map(|(timer, _)| timer).collect())
    }

    /// The store has taken the changes.
    pub(super) fn committed(&mut self) {
        let mut fronts = self.fronts.borrow_mut();
        for kind in TimerKind::ALL {
            let front = &mut fronts[index(kind)];
            if let Some(first) = self.of_kind(kind).next() {
                front.from = first.min(&front.from).clone();
                front.first = front.first.take().map(|known| known.into_iter().chain([first.clone()]).min());
            }
            front.committed = front.from.clone();
        }
        drop(fronts);
        self.by_key.clear();
        self.due.clear();
    }

    /// The changes are dropped.
    pub(super) fn aborted(&mut self) {
        self.by_key.clear();
        self.due.clear();
        for front in self.fronts.get_mut() {
            (front.from, front.first) = (front.committed.clone(), None);
        }
    }

    /// The store has got timers in another way.
    pub(super) fn stored_anew(&mut self) {
        *self.fronts.get_mut() = Default::default();
    }

    fn of_kind(&self, kind: TimerKind) -> impl Iterator<Item = &DueTimer> {
        self.due.range((kind, DueTimer::FIRST)..).take_while(move |(k, _)| *k == kind).map(|(_, timer)| timer)
    }

    /// A stored timer is hidden from now on, or seen again.
    fn cover(&mut self, stored: Timer, key: &[u8], is_seen: bool) {
        let front = &mut self.fronts.get_mut()[index(stored.kind)];
        let timer = DueTimer { due_ms: stored.due_ms, key: key.to_vec() };
        if is_seen {
            front.first = front.first.take().map(|known| known.into_iter().chain([timer.clone()]).min());
            front.from = timer.min(std::mem::replace(&mut front.from, DueTimer::LAST));
        } else if front.first.as_ref().is_some_and(|first| first.as_ref() == Some(&timer)) {
            front.first = None;
        }
    }

    fn first_stored(&self, kind: TimerKind, store: &dyn StateStore) -> Result<Option<DueTimer>, StoreError> {
        let front = &mut self.fronts.borrow_mut()[index(kind)];
        if let Some(known) = &front.first {
            return Ok(known.clone());
        }
        let mut first = None;
        for timer in store.timers(kind, &front.from) {
            let timer = timer?;
            if !self.by_key.contains_key(&timer.key) {
                first = Some(timer);
                break;
            }
        }
        front.from = first.clone().unwrap_or(DueTimer::LAST);
        front.first = Some(first.clone());
        Ok(first)
    }
}

fn index(kind: TimerKind) -> usize {
    match kind {
        TimerKind::Time => 0,
        TimerKind::Silence => 1,
    }
}
