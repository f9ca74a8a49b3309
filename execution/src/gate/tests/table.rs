//! What a gate does, case by case.

use petrel_schemas::ExecutionId;

use super::memory::Memory;
use crate::gate::{
    Class, Decided, Excess, GRANTS_PER_STEP_MAX, GateId, GateMessage, Gates, Limit, Outcome, Place, Refusal, Room,
    Terms, What,
};

const ONE: Terms = Terms { limit: Limit::Concurrency { permits_max: 1 }, excess: Excess::Wait };

struct One {
    store: Memory,
    terms: Option<Terms>,
    gate: GateId,
    number: u64,
}

fn place(name: &str, class: Class) -> Place {
    Place { class, asked_at_ms: 0, execution: ExecutionId::of_manual(name) }
}

fn at(name: &str, asked_at_ms: i64) -> Place {
    Place { asked_at_ms, ..place(name, Class::Normal) }
}

impl One {
    fn new(limit: Limit, excess: Excess) -> Self {
        Self { store: Memory::default(), terms: Some(Terms { limit, excess }), gate: GateId::total("p.one"), number: 0 }
    }

    fn send(&mut self, now_ms: i64, what: What) -> Vec<Decided> {
        self.number += 1;
        self.again(now_ms, self.number, what)
    }

    fn again(&mut self, now_ms: i64, number: u64, what: What) -> Vec<Decided> {
        let message = GateMessage { sender: 1, number, gate: self.gate.clone(), what };
        let mut gates = Gates::new(&mut self.store, now_ms);
        gates.message(&message, self.terms.as_ref());
        let decided = gates.into_decisions().into_iter().map(|decision| decision.decided).collect();
        self.store.check();
        decided
    }

    fn acquire(&mut self, now_ms: i64, place: &Place) -> Vec<Decided> {
        self.send(now_ms, What::Acquire { place: place.clone(), may_wait: true })
    }

    fn release(&mut self, now_ms: i64, place: &Place, acquired: u64, outcome: Outcome) -> Vec<Decided> {
        self.send(now_ms, What::Release { place: place.clone(), acquired, outcome })
    }

    /// Who was let pass by timers up to then.
    fn timers(&mut self, now_ms: i64) -> usize {
        let mut granted = 0;
        while let Some(gate) = self.store.due(now_ms) {
            let mut gates = Gates::new(&mut self.store, now_ms);
            gates.timer(&gate, self.terms.as_ref());
            granted += gates.into_decisions().iter().filter(|d| d.decided == Decided::Granted).count();
            self.store.check();
        }
        granted
    }
}

#[test]
fn a_permit_goes_to_who_asked_first_and_comes_back_at_the_end() {
    let mut one = One::new(ONE.limit, ONE.excess);
    let (a, b, c) = (at("a", 1), at("b", 5), at("c", 3));
    assert_eq!(one.acquire(10, &a), [Decided::Granted]);
    assert_eq!(one.acquire(11, &b), [Decided::Waits(Room::Release)]);
    assert_eq!(one.acquire(12, &c), [Decided::Waits(Room::Release)]);
    assert_eq!(one.release(13, &a, 1, Outcome::Succeeded), [Decided::Granted]);
    assert_eq!(one.store.permits.keys().next().unwrap().1, c.execution, "c asked before b, whatever came first");
    assert_eq!(one.release(14, &b, 2, Outcome::Neither), [], "b waits no more");
    assert_eq!(one.release(15, &c, 3, Outcome::Failed), []);
    assert!(one.store.is_empty());
}

#[test]
fn what_comes_again_or_late_changes_nothing() {
    let mut one = One::new(ONE.limit, ONE.excess);
    let (a, b) = (at("a", 1), at("b", 2));
    one.acquire(10, &a);
    one.release(11, &a, 1, Outcome::Succeeded);
    assert_eq!(one.again(12, 1, What::Acquire { place: a.clone(), may_wait: true }), []);
    assert!(one.store.is_empty(), "an acquire that comes again after its release takes no permit");
    assert_eq!(one.acquire(13, &b), [Decided::Granted]);
    assert_eq!(one.release(14, &b, 1, Outcome::Succeeded), [], "another acquisition's number gives nothing back");
    assert_eq!(one.acquire(15, &a), [Decided::Waits(Room::Release)]);
    assert_eq!(one.acquire(16, &b), [Decided::Granted], "who has a permit and asks again has it still");
    assert_eq!(one.release(17, &b, 3, Outcome::Succeeded), [], "under the new number alone");
    assert_eq!(one.release(17, &b, 6, Outcome::Succeeded), [Decided::Granted]);
}

#[test]
fn excess_is_dropped_or_shuts_the_gate_until_a_person_opens_it() {
    let mut drop = One::new(ONE.limit, Excess::Drop);
    drop.acquire(0, &at("a", 0));
    assert_eq!(drop.acquire(0, &at("b", 0)), [Decided::Refused(Refusal::Excess)]);
    let mut radius = One::new(Limit::Radius { actions_max: 1, per_ms: 100 }, Excess::Pause);
    assert_eq!(radius.acquire(0, &at("a", 0)), [Decided::Granted]);
    assert_eq!(radius.acquire(1, &at("b", 1)), [Decided::Shut, Decided::Waits(Room::Person)]);
    assert_eq!(radius.timers(10_000), 0, "time alone opens nothing");
    assert_eq!(radius.acquire(10_000, &at("c", 2)), [Decided::Waits(Room::Person)]);
    assert_eq!(radius.send(10_000, What::Open), [Decided::Granted], "one, as the window says");
    assert_eq!((radius.timers(10_099), radius.timers(10_100)), (0, 1));
}

#[test]
fn who_may_not_wait_is_turned_away_and_passes_where_there_is_room() {
    let mut one = One::new(ONE.limit, ONE.excess);
    let ask = |name: &str| What::Acquire { place: at(name, 0), may_wait: false };
    assert_eq!(one.send(0, ask("a")), [Decided::Granted]);
    assert_eq!(one.send(0, ask("b")), [Decided::Refused(Refusal::OutOfOrder)]);
}

#[test]
fn a_rate_lets_its_burst_pass_and_then_one_at_a_time() {
    let mut rate = One::new(Limit::Rate { tokens: 1, per_ms: 100, burst: 2 }, Excess::Wait);
    let wait = Decided::Waits(Room::At(100));
    let decided: Vec<Decided> = (0..4).flat_map(|n| rate.acquire(0, &at(&n.to_string(), n))).collect();
    assert_eq!(decided, [Decided::Granted, Decided::Granted, wait, wait]);
    assert_eq!([99, 100, 199, 200, 400].map(|now_ms| rate.timers(now_ms)), [0, 1, 0, 1, 0]);
    assert!(rate.store.is_empty(), "a full bucket is not remembered");
}

#[test]
fn a_gate_that_was_closed_by_retry_after_opens_by_itself() {
    let mut rate = One::new(Limit::Rate { tokens: 10, per_ms: 10, burst: 5 }, Excess::Wait);
    rate.send(0, What::Close { until_ms: 500 });
    rate.send(0, What::Close { until_ms: 300 });
    assert_eq!(rate.acquire(1, &at("a", 1)), [Decided::Waits(Room::At(500))], "the later of two holds");
    assert_eq!((rate.timers(499), rate.timers(500)), (0, 1));
    rate.timers(1_000);
    assert!(rate.store.is_empty());
}

#[test]
fn a_breaker_opens_tries_and_closes() {
    let mut gate = One::new(Limit::Breaker { failures_max: 2, open_ms: 100, probes: 1 }, Excess::Wait);
    for name in ["a", "b", "old"] {
        assert_eq!(gate.acquire(0, &at(name, 0)), [Decided::Granted]);
    }
    assert_eq!(gate.release(1, &at("a", 0), 1, Outcome::Failed), []);
    assert_eq!(gate.release(2, &at("b", 0), 2, Outcome::Failed), [Decided::Tripped(102)]);
    assert_eq!(gate.acquire(3, &at("c", 3)), [Decided::Waits(Room::At(102))]);
    assert_eq!(gate.acquire(4, &at("d", 4)), [Decided::Waits(Room::At(102))]);
    assert_eq!((gate.timers(101), gate.timers(102)), (0, 1), "one probe");
    assert_eq!(gate.release(103, &at("old", 0), 3, Outcome::Succeeded), [], "what passed before says nothing");
    assert_eq!(gate.release(104, &at("c", 3), 6, Outcome::Failed), [Decided::Tripped(204)]);
    assert_eq!(gate.timers(204), 1);
    assert_eq!(gate.acquire(205, &at("e", 5)), [Decided::Waits(Room::Release)]);
    assert_eq!(gate.release(206, &at("d", 4), 7, Outcome::Succeeded), [Decided::Granted, Decided::Recovered]);
    gate.release(207, &at("e", 5), 10, Outcome::Succeeded);
    gate.timers(10_000);
    assert!(gate.store.is_empty());
}

#[test]
fn a_limit_that_changes_holds_for_who_waits_already() {
    let mut one = One::new(ONE.limit, ONE.excess);
    for n in 0..5 {
        one.acquire(0, &at(&n.to_string(), n));
    }
    let granted = |one: &mut One, permits_max: Option<u32>| {
        one.terms = permits_max.map(|permits_max| Terms { limit: Limit::Concurrency { permits_max }, ..ONE });
        let mut gates = Gates::new(&mut one.store, 1);
        gates.retuned(&one.gate, one.terms.as_ref());
        gates.into_decisions().len()
    };
    assert_eq!(granted(&mut one, Some(3)), 2);
    assert_eq!(granted(&mut one, Some(1)), 0);
    assert_eq!(one.store.permits.len(), 3, "what is out stays out");
    assert_eq!(granted(&mut one, None), 2, "without its policy everybody passes");
    for (n, acquired) in [(0, 1), (1, 2), (2, 3)] {
        one.release(2, &at(&n.to_string(), n), acquired, Outcome::Succeeded);
    }
    assert!(one.store.is_empty(), "what was given under a policy comes back without it");
}

#[test]
fn no_class_starves_and_each_is_first_come_first_served() {
    let mut one = One::new(ONE.limit, ONE.excess);
    let holder = at("holder", -1);
    one.acquire(0, &holder);
    for n in 0..26 {
        for class in Class::ALL {
            let place = Place { asked_at_ms: n, ..place(&format!("{class:?}{n}"), class) };
            one.acquire(0, &place);
        }
    }
    let (mut current, mut acquired, mut order) = (holder, 1, Vec::new());
    for _ in 0..26 {
        let message = What::Release { place: current, acquired, outcome: Outcome::Succeeded };
        one.number += 1;
        let message = GateMessage { sender: 1, number: one.number, gate: one.gate.clone(), what: message };
        let mut gates = Gates::new(&mut one.store, 1);
        gates.message(&message, Some(&ONE));
        (current, acquired) = gates.into_decisions().pop().unwrap().about.unwrap();
        order.push(current.clone());
    }
    for (class, share) in Class::ALL.into_iter().zip([16, 8, 2]) {
        let of: Vec<i64> = order.iter().filter(|p| p.class == class).map(|p| p.asked_at_ms).collect();
        assert_eq!(of, (0..share).collect::<Vec<i64>>(), "{class:?}");
    }
}

#[test]
fn a_decision_costs_the_same_with_any_number_of_waiters() {
    let cost = |waiters: i64| {
        let mut one = One::new(ONE.limit, ONE.excess);
        one.acquire(0, &at("holder", -1));
        for n in 0..waiters {
            let message = GateMessage {
                sender: 1,
                number: 2 + n.unsigned_abs(),
                gate: one.gate.clone(),
                what: What::Acquire { place: at(&n.to_string(), n), may_wait: true },
            };
            Gates::new(&mut one.store, 0).message(&message, Some(&ONE));
        }
        let before = one.store.accesses.get();
        let message = GateMessage {
            sender: 1,
            number: 1_000_000,
            gate: one.gate.clone(),
            what: What::Release { place: at("holder", -1), acquired: 1, outcome: Outcome::Succeeded },
        };
        Gates::new(&mut one.store, 0).message(&message, Some(&ONE));
        one.store.accesses.get() - before
    };
    assert_eq!(cost(10), cost(100_000));
}

#[test]
fn a_gate_that_opens_to_very_many_lets_them_pass_in_steps() {
    let mut one = One::new(Limit::Concurrency { permits_max: 0 }, Excess::Wait);
    let most = GRANTS_PER_STEP_MAX as i64;
    for n in 0..2 * most + 1 {
        one.acquire(0, &at(&n.to_string(), n));
    }
    one.terms = None;
    let mut gates = Gates::new(&mut one.store, 1);
    gates.retuned(&one.gate, None);
    assert_eq!(gates.into_decisions().len(), GRANTS_PER_STEP_MAX);
    assert_eq!(one.timers(1), GRANTS_PER_STEP_MAX + 1, "the rest in further steps, without waiting");
    assert!(one.store.is_empty());
}
