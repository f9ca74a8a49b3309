//! What services of a process cannot do now, and since when, for whoever tells people.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is wrong with services that start anew until it is over; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<String, Trouble>>>);

/// What a service cannot do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What and why, as it was told last; for people.
    pub why: String,
    /// Since when, in milliseconds since the epoch.
    pub since_ms: i64,
}

impl Troubles {
    /// A service, by its name, is in trouble; for how long already is kept.
    pub fn begin(&self, service: &str, why: String, now_ms: i64) {
        let mut all = self.lock();
        let since_ms = all.get(service).map_or(now_ms, |known| known.since_ms);
        all.insert(service.to_owned(), Trouble { why, since_ms });
    }

    /// Whether it is.
    pub fn has(&self, service: &str) -> bool {
        self.lock().contains_key(service)
    }

    /// It is not any more.
    pub fn end(&self, service: &str) {
        self.lock().remove(service);
    }

    /// All there are now, by service.
    pub fn now(&self) -> Vec<Trouble> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Trouble>> {
        // Entries are put and taken whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_with_its_latest_reason_since_it_began_until_it_ends() {
        let troubles = Troubles::default();
        let told = troubles.clone();
        let trouble = |why: &str, since_ms| Trouble { why: why.to_owned(), since_ms };
        troubles.begin("kv", "away".to_owned(), 1_000);
        troubles.begin("kv", "no right".to_owned(), 2_000);
        troubles.begin("catalog", "gone".to_owned(), 3_000);
        assert_eq!(told.now(), [trouble("gone", 3_000), trouble("no right", 1_000)]);
        troubles.end("kv");
        troubles.end("kv");
        assert_eq!(told.now(), [trouble("gone", 3_000)]);
        troubles.begin("kv", "away".to_owned(), 4_000);
        assert_eq!(told.now()[1], trouble("away", 4_000));
        assert!(told.has("kv") && !told.has("orders"));
    }
}
