//! The thread of a publisher: it hands calls on, and never waits for one of them.
//!
//! Calls of one record each are written without a transaction ([`Singly`]), those of several records by one of the [`Lanes`], in one
//! transaction all that can be written at that time, for a call is written as a whole. One that waits for a partition
//! holds up only what must keep its order behind it ([`Turns`]). Lanes beyond the first are there for the time that
//! a transaction hangs all the same: its partition's leader went in that moment, or its coordinator.
#![expect(clippy::disallowed_methods, reason = "how long calls have waited for the broker")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{Output, PublishError, To, partition_of};

use crate::bus::Questions;
use crate::calls::{Call, Calls, Next, Place};
use crate::lanes::Lanes;
use crate::options::KafkaOptions;
use crate::singly::{Load, Singly, Slow};
use crate::turns::{Going, Limits, Placed, Turns, Ways};

/// How long it is taken for granted that a topic does not exist, or that nobody tells of it.
const UNKNOWN_TOPIC_AGE_MAX: Duration = Duration::from_secs(1);
/// Of what may wait in a publisher (`publish_calls_max`, `publish_bytes_max`), the part that may wait for partitions that
/// cannot be written: a fourth in its turn for a transaction, and another one on its way without one.
const TROUBLED_PART: usize = 4;
/// How long a partition takes nothing until others no longer wait for it.
const SLOW_AFTER: Duration = Duration::from_millis(500);
/// How often it is looked whether something that waits is overdue, or can be written.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The same while nothing waits for its turn.
const REPORT_WAIT: Duration = Duration::from_millis(100);

pub(crate) struct Writer {
    name: String,
    /// As the bus's, with shorter waits: calls are answered in time.
    options: Arc<KafkaOptions>,
    questions: Arc<Questions>,
    calls: Arc<Calls>,
    limits: Limits,
    began: Instant,
    turns: Turns,
    lanes: Lanes,
    singly: Option<Singly>,
    /// One that can or shall write no more, until its last call is answered.
    given_up: Option<Singly>,
    slow: Slow,
    looked: Instant,
    partitions: HashMap<Arc<str>, u32>,
    /// Topics whose partitions are not known, since when and why.
    unknown: HashMap<Arc<str>, (Instant, PublishError)>,
}

impl Writer {
    pub(crate) fn new(name: String, options: Arc<KafkaOptions>, questions: Arc<Questions>, calls: Arc<Calls>) -> Self {
        let troubled = Load {
            calls: (options.publish_calls_max / TROUBLED_PART).max(1),
            bytes: options.publish_bytes_max / TROUBLED_PART,
        };
        let limits = Limits {
            timeout: Duration::from_millis(options.publish_timeout_ms),
            troubled,
            group_bytes: options.publish_group_bytes_max,
        };
        let lanes = Lanes::new(&name, &options, &questions, &calls);
        Self {
            name,
            options,
            questions,
            calls,
            limits,
            began: Instant::now(),
            turns: Turns::default(),
            lanes,
            singly: None,
            given_up: None,
            slow: Slow::default(),
            looked: Instant::now(),
            partitions: HashMap::new(),
            unknown: HashMap::new(),
        }
    }

    pub(crate) fn run(&mut self) {
        self.lanes.open_first();
        self.connect();
        loop {
            let wait = match (self.in_flight().calls, self.turns.is_empty()) {
                (0, true) => None,
                (0, false) => Some(LOOK_EVERY),
                _ => Some(Duration::ZERO),
            };
            let is_idle = wait.is_none() && !self.lanes.is_writing();
            let group_bytes_max = (!self.is_full()).then_some(self.options.publish_group_bytes_max);
            let next = self.calls.next(group_bytes_max, wait, is_idle);
            let mut has_changed = self.take_reports();
            let is_group = matches!(next, Next::Group(_));
            match next {
                Next::Group(calls) => calls.into_iter().for_each(|call| has_changed |= self.take(call)),
                Next::Closed => return self.lanes.close(),
                Next::Nothing => {}
            }
            has_changed |= self.serve(is_group);
            if has_changed || self.looked.elapsed() >= LOOK_EVERY {
                self.look();
            }
        }
    }

    /// What was sent without a transaction and is not answered yet.
    fn in_flight(&self) -> Load {
        let loads = self.singly.iter().chain(&self.given_up).map(Singly::in_flight);
        loads.fold(Load::default(), |all, one| Load { calls: all.calls + one.calls, bytes: all.bytes + one.bytes })
    }

    /// Whether no more calls are taken for the moment. Those for partitions that take nothing are bounded by themselves.
    fn is_full(&self) -> bool {
        let (in_flight, waiting) = (self.in_flight(), self.turns.waiting());
        in_flight.calls.saturating_sub(self.slow.load.calls) >= self.options.publish_calls_max
            || in_flight.bytes.saturating_sub(self.slow.load.bytes) >= self.options.publish_bytes_max
            || waiting.calls >= self.options.publish_calls_max
            || waiting.bytes >= self.options.publish_group_bytes_max
    }

    fn take_reports(&mut self) -> bool {
        let reports = self.calls.reports();
        let has_changed = !reports.is_empty();
        let now = Instant::now();
        for report in reports {
            self.lanes.take(report).into_iter().for_each(|placed| self.turns.add(placed, now));
        }
        has_changed
    }

    /// Sends a call that need not wait; whether it has to wait for its turn.
    fn take(&mut self, call: Call) -> bool {
        // To ask for the partitions of the one before may have taken long.
        if call.is_late(self.limits.timeout) {
            call.answer_late(self.limits.timeout, None);
            return false;
        }
        let partitions = match self.place(&call) {
            Ok(partitions) => partitions,
            Err(error) => {
                call.answer(Err(error));
                return false;
            }
        };
        let placed = self.turns.placed(call, partitions);
        if let ([output], [partition]) = (&placed.call.outputs[..], &placed.partitions[..]) {
            let place = (output.topic.clone(), *partition);
            let is_slow = self.slow.places.contains(&place);
            let (load, max) = (self.slow.load, self.limits.troubled);
            if is_slow && (load.calls >= max.calls || load.bytes >= max.bytes) {
                self.refuse(placed);
                return false;
            }
            let is_free = self.turns.is_free(&place)
                && !self.lanes.is_writing_to(&place)
                && !self.given_up.as_ref().is_some_and(|singly| singly.has(&place));
            if is_free && self.singles_are_open() {
                if is_slow {
                    self.slow.load.add(&placed.call);
                }
                self.send(placed);
                return false;
            }
        }
        self.turns.add(placed, Instant::now());
        true
    }

    /// Chooses the partitions.
    fn place(&mut self, call: &Call) -> Result<Vec<u32>, PublishError> {
        call.outputs.iter().map(|output| self.partition_of(output)).collect()
    }

    fn partition_of(&mut self, output: &Output) -> Result<u32, PublishError> {
        let count = self.count(&output.topic)?;
        match (output.to, &output.key) {
            (To::Partition(partition), _) if partition >= count => self.further(&output.topic, partition),
            (To::Partition(partition), _) => Ok(partition),
            (To::Key, Some(key)) => Ok(partition_of(key, count)),
            (To::Key, None) => Ok(0),
        }
    }

    /// A partition that a topic did not have when it was asked: it may have grown since.
    fn further(&mut self, topic: &Arc<str>, partition: u32) -> Result<u32, PublishError> {
        let place: Arc<str> = format!("{topic}, partition {partition}").into();
        self.unknown.retain(|_, (since, _)| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX);
        if let Some((_, error)) = self.unknown.get(&place) {
            return Err(error.clone());
        }
        self.partitions.remove(topic);
        if partition < self.count(topic)? {
            return Ok(partition);
        }
        let error = PublishError::UnknownTopic(place.to_string());
        self.unknown.insert(place, (Instant::now(), error.clone()));
        Err(error)
    }

    fn count(&mut self, topic: &Arc<str>) -> Result<u32, PublishError> {
        if let Some(count) = self.partitions.get(topic) {
            return Ok(*count);
        }
        self.unknown.retain(|_, (since, _)| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX);
        if let Some((_, error)) = self.unknown.get(topic) {
            return Err(error.clone());
        }
        let error = match self.questions.partitions(topic) {
            Ok(Some(count)) => {
                self.partitions.insert(topic.clone(), count);
                return Ok(count);
            }
            Ok(None) => PublishError::UnknownTopic(topic.to_string()),
            Err(error) => PublishError::Unavailable(error.to_string()),
        };
        self.unknown.insert(topic.clone(), (Instant::now(), error.clone()));
        Err(error)
    }

    /// Whether records may be written without a transaction. What a transaction of this name has left open in an
    /// earlier process would hide them, until a lane has taken the name or the broker has ended what was left.
    fn singles_are_open(&self) -> bool {
        self.singly.as_ref().is_some_and(|singly| !singly.is_spent()) && self.is_clear()
    }

    /// Whether a lane has taken the name, or the broker has ended what was left.
    fn is_clear(&self) -> bool {
        let transaction_timeout = Duration::from_millis(self.options.transaction_timeout_ms.into());
        self.lanes.has_name() || self.began.elapsed() >= transaction_timeout
    }

    fn send(&mut self, placed: Placed) {
        let Placed { call, partitions, .. } = placed;
        match &mut self.singly {
            Some(singly) => singly.send(call, partitions[0]),
            None => call.answer(Err(PublishError::Unavailable("not connected".into()))),
        }
    }

    fn refuse(&self, placed: Placed) {
        let Limits { troubled: Load { calls, bytes }, .. } = self.limits;
        let why = placed.why.map(|why| format!(": {why}")).unwrap_or_default();
        let said =
            format!("no more than {calls} calls and {bytes} bytes wait for partitions that cannot be written{why}");
        placed.call.answer(Err(PublishError::Unavailable(said)));
    }

    /// Answers what was written without a transaction; whether that changes what others wait for.
    fn serve(&mut self, is_group: bool) -> bool {
        let wait = match (is_group || self.given_up.is_some(), self.turns.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => REPORT_WAIT,
            (false, false) => LOOK_EVERY,
        };
        let mut emptied = Vec::new();
        if let Some(given_up) = &mut self.given_up {
            given_up.serve(if is_group { Duration::ZERO } else { LOOK_EVERY });
            emptied.extend(given_up.emptied());
            if given_up.in_flight().calls == 0 {
                self.given_up = None;
            }
        }
        if let Some(singly) = &mut self.singly {
            singly.serve(if singly.in_flight().calls > 0 { wait } else { Duration::ZERO });
            emptied.extend(singly.emptied());
            if singly.is_spent() && self.given_up.is_none() {
                self.given_up = self.singly.take();
                self.connect();
            }
        }
        emptied.iter().any(|place| !self.turns.is_free(place) || self.slow.places.contains(place))
    }

    fn connect(&mut self) {
        match Singly::connect(&self.options, &self.name) {
            Ok(singly) => {
                self.calls.wake_with(singly.waker());
                self.singly = Some(singly);
            }
            Err(why) => tracing::warn!(publisher = %self.name, %why, "not connected"),
        }
    }

    /// Lets go what can, and answers what waits in vain.
    fn look(&mut self) {
        self.looked = Instant::now();
        if self.singly.is_none() {
            self.connect();
        }
        self.slow = self.singly.as_ref().map(|singly| singly.slow(SLOW_AFTER)).unwrap_or_default();
        if self.turns.is_empty() {
            return;
        }
        self.lanes.open_first();
        let going = self.go();
        // The first may wait for long for its name: an earlier process's transaction hangs.
        if going.wants_lane && self.lanes.are_slow() && self.is_clear() {
            self.lanes.open_more();
        }
        self.follow(going);
        // Whoever closes the publisher does not wait for brokers that are not there.
        if let Some(why) = self.lanes.not_connected()
            && self.calls.is_closed()
        {
            let left = self.turns.take_all().into_iter();
            left.for_each(|placed| placed.call.answer(Err(PublishError::Unavailable(why.clone()))));
        }
    }

    fn go(&mut self) -> Going {
        let in_lanes: HashSet<Place> = self.lanes.places().cloned().collect();
        let slow = self.lanes.slow_places().chain(&self.slow.places).cloned().collect();
        let has = |singly: &Option<Singly>, place: &Place| singly.as_ref().is_some_and(|singly| singly.has(place));
        let ways = Ways {
            now: Instant::now(),
            singles_are_open: self.singles_are_open(),
            is_on_its_way: &|place| has(&self.singly, place) || has(&self.given_up, place),
            is_given_up: &|place| has(&self.given_up, place),
            in_lanes: &in_lanes,
            has_free_lane: self.lanes.free().is_some(),
            slow,
            lanes_are_slow: self.lanes.are_slow(),
        };
        self.turns.go(&ways, &self.limits)
    }

    fn follow(&mut self, going: Going) {
        let Going { singles, group, late, refused, .. } = going;
        let not_connected = self.lanes.not_connected();
        for Placed { call, why, .. } in late {
            // They may be others by now, or none: the topic was deleted.
            call.outputs.iter().for_each(|output| _ = self.partitions.remove(&output.topic));
            call.answer_late(self.limits.timeout, why.as_deref().or(not_connected.as_deref()));
        }
        refused.into_iter().for_each(|placed| self.refuse(placed));
        singles.into_iter().for_each(|placed| self.send(placed));
        if group.is_empty() {
            return;
        }
        if let Err(group) = self.lanes.give(group) {
            let now = Instant::now();
            group.into_iter().for_each(|placed| self.turns.add(placed, now));
        }
    }
}

#[cfg(test)]
mod tests;
