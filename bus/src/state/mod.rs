//! Keyed state and timers of one partition, as a step sees them: changes that are not committed yet,
//! over what is.
//!
//! What is committed is a [`StateStore`]'s; what a transaction changed is in memory until the driver
//! has committed it and then goes into the store, or is dropped by an abort. So the store is never
//! newer than the committed changelog.
//!
//! Reads cannot fail in the face of a stage. If the store gives no answer, the state says that there is
//! nothing and notes the failure; the driver looks at [`PartitionState::failure`] after every step, before
//! anything of it is committed.

mod changelog;
mod gaps;
#[cfg(test)]
mod tests;
mod timers;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::outgoing::Outgoing;
use crate::store::{
    Change, DueTimer, KEY_BYTES_MAX, Mark, MemoryStore, Pair, StateStore, StoreError, Timer, TimerKind,
};
use changelog::Entry;
pub(crate) use changelog::KeptPosition;
use gaps::Gaps;
use timers::OpenTimers;

/// Most records and bytes of a restore that are applied at once.
const RESTORE_RECORDS_MAX: usize = 4096;
const RESTORE_BYTES_MAX: usize = 1024 * 1024;
/// Largest key and value together, in bytes, unless the driver says otherwise.
const RECORD_BYTES_MAX_DEFAULT: usize = 1_000_000;

/// A value that the changelog could not take. The step must do without it: what it belongs to fails,
/// and the partition goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes of state, its key included, are over the limit of {limit_bytes}")]
pub struct StateTooLarge {
    /// Size of the key, or of key and value together.
    pub bytes: usize,
    /// Largest size that is taken.
    pub limit_bytes: usize,
}

/// A position that this release cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Keyed state and timers of one partition.
#[derive(Debug)]
pub struct PartitionState {
    store: Box<dyn StateStore>,
    /// Keys that the open transaction changed.
    values: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    timers: OpenTimers,
    gaps: Gaps,
    record_bytes_max: usize,
    outgoing: Option<Arc<dyn Outgoing>>,
    /// Records of a restore that are not in the store yet, and their size.
    restoring: (Vec<Entry>, usize),
    failure: RefCell<Option<StoreError>>,
}

impl Default for PartitionState {
    fn default() -> Self {
        Self::new(Box::new(MemoryStore::default()), RECORD_BYTES_MAX_DEFAULT)
    }
}

impl PartitionState {
    /// State over a store. Key and value of a changelog record are at most so many bytes together.
    pub fn new(store: Box<dyn StateStore>, record_bytes_max: usize) -> Self {
        Self {
            store,
            values: BTreeMap::new(),
            timers: OpenTimers::default(),
            gaps: Gaps::default(),
            record_bytes_max,
            outgoing: None,
            restoring: (Vec::new(), 0),
            failure: RefCell::new(None),
        }
    }

    /// The same, whose values pass that on their way to the changelog and into the store.
    #[must_use]
    pub fn passing(self, outgoing: Option<Arc<dyn Outgoing>>) -> Self {
        Self { outgoing, ..self }
    }

    /// Largest key and value together that [`PartitionState::put`] takes, in bytes.
    pub fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if changelog::is_own(key) { None } else { self.value(key) }
    }

    fn value(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        match self.values.get(key) {
            Some(value) => value.as_deref().map(Cow::Borrowed),
            None => self.answered(self.store.get(key)).flatten(),
        }
    }

    /// Sets a key.
    ///
    /// # Errors
    /// [`StateTooLarge`], and nothing is set.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>) -> Result<(), StateTooLarge> {
        debug_assert!(!changelog::is_own(key), "keys that begin with ~ are the bus's own");
        let limit = |bytes, limit_bytes| match bytes > limit_bytes {
            true => Err(StateTooLarge { bytes, limit_bytes }),
            false => Ok(()),
        };
        limit(key.len(), KEY_BYTES_MAX)?;
        limit(key.len() + value.len(), self.record_bytes_max)?;
        let value = match &self.outgoing {
            Some(outgoing) => outgoing.written(value),
            None => value,
        };
        self.values.insert(key.to_vec(), Some(value));
        Ok(())
    }

    /// Removes a key.
    pub fn delete(&mut self, key: &[u8]) {
        match self.answered(self.store.get(key)).flatten().is_some() {
            true => self.values.insert(key.to_vec(), None),
            // Set and removed within one transaction: nothing to write.
            false => self.values.remove(key),
        };
    }

    /// All keys in order, from the first that is not below `from`.
    pub fn scan(&self, from: &[u8]) -> impl Iterator<Item = Pair<'_>> {
        self.scan_all(from).filter(|(key, _)| !changelog::is_own(key))
    }

    /// As [`PartitionState::scan`], the bus's own keys included.
    fn scan_all(&self, from: &[u8]) -> impl Iterator<Item = Pair<'_>> {
        let mut stored = self.scan_stored(from).peekable();
        let mut open = self.values.range::<[u8], _>((Bound::Included(from), Bound::Unbounded)).peekable();
        std::iter::from_fn(move || {
            loop {
                let open_is_first = match (open.peek(), stored.peek()) {
                    (Some((open, _)), Some((stored, _))) => open.as_slice() <= stored.as_ref(),
                    (open, _) => open.is_some(),
                };
                if !open_is_first {
                    return stored.next();
                }
                let (key, value) = open.next()?;
                stored.next_if(|(stored, _)| stored.as_ref() == key.as_slice());
                if let Some(value) = value {
                    return Some((Cow::Borrowed(key.as_slice()), Cow::Borrowed(value.as_slice())));
                }
            }
        })
    }

    fn scan_stored(&self, from: &[u8]) -> impl Iterator<Item = Pair<'_>> {
        let mut stored = self.gaps.begin(from).map(|begin| self.store.scan(&begin));
        let mut unseen = Some(from.to_vec());
        std::iter::from_fn(move || {
            let pair = self.answered(stored.as_mut()?.next().transpose())?;
            if let Some(from) = unseen.take() {
                self.gaps.found(&from, pair.as_ref().map(|(key, _)| key.as_ref()));
            }
            pair
        })
    }

    /// Notes where the group is on an input topic, as far as it is not where it was before.
    pub(crate) fn keep_position(&mut self, topic: &str, position: &KeptPosition) {
        let (key, value) = (changelog::position_key(topic), changelog::position_value(position));
        if self.value(&key).as_deref() != Some(&*value) {
            self.values.insert(key, Some(value));
        }
    }

    /// Where the group was on an input topic, as it was noted last.
    ///
    /// # Errors
    /// If there is something else in its place.
    pub(crate) fn kept_position(&self, topic: &str) -> Option<Result<KeptPosition, Unreadable>> {
        let value = self.value(&changelog::position_key(topic))?;
        Some(changelog::read_position(&value).ok_or(Unreadable))
    }

    /// Whether the next offset of any input topic was ever noted.
    pub(crate) fn has_positions(&self) -> bool {
        let first = self.scan_all(changelog::POSITION_PREFIX).next();
        first.is_some_and(|(key, _)| key.starts_with(changelog::POSITION_PREFIX))
    }

    /// Notes that a timer was moved back to an instant.
    pub(crate) fn note_moved_back(&mut self, key: &[u8], due_ms: i64) {
        self.values.insert(changelog::moved_back_key(key), Some(due_ms.to_be_bytes().to_vec()));
    }

    /// The timers that were moved back and still stand for the instant that they were moved to, and it; in order of
    /// their keys.
    pub(crate) fn moved_back(&self) -> Vec<DueTimer> {
        self.noted_moved_back().filter_map(|(key, stands)| stands.map(|due_ms| DueTimer { due_ms, key })).collect()
    }

    /// Forgets the others; whether there were any.
    pub(crate) fn forget_moved_back(&mut self) -> bool {
        let gone: Vec<Vec<u8>> =
            self.noted_moved_back().filter(|(_, stands)| stands.is_none()).map(|(key, _)| key).collect();
        gone.iter().for_each(|key| self.delete(&changelog::moved_back_key(key)));
        !gone.is_empty()
    }

    /// Whether anything is noted, be it of a timer that is gone.
    pub(crate) fn has_noted_moved_back(&self) -> bool {
        self.noted_moved_back().next().is_some()
    }

    /// What was noted of timers that were moved back: the key, and the instant if it is still the timer's.
    fn noted_moved_back(&self) -> impl Iterator<Item = (Vec<u8>, Option<i64>)> {
        let noted = self.scan_all(changelog::MOVED_BACK_PREFIX);
        let noted = noted.map_while(|(key, value)| {
            let key = key.strip_prefix(changelog::MOVED_BACK_PREFIX)?.to_vec();
            Some((key, value.as_ref().try_into().ok().map(i64::from_be_bytes)))
        });
        noted.map(|(key, due_ms)| {
            let stands = self.timer(&key).map(|timer| timer.due_ms).filter(|stands| Some(*stands) == due_ms);
            (key, stands)
        })
    }

    /// Whether there is neither a key nor a timer.
    pub fn is_empty(&self) -> bool {
        self.scan(b"").next().is_none() && TimerKind::ALL.into_iter().all(|kind| self.next_due_ms(kind).is_none())
    }

    /// Sets the timer of that key; it has one.
    ///
    /// # Panics
    /// If the key is over [`KEY_BYTES_MAX`]: a stage bounds the keys that it makes.
    pub fn set_timer(&mut self, key: &[u8], kind: TimerKind, due_ms: i64) {
        assert!(key.len() <= KEY_BYTES_MAX, "a timer's key of {} bytes", key.len());
        let timer = Timer { kind, due_ms };
        let stored = self.answered(self.store.timer(key)).flatten();
        self.timers.set(key, stored, Some(timer));
    }

    /// Removes the timer of that key.
    pub fn cancel_timer(&mut self, key: &[u8]) {
        let stored = self.answered(self.store.timer(key)).flatten();
        self.timers.set(key, stored, None);
    }

    /// Timer of a key.
    pub fn timer(&self, key: &[u8]) -> Option<Timer> {
        match self.timers.changed(key) {
            Some(timer) => timer,
            None => self.answered(self.store.timer(key)).flatten(),
        }
    }

    /// Instant of the earliest timer of a kind.
    pub fn next_due_ms(&self, kind: TimerKind) -> Option<i64> {
        self.answered(self.timers.next(kind, &*self.store)).flatten().map(|timer| timer.due_ms)
    }

    /// Removes and returns at most `max` timers of a kind that are due at `now_ms`, in order.
    pub fn take_due(&mut self, kind: TimerKind, now_ms: i64, max: usize) -> Vec<DueTimer> {
        let taken = self.timers.take_due(kind, now_ms, max, &*self.store);
        self.answered(taken).unwrap_or_default()
    }

    /// Brings committed timers of a kind that are due after an instant forward to it, at most `max` of them;
    /// how many such timers were found, those included that are brought forward already and not committed.
    pub fn bring_forward(&mut self, kind: TimerKind, latest_ms: i64, key_ends_with: &[u8], max: usize) -> usize {
        let from = DueTimer { due_ms: latest_ms.saturating_add(1), key: Vec::new() };
        let is_meant = |timer: &Result<DueTimer, StoreError>| {
            timer.as_ref().map_or(true, |timer| timer.key.ends_with(key_ends_with))
        };
        let found: Result<Vec<DueTimer>, StoreError> =
            self.store.timers(kind, &from).filter(is_meant).take(max).collect();
        let found = self.answered(found).unwrap_or_default();
        for timer in &found {
            if !self.timers.is_changed(&timer.key) {
                self.set_timer(&timer.key, kind, latest_ms);
            }
        }
        found.len()
    }

    /// Whether anything was changed since the last commit.
    pub fn is_changed(&self) -> bool {
        !self.values.is_empty() || !self.timers.is_empty()
    }

    /// What changed since the last commit: key and value of every changelog record.
    pub fn changes(&self) -> impl Iterator<Item = (Cow<'_, [u8]>, Option<Vec<u8>>)> {
        let values = self.values.iter().map(|(key, value)| (Cow::Borrowed(key.as_slice()), value.clone()));
        let timers = self.timers.changes().map(|(key, timer)| {
            let (key, value) = changelog::timer_record(key, timer);
            (Cow::Owned(key), value)
        });
        values.chain(timers)
    }

    /// The changes are committed; at which instant, in milliseconds since the epoch.
    ///
    /// # Errors
    /// If the store could not take them: it is behind the changelog now, or unknown.
    pub fn commit(&mut self, now_ms: i64) -> Result<(), StoreError> {
        if !self.is_changed() {
            return Ok(());
        }
        let values = self.values.iter().map(|(key, value)| Change::Value(key, value.as_deref()));
        let timers = self.timers.changes().map(|(key, timer)| Change::Timer(key, timer));
        let changes: Vec<Change<'_>> = values.chain(timers).collect();
        self.store.apply(&changes, Some(Mark { position: None, at_ms: now_ms }))?;
        for (key, _) in std::mem::take(&mut self.values).into_iter().filter(|(_, value)| value.is_some()) {
            self.gaps.put(&key);
        }
        self.timers.committed();
        Ok(())
    }

    /// Takes every change since the last commit back.
    pub fn abort(&mut self) {
        self.values.clear();
        self.timers.aborted();
    }

    /// Everything of the changelog below this offset is in the store; none if nothing is.
    pub fn position(&self) -> Option<i64> {
        self.store.position()
    }

    /// Everything of the changelog below `position`, and everything that was committed until an instant,
    /// in milliseconds since the epoch, is in the store. Only between two transactions.
    ///
    /// # Errors
    /// If the store could not note it.
    pub fn note(&mut self, position: i64, at_ms: i64) -> Result<(), StoreError> {
        debug_assert!(!self.is_changed(), "what is not committed is not in the store");
        self.store.apply(&[], Some(Mark { position: Some(position), at_ms }))
    }

    /// Takes one record of the changelog, oldest first, before the first step.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) {
        let entry = Entry::read(key, value);
        let (entries, bytes) = &mut self.restoring;
        entries.push(entry);
        *bytes += key.len() + value.map_or(0, <[u8]>::len);
        if entries.len() >= RESTORE_RECORDS_MAX || *bytes >= RESTORE_BYTES_MAX {
            self.apply_restored(None);
        }
    }

    /// The changelog was read up to `position`, which was its end at an instant, in milliseconds since
    /// the epoch.
    ///
    /// # Errors
    /// If the store failed since the restore began.
    pub fn restored(&mut self, position: i64, at_ms: i64) -> Result<(), StoreError> {
        self.apply_restored(Some(Mark { position: Some(position), at_ms }));
        self.failure().map_or(Ok(()), Err)
    }

    /// Forgets everything, on disk too. Reads answer again, from nothing.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn discard(&mut self) -> Result<(), StoreError> {
        self.abort();
        self.restoring = (Vec::new(), 0);
        self.store.discard()?;
        self.timers.stored_anew();
        self.gaps.forget();
        *self.failure.borrow_mut() = None;
        Ok(())
    }

    /// Why a read found nothing although there may be something. What was done since the last commit is
    /// worth nothing then.
    pub fn failure(&self) -> Option<StoreError> {
        self.failure.borrow().clone()
    }

    fn apply_restored(&mut self, mark: Option<Mark>) {
        let (entries, _) = std::mem::take(&mut self.restoring);
        let changes: Vec<Change<'_>> = entries.iter().map(Entry::as_change).collect();
        let applied = self.store.apply(&changes, mark);
        self.answered(applied);
        self.timers.stored_anew();
        self.gaps.forget();
    }

    fn answered<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer.map_err(|error| self.failure.borrow_mut().get_or_insert(error).clone()).ok()
    }
}
