//! What owners said about attempts that this worker has not claimed (yet), and of whom nobody waits for room any more.

use std::collections::{BTreeSet, HashMap, VecDeque};
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

/// The order that says of an attempt, and of all before it, that they wait for room nowhere any more.
pub const RELEASE: &str = "release";

/// Most executions of which a worker remembers that they wait for no room any more; the latest ones count. Of one that is
/// forgotten a place in line passes by time.
const RELEASED_MAX: usize = 1_024;

type Key = (String, i64);
type Known = HashMap<Key, (Remembered, i64)>;

/// What was said until an instant. It does not change, and is cheap to keep.
#[derive(Debug, Clone, Default)]
pub struct Said {
    known: Arc<Known>,
    /// By execution, the last attempt's token that waits for no room any more.
    released: Arc<HashMap<String, i64>>,
}

impl Said {
    /// What was said about an attempt.
    pub fn of(&self, execution: &str, token: i64) -> Remembered {
        // Nearly always nothing was said about any.
        match self.known.is_empty() {
            true => Remembered::default(),
            false => self.known.get(&(execution.to_owned(), token)).map(|(said, _)| *said).unwrap_or_default(),
        }
    }

    /// Whether an attempt waits for no room any more: it has found some elsewhere, or waits for something else, or is over.
    pub fn is_released(&self, execution: &str, token: i64) -> bool {
        self.released.get(execution).is_some_and(|released| token <= *released)
    }
}

/// Orders for attempts that may still be claimed, until nobody may start them any more, and a limited number of
/// them: over it, those that end first are forgotten. What is forgotten is no loss: whoever claims such an attempt
/// is answered by its owner.
#[derive(Debug)]
pub struct Orders {
    most: usize,
    /// Copied when it changes while somebody keeps what was said.
    by_attempt: Arc<Known>,
    /// The same, by until when they are of use.
    by_end: BTreeSet<(i64, Key)>,
    released: Arc<HashMap<String, i64>>,
    /// The same executions, the first ones first.
    released_order: VecDeque<String>,
}

impl Orders {
    /// None yet, and at most that many.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            by_attempt: Arc::default(),
            by_end: BTreeSet::new(),
            released: Arc::default(),
            released_order: VecDeque::new(),
        }
    }

    /// Takes an order.
    pub fn remember(&mut self, order: &Order, now_ms: i64) {
        if order.order == RELEASE {
            return self.release(order);
        }
        if order.start_by_ms >= now_ms {
            let key = (order.execution_id.clone(), order.token);
            let said = Remembered::of(order);
            let by_attempt = Arc::make_mut(&mut self.by_attempt);
            let (known, until_ms) = by_attempt.remove(&key).unwrap_or((Remembered::default(), order.start_by_ms));
            self.by_end.remove(&(until_ms, key.clone()));
            let until_ms = until_ms.max(order.start_by_ms);
            let both = Remembered { cancel: known.cancel || said.cancel, grant: known.grant || said.grant };
            self.by_end.insert((until_ms, key.clone()));
            by_attempt.insert(key, (both, until_ms));
        }
        self.forget(now_ms);
    }

    fn release(&mut self, order: &Order) {
        let released = Arc::make_mut(&mut self.released);
        match released.get_mut(&order.execution_id) {
            Some(token) => *token = order.token.max(*token),
            None => {
                released.insert(order.execution_id.clone(), order.token);
                self.released_order.push_back(order.execution_id.clone());
            }
        }
        if self.released_order.len() > RELEASED_MAX
            && let Some(first) = self.released_order.pop_front()
        {
            released.remove(&first);
        }
    }

    /// What was said about an attempt that has just been claimed; it is forgotten here.
    pub fn take(&mut self, execution: &str, attempt: Attempt) -> Remembered {
        let key = (execution.to_owned(), attempt.token);
        if !self.by_attempt.contains_key(&key) {
            return Remembered::default();
        }
        let Some((said, until_ms)) = Arc::make_mut(&mut self.by_attempt).remove(&key) else {
            return Remembered::default();
        };
        self.by_end.remove(&(until_ms, key));
        said
    }

    /// What was said until now.
    pub fn said(&self) -> Said {
        Said { known: self.by_attempt.clone(), released: self.released.clone() }
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
        while let Some((until_ms, key)) = self.by_end.first() {
            if *until_ms >= now_ms && self.by_attempt.len() <= self.most {
                return;
            }
            Arc::make_mut(&mut self.by_attempt).remove(key);
            self.by_end.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ORDERS_MAX;

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
            orders.remember(&order(n, "cancel", 50 + n), 10);
            orders.remember(&order(n, "cancel", 50 + n), 10);
        }
        assert_eq!(orders.len(), 100);
        assert_eq!(taken(&mut orders, 49), (false, false));
        assert_eq!(taken(&mut orders, 50), (true, false));
        assert_eq!(taken(&mut orders, 50), (false, false), "taken once");
        orders.remember(&order(200, "cancel", 300), 299);
        assert_eq!(orders.len(), 1, "the others may not be started any more");
        orders.remember(&order(201, "cancel", 300), 301);
        assert!(orders.is_empty());
    }

    #[test]
    fn a_hundred_thousand_cancels_at_once_are_remembered() {
        let mut orders = Orders::new(ORDERS_MAX);
        for n in 0..100_000 {
            orders.remember(&order(n, "cancel", 1_000), 0);
        }
        let said = orders.said();
        let lost = (0..100_000).filter(|n| !said.of("e", *n).cancel || taken(&mut orders, *n) != (true, false));
        assert_eq!(lost.count(), 0);
    }

    #[test]
    fn one_that_holds_for_long_costs_the_others_nothing() {
        let mut orders = Orders::new(100);
        orders.remember(&order(0, "cancel", 1_000_000), 0);
        // Taken ones and those that are over leave room, whatever stands before them.
        for n in 1..10_000 {
            orders.remember(&order(n, "cancel", n + 10), n);
            if n % 2 == 0 {
                taken(&mut orders, n);
            }
        }
        assert!(orders.len() <= 12, "{}", orders.len());
        assert_eq!(taken(&mut orders, 0), (true, false));
        assert_eq!(taken(&mut orders, 9_999), (true, false));
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
    fn who_waits_for_no_room_any_more_is_remembered_for_a_while() {
        let mut orders = Orders::new(10);
        let before = orders.said();
        orders.remember(&order(3, RELEASE, 0), 50);
        orders.remember(&order(2, RELEASE, 0), 50);
        let said = orders.said();
        // One that stands in line again, as a later attempt, does so for itself.
        assert_eq!([1, 3, 4].map(|token| said.is_released("e", token)), [true, true, false]);
        assert!(!before.is_released("e", 1) && !said.is_released("other", 1) && orders.is_empty());
        for n in 0..RELEASED_MAX {
            orders.remember(&Order { execution_id: n.to_string(), ..order(1, RELEASE, 0) }, 50);
        }
        let said = orders.said();
        assert!(!said.is_released("e", 3) && said.is_released("0", 1));
        assert_eq!((orders.released.len(), orders.released_order.len()), (RELEASED_MAX, RELEASED_MAX));
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
