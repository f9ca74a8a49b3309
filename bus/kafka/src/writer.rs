//! The thread of a publisher: it hands calls on, and never waits for one of them.
//!
//! Calls of one record each are written without a transaction ([`Singly`]), those of several records by a [`Lane`], in one
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
use crate::lane::{Lane, Report, Told};
use crate::options::KafkaOptions;
use crate::singly::{Load, Singly, Slow};
use crate::turns::{Going, Limits, Placed, Turns, Ways};

/// How long it is taken for granted that a topic does not exist.
const UNKNOWN_TOPIC_AGE_MAX: Duration = Duration::from_secs(1);
/// Of what may wait in a publisher (`publish_calls_max`, `publish_bytes_max`), the part that may wait for partitions that
/// cannot be written: a fourth in its turn for a transaction, and another one on its way without one.
const TROUBLED_PART: usize = 4;
/// How long a partition takes nothing, or a lane writes, until others no longer wait for it.
const SLOW_AFTER: Duration = Duration::from_millis(500);
/// Most lanes of a publisher. Each is a producer with a transactional id of its own.
const LANES_MAX: usize = 4;
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
    lanes: Vec<Lane>,
    /// Whether a lane was ready once.
    was_ready: bool,
    /// Why none is, for people.
    not_connected: Option<String>,
    singly: Option<Singly>,
    /// One that can or shall write no more, until its last call is answered.
    given_up: Option<Singly>,
    slow: Slow,
    looked: Instant,
    partitions: HashMap<Arc<str>, u32>,
    unknown: HashMap<Arc<str>, Instant>,
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
        Self {
            name,
            options,
            questions,
            calls,
            limits,
            began: Instant::now(),
            turns: Turns::default(),
            lanes: Vec::new(),
            was_ready: false,
            not_connected: None,
            singly: None,
            given_up: None,
            slow: Slow::default(),
            looked: Instant::now(),
            partitions: HashMap::new(),
            unknown: HashMap::new(),
        }
    }

    pub(crate) fn run(&mut self) {
        self.add_lane();
        self.connect();
        loop {
            let wait = match (self.in_flight().calls, self.turns.is_empty()) {
                (0, true) => None,
                (0, false) => Some(LOOK_EVERY),
                _ => Some(Duration::ZERO),
            };
            let is_idle = wait.is_none() && !self.lanes.iter().any(Lane::is_writing);
            let group_bytes_max = (!self.is_full()).then_some(self.options.publish_group_bytes_max);
            let next = self.calls.next(group_bytes_max, wait, is_idle);
            let mut has_changed = self.take_reports();
            let is_group = matches!(next, Next::Group(_));
            match next {
                Next::Group(calls) => calls.into_iter().for_each(|call| has_changed |= self.take(call)),
                // All of them end at the same time.
                Next::Closed => return self.lanes.iter_mut().for_each(Lane::close),
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
        for Report { lane, told } in reports {
            match told {
                Told::Ready => {
                    self.lanes[lane].is_ready = true;
                    (self.was_ready, self.not_connected) = (true, None);
                }
                Told::NotConnected(why) => self.not_connected = Some(why),
                Told::Done(left) => {
                    self.lanes[lane].places.clear();
                    let now = Instant::now();
                    left.into_iter().for_each(|placed| self.turns.add(placed, now));
                }
            }
        }
        has_changed
    }

    /// Sends a call that need not wait; whether it has to wait for its turn.
    fn take(&mut self, call: Call) -> bool {
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
                && !self.lanes.iter().any(|lane| lane.places.contains(&place))
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
            (To::Partition(partition), _) if partition >= count => {
                Err(PublishError::Unavailable(format!("{} has no partition {partition}", output.topic)))
            }
            (To::Partition(partition), _) => Ok(partition),
            (To::Key, Some(key)) => Ok(partition_of(key, count)),
            (To::Key, None) => Ok(0),
        }
    }

    fn count(&mut self, topic: &Arc<str>) -> Result<u32, PublishError> {
        if let Some(count) = self.partitions.get(topic) {
            return Ok(*count);
        }
        let unknown = PublishError::UnknownTopic(topic.to_string());
        if self.unknown.get(topic).is_some_and(|since| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX) {
            return Err(unknown);
        }
        match self.questions.partitions(topic) {
            Ok(Some(count)) => {
                self.partitions.insert(topic.clone(), count);
                Ok(count)
            }
            Ok(None) => {
                self.unknown.retain(|_, since| since.elapsed() < UNKNOWN_TOPIC_AGE_MAX);
                self.unknown.insert(topic.clone(), Instant::now());
                Err(unknown)
            }
            Err(error) => Err(PublishError::Unavailable(error.to_string())),
        }
    }

    /// Whether records may be written without a transaction. What a transaction of this name has left open in an
    /// earlier process would hide them, until a lane has taken the name or the broker has ended what was left.
    fn singles_are_open(&self) -> bool {
        let is_clear = || self.began.elapsed() >= Duration::from_millis(self.options.transaction_timeout_ms.into());
        self.singly.as_ref().is_some_and(|singly| !singly.is_spent()) && (self.was_ready || is_clear())
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

    fn add_lane(&mut self) {
        let number = self.lanes.len();
        match Lane::spawn(number, &self.name, &self.options, &self.questions, &self.calls) {
            Ok(lane) => self.lanes.push(lane),
            Err(why) => tracing::warn!(publisher = %self.name, %why, "no thread for transactions"),
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
        if self.lanes.is_empty() {
            self.add_lane();
        }
        let going = self.go();
        let lanes_are_slow = self.lanes.iter().all(|lane| lane.is_slow(SLOW_AFTER));
        if going.wants_lane && lanes_are_slow && self.was_ready && self.lanes.len() < LANES_MAX {
            self.add_lane();
        }
        self.follow(going);
        // Whoever closes the publisher does not wait for brokers that are not there.
        if let Some(why) = self.not_connected.clone()
            && self.calls.is_closed()
            && !self.lanes.iter().any(|lane| lane.is_ready)
        {
            let left = self.turns.take_all().into_iter();
            left.for_each(|placed| placed.call.answer(Err(PublishError::Unavailable(why.clone()))));
        }
    }

    fn go(&mut self) -> Going {
        let in_lanes: HashSet<Place> = self.lanes.iter().flat_map(|lane| &lane.places).cloned().collect();
        let slow_lanes = self.lanes.iter().filter(|lane| lane.is_slow(SLOW_AFTER));
        let slow = slow_lanes.clone().flat_map(|lane| &lane.places).chain(&self.slow.places).cloned().collect();
        let has = |singly: &Option<Singly>, place: &Place| singly.as_ref().is_some_and(|singly| singly.has(place));
        let ways = Ways {
            now: Instant::now(),
            singles_are_open: self.singles_are_open(),
            is_on_its_way: &|place| has(&self.singly, place) || has(&self.given_up, place),
            is_given_up: &|place| has(&self.given_up, place),
            in_lanes: &in_lanes,
            has_free_lane: self.free_lane().is_some(),
            slow,
            lanes_are_slow: slow_lanes.count() == self.lanes.len(),
        };
        self.turns.go(&ways, &self.limits)
    }

    /// The first that is not slow, if it has nothing to do: what comes while it writes goes together then.
    fn free_lane(&self) -> Option<usize> {
        let first = self.lanes.iter().position(|lane| !lane.is_slow(SLOW_AFTER))?;
        self.lanes[first].is_ready.then_some(first)
    }

    fn follow(&mut self, going: Going) {
        let Going { singles, group, late, refused, .. } = going;
        for Placed { call, why, .. } in late {
            call.answer_late(self.limits.timeout, why.as_deref().or(self.not_connected.as_deref()));
        }
        refused.into_iter().for_each(|placed| self.refuse(placed));
        singles.into_iter().for_each(|placed| self.send(placed));
        if group.is_empty() {
            return;
        }
        let given = match self.free_lane() {
            Some(lane) => self.lanes[lane].give(group),
            None => Err(group),
        };
        if let Err(group) = given {
            let now = Instant::now();
            group.into_iter().for_each(|placed| self.turns.add(placed, now));
        }
    }
}
