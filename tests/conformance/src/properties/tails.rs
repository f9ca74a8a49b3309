//! Tails.

use std::time::Duration;

use crate::harness::BusUnderTest;
use crate::world::{World, text};

/// A tail hands out everything from the beginning, says when it has, and goes on with what is new.
pub fn a_tail_sees_everything_and_follows<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "tail", 2);
    assert!(under.bus().tail(&world.topic("nowhere")).is_err(), "a topic that does not exist");
    assert!(world.tail("out").caught_up(), "nothing is there, so all of it was seen");
    world.publish("in", &[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut tail = world.tail("in");
    assert!(!tail.caught_up());
    let mut seen = Vec::new();
    petrel_testkit::wait_until("the tail catches up", under.patience(), || {
        tail.next(Duration::from_millis(5), &mut |_, r| seen.push(text(r.value))).unwrap();
        tail.caught_up()
    });
    seen.sort();
    assert_eq!(seen, ["1", "2", "3"]);
    world.publish("in", &[("a", "4")]);
    petrel_testkit::wait_until("the tail follows", under.patience(), || {
        tail.next(Duration::from_millis(5), &mut |_, r| seen.push(text(r.value))).unwrap();
        seen.len() == 4
    });
    assert_eq!(seen[3], "4");
}

/// A mark is the end that the log has then: records behind it are not waited for, those in front of it are.
pub fn a_tail_passes_the_end_that_was_marked<B: BusUnderTest>(under: &B) {
    let world = World::new(under, "mark", 2);
    let mut tail = world.tail("in");
    assert!(!tail.passed_mark(), "nothing was marked");
    let mut seen = 0;
    for round in 1..=3 {
        world.publish("in", &[("a", "1"), ("b", "2"), ("c", "3")]);
        tail.mark().unwrap();
        assert!(!tail.passed_mark(), "round {round}");
        petrel_testkit::wait_until("the tail passes the mark", under.patience(), || {
            tail.next(Duration::from_millis(5), &mut |_, _| seen += 1).unwrap();
            tail.passed_mark()
        });
        assert_eq!(seen, 3 * round);
        tail.mark().unwrap();
        petrel_testkit::wait_until("the tail passes a mark at its place", under.patience(), || {
            tail.next(Duration::from_millis(5), &mut |_, _| seen += 1).unwrap();
            tail.passed_mark()
        });
    }
}
