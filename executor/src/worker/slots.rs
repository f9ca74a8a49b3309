//! How many attempts a worker runs at once, and how its free slots are shared between its claim stage and the
//! owners beside it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_execution::Needs;

/// In the place of an order's instant: there is none.
const NONE: i64 = i64::MIN;

/// The slots of a worker.
#[derive(Debug, Clone)]
pub struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: usize,
    /// Memory and processors that actions may need together.
    room: Needs,
    busy: AtomicUsize,
    /// What those that run need.
    needed: Mutex<Needs>,
    closed: AtomicBool,
    /// Instant of the order by which it is drained, or [`NONE`].
    drained_by_ms: AtomicI64,
    /// Threads of owners in the same process.
    owners: AtomicUsize,
}

/// A taken slot, with what its action needs; free again when dropped.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Inner>,
    needs: Needs,
}

impl Slots {
    /// That many slots, all free, and all for the claim stage, with as much room as anything may need.
    pub fn new(total: usize) -> Self {
        Self::with_room(total, Needs { memory_bytes: u64::MAX, cpu_milli: u64::MAX })
    }

    /// That many slots, for actions that need no more than that together.
    pub fn with_room(total: usize, room: Needs) -> Self {
        Self(Arc::new(Inner {
            total,
            room,
            busy: AtomicUsize::new(0),
            needed: Mutex::default(),
            closed: AtomicBool::new(false),
            drained_by_ms: AtomicI64::new(NONE),
            owners: AtomicUsize::new(0),
        }))
    }

    /// So many threads of owners may fill slots, too: half of the free ones, rounded down, is theirs. Tasks that
    /// came over the log are never kept waiting by them, and hardly ever do both want the same slot.
    pub fn share_with_owners(&self, threads: usize) {
        self.0.owners.store(threads, Ordering::SeqCst);
    }

    /// Takes a slot for a claim that has committed. None if there is no free one any more: whoever counted on it has
    /// met somebody who was faster.
    /// So it is where there is no room any more for what its action needs.
    pub fn take(&self, needs: Needs) -> Option<Slot> {
        let total = self.0.total;
        let mut needed = self.0.needed();
        if !needs.fits(&self.0.room.minus(&needed)) {
            return None;
        }
        let one_more = |busy: usize| (busy < total).then_some(busy + 1);
        self.0.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        *needed = needed.plus(&needs);
        Some(Slot { slots: self.0.clone(), needs })
    }

    /// Memory and processors that nothing needs for the moment.
    pub fn free_room(&self) -> Needs {
        self.0.room.minus(&self.0.needed())
    }

    /// Memory and processors that actions may need together.
    pub fn room(&self) -> Needs {
        self.0.room
    }

    /// Free slots that the claim stage may fill; none once they are closed.
    pub fn free(&self) -> usize {
        let free = self.all_free();
        match self.0.owners.load(Ordering::SeqCst) {
            0 => free,
            _ => free - free / 2,
        }
    }

    /// Free slots that each thread of owners may fill; none once they are closed.
    pub fn free_beside(&self) -> usize {
        (self.all_free() / 2).checked_div(self.0.owners.load(Ordering::SeqCst)).unwrap_or(0)
    }

    /// By the order of that instant, in milliseconds since the epoch, nothing is to be claimed until further notice; or
    /// it is again.
    pub(super) fn set_drained(&self, by_ms: Option<i64>) {
        self.0.drained_by_ms.store(by_ms.unwrap_or(NONE), Ordering::SeqCst);
    }

    /// Instant of the order by which nothing is to be claimed, in milliseconds since the epoch.
    pub fn drained_by_ms(&self) -> Option<i64> {
        Some(self.0.drained_by_ms.load(Ordering::SeqCst)).filter(|by_ms| *by_ms != NONE)
    }

    /// Whether nothing is to be claimed until further notice.
    pub fn is_drained(&self) -> bool {
        self.drained_by_ms().is_some()
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.0.total
    }

    /// The worker is about to stop: nothing is to be claimed any more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// Whether the worker is about to stop.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Number of taken slots.
    pub fn busy(&self) -> usize {
        self.0.busy.load(Ordering::SeqCst)
    }

    fn all_free(&self) -> usize {
        if self.is_closed() || self.is_drained() { 0 } else { self.0.total.saturating_sub(self.busy()) }
    }
}

impl Inner {
    fn needed(&self) -> MutexGuard<'_, Needs> {
        self.needed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut needed = self.slots.needed();
        *needed = needed.minus(&self.needs);
        self.slots.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_needs_no_more_than_there_is() {
        let of = |memory_bytes: u64, cpu_milli: u64| Needs { memory_bytes, cpu_milli };
        let slots = Slots::with_room(3, of(8, 2_000));
        let first = slots.take(of(6, 500)).unwrap();
        assert!(slots.take(of(3, 0)).is_none() && slots.take(of(0, 1_600)).is_none());
        assert_eq!((slots.busy(), slots.free_room(), slots.room()), (1, of(2, 1_500), of(8, 2_000)));
        let others = [of(2, 1_500), of(0, 0)].map(|needs| slots.take(needs).unwrap());
        drop(first);
        // A slot that is not there needs nothing either.
        let third = slots.take(of(1, 0)).unwrap();
        assert!(slots.take(of(1, 0)).is_none());
        drop((others, third));
        assert_eq!((slots.busy(), slots.free_room()), (0, of(8, 2_000)));
    }

    #[test]
    fn no_more_slots_are_taken_than_there_are_and_both_have_their_share() {
        let slots = Slots::new(5);
        assert_eq!((slots.free(), slots.free_beside()), (5, 0));
        slots.share_with_owners(2);
        assert_eq!((slots.free(), slots.free_beside()), (3, 1));
        let mut taken: Vec<Slot> = (0..4).filter_map(|_| slots.take(Needs::default())).collect();
        // The last one is for what came over the log.
        assert_eq!((slots.free(), slots.free_beside()), (1, 0));
        taken.extend(slots.take(Needs::default()));
        assert!(slots.take(Needs::default()).is_none() && slots.busy() == 5 && slots.free() == 0);
        slots.set_drained(Some(7));
        taken.pop();
        assert_eq!((slots.free(), slots.free_beside(), slots.total()), (0, 0, 5));
        assert_eq!(slots.drained_by_ms(), Some(7));
        slots.set_drained(None);
        taken.clear();
        assert_eq!((slots.busy(), slots.free()), (0, 3));
        slots.close();
        assert_eq!((slots.free(), slots.free_beside()), (0, 0));
    }
}
