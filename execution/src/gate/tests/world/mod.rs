//! Owners and gates as a whole, through what is lost, doubled, late, forgotten, changed and told too late: never more
//! permits than allowed, first come first served, and in the end everybody was served and nothing is left.

mod judge;
mod owner;

use std::collections::{BTreeMap, VecDeque};

use petrel_schemas::ExecutionId;
use proptest::prelude::*;
use proptest::sample::Index;

use super::memory::{Known, Memory};
use crate::gate::{About, Answer, Class, Excess, GateId, GateMessage, Gates, Heard, Kind, Limit, Outcome, Terms, What};
use judge::Judge;
use owner::{Owner, Plan};

const OWNERS: usize = 3;

/// The gates that plans choose from.
fn gates() -> Vec<GateId> {
    let key = |policy, kind, key| GateId::of_key(policy, kind, key).unwrap();
    vec![
        key("p.a", Kind::Concurrency, "x"),
        key("p.a", Kind::Concurrency, "y"),
        key("p.b", Kind::Concurrency, "x"),
        key("p.b", Kind::Breaker, "x"),
        GateId::total("p.a", Kind::Concurrency),
        GateId::total("p.b", Kind::Concurrency),
        GateId::total("p.b", Kind::Rate),
        key("p.a", Kind::Radius, "x"),
    ]
}

/// What holds at each of them in the beginning.
fn terms(gate: &GateId, excess: Excess) -> Terms {
    let limit = match gate.kind {
        Kind::Concurrency => Limit::Concurrency { permits_max: 1 + u32::from(gate.policy == "p.b") },
        Kind::Breaker => Limit::Breaker { failures_max: 2, open_ms: 5_000, probes: 1 },
        Kind::Rate => Limit::Rate { tokens: 3, per_ms: 1_000, burst: 2 },
        Kind::Radius => Limit::Radius { actions_max: 3, per_ms: 2_000 },
    };
    Terms { limit, excess }
}

#[derive(Debug, Clone)]
enum Do {
    Start {
        owner: usize,
        plan: PlanOf,
    },
    /// The next message of an owner arrives, or is lost.
    Arrive {
        owner: usize,
    },
    Lose {
        owner: usize,
    },
    /// Some message of an owner arrives once more.
    Again {
        owner: usize,
        which: Index,
    },
    /// Some answer arrives, whichever, is lost, or comes once more.
    Answer {
        owner: usize,
        which: Index,
    },
    LoseAnswer {
        owner: usize,
        which: Index,
    },
    AnswerAgain {
        owner: usize,
        which: Index,
    },
    /// An execution without open children ends, or is canceled, whatever it does.
    End {
        owner: usize,
        which: Index,
        outcome: Outcome,
    },
    /// A revision with other terms is applied: owners know it, gates do not yet.
    Apply {
        gate: usize,
        max: Option<u32>,
        excess: Excess,
    },
    Learn,
    Open {
        gate: usize,
    },
    Close {
        gate: usize,
        for_ms: i64,
    },
    Pass(i64),
    /// The clocks go back.
    Back(i64),
    /// An owner's state is gone, and its executions are asked for again.
    Forget {
        owner: usize,
    },
}

/// A plan in numbers of gates.
#[derive(Debug, Clone)]
struct PlanOf {
    class: Class,
    gates: Vec<usize>,
    children: Vec<PlanOf>,
}

impl PlanOf {
    fn plan(&self) -> Plan {
        let all = gates();
        Plan {
            class: self.class,
            gates: self.gates.iter().map(|n| all[*n].clone()).collect(),
            children: self.children.iter().map(Self::plan).collect(),
        }
    }
}

fn plan() -> impl Strategy<Value = PlanOf> {
    let of = |children: BoxedStrategy<Vec<PlanOf>>| {
        (prop::sample::select(Class::ALL.to_vec()), prop::collection::vec(0..8_usize, 0..4), children)
            .prop_map(|(class, gates, children)| PlanOf { class, gates, children })
    };
    let leaf = of(Just(Vec::new()).boxed()).boxed();
    let child = of(prop::collection::vec(leaf.clone(), 0..2).boxed()).boxed();
    prop_oneof![3 => leaf, 2 => of(prop::collection::vec(child, 0..3).boxed())]
}

fn step() -> impl Strategy<Value = Do> {
    let owner = || 0..OWNERS;
    let which = any::<Index>;
    let excess = || prop::sample::select(vec![Excess::Wait, Excess::Wait, Excess::Drop, Excess::Pause]);
    prop_oneof![
        8 => (owner(), plan()).prop_map(|(owner, plan)| Do::Start { owner, plan }),
        20 => owner().prop_map(|owner| Do::Arrive { owner }),
        1 => owner().prop_map(|owner| Do::Lose { owner }),
        2 => (owner(), which()).prop_map(|(owner, which)| Do::Again { owner, which }),
        20 => (owner(), which()).prop_map(|(owner, which)| Do::Answer { owner, which }),
        1 => (owner(), which()).prop_map(|(owner, which)| Do::LoseAnswer { owner, which }),
        2 => (owner(), which()).prop_map(|(owner, which)| Do::AnswerAgain { owner, which }),
        8 => (owner(), which(), prop::sample::select(Outcome::ALL.to_vec()))
            .prop_map(|(owner, which, outcome)| Do::End { owner, which, outcome }),
        1 => (0..8_usize, prop::option::weighted(0.8, 0..4_u32), excess())
            .prop_map(|(gate, max, excess)| Do::Apply { gate, max, excess }),
        2 => Just(Do::Learn),
        1 => (0..8_usize).prop_map(|gate| Do::Open { gate }),
        1 => (0..8_usize, 0..100_000_i64).prop_map(|(gate, for_ms)| Do::Close { gate, for_ms }),
        4 => (0..3_000_i64).prop_map(Do::Pass),
        1 => (0..2_000_000_i64).prop_map(Do::Pass),
        1 => (0..1_000_000_i64).prop_map(Do::Back),
        1 => owner().prop_map(|owner| Do::Forget { owner }),
    ]
}

/// What the clocks say, and what time it is.
#[derive(Debug, Clone, Copy)]
struct Instant {
    wall_ms: i64,
    true_ms: i64,
}

struct World {
    at: Instant,
    store: Memory,
    /// What the gates know, and what is applied.
    known: Known,
    applied: Known,
    owners: Vec<Owner>,
    /// Roots by owner, for a life after a loss.
    roots: Vec<BTreeMap<ExecutionId, Plan>>,
    to_gates: Vec<VecDeque<GateMessage>>,
    arrived: Vec<Vec<GateMessage>>,
    to_owner: Vec<Vec<(GateId, About, Answer)>>,
    heard: Vec<Vec<(GateId, About, Answer)>>,
    behind: Vec<Option<i64>>,
    judge: Judge,
}

impl World {
    fn new() -> Self {
        let at = Instant { wall_ms: 5_000_000, true_ms: 0 };
        let all: BTreeMap<GateId, Terms> =
            gates().into_iter().map(|gate| (gate.clone(), terms(&gate, Excess::Wait))).collect();
        let known = Known { terms: all, since_ms: 0 };
        let senders = 0..u32::try_from(OWNERS).unwrap();
        Self {
            at,
            store: Memory::default(),
            applied: known.clone(),
            known,
            owners: senders.map(|sender| Owner::new(sender, at.wall_ms, 0)).collect(),
            roots: vec![BTreeMap::new(); OWNERS],
            to_gates: vec![VecDeque::new(); OWNERS],
            arrived: vec![Vec::new(); OWNERS],
            to_owner: vec![Vec::new(); OWNERS],
            heard: vec![Vec::new(); OWNERS],
            behind: vec![None; OWNERS],
            judge: Judge::default(),
        }
    }

    fn act(&mut self, step: &Do) {
        match step {
            Do::Start { owner, plan } => {
                let id = ExecutionId::of_manual(&format!("{owner}-{}", self.roots[*owner].len()));
                self.roots[*owner].insert(id.clone(), plan.plan());
                let (plan, now_ms) = (plan.plan(), self.at.wall_ms);
                self.owner(*owner, |owner| owner.start(id, plan, &[], now_ms));
            }
            Do::Arrive { owner } => {
                self.arrive(*owner);
            }
            Do::Lose { owner } => {
                self.to_gates[*owner].pop_front();
            }
            Do::Again { owner, which } => {
                if !self.arrived[*owner].is_empty() {
                    let message = self.arrived[*owner][which.index(self.arrived[*owner].len())].clone();
                    let before = self.store.clone();
                    let (heard, decided) = self.take(&message);
                    assert!(heard != Heard::New && decided == 0, "what comes again decides nothing");
                    assert_eq!(before.heads, self.store.heads);
                }
            }
            Do::Answer { owner, which } => {
                let answers = self.to_owner[*owner].len();
                self.answer(*owner, if answers > 0 { which.index(answers) } else { 0 });
            }
            Do::LoseAnswer { owner, which } => {
                if !self.to_owner[*owner].is_empty() {
                    let at = which.index(self.to_owner[*owner].len());
                    self.to_owner[*owner].remove(at);
                }
            }
            Do::AnswerAgain { owner, which } => {
                if !self.heard[*owner].is_empty() {
                    let (gate, about, answer) = self.heard[*owner][which.index(self.heard[*owner].len())].clone();
                    let now_ms = self.at.wall_ms;
                    self.owner(*owner, |owner| owner.hear(&gate, &about, answer, now_ms));
                }
            }
            Do::End { owner, which, outcome } => {
                let can_end: Vec<ExecutionId> = self.can_end(*owner, false);
                if !can_end.is_empty() {
                    let id = can_end[which.index(can_end.len())].clone();
                    self.owner(*owner, |owner| owner.end(&id, *outcome));
                }
            }
            Do::Apply { gate, max, excess } => self.apply(*gate, *max, *excess),
            Do::Learn => self.learn(),
            Do::Open { gate } => self.operate(*gate, What::Open { by: "ann".to_owned() }),
            Do::Close { gate, for_ms } => {
                let until_ms = self.at.wall_ms + for_ms;
                self.operate(*gate, What::Close { until_ms });
            }
            Do::Pass(ms) => self.pass(*ms),
            Do::Back(ms) => self.at.wall_ms = (self.at.wall_ms - ms).max(0),
            Do::Forget { owner } => self.forget(*owner),
        }
        self.beliefs();
    }

    /// A step of an owner, all of it or nothing: what it sends is sent with it.
    fn owner(&mut self, which: usize, what: impl FnOnce(&mut Owner)) {
        let owner = &mut self.owners[which];
        owner.in_force.since_ms = self.applied.since_ms;
        what(owner);
        self.to_gates[which].extend(owner.sent.drain(..));
    }

    fn can_end(&self, owner: usize, only_running: bool) -> Vec<ExecutionId> {
        let executions = self.owners[owner].executions.iter();
        let can = executions.filter(|(_, exec)| exec.children_open == 0 && (exec.runs || !only_running));
        can.map(|(id, _)| id.clone()).collect()
    }

    fn arrive(&mut self, owner: usize) -> bool {
        let Some(message) = self.to_gates[owner].pop_front() else { return false };
        // A step that was undone leaves nothing, and does the same once more.
        let mut undone = self.store.clone();
        let mut gates = Gates::new(&mut undone, &self.known, self.at.wall_ms);
        gates.message(&message);
        let decided = gates.into_decisions().len();
        assert_eq!(self.take(&message).1, decided);
        assert_eq!(self.store.heads, undone.heads);
        self.arrived[owner].push(message);
        true
    }

    fn take(&mut self, message: &GateMessage) -> (Heard, usize) {
        let mut gates = Gates::new(&mut self.store, &self.known, self.at.wall_ms);
        let heard = gates.message(message);
        let decisions = gates.into_decisions();
        if let Heard::Behind(epoch) = heard {
            self.behind[message.sender as usize] = Some(epoch);
        }
        let judged = (heard == Heard::New).then_some(message);
        self.judge.judge(judged, &decisions, &self.known, &self.store, self.at);
        self.deliver(&decisions);
        (heard, decisions.len())
    }

    fn deliver(&mut self, decisions: &[crate::gate::Decision]) {
        for decision in decisions {
            let Some((about, answer)) = decision.answer() else { continue };
            let root = about.execution.root();
            let owner = (0..OWNERS).find(|n| self.roots[*n].contains_key(&root)).unwrap();
            self.to_owner[owner].push((decision.gate.clone(), about.clone(), answer));
        }
    }

    /// Some answer arrives, and what was said of its owner's numbers.
    fn answer(&mut self, owner: usize, at: usize) {
        if let Some(epoch) = self.behind[owner].take() {
            self.owner(owner, |owner| {
                owner.numbers.behind(epoch);
            });
        }
        if self.to_owner[owner].is_empty() {
            return;
        }
        let (gate, about, answer) = self.to_owner[owner].remove(at);
        let now_ms = self.at.wall_ms;
        self.owner(owner, |owner| owner.hear(&gate, &about, answer, now_ms));
        self.heard[owner].push((gate, about, answer));
    }

    fn operate(&mut self, gate: usize, what: What) {
        let gate = gates()[gate].clone();
        // A person who opens a rate fills its bucket, which the judge would have to follow.
        if gate.kind != Kind::Rate {
            self.owner(0, |owner| owner.operate(gate, what));
        }
    }

    fn apply(&mut self, gate: usize, max: Option<u32>, excess: Excess) {
        let gate = gates()[gate].clone();
        self.applied.since_ms += 1;
        let limit = match (gate.kind, max) {
            (Kind::Concurrency, Some(permits_max)) => Limit::Concurrency { permits_max },
            (Kind::Radius, Some(actions_max)) => Limit::Radius { actions_max, per_ms: 2_000 },
            (Kind::Breaker, Some(failures_max)) => Limit::Breaker { failures_max, open_ms: 5_000, probes: 1 },
            (Kind::Rate, _) => return,
            (_, None) => {
                self.applied.terms.remove(&gate);
                return;
            }
        };
        self.applied.terms.insert(gate, Terms { limit, excess });
    }

    /// The gates hear of what was applied.
    fn learn(&mut self) {
        self.known = self.applied.clone();
        let mut after = None;
        loop {
            let mut gates = Gates::new(&mut self.store, &self.known, self.at.wall_ms);
            after = gates.retuned(after.as_ref(), 2);
            let decisions = gates.into_decisions();
            self.judge.judge(None, &decisions, &self.known, &self.store, self.at);
            self.deliver(&decisions);
            if after.is_none() {
                break;
            }
        }
    }

    fn pass(&mut self, ms: i64) {
        let end_ms = self.at.wall_ms + ms;
        loop {
            let gates_due = self.store.timers.values().copied();
            let owners_due = self.owners.iter().filter_map(Owner::next_due_ms);
            let Some(due_ms) = gates_due.chain(owners_due).min().filter(|due_ms| *due_ms <= end_ms) else { break };
            let step_ms = (due_ms - self.at.wall_ms).max(0);
            (self.at.wall_ms, self.at.true_ms) = (self.at.wall_ms + step_ms, self.at.true_ms + step_ms);
            let now_ms = self.at.wall_ms;
            while let Some(gate) = self.store.due(now_ms) {
                let mut gates = Gates::new(&mut self.store, &self.known, now_ms);
                gates.timer(&gate);
                let decisions = gates.into_decisions();
                self.judge.judge(None, &decisions, &self.known, &self.store, self.at);
                self.deliver(&decisions);
            }
            for owner in 0..OWNERS {
                self.owner(owner, |owner| owner.timers(now_ms));
            }
        }
        self.at.true_ms += end_ms - self.at.wall_ms;
        self.at.wall_ms = end_ms;
    }

    fn forget(&mut self, owner: usize) {
        // Two lives do not begin in the same millisecond.
        self.pass(1);
        self.owners[owner] = Owner::new(u32::try_from(owner).unwrap(), self.at.wall_ms, self.applied.since_ms);
        let (roots, now_ms) = (self.roots[owner].clone(), self.at.wall_ms);
        for (id, plan) in roots.into_iter().take(3) {
            self.owner(owner, |owner| owner.start(id, plan, &[], now_ms));
        }
    }

    /// Whatever an owner believes to hold, the gate has given, and has not given away since; and nobody waits for nothing.
    fn beliefs(&self) {
        self.judge.work_goes_on(&self.known, &self.store);
        for owner in &self.owners {
            for (id, exec) in &owner.executions {
                for (gate, acquisition) in exec.passage.own() {
                    let about = About { execution: id.clone(), acquisition };
                    assert!(self.judge.is_out(gate, &about), "{about:?} runs without a permit of {gate}");
                }
            }
        }
    }

    /// Nothing is lost any more, policies let people pass, and whoever runs ends.
    fn finish(&mut self) {
        for gate in gates().iter().filter(|gate| gate.kind != Kind::Rate) {
            self.applied.since_ms += 1;
            self.applied.terms.insert(gate.clone(), terms(gate, Excess::Wait));
        }
        self.learn();
        for round in 0..4_000 {
            for owner in 0..OWNERS {
                while self.arrive(owner) {}
                while !self.to_owner[owner].is_empty() || self.behind[owner].is_some() {
                    self.answer(owner, 0);
                }
                for id in self.can_end(owner, true) {
                    self.owner(owner, |owner| owner.end(&id, Outcome::Succeeded));
                }
            }
            self.beliefs();
            let is_quiet = self.to_gates.iter().all(VecDeque::is_empty) && self.to_owner.iter().all(Vec::is_empty);
            if is_quiet && self.owners.iter().all(|owner| owner.executions.is_empty()) && self.store.is_empty() {
                return;
            }
            // A person opens what is shut.
            for gate in 0..gates().len() {
                if self.store.heads.get(&gates()[gate]).is_some_and(|head| head.paused) {
                    self.operate(gate, What::Open { by: "ann".to_owned() });
                }
            }
            self.pass(if round % 10 == 9 { 600_000 } else { 1_000 });
        }
        let left: Vec<_> = self.owners.iter().flat_map(|owner| owner.executions.iter()).collect();
        panic!("somebody waits for ever, or something leaked: {left:#?} {:#?}", self.store);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]
    #[test]
    fn owners_and_gates_keep_what_they_promise(steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::new();
        for step in &steps {
            world.act(step);
        }
        world.finish();
    }
}

/// The same without anything lost, forgotten or changed: nobody is turned away, and nothing is asked twice.
#[test]
fn without_faults_everybody_passes_at_once_or_in_turn() {
    let mut world = World::new();
    for n in 0..60_usize {
        let plan = PlanOf { class: Class::ALL[n % 3], gates: vec![n % 8, (n / 2) % 8], children: Vec::new() };
        world.act(&Do::Start { owner: n % OWNERS, plan });
    }
    world.finish();
    assert!(world.judge.grants >= 60 && world.judge.waits > 20, "{} {}", world.judge.grants, world.judge.waits);
    assert_eq!(world.owners.iter().map(|owner| owner.ended_early).sum::<usize>(), 0);
}
