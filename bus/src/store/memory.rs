//! State in memory: for tests, for the simulator, and for stages whose process keeps no cache.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Change, DueTimer, Mark, Pairs, StateStore, StateStores, StoreError, StoreName, Timer, TimerKind, Timers, is_fresh,
};

#[derive(Debug, Default)]
struct Table {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    timers: BTreeMap<Vec<u8>, Timer>,
    due: BTreeSet<(TimerKind, DueTimer)>,
    position: Option<i64>,
    at_ms: i64,
}

/// A store in memory. One that came from [`MemoryStores`] returns there when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    table: Table,
    home: Option<(Arc<Mutex<Shelf>>, StoreName, u64)>,
}

impl MemoryStore {
    fn check(&self) -> Result<(), StoreError> {
        let Some((shelf, name, turn)) = &self.home else { return Ok(()) };
        let mut shelf = lock(shelf);
        if shelf.places.get(name).is_none_or(|place| place.turn != *turn) {
            return Err(StoreError("somebody else has opened it".into()));
        }
        match shelf.reads_until_failure {
            Some(0) => {
                shelf.reads_until_failure = None;
                Err(StoreError("a simulated fault".into()))
            }
            Some(left) => {
                shelf.reads_until_failure = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StateStore for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        self.check()?;
        Ok(self.table.values.get(key).map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn scan(&self, from: &[u8]) -> Pairs<'_> {
        if let Err(error) = self.check() {
            return Box::new(std::iter::once(Err(error)));
        }
        let range = self.table.values.range::<[u8], _>((Bound::Included(from), Bound::Unbounded));
        Box::new(range.map(|(k, v)| Ok((Cow::Borrowed(k.as_slice()), Cow::Borrowed(v.as_slice())))))
    }

    fn timer(&self, key: &[u8]) -> Result<Option<Timer>, StoreError> {
        self.check()?;
        Ok(self.table.timers.get(key).copied())
    }

    fn timers(&self, kind: TimerKind, from: &DueTimer) -> Timers<'_> {
        if let Err(error) = self.check() {
            return Box::new(std::iter::once(Err(error)));
        }
        let range = self.table.due.range((kind, from.clone())..);
        Box::new(range.take_while(move |(k, _)| *k == kind).map(|(_, timer)| Ok(timer.clone())))
    }

    fn position(&self) -> Option<i64> {
        self.table.position
    }

    fn apply(&mut self, changes: &[Change<'_>], mark: Option<Mark>) -> Result<(), StoreError> {
        self.check()?;
        for change in changes {
            match *change {
                Change::Value(key, Some(value)) => {
                    self.table.values.insert(key.to_vec(), value.to_vec());
                }
                Change::Value(key, None) => {
                    self.table.values.remove(key);
                }
                Change::Timer(key, timer) => self.table.set_timer(key, timer),
            }
        }
        if let Some(Mark { position, at_ms }) = mark {
            self.table.position = position.or(self.table.position);
            self.table.at_ms = at_ms;
        }
        Ok(())
    }

    fn discard(&mut self) -> Result<(), StoreError> {
        self.table = Table::default();
        Ok(())
    }
}

impl Table {
    fn set_timer(&mut self, key: &[u8], timer: Option<Timer>) {
        if let Some(old) = self.timers.remove(key) {
            self.due.remove(&(old.kind, DueTimer { due_ms: old.due_ms, key: key.to_vec() }));
        }
        if let Some(timer) = timer {
            self.timers.insert(key.to_vec(), timer);
            self.due.insert((timer.kind, DueTimer { due_ms: timer.due_ms, key: key.to_vec() }));
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let Some((shelf, name, turn)) = self.home.take() else { return };
        let mut shelf = lock(&shelf);
        if let Some(place) = shelf.places.get_mut(&name).filter(|place| place.turn == turn) {
            place.table = std::mem::take(&mut self.table);
        }
    }
}

#[derive(Debug, Default)]
struct Shelf {
    places: BTreeMap<StoreName, Place>,
    turns: u64,
    reads_until_failure: Option<u64>,
}

#[derive(Debug, Default)]
struct Place {
    table: Table,
    /// Which opening of it is the last one.
    turn: u64,
}

/// Stores in memory that outlive whoever opens them, as a disk outlives a process. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct MemoryStores {
    shelf: Arc<Mutex<Shelf>>,
    age_ms_max: Option<i64>,
}

impl MemoryStores {
    /// Stores that are thrown away once they were not known to be whole for that long, in milliseconds.
    pub fn with_age_ms_max(age_ms_max: i64) -> Self {
        Self { age_ms_max: Some(age_ms_max), ..Self::default() }
    }

    /// Loses everything, as a disk that was replaced; stores that are open fail from now on.
    pub fn lose(&self) {
        lock(&self.shelf).places.clear();
    }

    /// Lets one call fail after so many others.
    pub fn fail_after(&self, calls: u64) {
        lock(&self.shelf).reads_until_failure = Some(calls);
    }
}

impl StateStores for MemoryStores {
    fn open(&self, name: &StoreName, now_ms: i64) -> Result<Box<dyn StateStore>, StoreError> {
        let mut shelf = lock(&self.shelf);
        shelf.turns += 1;
        let turn = shelf.turns;
        let place = shelf.places.entry(name.clone()).or_default();
        place.turn = turn;
        // Whoever has it open keeps what was in it: this one begins anew.
        let table = std::mem::take(&mut place.table);
        let is_whole = table.position.is_some() && is_fresh(table.at_ms, now_ms, self.age_ms_max.unwrap_or(i64::MAX));
        let table = if is_whole { table } else { Table::default() };
        Ok(Box::new(MemoryStore { table, home: Some((self.shelf.clone(), name.clone(), turn)) }))
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // What it guards is replaced whole, so a panic elsewhere leaves nothing half done.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
