//! State and timers of one partition.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_bus::{Change, DueTimer, Mark, Pairs, StateStore, StoreError, Timer, TimerKind, Timers};

use crate::database::{Batch, Database};
use crate::layout::{self, Head, Slot};

/// Who may use a partition's cache: the last one to have opened it.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Number of the last opening.
    last: u64,
    /// Whether that one is still open.
    open: bool,
}

impl Lease {
    /// Takes it; whoever had it before fails from now on.
    pub(crate) fn take(&self) -> u64 {
        let mut turn = self.lock();
        *turn = Turn { last: turn.last + 1, open: true };
        turn.last
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A partition's cache, open.
#[derive(Debug)]
pub(crate) struct DiskStore {
    pub(crate) database: Arc<Database>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) turn: u64,
    pub(crate) name_key: Vec<u8>,
    pub(crate) incarnation: String,
    pub(crate) slot: Slot,
    pub(crate) head: Option<Head>,
}

impl DiskStore {
    /// Held while something is read or written, so that nobody takes over in between.
    fn mine(&self) -> Result<MutexGuard<'_, Turn>, StoreError> {
        let turn = self.lease.lock();
        match turn.last == self.turn {
            true => Ok(turn),
            false => Err(StoreError("another member has taken the partition over".into())),
        }
    }

    fn stored_timer(&self, key: &[u8]) -> Result<Option<Timer>, StoreError> {
        let Some(value) = self.database.get(self.slot.timer_key(key))? else { return Ok(None) };
        layout::parse_timer(&value).map(Some).ok_or_else(|| self.database.broke("a timer cannot be read"))
    }

    /// What the timers of a batch are in the store: the entries by time must go with them.
    fn moved_timers<'c>(&self, changes: &Net<'c>) -> Result<Vec<MovedTimer<'c>>, StoreError> {
        let moved = |(key, timer): (&&'c [u8], &Option<Timer>)| -> Result<Option<MovedTimer<'c>>, StoreError> {
            let old = self.stored_timer(key)?;
            Ok((old != *timer).then_some(MovedTimer { key, old, new: *timer }))
        };
        changes.timers.iter().map(moved).filter_map(Result::transpose).collect()
    }

    fn put_timer(&self, batch: &mut Batch<'_>, moved: &MovedTimer<'_>) {
        let due_key = |timer: Timer| {
            let due = DueTimer { due_ms: timer.due_ms, key: moved.key.to_vec() };
            self.slot.due_key(timer.kind, &due)
        };
        if let Some(old) = moved.old {
            batch.remove(due_key(old));
        }
        match moved.new {
            Some(new) => {
                batch.insert(due_key(new), b"");
                batch.insert(self.slot.timer_key(moved.key), &layout::timer_value(new));
            }
            None => batch.remove(self.slot.timer_key(moved.key)),
        }
    }
}

struct MovedTimer<'a> {
    key: &'a [u8],
    old: Option<Timer>,
    new: Option<Timer>,
}

/// Changes of which only the last one of each key is left: entries of one batch have no order.
#[derive(Default)]
struct Net<'a> {
    values: BTreeMap<&'a [u8], Option<&'a [u8]>>,
    timers: BTreeMap<&'a [u8], Option<Timer>>,
}

impl<'a> Net<'a> {
    fn of(changes: &[Change<'a>]) -> Self {
        let mut net = Self::default();
        for change in changes {
            match *change {
                Change::Value(key, value) => drop(net.values.insert(key, value)),
                Change::Timer(key, timer) => drop(net.timers.insert(key, timer)),
            }
        }
        net
    }
}

impl StateStore for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        let _mine = self.mine()?;
        let value = self.database.get(self.slot.value_key(key))?;
        Ok(value.map(|value| Cow::Owned(value.to_vec())))
    }

    fn scan(&self, from: &[u8]) -> Pairs<'_> {
        if let Err(error) = self.mine() {
            return Box::new(std::iter::once(Err(error)));
        }
        let entries = self.database.scan(self.slot.value_key(from), self.slot.values_end());
        Box::new(entries.map(|entry| {
            let (key, value) = entry?;
            let key = layout::parse_value_key(&key).ok_or_else(|| self.database.broke("a key cannot be read"))?;
            Ok((Cow::Owned(key.to_vec()), Cow::Owned(value.to_vec())))
        }))
    }

    fn timer(&self, key: &[u8]) -> Result<Option<Timer>, StoreError> {
        let _mine = self.mine()?;
        self.stored_timer(key)
    }

    fn timers(&self, kind: TimerKind, from: &DueTimer) -> Timers<'_> {
        if let Err(error) = self.mine() {
            return Box::new(std::iter::once(Err(error)));
        }
        let entries = self.database.scan(self.slot.due_key(kind, from), self.slot.due_end(kind));
        Box::new(entries.map(|entry| {
            let (key, _) = entry?;
            layout::parse_due_key(&key).ok_or_else(|| self.database.broke("a timer cannot be read"))
        }))
    }

    fn position(&self) -> Option<i64> {
        self.head.map(|head| head.position)
    }

    fn apply(&mut self, changes: &[Change<'_>], mark: Option<Mark>) -> Result<(), StoreError> {
        let net = Net::of(changes);
        let mine = self.mine()?;
        let timers = self.moved_timers(&net)?;
        let head = mark.and_then(|Mark { position, at_ms }| {
            let position = position.or(self.head.map(|head| head.position))?;
            Some(Head { position, at_ms })
        });
        self.database.write(|batch| {
            for (key, value) in &net.values {
                match value {
                    Some(value) => batch.insert(self.slot.value_key(key), value),
                    None => batch.remove(self.slot.value_key(key)),
                }
            }
            timers.iter().for_each(|moved| self.put_timer(batch, moved));
            if let Some(head) = head {
                batch.insert(self.slot.head_key(), &layout::head_value(head));
            }
        })?;
        drop(mine);
        self.head = head.or(self.head);
        Ok(())
    }

    fn discard(&mut self) -> Result<(), StoreError> {
        let mine = self.mine()?;
        let slot = self.database.free_slot();
        self.database.write(|batch| {
            batch.insert(self.name_key.clone(), &layout::name_value(slot, &self.incarnation));
            batch.insert(self.slot.garbage_key(), b"");
        })?;
        self.database.leave(self.slot);
        drop(mine);
        (self.slot, self.head) = (slot, None);
        Ok(())
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        let mut turn = self.lease.lock();
        if turn.last == self.turn {
            turn.open = false;
        }
    }
}
