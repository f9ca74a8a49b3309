//! The live view of gates: the latest of what they remember, from the compacted topic that their stage writes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use petrel_bus::Record;
use petrel_execution::gate::keys::{
    HEADS, head_key, heads_of, parse_holder, permits_of, queue_key, queue_of, seat_key,
};
use petrel_execution::gate::{Class, GateId, Head, Seat, head_of_record, record};
use petrel_schemas::{ExecutionId, GateHead, GateSeat, decode};

use crate::follow::Follows;

/// Heads, permits, places and queues of all gates, as they are written.
#[derive(Debug, Default)]
pub struct GatesView(RwLock<Entries>);

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
    /// Follows the topic on a thread of its own until told to stop.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topic: Arc<str>) {
        let view = self.clone();
        follows.follow_batched("live-gates", topic, move |_, record| view.take(&record));
    }

    /// Gates of a policy, or of all, behind one in the order of keys: so many.
    pub fn list(&self, policy: Option<&str>, max: usize) -> Vec<(GateId, Head)> {
        let prefix = policy.map_or_else(|| HEADS.to_vec(), heads_of);
        let entries = self.read();
        let found = behind(&entries, &prefix).filter_map(|(_, value)| head_of(value));
        found.take(max).collect()
    }

    /// What a gate remembers of itself; nothing of one that is idle.
    pub fn head(&self, gate: &GateId) -> Option<Head> {
        self.read().get(&head_key(gate)).and_then(|value| head_of(value)).map(|(_, head)| head)
    }

    /// Who holds permits, so many of them.
    pub fn holders(&self, gate: &GateId, max: usize) -> Vec<String> {
        let entries = self.read();
        let found = behind(&entries, &permits_of(gate)).filter_map(|(key, _)| parse_holder(gate, key));
        found.take(max).map(|id| id.to_string()).collect()
    }

    /// Who waits in a class, so many of them, the first first.
    pub fn waiters(&self, gate: &GateId, class: Class, max: usize) -> Vec<String> {
        let entries = self.read();
        let found = behind(&entries, &queue_of(gate, class)).filter_map(|(_, value)| seat_of(value));
        found.take(max).map(|(id, _)| id.to_string()).collect()
    }

    /// Where an execution stands; nothing if it does not wait there.
    pub fn place(&self, gate: &GateId, execution: &ExecutionId, before_max: usize) -> Option<Place> {
        let entries = self.read();
        let (_, seat) = seat_of(entries.get(&seat_key(gate, execution))?)?;
        let (first, own) = (queue_of(gate, seat.class), queue_key(gate, seat.class, seat.ticket));
        let earlier = entries.range::<[u8], _>((Bound::Included(&*first), Bound::Excluded(&*own)));
        let before = earlier.clone().filter_map(|(_, value)| seat_of(value)).take(before_max);
        let before = before.map(|(id, _)| id.to_string()).collect();
        Some(Place { class: seat.class, number: earlier.count() + 1, before })
    }

    fn take(&self, record: &Record<'_>) {
        let Some(key) = record.key else { return };
        // Starts, numbers of senders and timers are for the gates alone.
        let is_shown = key.starts_with(HEADS) || [b"p:", b"s:", b"q:"].iter().any(|of| key.starts_with(*of));
        if !is_shown {
            return;
        }
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match record.value {
            Some(value) => entries.insert(key.to_vec(), value.to_vec()),
            None => entries.remove(key),
        };
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
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
        let view = GatesView::default();
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
}
