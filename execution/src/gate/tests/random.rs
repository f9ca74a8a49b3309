//! Whatever comes in whatever order: never more than allowed, first come first served, nothing left behind.

use std::collections::{BTreeMap, VecDeque};

use petrel_schemas::ExecutionId;
use proptest::prelude::*;

use super::memory::Memory;
use crate::gate::{Class, Decided, Decision, Excess, GateId, GateMessage, Gates, Limit, Outcome, Place, Terms, What};

#[derive(Debug, Clone)]
enum Do {
    /// An execution asks at a gate.
    Ask { execution: usize, key: usize },
    /// It ends, or gives up.
    End { execution: usize, outcome: Outcome },
    /// The next message of a sender arrives.
    Arrive { sender: usize },
    /// Some message of a sender arrives once more.
    Again { sender: usize, which: prop::sample::Index },
    /// Time passes.
    Pass(i64),
}

const SENDERS: usize = 3;

fn step() -> impl Strategy<Value = Do> {
    let outcome = prop::sample::select(vec![Outcome::Succeeded, Outcome::Failed, Outcome::Neither]);
    prop_oneof![
        5 => (0..12_usize, 0..2_usize).prop_map(|(execution, key)| Do::Ask { execution, key }),
        4 => (0..12_usize, outcome).prop_map(|(execution, outcome)| Do::End { execution, outcome }),
        9 => (0..SENDERS).prop_map(|sender| Do::Arrive { sender }),
        2 => (0..SENDERS, any::<prop::sample::Index>()).prop_map(|(sender, which)| Do::Again { sender, which }),
        2 => (0..40_i64).prop_map(Do::Pass),
    ]
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        3 => (1..4_u32).prop_map(|permits_max| Limit::Concurrency { permits_max }),
        1 => (1..4_u32, 1..60_i64, 1..4_u32).prop_map(|(tokens, per_ms, burst)| Limit::Rate { tokens, per_ms, burst }),
        1 => (1..4_u32, 1..60_i64).prop_map(|(actions_max, per_ms)| Limit::Radius { actions_max, per_ms }),
        1 => (1..3_u32, 1..60_i64, 1..3_u32).prop_map(|(failures_max, open_ms, probes)| {
            Limit::Breaker { failures_max, open_ms, probes }
        }),
    ]
}

/// Executions that ask and end, their owners' messages on the way, and what the gates have answered.
struct World {
    store: Memory,
    terms: Terms,
    now_ms: i64,
    numbers: [u64; SENDERS],
    sent: [Vec<GateMessage>; SENDERS],
    on_the_way: [VecDeque<GateMessage>; SENDERS],
    /// What each execution has asked for and not given back: gate, place, number.
    open: BTreeMap<usize, (GateId, Place, u64)>,
    /// Who has been let pass and has not given it back, as the messages that arrived say.
    out: BTreeMap<(GateId, ExecutionId), u64>,
    starts: Vec<(GateId, i64)>,
}

impl World {
    fn new(terms: Terms) -> Self {
        Self {
            store: Memory::default(),
            terms,
            now_ms: 0,
            numbers: [0; SENDERS],
            sent: Default::default(),
            on_the_way: Default::default(),
            open: BTreeMap::new(),
            out: BTreeMap::new(),
            starts: Vec::new(),
        }
    }

    fn send(&mut self, execution: usize, gate: GateId, what: What) -> u64 {
        let sender = execution % SENDERS;
        self.numbers[sender] += 1;
        let number = self.numbers[sender];
        let message = GateMessage { sender: sender as u32, number, gate, what };
        self.sent[sender].push(message.clone());
        self.on_the_way[sender].push_back(message);
        number
    }

    fn act(&mut self, step: Do) {
        match step {
            Do::Ask { execution, key } => {
                if self.open.contains_key(&execution) {
                    return;
                }
                let (gate, class) = (GateId::of_key("p.x", &key.to_string()), Class::ALL[execution % 3]);
                let id = ExecutionId::of_manual(&execution.to_string());
                let place = Place { class, asked_at_ms: self.now_ms, execution: id };
                let what = What::Acquire { place: place.clone(), may_wait: true };
                let number = self.send(execution, gate.clone(), what);
                self.open.insert(execution, (gate, place, number));
            }
            Do::End { execution, outcome } => {
                if let Some((gate, place, acquired)) = self.open.remove(&execution) {
                    self.send(execution, gate, What::Release { place, acquired, outcome });
                }
            }
            Do::Arrive { sender } => {
                if let Some(message) = self.on_the_way[sender].pop_front() {
                    self.arrive(&message, true);
                }
            }
            Do::Again { sender, which } => {
                let arrived = self.sent[sender].len() - self.on_the_way[sender].len();
                if arrived > 0 {
                    let message = self.sent[sender][which.index(arrived)].clone();
                    self.arrive(&message, false);
                }
            }
            Do::Pass(ms) => {
                let end_ms = self.now_ms + ms;
                while self.now_ms < end_ms {
                    self.now_ms += 1;
                    self.timers();
                }
            }
        }
    }

    fn arrive(&mut self, message: &GateMessage, is_new: bool) {
        let (before, terms) = (self.store.clone(), self.terms);
        let mut gates = Gates::new(&mut self.store, self.now_ms);
        assert_eq!(gates.message(message, Some(&terms)), is_new);
        let decisions = gates.into_decisions();
        if let What::Release { place, acquired, .. } = &message.what
            && is_new
        {
            let key = (message.gate.clone(), place.execution.clone());
            if self.out.get(&key) == Some(acquired) {
                self.out.remove(&key);
            }
        }
        let comes = match &message.what {
            What::Acquire { place, .. } => Some(place),
            _ => None,
        };
        self.judge(&before, comes, &decisions);
        assert!(is_new || decisions.is_empty(), "what comes again decides nothing");
    }

    fn timers(&mut self) {
        while let Some(gate) = self.store.due(self.now_ms) {
            let (before, terms) = (self.store.clone(), self.terms);
            let mut gates = Gates::new(&mut self.store, self.now_ms);
            gates.timer(&gate, Some(&terms));
            let decisions = gates.into_decisions();
            self.judge(&before, None, &decisions);
        }
    }

    /// Everything that holds of any decision.
    fn judge(&mut self, before: &Memory, comes: Option<&Place>, decisions: &[Decision]) {
        let mut waiting: Vec<(GateId, Place)> = before.waiters.keys().cloned().collect();
        for Decision { gate, about, decided } in decisions {
            let Some((place, number)) = about.as_ref().filter(|_| *decided == Decided::Granted) else { continue };
            let earlier = waiting.iter().filter(|(g, p)| g == gate && p.class == place.class && p < place);
            let earlier: Vec<_> =
                earlier.filter(|(g, p)| self.store.waiters.contains_key(&(g.clone(), p.clone()))).collect();
            assert!(earlier.is_empty(), "{place:?} went before {earlier:?}");
            if comes == Some(place) {
                let queued = waiting
                    .iter()
                    .filter(|(g, p)| g == gate && self.store.waiters.contains_key(&(g.clone(), p.clone())));
                assert_eq!(queued.count(), 0, "nobody who comes goes before who waits");
            }
            waiting.retain(|(g, p)| (g, p) != (gate, place));
            self.out.insert((gate.clone(), place.execution.clone()), *number);
            self.starts.push((gate.clone(), self.now_ms));
        }
        self.store.check();
        self.limits();
        self.work_goes_on();
    }

    fn limits(&self) {
        for key in 0..2 {
            let gate = GateId::of_key("p.x", &key.to_string());
            let out = self.out.keys().filter(|(g, _)| *g == gate).count();
            let starts =
                |from_ms: i64| self.starts.iter().filter(|(g, at)| *g == gate && *at >= from_ms).count() as i64;
            match self.terms.limit {
                Limit::Concurrency { permits_max } => assert!(out <= permits_max as usize, "{out} permits are out"),
                Limit::Radius { actions_max, per_ms } => {
                    assert!(starts(self.now_ms - per_ms + 1) <= i64::from(actions_max));
                }
                Limit::Rate { tokens, per_ms, burst } => {
                    for (_, from_ms) in self.starts.iter().filter(|(g, _)| *g == gate) {
                        let most = i64::from(burst) + (self.now_ms - from_ms) * i64::from(tokens) / per_ms;
                        assert!(
                            starts(*from_ms) <= most,
                            "{} starts since {from_ms}, {most} allowed",
                            starts(*from_ms)
                        );
                    }
                }
                Limit::Breaker { .. } => {}
            }
        }
    }

    /// Nobody waits where there is room: what is left waits for a permit that is out, or for a timer.
    fn work_goes_on(&self) {
        for (gate, _) in self.store.waiters.keys() {
            let has_permit_out = self.store.permits.keys().any(|(g, _)| g == gate);
            assert!(has_permit_out || self.store.timers.contains_key(gate), "nothing will wake {gate}");
            if let Limit::Concurrency { permits_max } = self.terms.limit {
                assert_eq!(self.store.heads[gate].permits, permits_max, "a permit lies idle");
            }
        }
    }

    /// Everybody ends, everything arrives, and time passes.
    fn finish(&mut self) {
        for execution in 0..12 {
            self.act(Do::End { execution, outcome: Outcome::Neither });
        }
        for sender in 0..SENDERS {
            while !self.on_the_way[sender].is_empty() {
                self.act(Do::Arrive { sender });
            }
        }
        self.act(Do::Pass(1_000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn gates_keep_what_they_promise(limit in limit(), steps in prop::collection::vec(step(), 1..160)) {
        let mut world = World::new(Terms { limit, excess: Excess::Wait });
        for step in steps {
            world.act(step);
        }
        world.finish();
        prop_assert!(world.out.is_empty() || !matches!(limit, Limit::Concurrency { .. }), "{:?}", world.out);
        prop_assert!(world.store.waiters.is_empty() && world.store.permits.is_empty() && world.store.hits.is_empty());
        let is_breaker = matches!(limit, Limit::Breaker { .. });
        prop_assert!(is_breaker || world.store.is_empty(), "left behind: {:?}", world.store);
    }
}
