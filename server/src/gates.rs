//! The live view of gates: the latest of what they remember, from the compacted topic that their stage writes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use petrel_bus::Record;
use petrel_execution::gate::keys::{
    HEADS, head_key, head_key_of_entry, heads_of, parse_holder, permits_of, queue_key, queue_of, seat_key,
};
use petrel_execution::gate::{Class, GateId, Head, Seat, head_of_record, record};
use petrel_schemas::{ExecutionId, GateHead, GateSeat, decode};

use crate::follow::Follows;

/// Heads, permits, places and queues of gates, as they are written; at most a configured number of gates, and of what
/// those have. What comes while it is full is left out, and the view says where it does not know all.
#[derive(Debug)]
pub struct GatesView {
    gates_max: usize,
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    heads: Entries,
    /// Permits, places, and queues.
    others: Entries,
    /// Keys of the heads of gates of which some of that was left out, until they have nothing to remember.
    cut: BTreeSet<Vec<u8>>,
    /// Whether even the head of some gate was left out, or its key among those.
    is_cut: bool,
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where somebody stands at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its class.
    pub class: Class,
    /// From 1, within its class.
    pub number: usize,
    /// Who is before it in its class, the first first; not all of them, if there are many.
    pub before: Vec<String>,
}

impl GatesView {
    /// An empty view of so many gates, and so many permits, places and entries of queues.
    pub fn new(gates_max: usize) -> Self {
        Self { gates_max, inner: RwLock::default() }
    }

    /// Follows the topic on a thread of its own until told to stop.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topic: Arc<str>) {
        let view = self.clone();
        follows.follow_batched("live-gates", topic, move |_, record| view.take(&record));
    }

    /// Gates of a policy, or of all, in the order of keys: so many.
    pub fn list(&self, policy: Option<&str>, max: usize) -> Vec<(GateId, Head)> {
        let prefix = policy.map_or_else(|| HEADS.to_vec(), heads_of);
        let inner = self.read();
        let found = behind(&inner.heads, &prefix).filter_map(|(_, value)| head_of(value));
        found.take(max).collect()
    }

    /// Whether it knows all gates that have something to remember.
    pub fn knows_all_gates(&self) -> bool {
        !self.read().is_cut
    }

    /// Whether it knows all of a gate: otherwise others may hold its permits, or wait there, too.
    pub fn knows_all_of(&self, gate: &GateId) -> bool {
        let inner = self.read();
        !inner.is_cut && !inner.cut.contains(&head_key(gate))
    }

    /// What a gate remembers of itself; nothing of one that is idle.
    pub fn head(&self, gate: &GateId) -> Option<Head> {
        self.read().heads.get(&head_key(gate)).and_then(|value| head_of(value)).map(|(_, head)| head)
    }

    /// Who holds permits, so many of them.
    pub fn holders(&self, gate: &GateId, max: usize) -> Vec<String> {
        let inner = self.read();
        let found = behind(&inner.others, &permits_of(gate)).filter_map(|(key, _)| parse_holder(gate, key));
        found.take(max).map(|id| id.to_string()).collect()
    }

    /// Who waits in a class, so many of them, the first first.
    pub fn waiters(&self, gate: &GateId, class: Class, max: usize) -> Vec<String> {
        let inner = self.read();
        let found = behind(&inner.others, &queue_of(gate, class)).filter_map(|(_, value)| seat_of(value));
        found.take(max).map(|(id, _)| id.to_string()).collect()
    }

    /// Where an execution stands; nothing if it does not wait there, or not all are known who do.
    pub fn place(&self, gate: &GateId, execution: &ExecutionId, before_max: usize) -> Option<Place> {
        if !self.knows_all_of(gate) {
            return None;
        }
        let inner = self.read();
        let (_, seat) = seat_of(inner.others.get(&seat_key(gate, execution))?)?;
        let (first, own) = (queue_of(gate, seat.class), queue_key(gate, seat.class, seat.ticket));
        let earlier = inner.others.range::<[u8], _>((Bound::Included(&*first), Bound::Excluded(&*own)));
        let before = earlier.clone().filter_map(|(_, value)| seat_of(value)).take(before_max);
        let before = before.map(|(id, _)| id.to_string()).collect();
        Some(Place { class: seat.class, number: earlier.count() + 1, before })
    }

    fn take(&self, record: &Record<'_>) {
        let Some(key) = record.key else { return };
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if key.starts_with(HEADS) {
            inner.take_head(key, record.value, self.gates_max);
        } else if [b"p:", b"s:", b"q:"].iter().any(|of| key.starts_with(*of)) {
            inner.take_other(key, record.value, self.gates_max);
        }
        // Starts, numbers of senders and timers are for the gates alone.
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_head(&mut self, key: &[u8], value: Option<&[u8]>, max: usize) {
        if value.is_none() {
            // It is idle: nobody is there who could have been left out.
            self.cut.remove(key);
        }
        if !put(&mut self.heads, key, value, max) {
            self.is_cut = true;
        }
    }

    fn take_other(&mut self, key: &[u8], value: Option<&[u8]>, max: usize) {
        if put(&mut self.others, key, value, max) {
            return;
        }
        let Some(gate) = head_key_of_entry(key) else { return };
        match self.cut.len() < max || self.cut.contains(&gate) {
            true => drop(self.cut.insert(gate)),
            false => self.is_cut = true,
        }
    }
}

/// Whether there was room for it.
fn put(entries: &mut Entries, key: &[u8], value: Option<&[u8]>, max: usize) -> bool {
    let Some(value) = value else {
        entries.remove(key);
        return true;
    };
    if entries.len() >= max && !entries.contains_key(key) {
        return false;
    }
    entries.insert(key.to_vec(), value.to_vec());
    true
}

fn behind<'e>(entries: &'e Entries, prefix: &[u8]) -> impl Iterator<Item = (&'e [u8], &'e [u8])> + use<'e> {
    let prefix = prefix.to_vec();
    let from = entries.range(prefix.clone()..);
    from.take_while(move |(key, _)| key.starts_with(&prefix)).map(|(key, value)| (key.as_slice(), value.as_slice()))
}

fn head_of(value: &[u8]) -> Option<(GateId, Head)> {
    head_of_record(&decode::<GateHead>(value).ok()?).ok()
}

fn seat_of(value: &[u8]) -> Option<(ExecutionId, Seat)> {
    record::seat(&decode::<GateSeat>(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use petrel_execution::gate::keys::permit_key;
    use petrel_execution::gate::{Charge, Kind, Permit, Stamp, of_head};
    use petrel_schemas::encode;

    use super::*;

    fn put(view: &GatesView, key: Vec<u8>, value: Option<Vec<u8>>) {
        view.take(&Record { offset: 0, timestamp_ms: 0, key: Some(&key), value: value.as_deref() });
    }

    fn seat(view: &GatesView, gate: &GateId, name: &str, class: Class, ticket: u64, is_there: bool) -> ExecutionId {
        let id = ExecutionId::of_manual(name);
        let seat = Seat { acquisition: Stamp { epoch: 1, number: ticket + 1 }, class, ticket };
        let value = encode(&record::of_seat(&id, &seat));
        put(view, seat_key(gate, &id), is_there.then(|| value.clone()));
        put(view, queue_key(gate, class, ticket), is_there.then_some(value));
        id
    }

    #[test]
    fn it_knows_who_holds_and_who_waits_at_which_place() {
        let view = GatesView::new(100);
        let gate = GateId::of_key("p.one", Kind::Concurrency, "a/b").unwrap();
        let other = GateId::of_key("p.one", Kind::Concurrency, "a").unwrap();
        for of in [&gate, &other, &GateId::total("p.two", Kind::Rate)] {
            let head = Head { permits: 1, waiting: [1, 2, 0], ..Head::default() };
            put(&view, head_key(of), Some(encode(&of_head(of, &head))));
        }
        assert_eq!(view.list(None, 9).len(), 3);
        assert_eq!(view.list(Some("p.one"), 9).len(), 2);
        assert_eq!(view.list(Some("p.on"), 9), []);
        assert_eq!(view.head(&gate).unwrap().waiting, [1, 2, 0]);
        let holder = ExecutionId::of_manual("h");
        let permit = Permit { acquisition: Stamp { epoch: 1, number: 9 }, charge: Charge::Nothing };
        put(&view, permit_key(&gate, &holder), Some(encode(&record::of_permit(&permit))));
        assert_eq!((view.holders(&gate, 9), view.holders(&other, 9)), (vec![holder.to_string()], vec![]));
        let urgent = seat(&view, &gate, "u", Class::Urgent, 2, true);
        let first = seat(&view, &gate, "a", Class::Normal, 0, true);
        let second = seat(&view, &gate, "b", Class::Normal, 300, true);
        let place = |id: &ExecutionId| view.place(&gate, id, 9).map(|place| (place.class, place.number, place.before));
        assert_eq!(place(&urgent), Some((Class::Urgent, 1, vec![])));
        assert_eq!(place(&second), Some((Class::Normal, 2, vec![first.to_string()])));
        assert_eq!(view.waiters(&gate, Class::Normal, 9), [first.to_string(), second.to_string()]);
        assert_eq!(view.place(&other, &first, 9), None);
        seat(&view, &gate, "a", Class::Normal, 0, false);
        assert_eq!((place(&first), place(&second).unwrap().1), (None, 1));
    }

    #[test]
    fn over_its_limit_it_leaves_out_and_says_of_which_gate_it_does_not_know_all() {
        let view = GatesView::new(4);
        let gate = |key: &str| GateId::of_key("p.one", Kind::Concurrency, key).unwrap();
        let put_head = |gate: &GateId, is_there: bool| {
            let value = encode(&of_head(gate, &Head { waiting: [0, 2, 0], ..Head::default() }));
            put(&view, head_key(gate), is_there.then_some(value));
        };
        let (busy, calm) = (gate("busy"), gate("calm"));
        put_head(&busy, true);
        put_head(&calm, true);
        // Two entries each.
        let first = seat(&view, &busy, "a", Class::Normal, 0, true);
        let second = seat(&view, &busy, "b", Class::Normal, 1, true);
        assert_eq!(view.place(&busy, &second, 9).map(|place| place.number), Some(2));
        let third = seat(&view, &busy, "c", Class::Normal, 2, true);
        assert!(!view.knows_all_of(&busy) && view.knows_all_of(&calm) && view.knows_all_gates());
        assert_eq!(view.waiters(&busy, Class::Normal, 9), [first.to_string(), second.to_string()]);
        assert_eq!((view.place(&busy, &second, 9), view.place(&busy, &third, 9)), (None, None));
        // There is room again, but nobody knows who was left out.
        seat(&view, &busy, "a", Class::Normal, 0, false);
        assert!(!view.knows_all_of(&busy), "until the gate has nobody any more");
        seat(&view, &busy, "b", Class::Normal, 1, false);
        seat(&view, &busy, "c", Class::Normal, 2, false);
        put_head(&busy, false);
        assert!(view.knows_all_of(&busy));
        for key in ["1", "2", "3"] {
            put_head(&gate(key), true);
        }
        assert!(view.knows_all_gates() && view.list(None, 9).len() == 4);
        put_head(&gate("4"), true);
        assert!(!view.knows_all_gates() && !view.knows_all_of(&gate("4")) && view.list(None, 9).len() == 4);
        // Those that are known go on being known as they are now.
        put_head(&calm, false);
        assert_eq!(view.head(&calm), None);
    }
}
