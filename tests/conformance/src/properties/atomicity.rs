//! Transactions.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{
    Bus, GroupEvent, InputTopic, Output, Position, Session, SessionError, SessionOptions, Start, TopicPartition,
};

use crate::harness::BusUnderTest;
use crate::world::World;

/// Fetches until the session has been assigned partitions; begins and accepts them.
pub(super) fn assigned(session: &mut dyn Session, under: &impl BusUnderTest) -> Vec<Position> {
    let mut positions = Vec::new();
    petrel_testkit::wait_until("partitions are assigned", under.patience(), || {
        let events = session.fetch(Duration::from_millis(10), 100, &mut |_| {}).expect("fetching works");
        for event in events {
            if let GroupEvent::Assigned(partitions) = event {
                let begun = session.begin(&partitions).expect("beginning works");
                positions = begun.iter().map(|begun| begun.position.clone()).collect();
                session.accept(&positions).expect("accepting works");
                let starts: Vec<Position> =
                    begun.into_iter().filter(|begun| !begun.committed).map(|begun| begun.position).collect();
                session.commit(&starts).expect("a start is committed");
            }
        }
        under.clock().sleep(Duration::from_millis(1));
        !positions.is_empty()
    });
    positions
}

/// Fetches once records are there; offset and value of each.
pub(super) fn fetched(session: &mut dyn Session, under: &impl BusUnderTest) -> Vec<(TopicPartition, i64, Vec<u8>)> {
    let mut records = Vec::new();
    petrel_testkit::wait_until("records are fetched", under.patience(), || {
        let mut each = |batches: &petrel_bus::Fetched<'_>| {
            for batch in batches.batches() {
                let at = TopicPartition { topic: batch.topic.clone(), partition: batch.partition };
                let taken = batch.records.iter().map(|r| (at.clone(), r.offset, r.value.unwrap_or_default().to_vec()));
                records.extend(taken);
            }
        };
        session.fetch(Duration::from_millis(10), 100, &mut each).expect("fetching works");
        !records.is_empty()
    });
    records
}

pub(super) fn session(bus: &Arc<dyn Bus>, options: &SessionOptions, topic: &Arc<str>) -> Box<dyn Session> {
    let mut session = bus.session(options).expect("a session");
    session
        .subscribe(&[InputTopic { name: topic.clone(), start: Start::Beginning, with: None }])
        .expect("subscribing works");
    session
}

/// After any number of commits outputs, changelog and offsets tell the same story, and a new member
/// goes on from there.
pub fn outputs_state_and_offsets_are_one<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "one", 2);
    for round in 0..4 {
        world.publish("in", &[("a", "1"), ("b", "2"), ("c", "3"), ("a", "4")]);
        let mut stage = world.stage();
        let mut driver = world.driver(&mut stage, "a");
        let wanted = 4 * (round + 1);
        world.run_until("outputs", &mut [&mut driver], || world.output_count() >= wanted).unwrap();
        driver.finish().unwrap();
        assert!(stage.told.contains(&"committed") && stage.told.contains(&"revoked"));
        world.check_exactly_once(&["in"]);
    }
}

/// Outputs of an aborted transaction are never seen, and its inputs come again.
pub fn an_aborted_transaction_leaves_nothing<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "abort", 1);
    world.publish("in", &[("a", "1"), ("a", "2")]);
    let (bus, input, output) = (under.bus(), world.topic("in"), world.topic("out"));
    let mut session = session(&bus, &world.session_options("a"), &input);
    let positions = assigned(&mut *session, under);
    let first = fetched(&mut *session, under);
    session.send(Output::keyed(&output, "a", b"never seen".to_vec()), 0).unwrap();
    session.abort(&positions).unwrap();
    let again = fetched(&mut *session, under);
    assert_eq!(again, first, "the inputs come again");
    let last = again.iter().map(|(_, offset, _)| *offset).max().unwrap();
    session.send(Output::keyed(&output, "a", b"seen".to_vec()), 0).unwrap();
    let position = Position { at: positions[0].at.clone(), offset: last + 1, metadata: None };
    session.commit(&[position]).unwrap();
    session.close();
    assert_eq!(world.outputs(), ["seen"]);
}

/// Outputs are seen after the commit and not before.
pub fn uncommitted_outputs_are_not_read<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "committed", 1);
    world.publish("in", &[("a", "1")]);
    let (bus, input, output) = (under.bus(), world.topic("in"), world.topic("out"));
    let mut session = session(&bus, &world.session_options("a"), &input);
    let positions = assigned(&mut *session, under);
    fetched(&mut *session, under);
    session.send(Output::keyed(&output, "a", b"later".to_vec()), 0).unwrap();
    let mut tail = bus.tail(&output).unwrap();
    let mut seen = 0;
    for _ in 0..5 {
        tail.next(Duration::from_millis(10), &mut |_, _| seen += 1).unwrap();
    }
    assert_eq!(seen, 0, "an open transaction is invisible");
    session.commit(&[Position { at: positions[0].at.clone(), offset: 1, metadata: None }]).unwrap();
    petrel_testkit::wait_until("the output is seen", under.patience(), || {
        tail.next(Duration::from_millis(10), &mut |_, _| seen += 1).unwrap();
        seen == 1
    });
    session.close();
    let read_only = SessionOptions { transactional: false, ..world.session_options("b") };
    let mut session = bus.session(&read_only).unwrap();
    let refused = session.send(Output::keyed(&output, "a", Vec::new()), 0);
    assert!(matches!(refused, Err(SessionError::Halt(_))), "no transactions, no writing: {refused:?}");
}
