//! The timers of an execution: several, each with a kind of its own.

use petrel_schemas::ExecutionId;

/// What a timer of an execution is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerKind {
    /// Its worker must have been heard by then.
    Lease,
    /// Its delay ends.
    BackOff,
    /// A worker must have claimed its task by then.
    ScheduleToStart,
    /// It must be over by then, whatever it does.
    Deadline,
    /// Its workflow has something to do by then.
    Conduct,
    /// It has waited for an answer for so long that others may have its permits.
    Freeze,
    /// It is over, and its id may be forgotten.
    Remember,
}

impl TimerKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Lease,
        Self::BackOff,
        Self::ScheduleToStart,
        Self::Deadline,
        Self::Conduct,
        Self::Freeze,
        Self::Remember,
    ];

    /// How the keys of its timers end.
    pub const fn key_end(self) -> &'static str {
        match self {
            Self::Lease => "/lease",
            Self::BackOff => "/back_off",
            Self::ScheduleToStart => "/schedule_to_start",
            Self::Deadline => "/deadline",
            Self::Conduct => "/conduct",
            Self::Freeze => "/freeze",
            Self::Remember => "/remember",
        }
    }

    /// Whether it means that nothing was heard by then: it may only fire once everything that was said before
    /// has been read.
    pub const fn is_silence(self) -> bool {
        matches!(self, Self::Lease | Self::ScheduleToStart)
    }
}

/// Key of a timer.
pub fn timer_key(execution: &ExecutionId, kind: TimerKind) -> Vec<u8> {
    format!("{execution}{}", kind.key_end()).into_bytes()
}

/// Whose timer a key is, and which; nothing for a key that is no execution's.
pub fn parse_timer_key(key: &[u8]) -> Option<(ExecutionId, TimerKind)> {
    let key = std::str::from_utf8(key).ok()?;
    let (id, end) = key.split_at_checked(key.find('/')?)?;
    let kind = TimerKind::ALL.into_iter().find(|kind| kind.key_end() == end)?;
    Some((ExecutionId::parse(id).ok()?, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let child = ExecutionId::of_manual("x").child(3).unwrap();
        for kind in TimerKind::ALL {
            assert_eq!(parse_timer_key(&timer_key(&child, kind)), Some((child.clone(), kind)));
        }
        for other in [&b"waiting/pause"[..], b"x/lease", b"", b"\xFF/lease"] {
            assert_eq!(parse_timer_key(other), None);
        }
    }
}
