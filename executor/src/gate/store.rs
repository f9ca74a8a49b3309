//! What gates remember, in the keyed state of their partition.

use petrel_bus::Context;
use petrel_execution::gate::keys::{
    GATES_KEY, HEADS, head_key, hit_key, hits_of, last_key, parse_head, parse_hit, parse_holder, permit_key,
    permits_of, queue_key, queue_of, seat_key,
};
use petrel_execution::gate::{
    Class, GateId, GateRecordError, GateStore, Head, Hit, Permit, Seat, Stamp, head_of_record, of_head, record,
};
use petrel_schemas::{ExecutionId, GateCount, GateHead, GatePermit, GateSeat, GateSender, Stored, decode, encode};

/// The state of a step.
///
/// A head that cannot be read is looked for before the step ([`super::turn`]); whatever else is damaged counts as not
/// there, and is told.
pub(super) struct Kept<'a, 'c, G>(pub(super) &'a mut Context<'c, G>);

impl<G> Kept<'_, '_, G> {
    fn read<R: Stored, T>(&self, key: &[u8], of: impl FnOnce(&R) -> Result<T, GateRecordError>) -> Option<T> {
        read(&self.0.get(key)?, of)
    }

    fn write(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        let Some(value) = value else { return self.0.delete(key) };
        if let Err(error) = self.0.put(key, value) {
            // Each is some hundred bytes, whatever comes from outside has a limit.
            tracing::error!(%error, "what a gate has to remember is over the limit of the log");
        }
    }

    /// The first key that is not below `from`, if it begins so.
    fn first(&self, from: &[u8], prefix: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (key, value) = self.0.scan(from).next()?;
        key.starts_with(prefix).then(|| (key.to_vec(), value.to_vec()))
    }
}

fn read<R: Stored, T>(bytes: &[u8], of: impl FnOnce(&R) -> Result<T, GateRecordError>) -> Option<T> {
    let told =
        |error: &dyn std::fmt::Display| tracing::error!(%error, kind = R::NAME, "what a gate remembers is damaged");
    let stored = decode::<R>(bytes).inspect_err(|error| told(error)).ok()?;
    of(&stored).inspect_err(|error| told(error)).ok()
}

fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl<G> GateStore for Kept<'_, '_, G> {
    fn last_of(&self, sender: u32) -> Option<Stamp> {
        self.read::<GateSender, _>(&last_key(sender), record::sender)
    }

    fn set_last_of(&mut self, sender: u32, stamp: Stamp) {
        self.write(&last_key(sender), Some(encode(&record::of_stamp(stamp))));
    }

    fn gates(&self) -> u64 {
        let count = |count: &GateCount| Ok(u64::try_from(count.gates).unwrap_or(0));
        self.read::<GateCount, _>(GATES_KEY, count).unwrap_or(0)
    }

    fn set_gates(&mut self, gates: u64) {
        let count = GateCount { gates: i64::try_from(gates).unwrap_or(i64::MAX) };
        self.write(GATES_KEY, Some(encode(&count)));
    }

    fn head(&self, gate: &GateId) -> Option<Head> {
        self.read::<GateHead, _>(&head_key(gate), head_of_record).map(|(_, head)| head)
    }

    fn set_head(&mut self, gate: &GateId, head: Option<&Head>) {
        self.write(&head_key(gate), head.map(|head| encode(&of_head(gate, head))));
    }

    fn next_gate(&self, after: Option<&GateId>) -> Option<GateId> {
        let from = after.map_or_else(|| HEADS.to_vec(), |after| behind(head_key(after)));
        parse_head(&self.first(&from, HEADS)?.0)
    }

    fn permit(&self, gate: &GateId, execution: &ExecutionId) -> Option<Permit> {
        self.read::<GatePermit, _>(&permit_key(gate, execution), record::permit)
    }

    fn set_permit(&mut self, gate: &GateId, execution: &ExecutionId, permit: Option<&Permit>) {
        self.write(&permit_key(gate, execution), permit.map(|permit| encode(&record::of_permit(permit))));
    }

    fn next_permit(&self, gate: &GateId, after: Option<&ExecutionId>) -> Option<(ExecutionId, Permit)> {
        let prefix = permits_of(gate);
        let mut from = after.map_or_else(|| prefix.clone(), |after| behind(permit_key(gate, after)));
        loop {
            let (key, value) = self.first(&from, &prefix)?;
            let found = parse_holder(gate, &key).zip(read::<GatePermit, _>(&value, record::permit));
            if found.is_some() {
                return found;
            }
            from = behind(key);
        }
    }

    fn seat(&self, gate: &GateId, execution: &ExecutionId) -> Option<Seat> {
        self.read::<GateSeat, _>(&seat_key(gate, execution), record::seat).map(|(_, seat)| seat)
    }

    fn set_seat(&mut self, gate: &GateId, execution: &ExecutionId, before: Option<&Seat>, seat: Option<&Seat>) {
        if let Some(before) = before {
            self.write(&queue_key(gate, before.class, before.ticket), None);
        }
        let value = seat.map(|seat| encode(&record::of_seat(execution, seat)));
        if let (Some(seat), Some(value)) = (seat, &value) {
            self.write(&queue_key(gate, seat.class, seat.ticket), Some(value.clone()));
        }
        self.write(&seat_key(gate, execution), value);
    }

    fn first_waiting(&self, gate: &GateId, class: Class) -> Option<(ExecutionId, Seat)> {
        let prefix = queue_of(gate, class);
        let mut from = prefix.clone();
        loop {
            let (key, value) = self.first(&from, &prefix)?;
            let found = read::<GateSeat, _>(&value, record::seat);
            if found.is_some() {
                return found;
            }
            from = behind(key);
        }
    }

    fn first_hit(&self, gate: &GateId) -> Option<Hit> {
        let prefix = hits_of(gate);
        parse_hit(gate, &self.first(&prefix, &prefix)?.0)
    }

    fn add_hit(&mut self, gate: &GateId, hit: &Hit) {
        self.write(&hit_key(gate, hit), Some(Vec::new()));
    }

    fn remove_hit(&mut self, gate: &GateId, hit: &Hit) -> bool {
        let key = hit_key(gate, hit);
        let is_there = self.0.get(&key).is_some();
        self.write(&key, None);
        is_there
    }

    fn set_timer(&mut self, gate: &GateId, due_ms: Option<i64>) {
        let key = head_key(gate);
        match due_ms {
            Some(due_ms) => self.0.set_timer(&key, due_ms),
            None => self.0.cancel_timer(&key),
        }
    }
}
