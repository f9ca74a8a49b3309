//! Keyed state and timers of one partition, with an undo log for steps that are not committed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Prefix of the changelog keys that hold timers; state keys never begin with it.
const TIMER_PREFIX: &[u8] = b"~t/";
/// Version of a timer's changelog value: this byte, then the instant as eight bytes, big endian.
const TIMER_VERSION: u8 = 1;

/// A timer whose instant has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueTimer {
    /// The instant it was set to, in milliseconds since the epoch.
    pub due_ms: i64,
    /// Its key.
    pub key: Vec<u8>,
}

/// Keyed state and timers of one partition. All of it is in memory; the changelog is its durable form.
#[derive(Debug, Default)]
pub struct PartitionState {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    timers: BTreeMap<Vec<u8>, i64>,
    due: BTreeSet<DueTimer>,
    /// What was there before the first change since the last commit, by changelog key.
    undo: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl PartitionState {
    /// Value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }

    /// Sets a key.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) {
        debug_assert!(!key.starts_with(b"~"), "keys that begin with ~ are the bus's own");
        let old = self.values.insert(key.to_vec(), value);
        self.undo.entry(key.to_vec()).or_insert(old);
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &[u8]) {
        if let Some(old) = self.values.remove(key) {
            self.undo.entry(key.to_vec()).or_insert(Some(old));
        }
    }

    /// All keys in order, from the first that is not below `from`.
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.values
            .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
            .map(|(k, v)| (k.as_slice(), v.as_slice()))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is neither a key nor a timer.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.timers.is_empty()
    }

    /// Sets the timer of that key.
    pub fn set_timer(&mut self, key: &[u8], due_ms: i64) {
        self.change_timer(key, Some(due_ms));
    }

    /// Removes the timer of that key.
    pub fn cancel_timer(&mut self, key: &[u8]) {
        self.change_timer(key, None);
    }

    /// Instant of the earliest timer.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|t| t.due_ms)
    }

    /// Removes and returns at most `max` timers that are due at `now_ms`, in order.
    pub fn take_due(&mut self, now_ms: i64, max: usize) -> Vec<DueTimer> {
        let due: Vec<DueTimer> = self.due.iter().take_while(|t| t.due_ms <= now_ms).take(max).cloned().collect();
        for timer in &due {
            self.change_timer(&timer.key, None);
        }
        due
    }

    /// Takes one record of the changelog, oldest first, before the first step.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.set_raw(key, value.map(<[u8]>::to_vec));
    }

    /// What changed since the last commit, by changelog key, with the value in force now.
    pub fn changes(&self) -> impl Iterator<Item = (&[u8], Option<Vec<u8>>)> {
        self.undo.keys().filter_map(|key| {
            let now = match timer_key(key) {
                Some(timer) => self.timers.get(timer).map(|due| timer_value(*due)),
                None => self.values.get(key).cloned(),
            };
            // Set and taken back within one transaction: nothing to write.
            (now != self.undo[key]).then_some((key.as_slice(), now))
        })
    }

    /// The changes are durable.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Takes every change since the last commit back.
    pub fn abort(&mut self) {
        for (key, old) in std::mem::take(&mut self.undo) {
            self.set_raw(&key, old);
        }
    }

    fn change_timer(&mut self, key: &[u8], due_ms: Option<i64>) {
        let changelog_key = [TIMER_PREFIX, key].concat();
        let old = self.timers.get(key).copied();
        if old == due_ms {
            return;
        }
        self.undo.entry(changelog_key).or_insert(old.map(timer_value));
        self.place_timer(key, due_ms);
    }

    fn place_timer(&mut self, key: &[u8], due_ms: Option<i64>) {
        if let Some(old) = self.timers.remove(key) {
            self.due.remove(&DueTimer { due_ms: old, key: key.to_vec() });
        }
        if let Some(due_ms) = due_ms {
            self.timers.insert(key.to_vec(), due_ms);
            self.due.insert(DueTimer { due_ms, key: key.to_vec() });
        }
    }

    fn set_raw(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        if let Some(timer) = timer_key(key) {
            return self.place_timer(timer, value.as_deref().and_then(timer_instant));
        }
        match value {
            Some(value) => self.values.insert(key.to_vec(), value),
            None => self.values.remove(key),
        };
    }
}

fn timer_key(changelog_key: &[u8]) -> Option<&[u8]> {
    changelog_key.strip_prefix(TIMER_PREFIX)
}

fn timer_value(due_ms: i64) -> Vec<u8> {
    let mut value = vec![TIMER_VERSION];
    value.extend_from_slice(&due_ms.to_be_bytes());
    value
}

fn timer_instant(value: &[u8]) -> Option<i64> {
    let (version, instant) = value.split_first()?;
    (*version == TIMER_VERSION).then_some(())?;
    Some(i64::from_be_bytes(instant.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn snapshot(s: &PartitionState) -> (Pairs, Vec<DueTimer>) {
        (s.scan(b"").map(|(k, v)| (k.to_vec(), v.to_vec())).collect(), s.due.iter().cloned().collect())
    }

    #[test]
    fn abort_takes_everything_back() {
        let mut state = PartitionState::default();
        state.put(b"a", b"1".to_vec());
        state.set_timer(b"t", 10);
        state.set_timer(b"u", 20);
        state.commit();
        let before = snapshot(&state);
        state.put(b"a", b"2".to_vec());
        state.put(b"a", b"3".to_vec());
        state.put(b"b", b"1".to_vec());
        state.delete(b"b");
        state.delete(b"a");
        assert_eq!(state.take_due(15, 10), [DueTimer { due_ms: 10, key: b"t".to_vec() }]);
        state.set_timer(b"u", 5);
        state.cancel_timer(b"u");
        state.abort();
        assert_eq!(snapshot(&state), before);
        assert_eq!(state.changes().count(), 0);
    }

    #[test]
    fn changelog_restores_what_was_committed() {
        let mut state = PartitionState::default();
        let mut copy = PartitionState::default();
        let steps: [&dyn Fn(&mut PartitionState); 4] =
            [&|s| s.put(b"k", b"v".to_vec()), &|s| s.set_timer(b"k", 7), &|s| s.delete(b"k"), &|s| {
                s.set_timer(b"k", 9)
            }];
        for step in steps {
            step(&mut state);
            for (key, value) in state.changes() {
                copy.restore(key, value.as_deref());
            }
            state.commit();
            assert_eq!(snapshot(&copy), snapshot(&state));
        }
        assert_eq!(copy.next_due_ms(), Some(9));
    }

    #[test]
    fn only_net_changes_are_written() {
        let mut state = PartitionState::default();
        state.put(b"k", b"v".to_vec());
        state.set_timer(b"k", 1);
        state.delete(b"k");
        state.cancel_timer(b"k");
        assert_eq!(state.changes().count(), 0);
    }
}
