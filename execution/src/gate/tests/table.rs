//! What a gate does, case by case: the protocol, the queue and what it costs.

use petrel_schemas::ExecutionId;

use super::memory::{Known, Memory};
use crate::gate::{
    ASK_HOLDERS_MS, About, Class, Decided, Decision, Excess, GRANTS_PER_STEP_MAX, GateId, GateMessage, Gates, Heard,
    InForce, LOOK_DECISIONS_MAX, Limit, Outcome, REVISION_LOOK_MS, Refusal, Stamp, Terms, What, Why,
};

pub(super) const GRANTED: Decided = Decided::Granted { again: false };
pub(super) const GRANTED_AGAIN: Decided = Decided::Granted { again: true };
const ONE: Limit = Limit::Concurrency { permits_max: 1 };

pub(super) fn waits(why: Why) -> Decided {
    Decided::Waits { why, again: false }
}

/// One gate, and one sender whose messages arrive as they are sent.
pub(super) struct One {
    pub(super) store: Memory,
    pub(super) known: Known,
    pub(super) gate: GateId,
    pub(super) stamp: Stamp,
}

pub(super) fn id(name: &str) -> ExecutionId {
    ExecutionId::of_manual(name)
}

fn about(name: &str, number: u64) -> About {
    About { execution: id(name), acquisition: Stamp { epoch: 1, number } }
}

fn in_force(since_ms: i64) -> InForce {
    InForce { revision: "r".into(), since_ms }
}

impl One {
    pub(super) fn new(limit: Limit, excess: Excess) -> Self {
        let gate = GateId::total("p.one", limit.kind());
        let terms = [(gate.clone(), Terms { limit, excess })].into();
        Self {
            store: Memory::default(),
            known: Known { terms, since_ms: 0 },
            gate,
            stamp: Stamp { epoch: 1, number: 0 },
        }
    }

    pub(super) fn send(&mut self, now_ms: i64, what: What) -> Vec<Decided> {
        self.stamp.number += 1;
        let (heard, decided) = self.again(now_ms, self.stamp, what);
        assert_eq!(heard, Heard::New);
        decided
    }

    fn again(&mut self, now_ms: i64, stamp: Stamp, what: What) -> (Heard, Vec<Decided>) {
        let message = GateMessage { sender: 1, stamp, gate: self.gate.clone(), what };
        let mut gates = Gates::new(&mut self.store, &self.known, now_ms);
        let heard = gates.message(&message);
        let decided = gates.into_decisions().into_iter().map(|decision| decision.decided).collect();
        self.store.check();
        (heard, decided)
    }

    /// Asks under a name of its own: that of the message.
    pub(super) fn acquire(&mut self, now_ms: i64, name: &str) -> Vec<Decided> {
        self.acquire_as(now_ms, about(name, self.stamp.number + 1), Class::Normal)
    }

    fn acquire_as(&mut self, now_ms: i64, about: About, class: Class) -> Vec<Decided> {
        self.send(now_ms, What::Acquire { about, class, may_wait: true, in_force: in_force(0) })
    }

    pub(super) fn release(&mut self, now_ms: i64, name: &str, acquisition: u64, outcome: Outcome) -> Vec<Decided> {
        self.send(now_ms, What::Release { about: about(name, acquisition), outcome })
    }

    /// What is decided by timers up to then.
    pub(super) fn timers(&mut self, now_ms: i64) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while let Some(gate) = self.store.due(now_ms) {
            let mut gates = Gates::new(&mut self.store, &self.known, now_ms);
            gates.timer(&gate);
            decisions.extend(gates.into_decisions());
            self.store.check();
        }
        decisions
    }

    /// How many are let pass by timers up to then.
    pub(super) fn granted(&mut self, now_ms: i64) -> usize {
        self.timers(now_ms).iter().filter(|decision| decision.decided == GRANTED).count()
    }

    pub(super) fn retune(&mut self, now_ms: i64, limit: Option<Limit>) -> usize {
        self.known.terms.clear();
        self.known.terms.extend(limit.map(|limit| (self.gate.clone(), Terms { limit, excess: Excess::Wait })));
        let mut gates = Gates::new(&mut self.store, &self.known, now_ms);
        assert_eq!(gates.retuned(None, 10), None);
        let granted = gates.into_decisions().iter().filter(|decision| decision.decided == GRANTED).count();
        self.store.check();
        granted
    }
}

#[test]
fn a_permit_goes_to_who_came_first_and_comes_back_at_the_end() {
    let mut one = One::new(ONE, Excess::Wait);
    assert_eq!(one.acquire(10, "a"), [GRANTED]);
    assert_eq!(one.acquire(11, "b"), [waits(Why::Concurrency)]);
    // The clock goes back: who comes later has a later place all the same.
    assert_eq!(one.acquire(5, "c"), [waits(Why::Concurrency)]);
    assert_eq!(one.release(13, "a", 1, Outcome::Succeeded), [Decided::Returned(Outcome::Succeeded), GRANTED]);
    assert_eq!(one.store.permits.keys().next().unwrap().1, id("b"));
    assert_eq!(one.release(14, "c", 3, Outcome::NotStarted), [Decided::Left]);
    assert_eq!(one.release(15, "b", 2, Outcome::Failed), [Decided::Returned(Outcome::Failed)]);
    assert!(one.store.is_empty());
}

#[test]
fn what_comes_again_or_late_changes_nothing() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(10, "a");
    one.release(11, "a", 1, Outcome::Succeeded);
    let old = What::Acquire { about: about("a", 1), class: Class::Normal, may_wait: true, in_force: in_force(0) };
    let again = one.again(12, Stamp { epoch: 1, number: 1 }, old.clone());
    assert_eq!(again, (Heard::Before, vec![]), "an acquire that comes again after its release takes no permit");
    assert!(one.store.is_empty());
    assert_eq!(one.acquire(13, "b"), [GRANTED]);
    assert_eq!(one.release(14, "b", 1, Outcome::Succeeded), [], "another acquisition's name gives nothing back");
    let older = one.again(15, Stamp { epoch: 0, number: 99 }, old);
    assert_eq!(older, (Heard::Behind(1), vec![]), "its sender is told that nobody hears it");
}

#[test]
fn who_asks_again_keeps_its_place_and_has_what_it_has() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(0, "a");
    one.acquire(0, "b");
    one.acquire(0, "c");
    assert_eq!(one.acquire_as(1, about("a", 1), Class::Normal), [GRANTED_AGAIN]);
    let again = Decided::Waits { why: Why::Concurrency, again: true };
    assert_eq!(one.acquire_as(1, about("b", 2), Class::Normal), [again]);
    assert_eq!(one.release(2, "a", 1, Outcome::Succeeded)[1], GRANTED);
    assert_eq!(one.store.permits.keys().next().unwrap().1, id("b"), "before c, as it came");
    one.release(3, "b", 2, Outcome::Succeeded);
    one.release(3, "c", 3, Outcome::Succeeded);
    assert!(one.store.is_empty(), "no permit was counted twice");
}

#[test]
fn a_newer_acquisition_takes_the_place_of_one_that_was_given_up() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(0, "a");
    one.acquire(0, "b");
    // The release of what it had was lost: what it held is free, and it stands behind who waited.
    let silent = Decided::Returned(Outcome::Silent);
    assert_eq!(one.acquire(1, "a"), [silent, waits(Why::Turn), GRANTED]);
    assert_eq!(one.store.permits.keys().next().unwrap().1, id("b"));
    let older = one.acquire_as(2, about("a", 1), Class::Normal);
    assert_eq!(older, [], "an older one than is known is of no account");
    assert_eq!(one.acquire(3, "a"), [Decided::Left, waits(Why::Concurrency)]);
    assert_eq!((one.store.permits.len(), one.store.seats.len()), (1, 1));
}

#[test]
fn holders_are_asked_some_at_a_time_and_who_waits_is_not() {
    let mut one = One::new(Limit::Concurrency { permits_max: 100 }, Excess::Wait);
    for n in 0..103 {
        one.acquire(0, &n.to_string());
    }
    assert_eq!(one.timers(ASK_HOLDERS_MS - 1), []);
    let asked = one.timers(ASK_HOLDERS_MS);
    assert!(asked.iter().all(|decision| decision.decided == Decided::Asked && !decision.is_news()));
    let mut who: Vec<ExecutionId> = asked.into_iter().map(|decision| decision.about.unwrap().execution).collect();
    let before = who.len();
    who.sort();
    who.dedup();
    assert_eq!((before, who.len()), (100, 100), "each once");
    assert_eq!(one.timers(ASK_HOLDERS_MS + 1), []);
    assert_eq!(one.timers(2 * ASK_HOLDERS_MS).len(), 100, "and again after as long");
}

#[test]
fn nobody_passes_by_terms_that_are_older_than_those_of_who_asks() {
    let mut one = One::new(ONE, Excess::Drop);
    let terms = std::mem::take(&mut one.known.terms);
    let ask = |one: &mut One, name: &str, since_ms| {
        let about = about(name, one.stamp.number + 1);
        one.send(0, What::Acquire { about, class: Class::Normal, may_wait: true, in_force: in_force(since_ms) })
    };
    assert_eq!(ask(&mut one, "before", 0), [GRANTED], "no policy is for this gate");
    assert_eq!(ask(&mut one, "a", 7), [waits(Why::Revision)], "its owner knows more than this gate");
    assert_eq!(ask(&mut one, "b", 0), [waits(Why::Revision)], "an older one waits with it");
    assert_eq!(one.granted(REVISION_LOOK_MS), 0);
    (one.known.terms, one.known.since_ms) = (terms, 7);
    assert_eq!(one.granted(2 * REVISION_LOOK_MS), 0, "who passed before counts by the terms that have come");
    assert_eq!(one.release(3_000, "before", 1, Outcome::Succeeded)[1], GRANTED);
    assert_eq!(ask(&mut one, "c", 7), [Decided::Refused(Refusal::Excess(Why::Concurrency))]);
}

#[test]
fn who_may_not_wait_is_turned_away_and_passes_where_there_is_room() {
    let mut one = One::new(ONE, Excess::Wait);
    let ask = |one: &mut One, name: &str| {
        let about = about(name, one.stamp.number + 1);
        one.send(0, What::Acquire { about, class: Class::Normal, may_wait: false, in_force: in_force(0) })
    };
    assert_eq!(ask(&mut one, "a"), [GRANTED]);
    assert_eq!(ask(&mut one, "b"), [Decided::Refused(Refusal::OutOfOrder(Why::Concurrency))]);
}

#[test]
fn no_class_starves_and_each_is_first_come_first_served() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(0, "holder");
    for n in 0..26 {
        for class in Class::ALL {
            let about = about(&format!("{class:?}{n}"), one.stamp.number + 1);
            one.acquire_as(0, about, class);
        }
    }
    let seats = one.store.seats.clone();
    let (mut current, mut order) = (about("holder", 1), Vec::new());
    for _ in 0..26 {
        one.send(1, What::Release { about: current.clone(), outcome: Outcome::Succeeded });
        let ((gate, execution), permit) = one.store.permits.first_key_value().unwrap();
        current = About { execution: execution.clone(), acquisition: permit.acquisition };
        order.push(seats[&(gate.clone(), execution.clone())]);
    }
    for (class, share) in Class::ALL.into_iter().zip([16, 8, 2]) {
        let of: Vec<u64> = order.iter().filter(|seat| seat.class == class).map(|seat| seat.ticket / 3).collect();
        assert_eq!(of, (0..share).collect::<Vec<u64>>(), "{class:?}");
    }
}

#[test]
fn a_limit_that_changes_holds_for_who_waits_already() {
    let mut one = One::new(ONE, Excess::Wait);
    for n in 0..5 {
        one.acquire(0, &n.to_string());
    }
    assert_eq!(one.retune(1, Some(Limit::Concurrency { permits_max: 3 })), 2);
    assert_eq!(one.retune(1, Some(ONE)), 0);
    assert_eq!(one.store.permits.len(), 3, "what is out stays out");
    assert_eq!(one.retune(1, None), 2, "without its policy everybody passes");
    assert_eq!(one.retune(1, Some(ONE)), 0);
    assert_eq!(one.acquire(1, "new"), [waits(Why::Concurrency)], "who passed without a policy counts once it is back");
    for n in 0..5 {
        one.release(2, &n.to_string(), n + 1, Outcome::Succeeded);
    }
    one.release(2, "new", 6, Outcome::Succeeded);
    assert!(one.store.is_empty());
}

#[test]
fn what_a_person_has_shut_is_shut_when_its_policy_is_back() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(0, "a");
    one.send(0, What::Shut { by: "ann".to_owned() });
    one.acquire(0, "b");
    assert_eq!(one.retune(1, None), 1, "without a policy nobody is kept out");
    assert_eq!(one.retune(2, Some(Limit::Concurrency { permits_max: 9 })), 0);
    assert_eq!(one.acquire(2, "c"), [waits(Why::Person)]);
    one.retune(3, None);
    for (name, number) in [("a", 1), ("b", 3), ("c", 4)] {
        one.release(4, name, number, Outcome::Succeeded);
    }
    assert!(one.store.is_empty(), "nobody holds anything or waits: nothing is remembered");
}

#[test]
fn no_process_decides_by_terms_that_are_older_than_those_by_which_another_one_has_decided() {
    let mut one = One::new(Limit::Concurrency { permits_max: 0 }, Excess::Wait);
    one.known.since_ms = 20;
    let about = about("a", one.stamp.number + 1);
    let acquire = What::Acquire { about, class: Class::Normal, may_wait: true, in_force: in_force(20) };
    assert_eq!(one.send(0, acquire), [waits(Why::Concurrency)]);
    // Its partition goes to a process that has not come as far: by the revision before, everybody may pass.
    one.known.since_ms = 10;
    assert_eq!(one.retune(1, None), 0);
    assert_eq!(one.granted(1 + REVISION_LOOK_MS), 0);
    assert_eq!(one.acquire(2 + REVISION_LOOK_MS, "b"), [waits(Why::Revision)]);
    one.known.since_ms = 20;
    assert_eq!(one.retune(9_000, Some(ONE)), 1);
}

#[test]
fn a_person_opens_a_gate_that_waits_for_a_revision_that_never_comes() {
    let mut one = One::new(ONE, Excess::Wait);
    let about = about("a", one.stamp.number + 1);
    let acquire = What::Acquire { about, class: Class::Normal, may_wait: true, in_force: in_force(7) };
    assert_eq!(one.send(0, acquire), [waits(Why::Revision)]);
    assert_eq!(one.granted(1_000_000), 0);
    let opened = Decided::Opened { by: "ann".to_owned() };
    assert_eq!(one.send(1_000_001, What::Open { by: "ann".to_owned() }), [opened, GRANTED]);
}

#[test]
fn who_waits_at_the_gate_of_a_key_that_is_shut_holds_nothing_that_others_need() {
    use crate::gate::{Kind, Passage};
    let key = |kind| GateId::of_key("p.one", kind, "host-1").unwrap();
    let totals = Kind::ALL.map(|kind| GateId::total("a.one", kind));
    for kind in Kind::ALL {
        let mut passage = Passage::new(Class::Normal, totals.iter().cloned().chain([key(kind)]), &[]);
        let asked = passage.ask(&id("x"), Stamp { epoch: 1, number: 1 }, &in_force(0));
        assert_eq!(asked.map(|(gate, _)| gate), Some(key(kind)), "before all that executions of other hosts pass");
    }
}

#[test]
fn a_look_that_changes_nothing_writes_nothing_and_one_that_decides_much_is_cut() {
    let mut one = One::new(ONE, Excess::Wait);
    one.acquire(0, "a");
    one.acquire(0, "b");
    let before = one.store.heads.clone();
    assert_eq!(one.retune(50, Some(ONE)), 0);
    assert_eq!(one.store.heads, before, "not even what time it is");
    let mut many = One::new(Limit::Concurrency { permits_max: 0 }, Excess::Wait);
    for gate in 0..8 {
        many.gate = GateId::of_key("p.one", many.gate.kind, &gate.to_string()).unwrap();
        let terms = Terms { limit: Limit::Concurrency { permits_max: 0 }, excess: Excess::Wait };
        many.known.terms.insert(many.gate.clone(), terms);
        (0..GRANTS_PER_STEP_MAX).for_each(|n| drop(many.acquire(0, &format!("{gate}/{n}"))));
    }
    many.known.terms.clear();
    let mut gates = Gates::new(&mut many.store, &many.known, 1);
    assert!(gates.retuned(None, 1_000).is_some(), "the rest is looked at in another step");
    assert_eq!(gates.into_decisions().len(), LOOK_DECISIONS_MAX);
}

#[test]
fn all_gates_hear_of_other_terms_some_at_a_time() {
    let mut one = One::new(Limit::Concurrency { permits_max: 0 }, Excess::Wait);
    let gates: Vec<GateId> = (0..5).map(|n| GateId::of_key("p.one", one.gate.kind, &n.to_string()).unwrap()).collect();
    for gate in &gates {
        one.gate = gate.clone();
        let terms = Terms { limit: Limit::Concurrency { permits_max: 0 }, excess: Excess::Wait };
        one.known.terms.insert(gate.clone(), terms);
        one.acquire(0, "a");
    }
    one.known.terms.clear();
    let (mut after, mut granted, mut rounds) = (None, 0, 0);
    loop {
        let mut decide = Gates::new(&mut one.store, &one.known, 1);
        after = decide.retuned(after.as_ref(), 2);
        granted += decide.into_decisions().len();
        rounds += 1;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((granted, rounds), (5, 3));
}

#[test]
fn a_decision_costs_the_same_with_any_number_of_waiters() {
    let cost = |waiters: u64| {
        let mut one = One::new(ONE, Excess::Wait);
        one.acquire(0, "holder");
        let acquire = |number: u64| GateMessage {
            sender: 1,
            stamp: Stamp { epoch: 1, number },
            gate: GateId::total("p.one", ONE.kind()),
            what: What::Acquire {
                about: about(&number.to_string(), number),
                class: Class::Normal,
                may_wait: true,
                in_force: in_force(0),
            },
        };
        for n in 0..waiters {
            Gates::new(&mut one.store, &one.known, 0).message(&acquire(2 + n));
        }
        let before = one.store.accesses.get();
        let what = What::Release { about: about("holder", 1), outcome: Outcome::Succeeded };
        let release = GateMessage { stamp: Stamp { epoch: 1, number: 1_000_000 }, what, ..acquire(0) };
        Gates::new(&mut one.store, &one.known, 0).message(&release);
        one.store.accesses.get() - before
    };
    assert_eq!(cost(10), cost(100_000));
}

#[test]
fn a_gate_that_opens_to_very_many_lets_them_pass_in_steps() {
    let mut one = One::new(Limit::Concurrency { permits_max: 0 }, Excess::Wait);
    for n in 0..2 * GRANTS_PER_STEP_MAX + 1 {
        one.acquire(0, &n.to_string());
    }
    assert_eq!(one.retune(1, None), GRANTS_PER_STEP_MAX);
    let mut late = One { store: one.store.clone(), known: one.known.clone(), ..One::new(ONE, Excess::Wait) };
    late.stamp = one.stamp;
    late.known
        .terms
        .insert(late.gate.clone(), Terms { limit: Limit::Concurrency { permits_max: 9_999 }, excess: Excess::Drop });
    let decided = late.acquire(1, "late");
    assert_eq!(decided[0], waits(Why::Turn), "who comes while there is room and others wait is no excess");
    assert_eq!(one.granted(1), GRANTS_PER_STEP_MAX + 1, "the rest in further steps, without waiting");
}

#[test]
fn who_waits_and_cannot_be_read_counts_as_not_there() {
    let mut one = One::new(ONE, Excess::Wait);
    assert_eq!([one.acquire(0, "a"), one.acquire(0, "b")].concat(), [GRANTED, waits(Why::Concurrency)]);
    one.store.queue.clear();
    one.store.seats.clear();
    assert_eq!(one.release(1, "a", 1, Outcome::Succeeded), [Decided::Returned(Outcome::Succeeded)]);
    assert!(one.store.is_empty());
    assert_eq!(one.acquire(2, "c"), [GRANTED]);
}
