//! Publishers while partitions take nothing: librdkafka's own mock cluster takes leaders and brokers away at once.
#![expect(clippy::disallowed_methods, reason = "tests wait for a limited time")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use petrel_bus::{Bus, Output, PublishError, Publisher, Written};
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::RDKafkaApiKey;

/// How long a publisher's call may take in these tests: far longer than anybody else may wait.
const TIMEOUT_MS: u64 = 30_000;
/// Longest wait of a call that nothing holds up.
const SOON: Duration = Duration::from_secs(8);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Broker that every transaction is coordinated by.
const FIRST: i32 = 1;
const SECOND: i32 = 2;

type Answer = Result<Written, PublishError>;

/// A cluster with the topics `good`, of two partitions on the first broker, and `bad`, of two on the second.
struct World {
    cluster: MockCluster<'static, DefaultProducerContext>,
    bus: KafkaBus,
    publisher: Arc<dyn Publisher>,
}

/// A call and its answer, once it is there.
struct Pending(Receiver<Answer>);

impl Pending {
    fn soon(&self) -> Written {
        self.0.recv_timeout(SOON).expect("no answer, though nothing is in its way").unwrap()
    }

    fn answer(&self) -> Answer {
        self.0.recv_timeout(PATIENCE).expect("no answer at all")
    }

    fn is_open(&self) -> bool {
        self.0.try_recv().is_err()
    }
}

impl World {
    fn new(change: impl FnOnce(&mut KafkaOptions)) -> Self {
        let cluster = MockCluster::new(2).unwrap();
        // Later versions name the leader in an error, and the mock falls where there is none.
        cluster.apiversion(RDKafkaApiKey::Produce, Some(0), Some(7)).unwrap();
        for (topic, leader) in [("good", FIRST), ("bad", SECOND)] {
            cluster.create_topic(topic, 2, 1).unwrap();
            (0..2).for_each(|partition| cluster.partition_leader(topic, partition, Some(leader)).unwrap());
        }
        for name in ["petrel.publisher-p", "petrel.publisher-p+1", "petrel.publisher-p+2", "petrel.publisher-p+3"] {
            cluster.coordinator(MockCoordinator::Transaction(name.into()), FIRST).unwrap();
        }
        let mut options = KafkaOptions::new(cluster.bootstrap_servers(), "test");
        options.publish_timeout_ms = TIMEOUT_MS;
        change(&mut options);
        let bus = KafkaBus::new(options).unwrap();
        let publisher = bus.publisher("p").unwrap();
        let world = Self { cluster, bus, publisher };
        // Everything is connected and every topic known.
        for place in [("good", 0), ("good", 1), ("bad", 0), ("bad", 1)] {
            world.call(&[place]).answer().unwrap();
        }
        world.call(&[("good", 0), ("good", 1)]).answer().unwrap();
        world
    }

    /// A call with a record for each of these partitions.
    fn call(&self, places: &[(&str, u32)]) -> Pending {
        self.call_of(places, 10)
    }

    fn call_of(&self, places: &[(&str, u32)], bytes: usize) -> Pending {
        let output = |(topic, partition): &(&str, u32)| {
            Output::to_partition(&Arc::from(*topic), *partition, "", Some(vec![b'x'; bytes]))
        };
        let receipt = self.publisher.publish(places.iter().map(output).collect());
        let (answer, answered) = channel();
        std::thread::spawn(move || answer.send(receipt.wait()));
        Pending(answered)
    }

    /// Nobody leads the first partition of `bad` any more, or somebody again.
    fn lead(&self, is_led: bool) {
        self.cluster.partition_leader("bad", 0, is_led.then_some(SECOND)).unwrap();
    }

    fn end(&self, topic: &str, partition: usize) -> i64 {
        self.bus.end_offsets(topic).unwrap()[partition]
    }
}

fn offset(written: &Written, record: usize) -> i64 {
    written[record].1.unwrap()
}

/// Waits until so many of them are answered; which, and how.
fn answered(pending: &[Pending], count: usize) -> Vec<(usize, Answer)> {
    let (began, mut found) = (Instant::now(), Vec::new());
    while found.len() < count {
        let told = |one: &Pending| one.0.recv_timeout(Duration::from_millis(1)).ok();
        found.extend(pending.iter().enumerate().filter_map(|(number, one)| Some((number, told(one)?))));
        assert!(began.elapsed() < SOON, "{} of {count} are answered", found.len());
    }
    found
}

#[test]
fn a_batch_for_a_partition_without_a_leader_holds_up_only_what_must_stand_behind_it() {
    let world = World::new(|_| {});
    world.lead(false);
    let stuck = world.call(&[("bad", 0), ("good", 0)]);
    let behind = [world.call(&[("good", 0)]), world.call(&[("good", 0), ("good", 0)])];
    for _ in 0..3 {
        world.call(&[("good", 1)]).soon();
        world.call(&[("good", 1), ("bad", 1)]).soon();
        world.call(&[("bad", 1)]).soon();
    }
    let end = world.end("good", 0);
    assert!(stuck.is_open() && behind.iter().all(Pending::is_open));
    world.lead(true);
    let (first, second, third) = (stuck.soon(), behind[0].soon(), behind[1].soon());
    // A call keeps its turn in each of its partitions.
    let order = [offset(&first, 1), offset(&second, 0), offset(&third, 0), offset(&third, 1)];
    assert!(order[0] >= end && order.is_sorted(), "{order:?} in a partition that ended at {end}");
}

#[test]
fn a_batch_waits_only_for_single_records_of_its_own_partitions() {
    let world = World::new(|_| {});
    world.lead(false);
    let single = world.call(&[("bad", 0)]);
    let behind = world.call(&[("bad", 0), ("bad", 1)]);
    world.call(&[("bad", 1)]);
    for _ in 0..3 {
        world.call(&[("good", 0), ("good", 1)]).soon();
    }
    assert!(single.is_open() && behind.is_open());
    world.lead(true);
    let (first, second) = (single.soon(), behind.soon());
    assert!(offset(&first, 0) < offset(&second, 0), "{first:?} {second:?}");
}

/// The leader is gone, and nobody has noticed yet: the transaction has begun.
#[test]
fn a_transaction_that_hangs_holds_up_no_other() {
    let world = World::new(|_| {});
    world.cluster.broker_down(SECOND).unwrap();
    let stuck = world.call(&[("bad", 0), ("bad", 1)]);
    for _ in 0..3 {
        world.call(&[("good", 0)]).soon();
        world.call(&[("good", 0), ("good", 1)]).soon();
    }
    assert!(stuck.is_open());
    world.cluster.broker_up(SECOND).unwrap();
    stuck.answer().unwrap();
    world.call(&[("bad", 0), ("bad", 1)]).soon();
}

#[test]
fn batches_that_wait_for_a_leader_are_bounded_and_the_others_are_told_at_once() {
    let world = World::new(|options| options.publish_calls_max = 40);
    world.lead(false);
    let waiting: Vec<Pending> = (0..30).map(|_| world.call(&[("bad", 0), ("good", 0)])).collect();
    // A fourth of 40 may wait.
    let refused = answered(&waiting, 20);
    assert!(refused.iter().all(|(number, _)| *number >= 10), "{refused:?}");
    let is_clear = |answer: &Answer| matches!(answer, Err(PublishError::Unavailable(why)) if why.contains("no more than 10 calls") && why.contains("leader"));
    assert!(refused.iter().all(|(_, answer)| is_clear(answer)), "{refused:?}");
    for _ in 0..50 {
        world.call(&[("good", 1), ("bad", 1)]).soon();
    }
    world.lead(true);
    waiting[..10].iter().for_each(|waiting| drop(waiting.soon()));
}

#[test]
fn single_records_for_a_partition_without_a_leader_take_no_room_from_others() {
    let world = World::new(|options| options.publish_calls_max = 40);
    world.lead(false);
    let first = world.call(&[("bad", 0)]);
    let (began, mut waiting, mut refused) = (Instant::now(), vec![first], 0);
    // It is found out after a moment that the partition takes nothing.
    while refused < 20 {
        let next = world.call(&[("bad", 0)]);
        world.call(&[("good", 0)]).soon();
        match next.0.recv_timeout(Duration::from_millis(20)) {
            Ok(answer) => {
                let why = answer.unwrap_err();
                assert!(
                    matches!(&why, PublishError::Unavailable(why) if why.contains("no more than 10 calls")),
                    "{why}"
                );
                refused += 1;
            }
            Err(_) => waiting.push(next),
        }
        assert!(began.elapsed() < PATIENCE, "{} calls wait, {refused} are refused", waiting.len());
    }
    assert!(waiting.len() < 40, "{} calls wait", waiting.len());
    world.lead(true);
    waiting.iter().for_each(|waiting| drop(waiting.soon()));
    world.call(&[("bad", 0)]).soon();
}

#[test]
fn bytes_on_their_way_are_counted_and_given_back() {
    let world = World::new(|options| options.publish_bytes_max = 1_000);
    // Far more than that in all.
    for _ in 0..100 {
        world.call_of(&[("good", 0)], 100).soon();
    }
    world.lead(false);
    let waiting: Vec<Pending> = (0..100).map(|_| world.call_of(&[("bad", 0)], 100)).collect();
    // Ten are on their way and ten wait to be, and one more each where the limit was not reached yet.
    let refused = answered(&waiting, 78);
    assert!(refused.iter().all(|(_, answer)| *answer == Err(PublishError::Overloaded)), "{refused:?}");
    world.lead(true);
    let written = waiting.iter().filter(|waiting| waiting.0.recv_timeout(SOON).is_ok_and(|answer| answer.is_ok()));
    assert!((20..=22).contains(&written.count()));
    world.call_of(&[("bad", 0)], 100).soon();
}
