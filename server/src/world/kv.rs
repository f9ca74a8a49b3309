//! The key-value store's log, folded into the globals record by record.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_bus::Record;
use petrel_schemas::{KvEntry, decode};
use serde_json::Value;

use super::drains::DRAIN_KEYS;
use super::switches::SWITCH_KEYS;
use super::{DISPATCH_KEY, Globals};
use crate::format::FORMAT_KEY;

/// Beginning of the keys that are Petrel's own.
pub(super) const OWN_KEYS: &str = "petrel/";

/// A record of the store's log: its key, and its value, a tombstone, or why it cannot be read.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) offset: i64,
    pub(super) value: Result<Option<String>, String>,
}

impl Entry {
    pub(super) fn of(record: &Record<'_>) -> Self {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let value = record.value.map(decode::<KvEntry>).transpose();
        let value = value.map(|entry| entry.map(|entry| entry.value)).map_err(|error| error.to_string());
        Self { key, offset: record.offset, value }
    }

    /// Whether it tells the format in force. If it cannot be read, the process ends.
    pub(super) fn is_format(&self) -> bool {
        self.key == FORMAT_KEY
    }
}

impl Globals {
    /// Takes an entry. What cannot be used is neither removed nor ignored: it stands in the way of whoever may
    /// depend on it, until another record of its key comes. Whether stages have to look again.
    pub(super) fn take(&mut self, entry: Entry) -> bool {
        let Entry { key, offset, value } = entry;
        self.kv_version = offset + 1;
        let taken = value.and_then(|value| self.fold(&key, value.as_deref()));
        let was_in_the_way = self.unusable.contains_key(&key);
        if let Err(why) = &taken {
            tracing::error!(%key, why, "key-value record cannot be used");
            Arc::make_mut(&mut self.unusable).insert(key.clone(), why.clone());
        } else if was_in_the_way {
            Arc::make_mut(&mut self.unusable).remove(&key);
        }
        self.problem = problem(&self.unusable);
        key == DISPATCH_KEY || key.starts_with(SWITCH_KEYS) || was_in_the_way || taken.is_err()
    }

    fn fold(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        if key == DISPATCH_KEY {
            self.paused = value.map(says_paused).transpose()?.unwrap_or(false);
        } else if key.starts_with(DRAIN_KEYS) {
            Arc::make_mut(&mut self.drains).take(key, value)?;
        } else if key.starts_with(SWITCH_KEYS) {
            Arc::make_mut(&mut self.switches).take(key, value)?;
        } else if !key.starts_with(OWN_KEYS) {
            self.kv = Arc::new(self.kv.changed(key, value).map_err(|error| error.to_string())?);
        } else if value.is_some() && key != FORMAT_KEY {
            return Err("this release does not know the key; it may come from a newer release".to_owned());
        }
        Ok(())
    }
}

/// Why nothing may be decided, if so: the first entry that cannot be used.
fn problem(unusable: &BTreeMap<String, String>) -> Option<Arc<str>> {
    unusable.first_key_value().map(|(key, why)| format!("key-value store: {key} cannot be used: {why}").into())
}

/// Whether a value of [`DISPATCH_KEY`] pauses dispatch.
fn says_paused(value: &str) -> Result<bool, String> {
    let read = serde_json::from_str::<Value>(value).ok();
    let paused = read.and_then(|value| value["paused"].as_bool());
    paused.ok_or_else(|| format!("it does not say whether dispatch is paused: {value:?}"))
}
