//! A store in memory that counts how often it is asked.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use petrel_schemas::ExecutionId;

use crate::gate::{Class, GateId, GateStore, Head, Hit, Permit, Place, Waiter};

#[derive(Debug, Default, Clone)]
pub(super) struct Memory {
    pub(super) last: BTreeMap<u32, u64>,
    pub(super) heads: BTreeMap<GateId, Head>,
    pub(super) permits: BTreeMap<(GateId, ExecutionId), Permit>,
    pub(super) waiters: BTreeMap<(GateId, Place), u64>,
    pub(super) hits: BTreeSet<(GateId, Hit)>,
    pub(super) timers: BTreeMap<GateId, i64>,
    pub(super) accesses: Cell<u64>,
}

impl Memory {
    /// Takes the first timer that is due.
    pub(super) fn due(&mut self, now_ms: i64) -> Option<GateId> {
        let gate = self.timers.iter().filter(|(_, due)| **due <= now_ms).min_by_key(|(_, due)| **due)?.0.clone();
        self.timers.remove(&gate);
        Some(gate)
    }

    /// Whether it remembers nothing but who sent what.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
            && self.permits.is_empty()
            && self.waiters.is_empty()
            && self.hits.is_empty()
            && self.timers.is_empty()
    }

    /// Heads count what is there.
    pub(super) fn check(&self) {
        let empty = Head::default();
        let gates: BTreeSet<&GateId> = self
            .heads
            .keys()
            .chain(self.permits.keys().map(|(g, _)| g))
            .chain(self.waiters.keys().map(|(g, _)| g))
            .collect();
        for gate in gates {
            let head = self.heads.get(gate).unwrap_or(&empty);
            let permits = self.permits.keys().filter(|(g, _)| g == gate).count();
            let hits = self.hits.iter().filter(|(g, _)| g == gate).count();
            assert_eq!((head.permits as usize, head.hits as usize), (permits, hits), "{gate}");
            for class in Class::ALL {
                let waiting = self.waiters.keys().filter(|(g, p)| g == gate && p.class == class).count();
                assert_eq!(head.waiting[class as usize], waiting as u64, "{gate} {class:?}");
            }
            assert_eq!(head.timer_ms, self.timers.get(gate).copied(), "{gate}");
        }
    }

    fn access(&self) {
        self.accesses.set(self.accesses.get() + 1);
    }
}

impl GateStore for Memory {
    fn last_of(&self, sender: u32) -> u64 {
        self.access();
        self.last.get(&sender).copied().unwrap_or(0)
    }

    fn set_last_of(&mut self, sender: u32, number: u64) {
        self.access();
        self.last.insert(sender, number);
    }

    fn head(&self, gate: &GateId) -> Option<Head> {
        self.access();
        self.heads.get(gate).cloned()
    }

    fn set_head(&mut self, gate: &GateId, head: Option<&Head>) {
        self.access();
        match head {
            Some(head) => self.heads.insert(gate.clone(), head.clone()),
            None => self.heads.remove(gate),
        };
    }

    fn permit(&self, gate: &GateId, execution: &ExecutionId) -> Option<Permit> {
        self.access();
        self.permits.get(&(gate.clone(), execution.clone())).copied()
    }

    fn set_permit(&mut self, gate: &GateId, execution: &ExecutionId, permit: Option<Permit>) {
        self.access();
        let key = (gate.clone(), execution.clone());
        match permit {
            Some(permit) => self.permits.insert(key, permit),
            None => self.permits.remove(&key),
        };
    }

    fn waiter(&self, gate: &GateId, place: &Place) -> Option<u64> {
        self.access();
        self.waiters.get(&(gate.clone(), place.clone())).copied()
    }

    fn first_waiter(&self, gate: &GateId, class: Class) -> Option<Waiter> {
        self.access();
        let first = Place { class, asked_at_ms: i64::MIN, execution: ExecutionId::of_manual("").child(1).unwrap() };
        let mut from = self.waiters.range((gate.clone(), first)..);
        let ((of, place), acquired) = from.next()?;
        (of == gate && place.class == class).then(|| Waiter { place: place.clone(), acquired: *acquired })
    }

    fn set_waiter(&mut self, gate: &GateId, place: &Place, acquired: Option<u64>) {
        self.access();
        let key = (gate.clone(), place.clone());
        match acquired {
            Some(acquired) => self.waiters.insert(key, acquired),
            None => self.waiters.remove(&key),
        };
    }

    fn first_hit(&self, gate: &GateId) -> Option<Hit> {
        self.access();
        let mut hits = self.hits.iter().filter(|(of, _)| of == gate);
        hits.next().map(|(_, hit)| hit.clone())
    }

    fn add_hit(&mut self, gate: &GateId, hit: &Hit) {
        self.access();
        assert!(self.hits.insert((gate.clone(), hit.clone())), "each start counts once");
    }

    fn remove_hit(&mut self, gate: &GateId, hit: &Hit) {
        self.access();
        assert!(self.hits.remove(&(gate.clone(), hit.clone())));
    }

    fn set_timer(&mut self, gate: &GateId, due_ms: Option<i64>) {
        self.access();
        match due_ms {
            Some(due_ms) => self.timers.insert(gate.clone(), due_ms),
            None => self.timers.remove(gate),
        };
    }
}
