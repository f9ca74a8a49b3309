//! Which gate it is, and the fixed order in which gates are acquired.

use std::fmt;

/// The part of a policy that a gate decides about. A key's own gate comes before the one of all keys: whoever waits
/// for a busy key must not keep others from what all share.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// One value of the policy's key expression.
    Key(String),
    /// All of the policy.
    Total,
}

/// One gate. The order of these ids is the order in which an execution acquires its gates, everywhere: no two
/// executions can each hold what the other one waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GateId {
    /// Reference of the policy.
    pub policy: String,
    /// Which part of it.
    pub level: Level,
}

/// A text that is no gate's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no gate: write policy/key/VALUE or policy/total")]
pub struct GateIdError(pub String);

const TOTAL: &str = "total";
const KEY: &str = "key/";

impl GateId {
    /// The gate of a key of a policy.
    pub fn of_key(policy: &str, key: &str) -> Self {
        Self { policy: policy.to_owned(), level: Level::Key(key.to_owned()) }
    }

    /// The gate of all of a policy.
    pub fn total(policy: &str) -> Self {
        Self { policy: policy.to_owned(), level: Level::Total }
    }

    /// Reads what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`GateIdError`].
    pub fn parse(text: &str) -> Result<Self, GateIdError> {
        let error = || GateIdError(text.to_owned());
        let (policy, level) = text.split_once('/').filter(|(policy, _)| !policy.is_empty()).ok_or_else(error)?;
        match (level, level.strip_prefix(KEY)) {
            (TOTAL, _) => Ok(Self::total(policy)),
            (_, Some(key)) => Ok(Self::of_key(policy, key)),
            _ => Err(error()),
        }
    }
}

/// The policy, a slash, and `total` or `key/` and the key. References of policies hold no slash, so it is read back
/// whatever the key is.
impl fmt::Display for GateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.level {
            Level::Key(key) => write!(f, "{}/{KEY}{key}", self.policy),
            Level::Total => write!(f, "{}/{TOTAL}", self.policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_back_and_a_key_comes_before_the_total() {
        let sorted = [
            GateId::of_key("a.p", ""),
            GateId::of_key("a.p", "total"),
            GateId::of_key("a.p", "x/y ü"),
            GateId::total("a.p"),
            GateId::of_key("b.p", "a"),
        ];
        assert!(sorted.is_sorted());
        for gate in sorted {
            assert_eq!(GateId::parse(&gate.to_string()), Ok(gate));
        }
        for text in ["", "a", "a.p/", "a.p/other", "/total", "a.p/totally"] {
            assert_eq!(GateId::parse(text), Err(GateIdError(text.to_owned())));
        }
    }
}
