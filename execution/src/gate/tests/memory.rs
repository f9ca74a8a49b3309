//! A store in memory that counts how often it is asked, and policies that a test sets.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use petrel_schemas::ExecutionId;

use crate::gate::{Class, GateId, GateStore, Head, Hit, InForce, Permit, Policies, Seat, Stamp, Terms};

/// Which terms hold at which gates, and up to which revision this process has come.
#[derive(Debug, Default, Clone)]
pub(super) struct Known {
    pub(super) terms: BTreeMap<GateId, Terms>,
    pub(super) since_ms: i64,
}

impl Policies for Known {
    fn terms(&self, gate: &GateId) -> Option<Terms> {
        self.terms.get(gate).copied()
    }

    fn knows(&self, in_force: &InForce) -> bool {
        in_force.since_ms <= self.since_ms
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Memory {
    pub(super) last: BTreeMap<u32, Stamp>,
    pub(super) gates: u64,
    pub(super) heads: BTreeMap<GateId, Head>,
    pub(super) permits: BTreeMap<(GateId, ExecutionId), Permit>,
    pub(super) seats: BTreeMap<(GateId, ExecutionId), Seat>,
    pub(super) queue: BTreeMap<(GateId, Class, u64), ExecutionId>,
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
            && self.seats.is_empty()
            && self.queue.is_empty()
            && self.hits.is_empty()
            && self.timers.is_empty()
    }

    /// Heads count what is there, queue and seats are one, and nobody both waits and has a permit.
    pub(super) fn check(&self) {
        assert_eq!(self.gates, self.heads.len() as u64);
        let empty = Head::default();
        let gates: BTreeSet<&GateId> = self
            .heads
            .keys()
            .chain(self.permits.keys().map(|(g, _)| g))
            .chain(self.seats.keys().map(|(g, _)| g))
            .chain(self.hits.iter().map(|(g, _)| g))
            .chain(self.timers.keys())
            .collect();
        for gate in gates {
            let head = self.heads.get(gate).unwrap_or(&empty);
            let permits = self.permits.keys().filter(|(g, _)| g == gate).count();
            let hits =
                |counts| self.hits.iter().filter(|(g, h)| g == gate && (h.window == head.window) == counts).count();
            let counted = (head.permits as usize, head.hits as usize, head.void as usize);
            assert_eq!(counted, (permits, hits(true), hits(false)), "{gate}");
            for class in Class::ALL {
                let waiting = self.seats.iter().filter(|((g, _), seat)| g == gate && seat.class == class).count();
                assert_eq!(head.waiting[class as usize], waiting as u64, "{gate} {class:?}");
            }
            assert_eq!(head.timer_ms, self.timers.get(gate).copied(), "{gate}");
        }
        assert_eq!(self.queue.len(), self.seats.len());
        for ((gate, class, ticket), execution) in &self.queue {
            let key = (gate.clone(), execution.clone());
            let seat = self.seats[&key];
            assert_eq!((seat.class, seat.ticket), (*class, *ticket));
            assert!(!self.permits.contains_key(&key), "{execution} waits for what it has");
        }
    }

    fn access(&self) {
        self.accesses.set(self.accesses.get() + 1);
    }
}

impl GateStore for Memory {
    fn last_of(&self, sender: u32) -> Option<Stamp> {
        self.access();
        self.last.get(&sender).copied()
    }

    fn set_last_of(&mut self, sender: u32, stamp: Stamp) {
        self.access();
        self.last.insert(sender, stamp);
    }

    fn gates(&self) -> u64 {
        self.access();
        self.gates
    }

    fn set_gates(&mut self, gates: u64) {
        self.access();
        self.gates = gates;
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

    fn next_gate(&self, after: Option<&GateId>) -> Option<GateId> {
        self.access();
        self.heads.keys().find(|gate| after.is_none_or(|after| *gate > after)).cloned()
    }

    fn permit(&self, gate: &GateId, execution: &ExecutionId) -> Option<Permit> {
        self.access();
        self.permits.get(&(gate.clone(), execution.clone())).copied()
    }

    fn set_permit(&mut self, gate: &GateId, execution: &ExecutionId, permit: Option<&Permit>) {
        self.access();
        let key = (gate.clone(), execution.clone());
        match permit {
            Some(permit) => self.permits.insert(key, *permit),
            None => self.permits.remove(&key),
        };
    }

    fn next_permit(&self, gate: &GateId, after: Option<&ExecutionId>) -> Option<(ExecutionId, Permit)> {
        self.access();
        let mut of_gate = self.permits.iter().filter(|((of, _), _)| of == gate);
        let found = of_gate.find(|((_, id), _)| after.is_none_or(|after| id > after));
        found.map(|((_, id), permit)| (id.clone(), *permit))
    }

    fn seat(&self, gate: &GateId, execution: &ExecutionId) -> Option<Seat> {
        self.access();
        self.seats.get(&(gate.clone(), execution.clone())).copied()
    }

    fn set_seat(&mut self, gate: &GateId, execution: &ExecutionId, before: Option<&Seat>, seat: Option<&Seat>) {
        self.access();
        let key = (gate.clone(), execution.clone());
        assert_eq!(self.seats.get(&key), before);
        if let Some(before) = before {
            self.queue.remove(&(gate.clone(), before.class, before.ticket));
            self.seats.remove(&key);
        }
        if let Some(seat) = seat {
            let taken = self.queue.insert((gate.clone(), seat.class, seat.ticket), execution.clone());
            assert_eq!(taken, None, "a ticket is given once");
            self.seats.insert(key, *seat);
        }
    }

    fn first_waiting(&self, gate: &GateId, class: Class) -> Option<(ExecutionId, Seat)> {
        self.access();
        let ((of, of_class, _), execution) = self.queue.range((gate.clone(), class, 0)..).next()?;
        let seat = || self.seats[&(gate.clone(), execution.clone())];
        (of == gate && *of_class == class).then(|| (execution.clone(), seat()))
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

    fn remove_hit(&mut self, gate: &GateId, hit: &Hit) -> bool {
        self.access();
        self.hits.remove(&(gate.clone(), hit.clone()))
    }

    fn set_timer(&mut self, gate: &GateId, due_ms: Option<i64>) {
        self.access();
        match due_ms {
            Some(due_ms) => self.timers.insert(gate.clone(), due_ms),
            None => self.timers.remove(gate),
        };
    }
}
