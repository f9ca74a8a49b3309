//! What a gate does by its terms, case by case: each limit, each excess, and the clock.

use super::table::{GRANTED, One, waits};
use crate::gate::{
    ACTIONS_MAX, BREAKER_MEMORY_MS, CLOSE_MS_MAX, Decided, Excess, GateId, Kind, Limit, Outcome, Refusal, What, Why,
};

const RADIUS: Limit = Limit::Radius { actions_max: 2, per_ms: 100 };

fn open() -> What {
    What::Open { by: "ann".to_owned() }
}

fn opened() -> Decided {
    Decided::Opened { by: "ann".to_owned() }
}

fn returned(outcome: Outcome) -> Decided {
    Decided::Returned(outcome)
}

#[test]
fn excess_is_dropped_and_says_what_was_used_up() {
    let mut drop = One::new(Limit::Concurrency { permits_max: 1 }, Excess::Drop);
    drop.acquire(0, "a");
    assert_eq!(drop.acquire(0, "b"), [Decided::Refused(Refusal::Excess(Why::Concurrency))]);
    drop.send(0, What::Close { until_ms: 10 });
    assert_eq!(drop.acquire(1, "c"), [waits(Why::Closed)], "what the other side asks for is no excess");
}

#[test]
fn excess_shuts_a_gate_until_a_person_opens_it_and_the_window_begins_anew() {
    let mut radius = One::new(RADIUS, Excess::Pause);
    assert_eq!([radius.acquire(0, "a"), radius.acquire(0, "b")].concat(), [GRANTED, GRANTED]);
    assert_eq!(radius.acquire(1, "c"), [Decided::Shut(Why::Radius), waits(Why::Person)]);
    assert_eq!(radius.acquire(2, "d"), [waits(Why::Person)], "it is shut once");
    assert_eq!(radius.granted(10_000), 0, "time alone opens nothing");
    assert_eq!(radius.send(10_000, open()), [opened(), GRANTED, GRANTED]);
    assert_eq!(radius.acquire(10_001, "e"), [Decided::Shut(Why::Radius), waits(Why::Person)]);
    // At once, while the window is full: who waited passes, and nobody shuts it again for what was before.
    assert_eq!(radius.send(10_002, open()), [opened(), GRANTED]);
    assert_eq!(radius.acquire(10_003, "f"), [GRANTED]);
    assert_eq!(radius.acquire(10_004, "g"), [Decided::Shut(Why::Radius), waits(Why::Person)]);
}

#[test]
fn a_person_shuts_a_gate_until_a_person_opens_it_whatever_its_policy_says_of_excess() {
    let shut = || What::Shut { by: "ann".to_owned() };
    let mut gate = One::new(Limit::Concurrency { permits_max: 2 }, Excess::Drop);
    assert_eq!(gate.acquire(0, "a"), [GRANTED]);
    assert_eq!(gate.send(0, shut()), [Decided::ShutBy { by: "ann".to_owned() }]);
    assert_eq!(gate.send(0, shut()), [], "it is shut once");
    assert_eq!(gate.acquire(1, "b"), [waits(Why::Person)], "nobody is dropped for what a person did");
    assert_eq!(gate.release(2, "a", 1, Outcome::Succeeded).len(), 1);
    assert_eq!(gate.granted(1_000_000), 0, "time alone opens nothing");
    assert_eq!(gate.send(1_000_001, open()), [opened(), GRANTED]);
}

#[test]
fn a_rate_lets_its_burst_pass_and_then_one_at_a_time() {
    let mut rate = One::new(Limit::Rate { tokens: 1, per_ms: 100, burst: 2 }, Excess::Wait);
    let decided: Vec<Decided> = (0..4).flat_map(|n| rate.acquire(0, &n.to_string())).collect();
    assert_eq!(decided, [GRANTED, GRANTED, waits(Why::Rate), waits(Why::Rate)]);
    assert_eq!([99, 100, 199, 200, 400].map(|now_ms| rate.granted(now_ms)), [0, 1, 0, 1, 0]);
    for n in 0..4 {
        rate.release(400, &n.to_string(), n + 1, Outcome::Succeeded);
    }
    assert!(rate.store.is_empty(), "a full bucket is not remembered");
}

#[test]
fn what_did_not_start_gives_its_token_and_its_place_in_the_window_back_once() {
    for limit in [Limit::Rate { tokens: 1, per_ms: 1_000_000, burst: 2 }, RADIUS] {
        let mut gate = One::new(limit, Excess::Wait);
        for name in ["a", "b", "c"] {
            gate.acquire(0, name);
        }
        assert_eq!(gate.release(1, "a", 1, Outcome::Succeeded), [returned(Outcome::Succeeded)], "it has run");
        let back = gate.release(2, "b", 2, Outcome::NotStarted);
        assert_eq!(back, [returned(Outcome::NotStarted), GRANTED], "{limit:?}");
        assert_eq!(gate.release(3, "b", 2, Outcome::NotStarted), [], "nothing comes back twice");
        assert_ne!(gate.acquire(4, "d"), [GRANTED]);
    }
}

#[test]
fn a_token_that_time_has_replaced_does_not_come_back() {
    let mut rate = One::new(Limit::Rate { tokens: 1, per_ms: 100, burst: 2 }, Excess::Wait);
    assert_eq!(rate.acquire(0, "a"), [GRANTED]);
    assert_eq!(rate.acquire(150, "b"), [GRANTED], "out of a full bucket");
    rate.release(150, "a", 1, Outcome::NotStarted);
    assert_eq!(rate.acquire(150, "c"), [GRANTED]);
    assert_eq!(rate.acquire(150, "d"), [waits(Why::Rate)], "two at once and not three");
    assert_eq!(rate.release(150, "c", 4, Outcome::NotStarted), [returned(Outcome::NotStarted), GRANTED]);
}

#[test]
fn a_gate_that_was_closed_by_retry_after_opens_by_itself_after_a_day_at_most() {
    let mut rate = One::new(Limit::Rate { tokens: 10, per_ms: 10, burst: 5 }, Excess::Wait);
    assert_eq!(rate.send(0, What::Close { until_ms: 500 }), [Decided::Closed { until_ms: 500 }]);
    assert_eq!(rate.send(0, What::Close { until_ms: 300 }), [], "the later of two holds");
    assert_eq!(rate.acquire(1, "a"), [waits(Why::Closed)]);
    assert_eq!((rate.granted(499), rate.granted(500)), (0, 1));
    let capped = Decided::Closed { until_ms: 1_000 + CLOSE_MS_MAX };
    assert_eq!(rate.send(1_000, What::Close { until_ms: i64::MAX }), [capped]);
    rate.acquire(1_000, "b");
    assert_eq!((rate.granted(999 + CLOSE_MS_MAX), rate.granted(1_000 + CLOSE_MS_MAX)), (0, 1));
    assert_eq!(rate.send(2_000 + CLOSE_MS_MAX, What::Close { until_ms: 5 }), [], "what is over closes nothing");
}

#[test]
fn a_breaker_opens_tries_and_closes_and_forgets() {
    let mut gate = One::new(Limit::Breaker { failures_max: 2, open_ms: 100, probes: 1 }, Excess::Wait);
    for name in ["a", "b", "old"] {
        assert_eq!(gate.acquire(0, name), [GRANTED]);
    }
    assert_eq!(gate.release(1, "a", 1, Outcome::Failed).len(), 1);
    assert_eq!(gate.release(2, "b", 2, Outcome::Failed)[1], Decided::Tripped { until_ms: 102 });
    assert_eq!(gate.acquire(3, "c"), [waits(Why::Breaker)]);
    assert_eq!(gate.acquire(4, "d"), [waits(Why::Breaker)]);
    assert_eq!((gate.granted(101), gate.granted(102)), (0, 1), "one probe");
    assert_eq!(gate.release(103, "old", 3, Outcome::Succeeded).len(), 1, "what passed before says nothing");
    assert_eq!(gate.release(104, "c", 6, Outcome::Failed)[1], Decided::Tripped { until_ms: 204 });
    assert_eq!(gate.granted(204), 1);
    assert_eq!(gate.acquire(205, "e"), [waits(Why::Probes)]);
    assert_eq!(gate.release(206, "d", 7, Outcome::Succeeded)[1..], [GRANTED, Decided::Recovered]);
    assert_eq!(gate.release(207, "e", 10, Outcome::Failed).len(), 1);
    assert!(!gate.store.is_empty(), "a failure is remembered");
    gate.timers(206 + BREAKER_MEMORY_MS);
    assert!(!gate.store.is_empty());
    gate.timers(207 + BREAKER_MEMORY_MS);
    assert!(gate.store.is_empty(), "and forgotten");
}

#[test]
fn a_probe_that_never_started_leaves_its_place_to_another() {
    let mut gate = One::new(Limit::Breaker { failures_max: 1, open_ms: 100, probes: 1 }, Excess::Wait);
    gate.acquire(0, "a");
    gate.release(0, "a", 1, Outcome::Failed);
    gate.acquire(1, "b");
    gate.acquire(1, "c");
    assert_eq!(gate.granted(100), 1);
    assert_eq!(gate.release(101, "b", 3, Outcome::NotStarted), [returned(Outcome::NotStarted), GRANTED]);
}

#[test]
fn a_trial_that_has_as_many_successes_as_new_terms_want_is_over() {
    let breaker = |probes| Limit::Breaker { failures_max: 1, open_ms: 100, probes };
    let mut gate = One::new(breaker(3), Excess::Wait);
    gate.acquire(0, "a");
    gate.release(0, "a", 1, Outcome::Failed);
    gate.acquire(1, "b");
    gate.acquire(1, "c");
    assert_eq!(gate.granted(100), 2);
    gate.release(101, "b", 3, Outcome::Succeeded);
    gate.release(101, "c", 4, Outcome::Succeeded);
    gate.retune(102, Some(breaker(2)));
    for name in ["d", "e", "f"] {
        assert_eq!(gate.acquire(103, name), [GRANTED], "no probe is left whose end would let {name} pass");
    }
}

#[test]
fn a_clock_that_goes_back_neither_ends_a_window_early_nor_keeps_it_for_ever() {
    let mut radius = One::new(RADIUS, Excess::Wait);
    radius.acquire(1_000_000, "a");
    radius.acquire(1_000_000, "b");
    assert_eq!(radius.acquire(5, "c"), [waits(Why::Radius)], "long ago by the clock, and the window is as full");
    assert_eq!((radius.granted(104), radius.granted(105)), (0, 1), "after a hundred milliseconds all the same");
    let mut rate = One::new(Limit::Rate { tokens: 1, per_ms: 100, burst: 1 }, Excess::Wait);
    rate.acquire(1_000_000, "a");
    assert_eq!(rate.acquire(0, "b"), [waits(Why::Rate)]);
    assert_eq!((rate.granted(99), rate.granted(100)), (0, 1));
}

#[test]
fn a_window_holds_no_more_than_the_limit_of_entries() {
    let mut radius = One::new(Limit::Radius { actions_max: u32::MAX, per_ms: 100 }, Excess::Wait);
    radius.acquire(0, "a");
    let gate = GateId::total("p.one", Kind::Radius);
    let mut head = radius.store.heads[&gate].clone();
    assert_eq!(radius.acquire(0, "b"), [GRANTED]);
    head.hits = ACTIONS_MAX;
    let terms = radius.known.terms[&gate];
    let room = crate::gate::room::room(&head, &radius.store, &gate, Some(&terms));
    assert!(matches!(room, crate::gate::Room::Not { why: Why::Radius, .. }), "{room:?}");
}
