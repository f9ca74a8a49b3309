//! What a workflow tells of itself: errors, and entries of whoever hosts it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::complete::json_bytes;
use crate::expression::Value;

/// How serious an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For information.
    Info,
    /// Something may be wrong.
    Warn,
    /// Something is.
    Error,
}

/// One entry, in Orquesta's form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// How serious it is.
    #[serde(rename = "type")]
    pub level: Level,
    /// What is told.
    pub message: String,
    /// The task that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Arc<str>>,
    /// The route of that task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<u32>,
    /// The transition that it is about, `<target>__t<key>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_transition_id: Option<Arc<str>>,
    /// What the task resulted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Whatever else the host tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl LogEntry {
    /// An error about the workflow as a whole.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        LogEntry {
            level: Level::Error,
            message: message.into(),
            task_id: None,
            route: None,
            task_transition_id: None,
            result: None,
            data: None,
        }
    }
}

/// Entries by number, each once.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: BTreeMap<u32, LogEntry>,
    hashes: HashMap<u64, u32>,
    next: u32,
    /// About how many bytes the results of entries have.
    result_bytes: usize,
}

fn result_bytes(entry: &LogEntry) -> usize {
    entry.result.as_ref().map_or(0, json_bytes)
}

fn hash(entry: &LogEntry) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(entry).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}

impl Log {
    /// Adds an entry that is not there yet, and says its number.
    pub(crate) fn add(&mut self, entry: LogEntry) -> Option<u32> {
        let known = self.hashes.contains_key(&hash(&entry));
        if known && self.entries.values().any(|other| *other == entry) {
            return None;
        }
        let number = self.next;
        self.restore(number, entry);
        Some(number)
    }

    pub(crate) fn restore(&mut self, number: u32, entry: LogEntry) {
        *self.hashes.entry(hash(&entry)).or_default() += 1;
        self.result_bytes += result_bytes(&entry);
        self.entries.insert(number, entry);
        self.next = self.next.max(number + 1);
    }

    /// Removes such entries, and says the numbers.
    pub(crate) fn remove_where(&mut self, gone: impl Fn(&LogEntry) -> bool) -> Vec<u32> {
        let numbers: Vec<u32> =
            self.entries.iter().filter(|(_, entry)| gone(entry)).map(|(number, _)| *number).collect();
        for number in &numbers {
            let Some(entry) = self.entries.remove(number) else { continue };
            self.result_bytes -= result_bytes(&entry);
            let hash = hash(&entry);
            if let Some(count) = self.hashes.get_mut(&hash) {
                *count -= 1;
                if *count == 0 {
                    self.hashes.remove(&hash);
                }
            }
        }
        // Numbers go on behind the last one that is left, as they do for whoever restores what is stored.
        self.next = self.entries.last_key_value().map_or(0, |(last, _)| last + 1);
        numbers
    }

    /// About how many bytes the results of its entries have.
    pub(crate) fn result_bytes(&self) -> usize {
        self.result_bytes
    }

    pub(crate) fn get(&self, number: u32) -> Option<&LogEntry> {
        self.entries.get(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LogEntry> {
        self.entries.values()
    }
}
