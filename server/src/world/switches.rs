//! Kill switches: entries of the key-value store that people write over the API.

use std::collections::BTreeMap;

use petrel_execution::{EVERYTHING, SwitchedOff};
use serde::{Deserialize, Serialize};

/// Beginning of the keys of such entries; the scope follows, `everything`, `pack/NAME`, `action/PACK.NAME` or
/// `rule/PACK.NAME`.
pub(super) const SWITCH_KEYS: &str = "petrel/switch/";

/// What the entry of a switch that is off says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchOrder {
    /// Why, for the others.
    pub reason: String,
    /// Who wanted it.
    pub by: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Until when, in milliseconds since the epoch; none where somebody has to switch it on.
    pub until_ms: Option<i64>,
    /// Whether what would start meanwhile ends instead of waiting.
    pub drops: bool,
}

/// All that are off, by scope.
#[derive(Debug, Clone, Default)]
pub struct Switches(BTreeMap<String, SwitchOrder>);

/// The key of a scope's entry.
pub fn switch_key(scope: &str) -> String {
    format!("{SWITCH_KEYS}{scope}")
}

/// Whether a text is a scope.
pub fn is_scope(scope: &str) -> bool {
    let is_name = |text: &str| !text.is_empty() && !text.contains(['/', '.']);
    match scope.split_once('/') {
        None => scope == EVERYTHING,
        Some(("pack", name)) => is_name(name),
        Some(("action" | "rule", reference)) => {
            reference.split_once('.').is_some_and(|(pack, name)| is_name(pack) && is_name(name))
        }
        Some(_) => false,
    }
}

impl Switches {
    /// Those that have entries, also those whose time has passed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SwitchOrder)> {
        self.0.iter().map(|(scope, order)| (scope.as_str(), order))
    }

    /// What the entry of a scope says.
    pub fn get(&self, scope: &str) -> Option<&SwitchOrder> {
        self.0.get(scope)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As owners are told.
    pub(super) fn off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let SwitchOrder { reason, by, until_ms, drops, .. } = self.0.get(scope)?;
        let off = || SwitchedOff { by: by.clone(), reason: reason.clone(), until_ms: *until_ms, drops: *drops };
        until_ms.is_none_or(|until_ms| now_ms < until_ms).then(off)
    }

    /// Takes an entry, or its end.
    pub(super) fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let scope = key.strip_prefix(SWITCH_KEYS).filter(|scope| is_scope(scope)).ok_or("it switches nothing known")?;
        match value {
            Some(value) => {
                let order = serde_json::from_str(value).map_err(|e| format!("it does not say what is off: {e}"))?;
                self.0.insert(scope.to_owned(), order);
            }
            None => _ = self.0.remove(scope),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_off_until_its_time_or_its_end() {
        let mut switches = Switches::default();
        let order = |until_ms| {
            let order = SwitchOrder { reason: "x".into(), by: "api".into(), at_ms: 5, until_ms, drops: true };
            serde_json::to_string(&order).unwrap()
        };
        let key = switch_key("action/disk.clean");
        switches.take(&key, Some(&order(Some(9)))).unwrap();
        let off = |switches: &Switches, now_ms| switches.off("action/disk.clean", now_ms).map(|off| off.drops);
        assert_eq!([off(&switches, 8), off(&switches, 9)], [Some(true), None]);
        switches.take(&key, Some(&order(None))).unwrap();
        assert_eq!(off(&switches, i64::MAX), Some(true));
        assert!(switches.off("action/disk", 0).is_none() && switches.off(EVERYTHING, 0).is_none());
        switches.take(&key, None).unwrap();
        assert!(switches.is_empty());
        assert!(switches.take(&key, Some("{}")).is_err());
        for scope in ["", "all", "pack/", "pack/a.b", "action/a", "rule/a.b/c", "rule/.b", "everything/x", "user/a.b"] {
            assert!(switches.take(&switch_key(scope), Some(&order(None))).is_err(), "{scope}");
        }
        for scope in ["everything", "pack/a", "action/a.b", "rule/a.b"] {
            switches.take(&switch_key(scope), Some(&order(None))).unwrap();
        }
    }
}
