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
    /// What is wanted of a worker, by its own entry and that of its pool: it is drained while there is one, by the later
    /// of two, and hands over what runs at the earlier of two instants.
    pub fn of(&self, worker: &str, pool: &str) -> Option<DrainOrder> {
        let whose = [Drained::Worker(worker.to_owned()), Drained::Pool(pool.to_owned())];
        let orders = || whose.iter().filter_map(|whose| self.0.get(whose));
        let later = orders().max_by_key(|order| order.at_ms)?;
        let hand_over_at_ms = orders().filter_map(|order| order.hand_over_at_ms).min();
        Some(DrainOrder { hand_over_at_ms, ..later.clone() })
    }

    /// Pools that are drained.
    pub fn pools(&self) -> impl Iterator<Item = (&str, &DrainOrder)> {
        self.0.iter().filter_map(|(whose, order)| match whose {
            Drained::Pool(pool) => Some((pool.as_str(), order)),
            Drained::Worker(_) => None,
        })
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
        let order_at = |at_ms, hand_over_at_ms| {
            let order = DrainOrder { reason: None, by: "api".to_owned(), at_ms, hand_over_at_ms };
            serde_json::to_string(&order).unwrap()
        };
        let order = |hand_over_at_ms| order_at(5, hand_over_at_ms);
        drains.take(&pool.key(), Some(&order(None))).unwrap();
        drains.take(&worker.key(), Some(&order(Some(9)))).unwrap();
        // Neither hides what the other one wants.
        let both = |pool_s: &str, own: &str| {
            let mut drains = Drains::default();
            drains.take(&pool.key(), Some(pool_s)).unwrap();
            drains.take(&worker.key(), Some(own)).unwrap();
            drains.wanted("w-1", "gpu").map(|drain| (drain.at_ms, drain.hand_over_at_ms))
        };
        assert_eq!(both(&order_at(8, Some(20)), &order_at(5, None)), Some((8, Some(20))));
        assert_eq!(both(&order_at(5, Some(20)), &order_at(8, Some(9))), Some((8, Some(9))));
        let pools: Vec<&str> = drains.pools().map(|(pool, _)| pool).collect();
        assert_eq!(pools, ["gpu"]);
        let told = |drains: &Drains, worker, pool| drains.wanted(worker, pool).map(|drain| drain.hand_over_at_ms);
        assert_eq!(told(&drains, "w-1", "gpu"), Some(Some(9)));
        assert_eq!((told(&drains, "w-2", "gpu"), told(&drains, "w-2", "default")), (Some(None), None));
        drains.take(&worker.key(), None).unwrap();
        drains.take(&pool.key(), None).unwrap();
        assert_eq!(told(&drains, "w-1", "gpu"), None);
        assert!(drains.take("petrel/drain/x", Some("{}")).is_err() && drains.take(&pool.key(), Some("{}")).is_err());
    }
}
