//! The order in which a publisher's calls are written: calls for the same partition in the order in which they came, all
//! others past each other.
//!
//! A call waits here while one before it, for a partition of its own, is not written; while a partition of its own cannot
//! be written; or for a lane. What waits for trouble, directly or behind another, is bounded by itself, so that it takes
//! no room from calls for other partitions: one over the limit is answered at once.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::calls::{Call, Place};
use crate::singly::Load;

/// Pause before it is looked again whether a partition can be written.
pub(crate) const PUT_OFF: Duration = Duration::from_millis(100);

/// A call with the partition of each of its records.
pub(crate) struct Placed {
    pub(crate) call: Call,
    pub(crate) partitions: Vec<u32>,
    /// Whether it spoils a transaction for the others, perhaps.
    pub(crate) is_alone: bool,
    /// Why it could not be written, for people.
    pub(crate) why: Option<String>,
    turn: u64,
    not_before: Option<Instant>,
}

impl Placed {
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.call.outputs.iter().map(|output| output.topic.clone()).zip(self.partitions.iter().copied())
    }

    /// It cannot be written now.
    pub(crate) fn put_off(&mut self, why: String) {
        self.why = Some(why);
    }

    fn is_single(&self) -> bool {
        self.partitions.len() == 1
    }
}

/// What may wait for partitions that cannot be written, and how much goes into a transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) troubled: Load,
    pub(crate) group_bytes: usize,
}

/// What can be written now.
pub(crate) struct Ways<'a> {
    pub(crate) now: Instant,
    /// Whether records may be written without a transaction.
    pub(crate) singles_are_open: bool,
    /// Whether a record is on its way to a partition without a transaction; by a producer that is given up.
    pub(crate) is_on_its_way: &'a dyn Fn(&Place) -> bool,
    pub(crate) is_given_up: &'a dyn Fn(&Place) -> bool,
    /// What the lanes write now.
    pub(crate) in_lanes: &'a HashSet<Place>,
    pub(crate) has_free_lane: bool,
    /// Partitions that take nothing.
    pub(crate) slow: HashSet<Place>,
    /// Whether all lanes have been busy for too long.
    pub(crate) lanes_are_slow: bool,
}

/// What becomes of the calls that waited.
#[derive(Default)]
pub(crate) struct Going {
    pub(crate) singles: Vec<Placed>,
    /// For one transaction.
    pub(crate) group: Vec<Placed>,
    pub(crate) late: Vec<Placed>,
    /// Over the limit; each with the reason for which others before it wait.
    pub(crate) refused: Vec<Placed>,
    /// Whether a transaction could be written if there were a lane for it.
    pub(crate) wants_lane: bool,
}

#[derive(Default)]
pub(crate) struct Turns {
    next: u64,
    calls: BTreeMap<u64, Placed>,
    /// Partitions for which something waits here.
    taken: HashSet<Place>,
    /// What waits for its turn only.
    waiting: Load,
}

impl Turns {
    /// The next call's turn.
    pub(crate) fn placed(&mut self, call: Call, partitions: Vec<u32>) -> Placed {
        self.next += 1;
        Placed { call, partitions, is_alone: false, why: None, turn: self.next, not_before: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// What waits here for no trouble.
    pub(crate) fn waiting(&self) -> Load {
        self.waiting
    }

    /// Whether a call of one record need not wait for another one here.
    pub(crate) fn is_free(&self, place: &Place) -> bool {
        !self.taken.contains(place)
    }

    /// Lets a call wait; one that comes back keeps its turn.
    pub(crate) fn add(&mut self, mut placed: Placed, now: Instant) {
        placed.not_before = placed.why.is_some().then(|| now + PUT_OFF);
        self.taken.extend(placed.places());
        self.waiting.add(&placed.call);
        self.calls.insert(placed.turn, placed);
    }

    /// Everything, because it can be written no more.
    pub(crate) fn take_all(&mut self) -> Vec<Placed> {
        std::mem::take(self).calls.into_values().collect()
    }

    /// Takes out what can be written now, and what is to be answered.
    pub(crate) fn go(&mut self, ways: &Ways<'_>, limits: &Limits) -> Going {
        let mut pass = Pass { ways, limits, going: Going::default(), sent: HashSet::new(), grouped: HashSet::new() };
        let (mut troubled, mut load, mut reason) = (ways.slow.clone(), Load::default(), None);
        self.taken.clear();
        self.waiting = Load::default();
        for (turn, placed) in std::mem::take(&mut self.calls) {
            let Some(mut placed) = pass.start(placed, &self.taken) else { continue };
            let places: Vec<Place> = placed.places().collect();
            let waits_for_lane = !placed.is_single() && ways.lanes_are_slow;
            if placed.why.is_some() || waits_for_lane || places.iter().any(|place| troubled.contains(place)) {
                load.add(&placed.call);
                reason = placed.why.clone().or(reason);
                let is_over = load.calls > limits.troubled.calls || load.bytes > limits.troubled.bytes;
                if is_over && load.calls > 1 {
                    placed.why = placed.why.or_else(|| reason.clone());
                    pass.going.refused.push(placed);
                    continue;
                }
                troubled.extend(places.iter().cloned());
            } else {
                self.waiting.add(&placed.call);
            }
            self.taken.extend(places);
            self.calls.insert(turn, placed);
        }
        pass.going
    }
}

/// One look at everything that waits.
struct Pass<'a> {
    ways: &'a Ways<'a>,
    limits: &'a Limits,
    going: Going,
    /// Partitions of the calls that go without a transaction, and within one.
    sent: HashSet<Place>,
    grouped: HashSet<Place>,
}

impl Pass<'_> {
    /// Lets a call go, or hands it back.
    fn start(&mut self, placed: Placed, taken: &HashSet<Place>) -> Option<Placed> {
        let ways = self.ways;
        if placed.call.is_late(self.limits.timeout) {
            self.going.late.push(placed);
            return None;
        }
        let is_early = placed.not_before.is_some_and(|when| ways.now < when);
        let is_behind = |place: &Place| taken.contains(place) || ways.in_lanes.contains(place);
        if is_early || placed.places().any(|place| is_behind(&place)) {
            return Some(placed);
        }
        // What stands behind a call of a group goes with it.
        if placed.is_single() && !placed.places().any(|place| self.grouped.contains(&place)) {
            if !ways.singles_are_open || placed.places().any(|place| (ways.is_given_up)(&place)) {
                return Some(placed);
            }
            self.sent.extend(placed.places());
            self.going.singles.push(placed);
            return None;
        }
        if placed.places().any(|place| self.sent.contains(&place) || (ways.is_on_its_way)(&place)) {
            return Some(placed);
        }
        if !ways.has_free_lane {
            self.going.wants_lane = true;
            return Some(placed);
        }
        if !self.fits(&placed) {
            return Some(placed);
        }
        self.grouped.extend(placed.places());
        self.going.group.push(placed);
        None
    }

    fn fits(&self, placed: &Placed) -> bool {
        let group = &self.going.group;
        let bytes: usize = group.iter().map(|placed| placed.call.bytes()).sum();
        group.is_empty()
            || !placed.is_alone && !group[0].is_alone && bytes + placed.call.bytes() <= self.limits.group_bytes
    }
}
