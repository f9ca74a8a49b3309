//! The lanes of a publisher: which there are, which is free, and when another is opened.
#![expect(clippy::disallowed_methods, reason = "how long lanes have been busy, and when one may be opened again")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bus::Questions;
use crate::calls::{Calls, Place};
use crate::lane::{Ended, Lane, Report, Told};
use crate::options::KafkaOptions;
use crate::turns::Placed;

/// Most lanes of a publisher. Each is a producer with a transactional id of its own.
const LANES_MAX: usize = 4;
/// How long a lane writes until others no longer wait for it.
const SLOW_AFTER: Duration = Duration::from_millis(500);
/// Pause before a lane is followed by another whose thread panicked, or could not be started.
const REPLACE_PAUSE: Duration = Duration::from_secs(1);
/// Pause before another lane is opened beyond the first after the broker has refused one: somebody must give the right.
const REFUSED_PAUSE: Duration = Duration::from_secs(300);

pub(crate) struct Lanes {
    name: String,
    options: Arc<KafkaOptions>,
    questions: Arc<Questions>,
    calls: Arc<Calls>,
    /// By their numbers.
    lanes: BTreeMap<usize, Lane>,
    /// Of those beyond the first, the ones that only take their ids, which an earlier process of this name may have
    /// left with an open transaction, and end.
    brief: Vec<usize>,
    has_name: bool,
    first_not_before: Instant,
    more_not_before: Instant,
}

impl Lanes {
    pub(crate) fn new(name: &str, options: &Arc<KafkaOptions>, questions: &Arc<Questions>, calls: &Arc<Calls>) -> Self {
        let now = Instant::now();
        Self {
            name: name.to_owned(),
            options: options.clone(),
            questions: questions.clone(),
            calls: calls.clone(),
            lanes: BTreeMap::new(),
            brief: Vec::new(),
            has_name: false,
            first_not_before: now,
            more_not_before: now,
        }
    }

    /// Whether the first has taken the publisher's own name once.
    pub(crate) fn has_name(&self) -> bool {
        self.has_name
    }

    /// Sees to it that there is a first one.
    pub(crate) fn open_first(&mut self) {
        let now = Instant::now();
        if !self.lanes.contains_key(&0) && now >= self.first_not_before && !self.open(0) {
            self.first_not_before = now + REPLACE_PAUSE;
        }
    }

    /// Opens another one, if there may be more.
    pub(crate) fn open_more(&mut self) {
        // One that is about to end stays.
        if self.brief.pop().is_some() {
            return;
        }
        let now = Instant::now();
        let free = (1..LANES_MAX).find(|number| !self.lanes.contains_key(number));
        if let Some(number) = free
            && now >= self.more_not_before
            && !self.open(number)
        {
            self.more_not_before = now + REPLACE_PAUSE;
        }
    }

    fn open(&mut self, number: usize) -> bool {
        let lane = Lane::spawn(number, &self.name, &self.options, &self.questions, &self.calls);
        let lane = lane.inspect_err(|why| tracing::warn!(publisher = %self.name, %why, "no thread for transactions"));
        lane.is_ok_and(|lane| {
            self.lanes.insert(number, lane);
            true
        })
    }

    /// Takes what a lane reports; the calls that it hands back.
    pub(crate) fn take(&mut self, Report { lane: number, told }: Report) -> Vec<Placed> {
        let Some(lane) = self.lanes.get_mut(&number) else { return Vec::new() };
        match told {
            Told::Ready if self.brief.contains(&number) => {
                self.brief.retain(|brief| *brief != number);
                lane.close();
            }
            Told::Ready => {
                (lane.is_ready, lane.not_connected) = (true, None);
                if number == 0 && !std::mem::replace(&mut self.has_name, true) {
                    self.take_over_others();
                }
            }
            Told::NotConnected(why) => lane.not_connected = Some(why),
            Told::Done(left) => {
                lane.places.clear();
                return left;
            }
            Told::Ended(ended) => self.remove(number, ended),
        }
        Vec::new()
    }

    /// What an earlier process has left open under the other ids hides what is written behind it until it times out.
    fn take_over_others(&mut self) {
        for number in 1..LANES_MAX {
            if !self.lanes.contains_key(&number) && self.open(number) {
                self.brief.push(number);
            }
        }
    }

    fn remove(&mut self, number: usize, ended: Ended) {
        self.lanes.remove(&number);
        self.brief.retain(|brief| *brief != number);
        let pause = match ended {
            Ended::Closed => return,
            Ended::Panicked => REPLACE_PAUSE,
            Ended::Refused => REFUSED_PAUSE,
        };
        let not_before = if number == 0 { &mut self.first_not_before } else { &mut self.more_not_before };
        *not_before = (*not_before).max(Instant::now() + pause);
    }

    /// Those that are there to write.
    fn writers(&self) -> impl Iterator<Item = (usize, &Lane)> {
        let lanes = self.lanes.iter().filter(|(number, _)| !self.brief.contains(number));
        lanes.filter(|(_, lane)| !lane.is_closed()).map(|(number, lane)| (*number, lane))
    }

    /// The first that is not slow, if it has nothing to do: what comes while it writes goes together then.
    pub(crate) fn free(&self) -> Option<usize> {
        let (first, lane) = self.writers().find(|(_, lane)| !lane.is_slow(SLOW_AFTER))?;
        lane.is_ready.then_some(first)
    }

    /// Gives the free one calls for one transaction, or hands them back.
    pub(crate) fn give(&mut self, calls: Vec<Placed>) -> Result<(), Vec<Placed>> {
        match self.free().and_then(|free| self.lanes.get_mut(&free)) {
            Some(lane) => lane.give(calls),
            None => Err(calls),
        }
    }

    /// Whether all have been busy, or could not connect, for so long that another would help.
    pub(crate) fn are_slow(&self) -> bool {
        self.writers().all(|(_, lane)| lane.is_slow(SLOW_AFTER))
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.lanes.values().any(Lane::is_writing)
    }

    pub(crate) fn is_writing_to(&self, place: &Place) -> bool {
        self.lanes.values().any(|lane| lane.places.contains(place))
    }

    /// What all of them write to.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.lanes.values().flat_map(|lane| &lane.places)
    }

    /// What those write to that are slow.
    pub(crate) fn slow_places(&self) -> impl Iterator<Item = &Place> {
        let slow = self.writers().filter(|(_, lane)| lane.is_slow(SLOW_AFTER));
        slow.flat_map(|(_, lane)| &lane.places)
    }

    /// Why none can write, if none can; for people.
    pub(crate) fn not_connected(&self) -> Option<String> {
        let mut whys = self.writers().map(|(_, lane)| lane.not_connected.as_ref());
        let first = whys.next()??;
        whys.all(|why| why.is_some()).then(|| first.clone())
    }

    /// They end by themselves, all at the same time.
    pub(crate) fn close(&mut self) {
        self.lanes.values_mut().for_each(Lane::close);
    }
}

#[cfg(test)]
impl Lanes {
    pub(crate) fn put(&mut self, number: usize, lane: Lane) {
        self.lanes.insert(number, lane);
    }

    pub(crate) fn at(&mut self, number: usize) -> &mut Lane {
        self.lanes.get_mut(&number).expect("a lane of that number")
    }

    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.lanes.keys().copied().collect()
    }

    pub(crate) fn may_open_more(&self) -> bool {
        Instant::now() >= self.more_not_before
    }
}
