//! Keyed state and timers of one partition, with an undo log for steps that are not committed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Prefix of the changelog keys that hold timers; state keys never begin with it.
const TIMER_PREFIX: &[u8] = b"~t/";

/// What makes a timer fire. In the changelog a timer's value is its kind's byte, then the instant as eight
/// bytes, big endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// Its instant has come.
    Time,
    /// Its instant has come, and everything that was written until then has been heard.
    Silence,
}

impl TimerKind {
    const ALL: [Self; 2] = [Self::Time, Self::Silence];

    fn byte(self) -> u8 {
        match self {
            Self::Time => 1,
            Self::Silence => 2,
        }
    }
}

/// A timer whose instant has come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueTimer {
    /// The instant it was set to, in milliseconds since the epoch.
    pub due_ms: i64,
    /// Its key.
    pub key: Vec<u8>,
}

/// Kind and instant, in milliseconds since the epoch.
type Timer = (TimerKind, i64);

/// Keyed state and timers of one partition. All of it is in memory; the changelog is its durable form.
#[derive(Debug, Default)]
pub struct PartitionState {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    timers: BTreeMap<Vec<u8>, Timer>,
    due: BTreeSet<(TimerKind, DueTimer)>,
    /// What was there before the first change since the last commit, by changelog key.
    undo: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl PartitionState {
    /// Value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.values.get(key).map(|value| Cow::Borrowed(value.as_slice()))
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
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
        self.values
            .range::<[u8], _>((Bound::Included(from), Bound::Unbounded))
            .map(|(k, v)| (Cow::Borrowed(k.as_slice()), Cow::Borrowed(v.as_slice())))
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is neither a key nor a timer.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.timers.is_empty()
    }

    /// Sets the timer of that key; it has one.
    pub fn set_timer(&mut self, key: &[u8], kind: TimerKind, due_ms: i64) {
        self.change_timer(key, Some((kind, due_ms)));
    }

    /// Removes the timer of that key.
    pub fn cancel_timer(&mut self, key: &[u8]) {
        self.change_timer(key, None);
    }

    /// Instant of the earliest timer of a kind.
    pub fn next_due_ms(&self, kind: TimerKind) -> Option<i64> {
        self.of_kind(kind).next().map(|t| t.due_ms)
    }

    /// Removes and returns at most `max` timers of a kind that are due at `now_ms`, in order.
    pub fn take_due(&mut self, kind: TimerKind, now_ms: i64, max: usize) -> Vec<DueTimer> {
        let due: Vec<DueTimer> = self.of_kind(kind).take_while(|t| t.due_ms <= now_ms).take(max).cloned().collect();
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
                Some(timer) => self.timers.get(timer).map(|timer| timer_value(*timer)),
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

    fn of_kind(&self, kind: TimerKind) -> impl Iterator<Item = &DueTimer> {
        let first = (kind, DueTimer { due_ms: i64::MIN, key: Vec::new() });
        self.due.range(first..).take_while(move |(k, _)| *k == kind).map(|(_, timer)| timer)
    }

    fn change_timer(&mut self, key: &[u8], timer: Option<Timer>) {
        let changelog_key = [TIMER_PREFIX, key].concat();
        let old = self.timers.get(key).copied();
        if old == timer {
            return;
        }
        self.undo.entry(changelog_key).or_insert(old.map(timer_value));
        self.place_timer(key, timer);
    }

    fn place_timer(&mut self, key: &[u8], timer: Option<Timer>) {
        if let Some((kind, due_ms)) = self.timers.remove(key) {
            self.due.remove(&(kind, DueTimer { due_ms, key: key.to_vec() }));
        }
        if let Some((kind, due_ms)) = timer {
            self.timers.insert(key.to_vec(), (kind, due_ms));
            self.due.insert((kind, DueTimer { due_ms, key: key.to_vec() }));
        }
    }

    fn set_raw(&mut self, key: &[u8], value: Option<Vec<u8>>) {
        if let Some(timer) = timer_key(key) {
            return self.place_timer(timer, value.as_deref().and_then(read_timer));
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

fn timer_value((kind, due_ms): Timer) -> Vec<u8> {
    let mut value = vec![kind.byte()];
    value.extend_from_slice(&due_ms.to_be_bytes());
    value
}

fn read_timer(value: &[u8]) -> Option<Timer> {
    let (byte, instant) = value.split_first()?;
    let kind = TimerKind::ALL.into_iter().find(|kind| kind.byte() == *byte)?;
    Some((kind, i64::from_be_bytes(instant.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::TimerKind::{Silence, Time};
    use super::*;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn snapshot(s: &PartitionState) -> (Pairs, Vec<(TimerKind, DueTimer)>) {
        (s.scan(b"").map(|(k, v)| (k.to_vec(), v.to_vec())).collect(), s.due.iter().cloned().collect())
    }

    #[test]
    fn abort_takes_everything_back() {
        let mut state = PartitionState::default();
        state.put(b"a", b"1".to_vec());
        state.set_timer(b"t", Time, 10);
        state.set_timer(b"u", Time, 20);
        state.commit();
        let before = snapshot(&state);
        state.put(b"a", b"2".to_vec());
        state.put(b"a", b"3".to_vec());
        state.put(b"b", b"1".to_vec());
        state.delete(b"b");
        state.delete(b"a");
        assert_eq!(state.take_due(Time, 15, 10), [DueTimer { due_ms: 10, key: b"t".to_vec() }]);
        state.set_timer(b"u", Time, 5);
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
            [&|s| s.put(b"k", b"v".to_vec()), &|s| s.set_timer(b"k", Time, 7), &|s| s.delete(b"k"), &|s| {
                s.set_timer(b"k", Time, 9)
            }];
        for step in steps {
            step(&mut state);
            for (key, value) in state.changes() {
                copy.restore(key, value.as_deref());
            }
            state.commit();
            assert_eq!(snapshot(&copy), snapshot(&state));
        }
        assert_eq!(copy.next_due_ms(Time), Some(9));
    }

    #[test]
    fn a_key_has_one_timer_of_one_kind() {
        let mut state = PartitionState::default();
        state.set_timer(b"k", Time, 5);
        state.set_timer(b"k", Silence, 7);
        assert_eq!((state.next_due_ms(Time), state.next_due_ms(Silence)), (None, Some(7)));
        let mut copy = PartitionState::default();
        for (key, value) in state.changes() {
            copy.restore(key, value.as_deref());
        }
        assert!(copy.take_due(Time, 9, 9).is_empty());
        assert_eq!(copy.take_due(Silence, 9, 9), [DueTimer { due_ms: 7, key: b"k".to_vec() }]);
    }

    #[test]
    fn only_net_changes_are_written() {
        let mut state = PartitionState::default();
        state.put(b"k", b"v".to_vec());
        state.set_timer(b"k", Time, 1);
        state.delete(b"k");
        state.cancel_timer(b"k");
        assert_eq!(state.changes().count(), 0);
    }
}
