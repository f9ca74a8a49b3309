//! Keys and small values of the database. Numbers in keys are big endian, so that they sort.
//!
//! | Key | Value |
//! |---|---|
//! | slot 0, `i` | identity of the directory: format, size of memory tables, cluster |
//! | slot 0, `d`, stage, 0, changelog, 0, partition | slot, incarnation of the changelog |
//! | slot 0, `g`, slot | nothing: what this slot holds is to be removed |
//! | slot, 0 | head: position, when the slot was known to be whole |
//! | slot, 1, key | value |
//! | slot, 2, key | the key's timer: kind, instant |
//! | slot, 3, kind, instant, key | nothing: timers in order of time |

use petrel_bus::{DueTimer, StoreName, Timer, TimerKind};

/// Version of this layout; a directory of another one is thrown away.
const FORMAT: u32 = 1;

pub(crate) const IDENTITY_KEY: [u8; 5] = [0, 0, 0, 0, b'i'];
pub(crate) const NAMES_PREFIX: [u8; 5] = [0, 0, 0, 0, b'd'];
pub(crate) const GARBAGE_PREFIX: [u8; 5] = [0, 0, 0, 0, b'g'];

const HEAD: u8 = 0;
const VALUES: u8 = 1;
const TIMERS: u8 = 2;
const DUE: u8 = 3;

/// The number that a partition's keys begin with; 0 is the directory's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    /// The first key of the slot; that of the next one is behind all keys of this.
    pub(crate) fn first_key(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    pub(crate) fn garbage_key(self) -> Vec<u8> {
        [&GARBAGE_PREFIX[..], &self.0.to_be_bytes()].concat()
    }

    pub(crate) fn head_key(self) -> Vec<u8> {
        self.key(HEAD, b"")
    }

    pub(crate) fn value_key(self, key: &[u8]) -> Vec<u8> {
        self.key(VALUES, key)
    }

    pub(crate) fn timer_key(self, key: &[u8]) -> Vec<u8> {
        self.key(TIMERS, key)
    }

    pub(crate) fn due_key(self, kind: TimerKind, timer: &DueTimer) -> Vec<u8> {
        // With the sign's bit turned over, negative instants sort before the others.
        let instant = (timer.due_ms ^ i64::MIN).to_be_bytes();
        [&self.0.to_be_bytes()[..], &[DUE, kind.byte()], &instant, &timer.key].concat()
    }

    /// Behind all timers of that kind.
    pub(crate) fn due_end(self, kind: TimerKind) -> Vec<u8> {
        self.key(DUE, &[kind.byte() + 1])
    }

    /// Behind all values.
    pub(crate) fn values_end(self) -> Vec<u8> {
        self.key(VALUES + 1, b"")
    }

    fn key(self, part: u8, key: &[u8]) -> Vec<u8> {
        [&self.0.to_be_bytes()[..], &[part], key].concat()
    }
}

/// The state key in a key of the part for values.
pub(crate) fn parse_value_key(key: &[u8]) -> Option<&[u8]> {
    key.get(5..)
}

pub(crate) fn parse_due_key(key: &[u8]) -> Option<DueTimer> {
    let (instant, key) = key.get(6..)?.split_first_chunk::<8>()?;
    Some(DueTimer { due_ms: i64::from_be_bytes(*instant) ^ i64::MIN, key: key.to_vec() })
}

pub(crate) fn timer_value(timer: Timer) -> Vec<u8> {
    [&[timer.kind.byte()][..], &timer.due_ms.to_be_bytes()].concat()
}

pub(crate) fn parse_timer(value: &[u8]) -> Option<Timer> {
    let (kind, instant) = value.split_first()?;
    Some(Timer { kind: TimerKind::of_byte(*kind)?, due_ms: i64::from_be_bytes(instant.try_into().ok()?) })
}

/// What a slot is known to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) position: i64,
    pub(crate) at_ms: i64,
}

pub(crate) fn head_value(head: Head) -> Vec<u8> {
    [head.position.to_be_bytes(), head.at_ms.to_be_bytes()].concat()
}

pub(crate) fn parse_head(value: &[u8]) -> Option<Head> {
    let (position, at_ms) = value.split_first_chunk::<8>()?;
    Some(Head { position: i64::from_be_bytes(*position), at_ms: i64::from_be_bytes(at_ms.try_into().ok()?) })
}

pub(crate) fn name_key(name: &StoreName) -> Vec<u8> {
    let StoreName { stage, changelog, partition } = name;
    let parts: [&[u8]; 6] =
        [&NAMES_PREFIX, stage.as_bytes(), &[0], changelog.as_bytes(), &[0], &partition.to_be_bytes()];
    parts.concat()
}

pub(crate) fn name_value(slot: Slot, incarnation: &str) -> Vec<u8> {
    [&slot.0.to_be_bytes()[..], incarnation.as_bytes()].concat()
}

pub(crate) fn parse_name(value: &[u8]) -> Option<(Slot, &str)> {
    let (slot, incarnation) = value.split_first_chunk::<4>()?;
    Some((Slot(u32::from_be_bytes(*slot)), std::str::from_utf8(incarnation).ok()?))
}

pub(crate) fn parse_garbage_key(key: &[u8]) -> Option<Slot> {
    Some(Slot(u32::from_be_bytes(key.strip_prefix(&GARBAGE_PREFIX)?.try_into().ok()?)))
}

pub(crate) fn identity(memtable_bytes: u64, cluster_id: &str) -> Vec<u8> {
    [&FORMAT.to_be_bytes()[..], &memtable_bytes.to_be_bytes(), cluster_id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let slot = Slot(7);
        assert_eq!(parse_value_key(&slot.value_key(b"k")), Some(&b"k"[..]));
        for due_ms in [i64::MIN, -1, 0, 1, i64::MAX] {
            for kind in TimerKind::ALL {
                let due = DueTimer { due_ms, key: b"k".to_vec() };
                assert_eq!(parse_due_key(&slot.due_key(kind, &due)), Some(due));
                assert_eq!(parse_timer(&timer_value(Timer { kind, due_ms })), Some(Timer { kind, due_ms }));
            }
        }
        let head = Head { position: 3, at_ms: -4 };
        assert_eq!(parse_head(&head_value(head)), Some(head));
        assert_eq!(parse_name(&name_value(slot, "x")), Some((slot, "x")));
        assert_eq!(parse_garbage_key(&slot.garbage_key()), Some(slot));
        assert_eq!(parse_garbage_key(&name_key(&name(1))), None);
    }

    #[test]
    fn keys_sort_by_slot_then_part_then_time() {
        let slot = Slot(255);
        let due = |due_ms| slot.due_key(TimerKind::Time, &DueTimer { due_ms, key: b"k".to_vec() });
        let in_order = [
            slot.first_key(),
            slot.head_key(),
            slot.value_key(b""),
            slot.value_key(&[255; 9]),
            slot.values_end(),
            slot.timer_key(&[255; 9]),
            due(i64::MIN),
            due(-1),
            due(0),
            due(i64::MAX),
            slot.due_end(TimerKind::Time),
            slot.due_end(TimerKind::Silence),
            Slot(256).first_key(),
        ];
        assert!(in_order.is_sorted());
    }

    fn name(partition: u32) -> StoreName {
        StoreName { stage: "owner".into(), changelog: "petrel.executions".into(), partition }
    }
}
