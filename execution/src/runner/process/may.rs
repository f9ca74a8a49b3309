//! What a process may do beyond its own processes.

use serde_json::Value;

use super::super::keys::{Keys, Mistake, kind};

/// What a program may do beyond its own processes; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct May {
    /// Signal processes that it did not start.
    pub signal_others: bool,
    /// Gain rights by `sudo` and other programs with a set-user-id bit or file capabilities.
    pub gain_privileges: bool,
}

/// Reads the key `may`.
pub(super) fn read(keys: &mut Keys<'_>) -> May {
    let mut may = May::default();
    let Some(list) = keys.get("may") else { return may };
    let Value::Array(items) = list else {
        keys.error("/may", Mistake::WrongType, format!("expected \"may\" as a list, found {}", kind(list)));
        return may;
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("/may/{index}");
        match keys.text(item, &at, &format!("may[{index}]")) {
            Some("signal_others") => may.signal_others = true,
            Some("gain_privileges") => may.gain_privileges = true,
            Some(other) => {
                let message = format!("{other:?} is nothing that can be allowed: signal_others, gain_privileges");
                keys.error(at, Mistake::BadValue, message);
            }
            None => {}
        }
    }
    may
}
