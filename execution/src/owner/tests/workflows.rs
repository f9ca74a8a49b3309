//! Workflows: children start and end in the steps of their family, whoever has what at hand.

use petrel_schemas::ExecutionId;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::super::*;
use super::model::{DEDUP_MS, Do, LEASE_MS, Model, START_MS, id};
use super::turnstile::Turnstiles;
use crate::attempt::Attempt;
use crate::execution::Known;
use crate::state::EDGES;
use crate::status::Status;
use crate::workflow::{Asked, Decision};

pub fn child(parent: u8, number: u32) -> ExecutionId {
    id(parent).child(number).unwrap()
}

/// What a worker says of an execution's current attempt; nothing where no worker has one.
pub fn reported(model: &mut Model, id: &ExecutionId, status: &str) -> Vec<String> {
    let Some(Known::Live(execution)) = model.known(id) else { return Vec::new() };
    let Attempt { number, token } = execution.core().attempt;
    let about = About { id: id.clone(), attempt: Attempt { number, token }, worker: "w".to_owned() };
    let report = match status {
        "claimed" => Report::Claimed { pool: "default".to_owned() },
        status => {
            let mut result = super::messages::result(1, token, status);
            result.execution_id = id.to_string();
            Report::Ended(result)
        }
    };
    model.tell(Message::Report(about, report))
}

pub fn status(model: &Model, id: &ExecutionId) -> Option<Status> {
    model.known(id).map(|known| match known {
        Known::Live(execution) => execution.status(),
        Known::Over(ended) => ended.status,
    })
}

#[test]
fn children_follow_each_other_and_end_their_parent_in_the_last_ones_step() {
    let mut model = Model::new();
    let begun = model.act(&Do::Request(1, "demo.chain", "now"));
    assert_eq!(begun.join(", "), "scheduled, running, task 1, scheduled");
    assert_eq!(model.live(1).core().children_open, 1);
    let second = reported(&mut model, &child(1, 1), "succeeded");
    assert_eq!(
        second.join(", "),
        "running, stdout=out, succeeded, delayed(task_delay)",
        "the second one waits a while"
    );
    // Somebody else goes on with it.
    model.workflows.drop_all();
    assert_eq!(model.act(&Do::Wait(700)).join(", "), "task 1, scheduled");
    reported(&mut model, &child(1, 2), "succeeded");
    let last = reported(&mut model, &child(1, 3), "succeeded");
    assert_eq!(last.join(", "), "running, stdout=out, succeeded, succeeded");
    assert_eq!(model.status(1), Some(Status::Succeeded));
    let told = model.parents_told.last().unwrap();
    assert_eq!(told.value()["stdout"], "out");
    model.act(&Do::Wait(3 * DEDUP_MS));
    assert!(model.states.is_empty() && model.timers.is_empty() && model.workflows.is_empty());
}

#[test]
fn a_step_starts_no_more_children_than_it_may_and_a_timer_goes_on() {
    let mut model = Model::new();
    let begun = model.act(&Do::Request(1, "demo.fan", "now"));
    assert_eq!(begun.iter().filter(|what| *what == "task 1").count(), 2, "{begun:?}: three, of which one waits");
    let others = model.act(&Do::Wait(0));
    assert_eq!(others.iter().filter(|what| *what == "task 1").count(), 2, "{others:?}");
    assert_eq!(model.live(1).core().children_open, 5);
}

#[test]
fn a_workflow_that_is_canceled_ends_its_children_first() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.fan", "now"));
    reported(&mut model, &child(1, 1), "claimed");
    let canceled = model.act(&Do::Cancel(1));
    assert_eq!(canceled.join(", "), "canceling, cancel 1, canceling, canceled, cancel 1, canceling");
    assert_eq!(model.status(1), Some(Status::Canceling), "one was running, and one may be claimed");
    reported(&mut model, &child(1, 1), "canceled");
    model.act(&Do::Wait(START_MS + LEASE_MS));
    assert_eq!(model.status(1), Some(Status::Canceled));
}

#[test]
fn a_workflow_whose_revision_is_not_here_hears_of_its_children_once_it_is() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.chain", "later"));
    model.workflows.drop_all();
    model.act(&Do::Leave);
    reported(&mut model, &child(1, 1), "succeeded");
    assert_eq!(model.status(1), Some(Status::Running));
    assert_eq!(status(&model, &child(1, 2)), None);
    model.act(&Do::Arrive);
    model.act(&Do::Wait(10_000));
    assert_eq!(status(&model, &child(1, 2)), Some(Status::Scheduled));
}

/// Somebody asks that of the first root.
pub fn ask(model: &mut Model, asked: Asked) -> Vec<String> {
    ask_of(model, &id(1), asked)
}

/// Somebody asks that of an execution.
pub fn ask_of(model: &mut Model, id: &ExecutionId, asked: Asked) -> Vec<String> {
    let at_ms = model.now_ms;
    model.tell(Message::Workflow { id: id.clone(), asked, by: "eve".to_owned(), at_ms })
}

#[test]
fn a_workflow_rests_once_what_runs_has_ended_and_goes_on() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.chain", "now"));
    assert_eq!(ask(&mut model, Asked::Pause).join(", "), "pausing");
    assert_eq!(model.live(1).core().note.error.as_deref(), Some("pause asked for by eve"));
    reported(&mut model, &child(1, 1), "succeeded");
    assert_eq!(model.status(1), Some(Status::Paused));
    model.workflows.drop_all();
    let resumed = ask(&mut model, Asked::Resume);
    assert_eq!(resumed.join(", "), "resuming, running, delayed(task_delay)");
    assert_eq!(model.notes(1)[4..], ["resume asked for by eve", ""]);
    // What is none, or is not known, cannot be asked.
    for none in [child(1, 2), id(2)] {
        assert_eq!(ask_of(&mut model, &none, Asked::Pause).join(", "), "dead asked_in_vain");
    }
}

#[test]
fn what_is_asked_of_a_workflow_that_is_not_here_is_told_it_later() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.chain", "later"));
    model.workflows.drop_all();
    model.act(&Do::Leave);
    ask(&mut model, Asked::Pause);
    assert_eq!(model.status(1), Some(Status::Running));
    model.act(&Do::Arrive);
    model.act(&Do::Wait(10_000));
    assert_eq!(model.status(1), Some(Status::Pausing));
}

#[test]
fn workflows_that_start_themselves_come_to_an_end() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.deep", "now"));
    assert_eq!(model.status(1), Some(Status::Running), "a step starts so many and no more");
    model.act(&Do::Wait(0));
    assert_eq!(model.status(1), Some(Status::Failed));
}

#[derive(Debug, Clone)]
enum Step {
    Act(Do),
    /// A worker says so of a child, if it has an attempt.
    Child(u8, u32, &'static str),
    CancelChild(u8, u32),
    Ask(u8, Option<u32>, Asked),
    /// A gate answers, if it was asked.
    Answer,
    /// Another process goes on.
    Restart,
}

fn asked() -> impl Strategy<Value = Asked> {
    let skip = Decision::Skip { task: "t1".to_owned(), route: 0, result: Value::Null };
    let retry = Decision::Retry { task: "t2".to_owned(), route: 0, reset_items: false, input: Map::new() };
    prop::sample::select(vec![
        Asked::Pause,
        Asked::Pause,
        Asked::Resume,
        Asked::Resume,
        Asked::Rerun(Vec::new()),
        Asked::Decide(skip),
        Asked::Decide(retry),
        Asked::Decide(Decision::Resume { variables: Map::new() }),
        Asked::Decide(Decision::Rollback),
        Asked::Answer(Value::Bool(true)),
    ])
}

fn step() -> impl Strategy<Value = Step> {
    let (root, number) = (0..2_u8, 1..6_u32);
    let action = prop::sample::select(vec![
        "demo.chain",
        "demo.fan",
        "demo.deep",
        "demo.gated_chain",
        "demo.gated_freezes",
        "demo.gated_asks",
        "demo.gated_nest",
        "demo.gated_above",
        "demo.nest",
    ]);
    let revision = prop::sample::select(vec!["now", "now", "later"]);
    let said = prop::sample::select(vec!["claimed", "succeeded", "succeeded", "succeeded", "failed", "abandoned"]);
    prop_oneof![
        3 => (root.clone(), action, revision).prop_map(|(n, action, revision)| Step::Act(Do::Request(n, action, revision))),
        8 => (root.clone(), number.clone(), said).prop_map(|(n, number, said)| Step::Child(n, number, said)),
        1 => root.clone().prop_map(|n| Step::Act(Do::Cancel(n))),
        1 => (root, number).prop_map(|(n, number)| Step::CancelChild(n, number)),
        3 => (0..2 * LEASE_MS).prop_map(|ms| Step::Act(Do::Wait(ms))),
        2 => Just(Step::Restart),
        6 => (0..2_u8, prop::option::of(1..3_u32), asked()).prop_map(|(n, of, asked)| Step::Ask(n, of, asked)),
        6 => Just(Step::Answer),
        1 => prop::sample::select(vec![Do::Pause, Do::Resume, Do::Arrive, Do::Leave]).prop_map(Step::Act),
    ]
}

/// Children of children, too: the second one of each number is the first one's first.
fn run(model: &mut Model, gates: &mut Turnstiles, step: &Step) {
    match step {
        Step::Act(what) => drop(model.act(what)),
        Step::Child(root, number, said) => {
            drop(reported(model, &child(*root, *number), said));
            drop(reported(model, &child(*root, 1).child(*number).unwrap(), said));
        }
        Step::CancelChild(root, number) => {
            drop(model.tell(Message::Cancel { id: child(*root, *number), by: "eve".to_owned() }));
        }
        Step::Ask(root, of, asked) => {
            let id = of.map_or_else(|| id(*root), |number| child(*root, number));
            drop(ask_of(model, &id, asked.clone()));
            if let Asked::Answer(_) = asked {
                drop(ask_of(model, &id.child(1).unwrap(), asked.clone()));
            }
        }
        Step::Answer => drop(gates.answer(model)),
        Step::Restart => model.workflows.drop_all(),
    }
    gates.hear_all(model);
}

/// Below what rests, or waits for its permits, nothing runs.
fn nothing_runs_below_what_rests(model: &Model) -> Result<(), String> {
    let live = model.states.keys().filter_map(|id| match model.known(&ExecutionId::parse(id).unwrap()) {
        Some(Known::Live(execution)) => Some(execution),
        _ => None,
    });
    for execution in live {
        let runs = matches!(execution.status(), Status::Scheduled | Status::Running | Status::Pausing);
        let parent = execution.id().parent().and_then(|parent| status(model, &parent));
        if runs && matches!(parent, Some(Status::Paused | Status::Resuming)) {
            return Err(format!("{} is {:?} below one that is {parent:?}", execution.id(), execution.status()));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn families_end_and_leave_nothing(steps in prop::collection::vec(step(), 1..80)) {
        let (mut model, mut gates) = (Model::new(), Turnstiles::default());
        for step in &steps {
            run(&mut model, &mut gates, step);
            for history in model.history.values() {
                let mut before = Status::Requested;
                for (number, (sequence, status)) in history.iter().enumerate() {
                    prop_assert_eq!(*sequence, number as i64 + 1);
                    prop_assert!(EDGES.contains(&(before, *status)), "{before:?} to {status:?}: {history:?}");
                    before = *status;
                }
            }
            prop_assert_eq!(gates.check(&model), Ok(()));
            prop_assert_eq!(nothing_runs_below_what_rests(&model), Ok(()));
        }
        model.act(&Do::Resume);
        model.act(&Do::Vanish);
        // Those that rest, or wait at a gate, end by hand.
        for root in 0..2 {
            model.act(&Do::Cancel(root));
        }
        gates.answer_all(&mut model);
        model.act(&Do::Wait(10 * (START_MS + LEASE_MS) + 3 * DEDUP_MS));
        prop_assert!(model.states.is_empty(), "{:?}", model.history);
        prop_assert!(model.timers.is_empty() && model.waiting.is_empty() && model.workflows.is_empty());
        gates.answer_all(&mut model);
        prop_assert!(gates.is_empty());
    }
}
