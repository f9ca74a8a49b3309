//! Which partitions have a leader.
//!
//! A transaction that was told of a partition without one cannot end until it has one again, not even by an abort: its
//! marker must be written there (KIP-98), and until then nobody gets the transactional id. So it is looked first.
#![expect(clippy::disallowed_methods, reason = "how old an answer of the broker is")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bus::Questions;
use crate::calls::Place;
use crate::turns::Placed;

/// How long it is taken for granted that a partition has a leader.
const LED_AGE_MAX: Duration = Duration::from_millis(250);

pub(crate) struct Leaders {
    questions: Arc<Questions>,
    led: HashMap<Arc<str>, (Instant, HashSet<u32>)>,
}

impl Leaders {
    pub(crate) fn new(questions: Arc<Questions>) -> Self {
        Self { questions, led: HashMap::new() }
    }

    /// Takes out the calls that cannot be written, and those behind them, so that each partition keeps its order.
    pub(crate) fn take_out_unled(&mut self, calls: &mut Vec<Placed>) -> Vec<Placed> {
        let places: HashSet<Place> = calls.iter().flat_map(Placed::places).collect();
        let mut unled = self.unled(places);
        if unled.is_empty() {
            return Vec::new();
        }
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for mut call in calls.drain(..) {
            let stuck = call.places().find(|place| unled.contains(place));
            match stuck {
                Some((topic, partition)) => {
                    unled.extend(call.places());
                    call.put_off(format!(
                        "partition {partition} of {topic} has no leader, or waits for one that has none"
                    ));
                    waiting.push(call);
                }
                None => ready.push(call),
            }
        }
        *calls = ready;
        waiting
    }

    /// Those that are known to have no leader. Of what is not known the transaction will tell.
    fn unled(&mut self, places: HashSet<Place>) -> HashSet<Place> {
        let is_known = |(topic, partition): &Place| {
            let known = self.led.get(topic).filter(|(since, _)| since.elapsed() < LED_AGE_MAX);
            known.is_some_and(|(_, led)| led.contains(partition))
        };
        let asked: Vec<Place> = places.into_iter().filter(|place| !is_known(place)).collect();
        for topic in asked.iter().map(|(topic, _)| topic).collect::<HashSet<_>>() {
            match self.questions.led_now(topic) {
                Some(led) => self.led.insert(topic.clone(), (Instant::now(), led)),
                None => self.led.remove(topic),
            };
        }
        let is_unled =
            |(topic, partition): &Place| self.led.get(topic).is_some_and(|(_, led)| !led.contains(partition));
        asked.into_iter().filter(is_unled).collect()
    }
}
