//! What owners said about attempts that this worker has not claimed (yet).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use petrel_schemas::Order;

use crate::attempt::Attempt;

/// What was said about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Remembered {
    /// It must not run.
    pub cancel: bool,
    /// It may start, should its action run at most once.
    pub grant: bool,
}

impl Remembered {
    /// What a record says; nothing for an order that this release does not know.
    pub fn of(order: &Order) -> Self {
        Self { cancel: order.order == "cancel", grant: order.order == "grant" }
    }
}

type Key = (String, i64);
type Known = HashMap<Key, (Remembered, i64)>;

/// What was said until an instant. It does not change, and is cheap to keep.
#[derive(Debug, Clone, Default)]
pub struct Said(Arc<Known>);

impl Said {
    /// What was said about an attempt.
    pub fn of(&self, execution: &str, token: i64) -> Remembered {
        // Nearly always nothing was said about any.
        match self.0.is_empty() {
            true => Remembered::default(),
            false => self.0.get(&(execution.to_owned(), token)).map(|(said, _)| *said).unwrap_or_default(),
        }
    }
}

/// Orders for attempts that may still be claimed, until nobody may start them any more, and a limited number of
/// them, the newest. What is forgotten is no loss: whoever claims such an attempt is answered by its owner.
#[derive(Debug)]
pub struct Orders {
    most: usize,
    /// Copied when it changes while somebody keeps what was said.
    by_attempt: Arc<Known>,
    oldest_first: VecDeque<Key>,
}

impl Orders {
    /// None yet, and at most that many.
    pub fn new(most: usize) -> Self {
        Self { most, by_attempt: Arc::default(), oldest_first: VecDeque::new() }
    }

    /// Takes an order.
    pub fn remember(&mut self, order: &Order, now_ms: i64) {
        if order.start_by_ms >= now_ms {
            let key = (order.execution_id.clone(), order.token);
            let said = Remembered::of(order);
            let (known, until_ms) = Arc::make_mut(&mut self.by_attempt).entry(key.clone()).or_insert_with(|| {
                self.oldest_first.push_back(key);
                (Remembered::default(), order.start_by_ms)
            });
            *until_ms = (*until_ms).max(order.start_by_ms);
            known.cancel |= said.cancel;
            known.grant |= said.grant;
        }
        self.forget(now_ms);
    }

    /// What was said about an attempt that has just been claimed; it is forgotten here.
    pub fn take(&mut self, execution: &str, attempt: Attempt) -> Remembered {
        // Its place in the queue stays until it is the oldest.
        let key = (execution.to_owned(), attempt.token);
        match self.by_attempt.contains_key(&key) {
            true => Arc::make_mut(&mut self.by_attempt).remove(&key).map(|(said, _)| said).unwrap_or_default(),
            false => Remembered::default(),
        }
    }

    /// What was said until now.
    pub fn said(&self) -> Said {
        Said(self.by_attempt.clone())
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.by_attempt.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.by_attempt.is_empty()
    }

    fn forget(&mut self, now_ms: i64) {
        while let Some(oldest) = self.oldest_first.front() {
            let is_over = self.by_attempt.get(oldest).is_none_or(|(_, until_ms)| *until_ms < now_ms);
            if !is_over && self.oldest_first.len() <= self.most {
                return;
            }
            if self.by_attempt.contains_key(oldest) {
                Arc::make_mut(&mut self.by_attempt).remove(oldest);
            }
            self.oldest_first.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: i64, what: &str, start_by_ms: i64) -> Order {
        Order {
            execution_id: "e".to_owned(),
            root_execution_id: "e".to_owned(),
            attempt: 1,
            token: n,
            worker: None,
            order: what.to_owned(),
            start_by_ms,
        }
    }

    fn taken(orders: &mut Orders, token: i64) -> (bool, bool) {
        let said = orders.take("e", Attempt { number: 1, token });
        (said.cancel, said.grant)
    }

    #[test]
    fn the_newest_are_remembered_until_they_are_of_no_use() {
        let mut orders = Orders::new(100);
        for n in 0..150 {
            orders.remember(&order(n, "cancel", 50), 10);
            orders.remember(&order(n, "cancel", 50), 10);
        }
        assert_eq!(orders.len(), 100);
        assert_eq!(taken(&mut orders, 49), (false, false));
        assert_eq!(taken(&mut orders, 50), (true, false));
        assert_eq!(taken(&mut orders, 50), (false, false), "taken once");
        orders.remember(&order(200, "cancel", 60), 51);
        assert_eq!(orders.len(), 1, "the others may not be started any more");
        orders.remember(&order(201, "cancel", 60), 61);
        assert!(orders.is_empty());
    }

    #[test]
    fn what_was_said_is_kept_as_it_was() {
        let mut orders = Orders::new(10);
        let nothing = orders.said();
        orders.remember(&order(1, "cancel", 50), 0);
        let said = orders.said();
        orders.remember(&order(2, "cancel", 50), 0);
        assert_eq!(taken(&mut orders, 1), (true, false));
        let cancels = |said: &Said| [1, 2].map(|token| said.of("e", token).cancel);
        assert_eq!(cancels(&nothing), [false, false]);
        assert_eq!(cancels(&said), [true, false]);
        assert_eq!(cancels(&orders.said()), [false, true]);
        assert!(!said.of("other", 1).cancel);
    }

    #[test]
    fn orders_for_one_attempt_add_up() {
        let mut orders = Orders::new(10);
        orders.remember(&order(1, "grant", 50), 0);
        orders.remember(&order(1, "cancel", 90), 0);
        orders.remember(&order(2, "of a newer release", 90), 60);
        assert_eq!(taken(&mut orders, 1), (true, true));
        assert_eq!(taken(&mut orders, 2), (false, false));
    }
}
