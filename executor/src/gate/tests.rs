//! The gates' stage of one partition, driven by hand in one open transaction; what it writes comes out as short texts.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken, TimerKind};
use petrel_execution::gate::keys::head_key;
use petrel_execution::gate::{
    ASK_HOLDERS_MS, About, Class, Excess, GateId, GateMessage, InForce, Kind, Limit, Outcome, Policies, Stamp, Terms,
    What, record,
};
use petrel_schemas::{AuditRecord, DeadLetter, ExecutionId, RequestsRecord, Topics, decode, encode};

use super::{GATES_PER_STEP_MAX, GateStage, GateView};

const PARTITION: u32 = 3;
const SENDER: u32 = 5;

/// So many permits at every gate of concurrency, and three starts in a second at every other; and how it is called.
struct Permits(u32, Option<&'static str>);

/// How policies are called that nobody knows.
const UNKNOWN: Option<&str> = Some("unknown");

impl Policies for Permits {
    fn terms(&self, gate: &GateId) -> Option<Terms> {
        if self.1 == UNKNOWN {
            return None;
        }
        let limit = match gate.kind {
            Kind::Concurrency => Limit::Concurrency { permits_max: self.0 },
            _ => Limit::Radius { actions_max: 3, per_ms: 1_000 },
        };
        Some(Terms { limit, excess: Excess::Wait }).filter(|terms| terms.limit.kind() == gate.kind)
    }

    fn knows(&self, _: &InForce) -> bool {
        true
    }
}

impl GateView for Permits {
    fn policies_of(&self) -> Arc<str> {
        self.1.map_or_else(|| self.0.to_string().into(), Arc::from)
    }

    fn why_unknown(&self) -> Option<&str> {
        self.1.filter(|name| UNKNOWN == Some(*name))
    }
}

struct Rig {
    stage: GateStage<Permits>,
    state: PartitionState,
    view: Permits,
    now_ms: i64,
    number: u64,
    names: BTreeMap<ExecutionId, String>,
    outputs: Vec<Output>,
    topics: Topics,
}

impl Rig {
    fn new(permits: u32) -> Self {
        let topics = Topics::new("petrel.", 8, 4);
        Self {
            stage: GateStage::new(topics.clone()),
            state: PartitionState::default(),
            view: Permits(permits, None),
            now_ms: 1_000_000,
            number: 0,
            names: BTreeMap::new(),
            outputs: Vec::new(),
            topics,
        }
    }

    fn about(&mut self, name: &str, number: u64) -> About {
        let execution = ExecutionId::of_manual(name);
        self.names.insert(execution.clone(), name.to_owned());
        About { execution, acquisition: Stamp { epoch: 1, number } }
    }

    fn acquire(&mut self, gate: &GateId, name: &str) -> String {
        let about = self.about(name, self.number + 1);
        let in_force = InForce { revision: "r".into(), since_ms: 1 };
        self.send(gate, What::Acquire { about, class: Class::Normal, may_wait: true, in_force })
    }

    fn release(&mut self, gate: &GateId, name: &str, acquisition: u64) -> String {
        let about = self.about(name, acquisition);
        self.send(gate, What::Release { about, outcome: Outcome::Succeeded })
    }

    fn send(&mut self, gate: &GateId, what: What) -> String {
        self.number += 1;
        self.again(gate, Stamp { epoch: 1, number: self.number }, what)
    }

    fn again(&mut self, gate: &GateId, stamp: Stamp, what: What) -> String {
        let message = GateMessage { sender: SENDER, stamp, gate: gate.clone(), what };
        assert_eq!(self.record(&encode(&record::of_message(&message))), Taken::All);
        self.told()
    }

    fn record(&mut self, value: &[u8]) -> Taken {
        let records = [Record { offset: 7, timestamp_ms: 5, key: None, value: Some(value) }];
        let topic = self.topics.gates();
        let batch = Batch { topic: &topic, partition: PARTITION, records: &records };
        self.in_context(|stage, context| stage.records(batch, context))
    }

    fn in_context<R>(&mut self, f: impl FnOnce(&mut GateStage<Permits>, &mut Context<'_, Permits>) -> R) -> R {
        let facts = Facts { partition: PARTITION, now_ms: self.now_ms, blocked_ms: 0, is_careful: false };
        f(&mut self.stage, &mut Context::new(facts, &self.view, &mut self.state, &mut self.outputs))
    }

    fn wait(&mut self, ms: i64) -> String {
        self.now_ms += ms;
        while let due = self.state.take_due(TimerKind::Time, self.now_ms, 100)
            && !due.is_empty()
        {
            self.in_context(|stage, context| stage.timers(&due, context));
        }
        self.told()
    }

    /// `granted a` is an answer, `(granted a)` a row.
    fn told(&mut self) -> String {
        let outputs = std::mem::take(&mut self.outputs);
        let texts: Vec<String> = outputs.iter().map(|output| self.tell(output)).collect();
        texts.join(", ")
    }

    fn tell(&self, output: &Output) -> String {
        let value = output.value.as_deref().unwrap();
        let name = |id: &str| self.names[&ExecutionId::parse(id).unwrap()].clone();
        if output.topic == self.topics.requests() {
            return match RequestsRecord::decode(value).unwrap() {
                RequestsRecord::GateAnswer(answer) => format!("{} {}", answer.answer, name(&answer.execution_id)),
                RequestsRecord::GateBehind(behind) => {
                    format!("behind {} at {}", behind.epoch, output.partition(self.topics.all(&[])[0].partitions))
                }
                other => panic!("unexpected {other:?}"),
            };
        }
        if output.topic == self.topics.audit() {
            let AuditRecord::GateDecided(row) = AuditRecord::decode(value).unwrap() else { panic!("another row") };
            let about = row.execution_id.as_deref().map(name).unwrap_or_default();
            let reason = row.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
            return format!("({} {about}{reason})", row.decided);
        }
        assert_eq!(output.topic, self.topics.dead_letters());
        format!("dead {}", decode::<DeadLetter>(value).unwrap().reason)
    }
}

fn key(key: &str) -> GateId {
    GateId::of_key("demo.one", Kind::Concurrency, key).unwrap()
}

#[test]
fn owners_are_answered_and_each_decision_is_a_row() {
    let mut rig = Rig::new(1);
    let gate = key("db/1");
    assert_eq!(rig.acquire(&gate, "a"), "granted a, (granted a)");
    assert_eq!(rig.acquire(&gate, "b"), "(waits b concurrency)");
    assert_eq!(rig.acquire(&gate, "c"), "(waits c concurrency)");
    assert_eq!(rig.release(&gate, "a", 1), "(returned a succeeded), granted b, (granted b)");
    assert_eq!(rig.release(&gate, "c", 3), "(left c)");
    assert_eq!(rig.release(&gate, "b", 2), "(returned b succeeded)");
    assert_eq!(rig.acquire(&gate, "d"), "granted d, (granted d)");
    assert_eq!(rig.acquire(&key("db"), "e"), "granted e, (granted e)", "another key");
}

#[test]
fn what_comes_again_writes_nothing_and_a_sender_that_is_behind_is_told() {
    let mut rig = Rig::new(1);
    rig.acquire(&key("a"), "a");
    rig.release(&key("a"), "a", 1);
    let about = rig.about("a", 1);
    let in_force = InForce { revision: "r".into(), since_ms: 1 };
    let acquire = What::Acquire { about, class: Class::Normal, may_wait: true, in_force };
    assert_eq!(rig.again(&key("a"), Stamp { epoch: 1, number: 1 }, acquire.clone()), "");
    assert_eq!(rig.again(&key("a"), Stamp { epoch: 0, number: 9 }, acquire), "behind 1 at 5");
}

#[test]
fn timers_let_pass_whose_time_has_come_and_ask_holders() {
    let mut rig = Rig::new(200);
    let radius = GateId::total("demo.one", Kind::Radius);
    for name in ["a", "b", "c"] {
        rig.acquire(&radius, name);
    }
    assert_eq!(rig.acquire(&radius, "d"), "(waits d radius)");
    assert_eq!((rig.wait(999).as_str(), rig.wait(1).as_str()), ("", "granted d, (granted d)"));
    for (n, name) in ["a", "b", "c", "d"].iter().enumerate() {
        rig.release(&radius, name, n as u64 + 1);
    }
    let gate = key("x");
    for n in 0..150 {
        rig.acquire(&gate, &n.to_string());
    }
    let asked = rig.wait(ASK_HOLDERS_MS);
    assert_eq!(asked.matches("held ").count(), 150, "{asked}");
}

#[test]
fn other_terms_are_heard_by_all_gates_some_in_each_step() {
    let mut rig = Rig::new(0);
    for n in 0..=GATES_PER_STEP_MAX {
        rig.acquire(&key(&n.to_string()), &n.to_string());
    }
    rig.view = Permits(1, None);
    rig.in_context(|stage, context| stage.globals_changed(context));
    assert_eq!(rig.told().matches("(granted ").count(), GATES_PER_STEP_MAX);
    assert_eq!(rig.wait(0).matches("(granted ").count(), 1);
}

#[test]
fn the_same_policies_are_looked_at_again_only_where_the_look_may_have_been_undone() {
    let mut rig = Rig::new(0);
    let look = |rig: &mut Rig| {
        rig.in_context(|stage, context| stage.globals_changed(context));
        rig.told()
    };
    look(&mut rig);
    rig.acquire(&key("a"), "a");
    // Behind the name of the policies there is something else now, which nobody does but this test.
    rig.view = Permits(1, Some("0"));
    assert_eq!(look(&mut rig), "");
    rig.stage.aborted();
    assert_eq!(look(&mut rig), "granted a, (granted a)");
    rig.release(&key("a"), "a", 1);
    rig.view.1 = Some("other");
    assert_eq!(look(&mut rig), "", "nobody waits");
}

#[test]
fn as_long_as_nobody_can_tell_which_policies_hold_nothing_is_decided() {
    let mut rig = Rig::new(1);
    let gate = key("a");
    rig.acquire(&gate, "a");
    rig.acquire(&gate, "b");
    rig.send(&gate, What::Shut { by: "ann".to_owned() });
    let radius = GateId::total("demo.one", Kind::Radius);
    for name in ["c", "d", "e", "f"] {
        rig.acquire(&radius, name);
    }
    let heads = |rig: &Rig| [&gate, &radius].map(|gate| rig.state.get(&head_key(gate)).map(|head| head.into_owned()));
    let before = heads(&rig);
    rig.view.1 = UNKNOWN;
    rig.in_context(|stage, context| stage.globals_changed(context));
    assert_eq!((rig.told().as_str(), rig.wait(500).as_str(), rig.wait(1_000).as_str()), ("", "", ""));
    rig.number += 1;
    let about = rig.about("a", 1);
    let what = What::Release { about, outcome: Outcome::Succeeded };
    let stamp = Stamp { epoch: 1, number: rig.number };
    let release = encode(&record::of_message(&GateMessage { sender: SENDER, stamp, gate: gate.clone(), what }));
    assert!(matches!(rig.record(&release), Taken::Blocked { consumed: 0, .. }));
    assert_eq!((rig.told(), heads(&rig)), (String::new(), before));
    // Once they are known it goes on as if nothing had been, and who was shut out stays so.
    rig.view.1 = None;
    assert_eq!(rig.wait(1_000), "granted f, (granted f)", "its timer was not lost");
    assert_eq!(rig.record(&release), Taken::All);
    assert_eq!(rig.told(), "(returned a succeeded)");
}

#[test]
fn what_cannot_be_read_is_a_dead_letter() {
    let mut rig = Rig::new(1);
    assert_eq!(rig.record(b"rubbish"), Taken::All);
    assert!(rig.told().starts_with("dead "));
    let message = GateMessage {
        sender: SENDER,
        stamp: Stamp { epoch: 1, number: 1 },
        gate: key("a"),
        what: What::Open { by: "ann".to_owned() },
    };
    let mut malformed = record::of_message(&message);
    malformed.what = "knock".to_owned();
    assert_eq!(rig.record(&encode(&malformed)), Taken::All);
    assert_eq!(rig.told(), "dead malformed_gate_message");
    rig.state.put(&head_key(&key("a")), b"rubbish".to_vec()).unwrap();
    assert!(rig.send(&key("a"), What::Open { by: "ann".to_owned() }).starts_with("dead "));
}
