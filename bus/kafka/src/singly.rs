//! Records that are written each by itself: without a transaction, once each, in order (KIP-98, idempotent producer).
//!
//! Most calls from outside of a stage are one record: a heartbeat, a result, an event. A transaction of one record
//! adds nothing but five requests to the broker. Nobody waits for anybody: each call is answered with what became of its
//! own record, however long another partition has no leader.
#![expect(clippy::disallowed_methods, reason = "how long records have waited for the broker")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use petrel_bus::{BusError, PublishError, TopicPartition, Waker};

use crate::calls::{Call, Place};
use crate::context::Delivery;
use crate::faults::bus_error;
use crate::options::KafkaOptions;
use crate::sending::Sending;

/// Records time out by themselves; how much longer that is waited for.
const DELIVERY_GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Singly {
    timeout: Duration,
    sending: Sending,
    /// No number is ever used again.
    next_number: usize,
    waiting: BTreeMap<usize, Waiting>,
    /// Where these are written, and what is on its way there.
    places: HashMap<Place, Load>,
    total: Load,
    /// Where nothing is any more since this was asked.
    emptied: Vec<Place>,
    last_written: Instant,
    spent: bool,
}

struct Waiting {
    call: Call,
    place: Place,
    sent: Instant,
}

/// Calls and the bytes of their keys and values.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn add(&mut self, call: &Call) {
        self.calls += 1;
        self.bytes += call.bytes();
    }

    fn take_away(&mut self, call: &Call) {
        self.calls -= 1;
        self.bytes -= call.bytes();
    }
}

/// Partitions that take nothing, and what is on its way to them.
#[derive(Debug, Default)]
pub(crate) struct Slow {
    pub(crate) places: HashSet<Place>,
    pub(crate) load: Load,
}

impl Singly {
    pub(crate) fn connect(options: &KafkaOptions, name: &str) -> Result<Self, BusError> {
        let sending = Sending::create(&options.single_producer(), name);
        let sending = sending.map_err(|e| bus_error(&format!("cannot write as {name}"), &e))?;
        Ok(Self {
            timeout: Duration::from_millis(options.publish_timeout_ms),
            sending,
            next_number: 0,
            waiting: BTreeMap::new(),
            places: HashMap::new(),
            total: Load::default(),
            emptied: Vec::new(),
            last_written: Instant::now(),
            spent: false,
        })
    }

    /// Ends [`Singly::serve`] early.
    pub(crate) fn waker(&self) -> Waker {
        self.sending.waker()
    }

    /// Sends the one record of a call. Whoever calls has seen to it that the producer's queue does not overflow.
    pub(crate) fn send(&mut self, call: Call, partition: u32) {
        let number = self.next_number;
        self.next_number += 1;
        let Some(output) = call.outputs.first() else { return call.answer(Ok(Vec::new())) };
        match self.sending.send(output, partition, number, Duration::ZERO) {
            Ok(()) => {
                let place = (output.topic.clone(), partition);
                self.places.entry(place.clone()).or_default().add(&call);
                self.total.add(&call);
                self.waiting.insert(number, Waiting { call, place, sent: Instant::now() });
            }
            Err(error) => call.answer(Err(PublishError::Unavailable(error.to_string()))),
        }
    }

    /// What is not answered yet.
    pub(crate) fn in_flight(&self) -> Load {
        self.total
    }

    /// Whether something is on its way to that partition.
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.places.contains_key(place)
    }

    /// The partitions that have not taken a record for so long.
    pub(crate) fn slow(&self, after: Duration) -> Slow {
        let old = self.waiting.values().take_while(|waiting| waiting.sent.elapsed() >= after);
        let places: HashSet<Place> = old.map(|waiting| waiting.place.clone()).collect();
        let mut load = Load::default();
        for there in places.iter().filter_map(|place| self.places.get(place)) {
            load.calls += there.calls;
            load.bytes += there.bytes;
        }
        Slow { places, load }
    }

    /// Whether it can or shall write no more: a gap in its numbers, say, is for ever.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent
    }

    /// Answers the calls about which something is known, after having waited for that for so long at most.
    pub(crate) fn serve(&mut self, wait: Duration) {
        if !wait.is_zero() {
            self.sending.serve_one(wait);
        }
        self.sending.serve();
        self.answer();
        let limit = self.timeout + DELIVERY_GRACE;
        if self.waiting.first_key_value().is_some_and(|(_, oldest)| oldest.sent.elapsed() > limit) {
            self.give_up();
        }
        self.spent |= self.sending.fatal().is_some();
    }

    /// The partitions to which nothing has been on its way any more since this was asked.
    pub(crate) fn emptied(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.emptied)
    }

    /// Takes a call off what is on its way.
    fn take(&mut self, number: usize) -> Option<Waiting> {
        let waiting = self.waiting.remove(&number)?;
        self.total.take_away(&waiting.call);
        if let Some(there) = self.places.get_mut(&waiting.place) {
            there.take_away(&waiting.call);
            if there.calls == 0 {
                self.places.remove(&waiting.place);
                self.emptied.push(waiting.place.clone());
            }
        }
        Some(waiting)
    }

    fn answer(&mut self) {
        let (mut failed, mut last) = (0, None);
        for (number, delivery) in self.sending.context().deliveries() {
            let Some(Waiting { call, place: (topic, partition), sent }) = self.take(number) else { continue };
            let answer = match delivery {
                Delivery::Written(offset) => {
                    self.last_written = Instant::now();
                    Ok(vec![(TopicPartition { topic, partition }, Some(offset))])
                }
                Delivery::NotWritten(why) => Err(PublishError::Unavailable(why)),
                Delivery::InDoubt(why) => Err(PublishError::OutcomeUnknown(why)),
            };
            if let Err(error) = &answer {
                (failed, last) = (failed + 1, Some(error.clone()));
                // Nothing at all was written in all its time: perhaps another client fares better.
                self.spent |= sent.elapsed() + DELIVERY_GRACE >= self.timeout && self.last_written < sent;
            }
            call.answer(answer);
        }
        if let Some(error) = last {
            tracing::warn!(%error, calls = failed, "records were not acknowledged");
        }
    }

    /// Of what is left nobody says anything any more.
    fn give_up(&mut self) {
        self.spent = true;
        self.sending.purge();
        self.sending.serve();
        self.answer();
        let left: Vec<usize> = self.waiting.keys().copied().collect();
        for Waiting { call, .. } in left.into_iter().filter_map(|number| self.take(number)) {
            call.answer(Err(PublishError::OutcomeUnknown("the client does not say".into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use petrel_bus::{Output, Receipt, receipt};
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::DefaultProducerContext;
    use rdkafka::types::RDKafkaApiKey;

    use super::*;

    /// Longest wait for an answer.
    const PATIENCE: Duration = Duration::from_secs(30);
    const RECORD_BYTES: usize = 100;

    fn cluster() -> MockCluster<'static, DefaultProducerContext> {
        let cluster = MockCluster::new(1).unwrap();
        // Later versions name the leader in an error, and the mock falls where there is none.
        cluster.apiversion(RDKafkaApiKey::Produce, Some(0), Some(7)).unwrap();
        cluster.create_topic("t", 2, 1).unwrap();
        cluster
    }

    fn connect(cluster: &MockCluster<'_, DefaultProducerContext>, timeout_ms: u64) -> Singly {
        let mut options = KafkaOptions::new(cluster.bootstrap_servers(), "test");
        options.publish_timeout_ms = timeout_ms;
        Singly::connect(&options, "test").unwrap()
    }

    fn send(singly: &mut Singly, partition: u32, bytes: usize) -> Receipt {
        let (acknowledge, receipt) = receipt();
        let output = Output::to_partition(&Arc::from("t"), partition, "", Some(vec![b'x'; bytes]));
        singly.send(Call::new(vec![output], acknowledge), partition);
        receipt
    }

    fn serve_all(singly: &mut Singly) {
        let began = Instant::now();
        while singly.in_flight().calls > 0 {
            singly.serve(Duration::from_millis(20));
            assert!(began.elapsed() < PATIENCE, "{:?} is on its way", singly.in_flight());
        }
    }

    /// Sends two records to the first partition and one to the second; what they are answered with. Everything is
    /// counted until then, and nothing afterwards.
    fn answers(singly: &mut Singly) -> Vec<Result<petrel_bus::Written, PublishError>> {
        let receipts: Vec<Receipt> = [0, 1, 0].map(|partition| send(singly, partition, RECORD_BYTES)).into();
        assert_eq!(singly.in_flight(), Load { calls: 3, bytes: 3 * RECORD_BYTES });
        assert_eq!(singly.places[&("t".into(), 0)], Load { calls: 2, bytes: 2 * RECORD_BYTES });
        serve_all(singly);
        assert_eq!(singly.in_flight(), Load::default());
        assert!(singly.places.is_empty(), "{:?}", singly.places);
        let mut emptied = singly.emptied();
        emptied.sort();
        assert_eq!(emptied, [("t".into(), 0), ("t".into(), 1)]);
        receipts.into_iter().map(Receipt::wait).collect()
    }

    #[test]
    fn what_is_written_is_no_longer_on_its_way() {
        let cluster = cluster();
        let answers = answers(&mut connect(&cluster, 10_000));
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    #[test]
    fn what_was_not_written_in_time_is_no_longer_on_its_way() {
        let cluster = cluster();
        (0..2).for_each(|partition| cluster.partition_leader("t", partition, None).unwrap());
        let answers = answers(&mut connect(&cluster, 500));
        assert!(answers.iter().all(|answer| matches!(answer, Err(PublishError::Unavailable(_)))), "{answers:?}");
    }

    #[test]
    fn what_is_in_doubt_is_no_longer_on_its_way() {
        let cluster = cluster();
        let mut singly = connect(&cluster, 2_000);
        // Whoever is connected already only waits for the answer.
        (0..2).for_each(|partition| drop(send(&mut singly, partition, 1)));
        serve_all(&mut singly);
        singly.emptied();
        cluster.broker_round_trip_time(-1, Duration::from_secs(60)).unwrap();
        let answers = answers(&mut singly);
        assert!(answers.iter().all(|answer| matches!(answer, Err(PublishError::OutcomeUnknown(_)))), "{answers:?}");
    }

    #[test]
    fn what_nobody_tells_of_is_no_longer_on_its_way() {
        let cluster = cluster();
        let mut singly = connect(&cluster, 60_000);
        (0..2).for_each(|partition| cluster.partition_leader("t", partition, None).unwrap());
        // The client would wait for a minute; the grace is for what it does not tell.
        singly.timeout = Duration::ZERO;
        let answers = answers(&mut singly);
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert!(singly.is_spent());
    }

    #[test]
    fn what_the_client_does_not_take_never_was_on_its_way() {
        let cluster = cluster();
        let mut singly = connect(&cluster, 10_000);
        let refused = send(&mut singly, 0, 10 << 20);
        assert_eq!(singly.in_flight(), Load::default());
        assert!(matches!(refused.wait(), Err(PublishError::Unavailable(_))));
    }

    #[test]
    fn a_partition_that_takes_nothing_is_told_apart() {
        let cluster = cluster();
        let mut singly = connect(&cluster, 10_000);
        cluster.partition_leader("t", 1, None).unwrap();
        let stuck = [send(&mut singly, 1, RECORD_BYTES), send(&mut singly, 1, RECORD_BYTES)];
        let began = Instant::now();
        // Until it is connected none takes anything.
        while singly.slow(Duration::from_millis(200)).places != HashSet::from([("t".into(), 1)]) {
            send(&mut singly, 0, RECORD_BYTES);
            singly.serve(Duration::from_millis(20));
            assert!(began.elapsed() < PATIENCE);
        }
        let slow = singly.slow(Duration::from_millis(200));
        assert_eq!(slow.load, Load { calls: 2, bytes: 2 * RECORD_BYTES });
        assert!(singly.slow(PATIENCE).places.is_empty());
        drop(stuck);
    }
}
