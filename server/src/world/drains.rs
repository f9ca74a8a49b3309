//! Which workers are drained: entries of the key-value store that people write over the API.

use std::collections::BTreeMap;

use petrel_executor::Drain;
use serde::{Deserialize, Serialize};

/// Beginning of the keys of such entries.
pub(super) const DRAIN_KEYS: &str = "petrel/drain/";

/// Whose worker is drained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drained {
    /// One worker.
    Worker(String),
    /// Every worker of a pool, also one that is started later.
    Pool(String),
}

impl Drained {
    /// The key of its entry.
    pub fn key(&self) -> String {
        match self {
            Self::Worker(worker) => format!("{DRAIN_KEYS}worker/{worker}"),
            Self::Pool(pool) => format!("{DRAIN_KEYS}pool/{pool}"),
        }
    }

    fn parse(key: &str) -> Option<Self> {
        match key.strip_prefix(DRAIN_KEYS)?.split_once('/')? {
            ("worker", worker) => Some(Self::Worker(worker.to_owned())),
            ("pool", pool) => Some(Self::Pool(pool.to_owned())),
            _ => None,
        }
    }
}

/// What its entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainOrder {
    /// Why, for the others.
    pub reason: Option<String>,
    /// Who wanted it.
    pub by: String,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// From when what still runs is handed over, in milliseconds since the epoch; none waits.
    pub hand_over_at_ms: Option<i64>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Drains(BTreeMap<Drained, DrainOrder>);

impl Drains {
    /// What is wanted of a worker: its own entry counts before that of its pool.
    pub fn of(&self, worker: &str, pool: &str) -> Option<&DrainOrder> {
        let own = self.0.get(&Drained::Worker(worker.to_owned()));
        own.or_else(|| self.0.get(&Drained::Pool(pool.to_owned())))
    }

    /// What an entry says.
    pub fn get(&self, whose: &Drained) -> Option<&DrainOrder> {
        self.0.get(whose)
    }

    /// As a worker is told; most of the time nobody is drained.
    pub(super) fn wanted(&self, worker: &str, pool: &str) -> Option<Drain> {
        if self.0.is_empty() {
            return None;
        }
        self.of(worker, pool).map(|order| Drain { at_ms: order.at_ms, hand_over_at_ms: order.hand_over_at_ms })
    }

    /// Takes an entry, or its end.
    pub(super) fn take(&mut self, key: &str, value: Option<&str>) -> Result<(), String> {
        let whose = Drained::parse(key).ok_or("it names neither a worker nor a pool")?;
        match value {
            Some(value) => {
                let order = serde_json::from_str(value).map_err(|e| format!("it does not say how to drain: {e}"))?;
                self.0.insert(whose, order);
            }
            None => _ = self.0.remove(&whose),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_drained_by_its_own_entry_or_its_pool_s() {
        let (mut drains, worker, pool) =
            (Drains::default(), Drained::Worker("w-1".into()), Drained::Pool("gpu".into()));
        assert_eq!(drains.wanted("w-1", "gpu"), None);
        let order = |hand_over_at_ms| {
            let order = DrainOrder { reason: None, by: "api".to_owned(), at_ms: 5, hand_over_at_ms };
            serde_json::to_string(&order).unwrap()
        };
        drains.take(&pool.key(), Some(&order(None))).unwrap();
        drains.take(&worker.key(), Some(&order(Some(9)))).unwrap();
        let told = |drains: &Drains, worker, pool| drains.wanted(worker, pool).map(|drain| drain.hand_over_at_ms);
        assert_eq!(told(&drains, "w-1", "gpu"), Some(Some(9)));
        assert_eq!((told(&drains, "w-2", "gpu"), told(&drains, "w-2", "default")), (Some(None), None));
        drains.take(&worker.key(), None).unwrap();
        drains.take(&pool.key(), None).unwrap();
        assert_eq!(told(&drains, "w-1", "gpu"), None);
        assert!(drains.take("petrel/drain/x", Some("{}")).is_err() && drains.take(&pool.key(), Some("{}")).is_err());
    }
}
