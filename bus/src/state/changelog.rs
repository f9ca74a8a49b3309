//! Records of a changelog. State keys stand as they are. The bus's own begin with [`OWN_PREFIX`]: a timer's
//! key gets a prefix, and its value is its kind's byte, then the instant as eight bytes, big endian; behind
//! another prefix stands the name of an input topic, and the value is the offset of its next record, too, then what
//! tells the topic from earlier ones of its name. A third stands before the key of a timer that was moved back, and the
//! value is the instant that it was moved to.

use std::sync::Arc;

use crate::store::{Change, Timer, TimerKind};

/// Begins the keys that are the bus's own; state keys never begin with it.
const OWN_PREFIX: &[u8] = b"~";
/// Prefix of the changelog keys that hold timers.
const TIMER_PREFIX: &[u8] = b"~t/";
/// Prefix of the keys that hold positions.
pub(super) const POSITION_PREFIX: &[u8] = b"~p/";

/// Prefix of the keys that say which timers were moved back.
pub(super) const MOVED_BACK_PREFIX: &[u8] = b"~m/";

/// Where a group was on a partition of an input topic, as it is kept beside the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptPosition {
    /// Offset of the next record.
    pub(crate) offset: i64,
    /// What tells the topic from earlier ones of its name; none where the log could not tell.
    pub(crate) incarnation: Option<Arc<str>>,
}

/// Whether a key is none of the stage's.
pub(super) fn is_own(key: &[u8]) -> bool {
    key.starts_with(OWN_PREFIX)
}

/// A record of a changelog that was read.
#[derive(Debug)]
pub(super) enum Entry {
    Value(Vec<u8>, Option<Vec<u8>>),
    Timer(Vec<u8>, Option<Timer>),
}

impl Entry {
    pub(super) fn read(key: &[u8], value: Option<&[u8]>) -> Self {
        match key.strip_prefix(TIMER_PREFIX) {
            Some(timer) => Self::Timer(timer.to_vec(), value.and_then(read_timer)),
            None => Self::Value(key.to_vec(), value.map(<[u8]>::to_vec)),
        }
    }

    pub(super) fn as_change(&self) -> Change<'_> {
        match self {
            Self::Value(key, value) => Change::Value(key, value.as_deref()),
            Self::Timer(key, timer) => Change::Timer(key, *timer),
        }
    }
}

pub(super) fn timer_record(key: &[u8], timer: Option<Timer>) -> (Vec<u8>, Option<Vec<u8>>) {
    let value = |timer: Timer| [&[timer.kind.byte()], &timer.due_ms.to_be_bytes()[..]].concat();
    ([TIMER_PREFIX, key].concat(), timer.map(value))
}

fn read_timer(value: &[u8]) -> Option<Timer> {
    let (byte, instant) = value.split_first()?;
    Some(Timer { kind: TimerKind::of_byte(*byte)?, due_ms: i64::from_be_bytes(instant.try_into().ok()?) })
}

/// Key that says that a timer was moved back.
pub(super) fn moved_back_key(timer: &[u8]) -> Vec<u8> {
    [MOVED_BACK_PREFIX, timer].concat()
}

/// Key of the position on an input topic.
pub(super) fn position_key(topic: &str) -> Vec<u8> {
    [POSITION_PREFIX, topic.as_bytes()].concat()
}

pub(super) fn position_value(position: &KeptPosition) -> Vec<u8> {
    let incarnation = position.incarnation.as_deref().unwrap_or_default();
    [&position.offset.to_be_bytes()[..], incarnation.as_bytes()].concat()
}

pub(super) fn read_position(value: &[u8]) -> Option<KeptPosition> {
    let (offset, incarnation) = value.split_first_chunk::<8>()?;
    let incarnation = std::str::from_utf8(incarnation).ok()?;
    let incarnation = Some(incarnation).filter(|text| !text.is_empty()).map(Arc::from);
    Some(KeptPosition { offset: i64::from_be_bytes(*offset), incarnation })
}
