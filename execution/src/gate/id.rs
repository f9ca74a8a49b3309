//! Which gate it is, and the fixed order in which gates are acquired.

use std::cmp::Ordering;
use std::fmt;

/// Longest key of a gate, in bytes.
pub const GATE_KEY_BYTES_MAX: usize = 256;

/// What a gate limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// How many run at once.
    Concurrency,
    /// What goes on failing.
    Breaker,
    /// How many start in a time, evenly.
    Rate,
    /// How many start in any such time, at most.
    Radius,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Concurrency, Self::Breaker, Self::Rate, Self::Radius];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Breaker => "breaker",
            Self::Rate => "rate",
            Self::Radius => "radius",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The part of a policy that a gate decides about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Level {
    /// One value of the policy's key expression.
    Key(String),
    /// All of the policy.
    Total,
}

/// One gate.
///
/// The order of these ids is the order in which an execution acquires its gates, everywhere: no two executions can each
/// hold what the other one waits for. The gates of keys come before those of all: whoever waits at a key that is busy, or
/// shut, must not keep others from what all share. Of each, what is held until the end comes before what a start uses up,
/// which would else be used up long before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GateId {
    /// Reference of the policy.
    pub policy: String,
    /// What it limits.
    pub kind: Kind,
    /// Which part of it.
    pub level: Level,
}

/// Why there is no such gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateIdError {
    /// The text names none.
    #[error("{0:?} is no gate: write policy/kind/key/VALUE or policy/kind/total")]
    Text(String),
    /// The value of a key expression is too long.
    #[error("a key of {bytes} bytes is over the limit of {GATE_KEY_BYTES_MAX}")]
    KeyTooLong {
        /// How long it is.
        bytes: usize,
    },
}

const TOTAL: &str = "total";
const KEY: &str = "key/";

impl GateId {
    /// The gate of a key of a policy.
    ///
    /// # Errors
    /// [`GateIdError::KeyTooLong`].
    pub fn of_key(policy: &str, kind: Kind, key: &str) -> Result<Self, GateIdError> {
        if key.len() > GATE_KEY_BYTES_MAX {
            return Err(GateIdError::KeyTooLong { bytes: key.len() });
        }
        Ok(Self { policy: policy.to_owned(), kind, level: Level::Key(key.to_owned()) })
    }

    /// The gate of all of a policy.
    pub fn total(policy: &str, kind: Kind) -> Self {
        Self { policy: policy.to_owned(), kind, level: Level::Total }
    }

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`GateIdError`].
    pub fn parse(text: &str) -> Result<Self, GateIdError> {
        let error = || GateIdError::Text(text.to_owned());
        let (policy, rest) = text.split_once('/').filter(|(policy, _)| !policy.is_empty()).ok_or_else(error)?;
        let (kind, level) = rest.split_once('/').ok_or_else(error)?;
        let kind = Kind::parse(kind).ok_or_else(error)?;
        match (level, level.strip_prefix(KEY)) {
            (TOTAL, _) => Ok(Self::total(policy, kind)),
            (_, Some(key)) => Self::of_key(policy, kind, key),
            _ => Err(error()),
        }
    }

    fn rank(&self) -> (u8, &str, Option<&str>) {
        let key = match &self.level {
            Level::Key(key) => Some(key.as_str()),
            Level::Total => None,
        };
        let rank = match (self.kind, key.is_some()) {
            (Kind::Concurrency, true) => 0,
            (Kind::Breaker, true) => 1,
            (Kind::Rate, true) => 2,
            (Kind::Radius, true) => 3,
            (Kind::Concurrency, false) => 4,
            (Kind::Breaker, false) => 5,
            (Kind::Rate, false) => 6,
            (Kind::Radius, false) => 7,
        };
        (rank, &self.policy, key)
    }
}

impl Ord for GateId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for GateId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The policy, its kind, and `total` or `key/` and the key, with slashes between. References of policies hold no slash,
/// so it is read back whatever the key is.
impl fmt::Display for GateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.policy, self.kind.as_str())?;
        match &self.level {
            Level::Key(key) => write!(f, "{KEY}{key}"),
            Level::Total => f.write_str(TOTAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_in_the_order_of_acquiring() {
        let key = |policy, kind, key| GateId::of_key(policy, kind, key).unwrap();
        let sorted = [
            key("a.p", Kind::Concurrency, ""),
            key("a.p", Kind::Concurrency, "total"),
            key("a.p", Kind::Concurrency, "x/y ü"),
            key("b.p", Kind::Concurrency, "a"),
            key("a.p", Kind::Breaker, "a"),
            key("a.p", Kind::Rate, "a"),
            key("a.p", Kind::Radius, "a"),
            GateId::total("a.p", Kind::Concurrency),
            GateId::total("b.p", Kind::Concurrency),
            GateId::total("a.p", Kind::Breaker),
            GateId::total("a.p", Kind::Rate),
            GateId::total("a.p", Kind::Radius),
        ];
        assert!(sorted.is_sorted_by(|a, b| a < b));
        for gate in sorted {
            assert_eq!(GateId::parse(&gate.to_string()), Ok(gate));
        }
        for text in ["", "a", "a.p/", "a.p/total", "a.p/rate/other", "/rate/total", "a.p/rate/totally", "a.p/x/total"] {
            assert_eq!(GateId::parse(text), Err(GateIdError::Text(text.to_owned())));
        }
    }

    #[test]
    fn a_key_has_a_longest_length() {
        let of = |bytes: usize| GateId::of_key("a.p", Kind::Rate, &"x".repeat(bytes));
        assert!(of(GATE_KEY_BYTES_MAX).is_ok());
        let too_long = GATE_KEY_BYTES_MAX + 1;
        assert_eq!(of(too_long), Err(GateIdError::KeyTooLong { bytes: too_long }));
    }
}
