//! Workflows: children start and end in the steps of their family, whoever has what at hand.

use petrel_schemas::ExecutionId;
use proptest::prelude::*;

use super::super::*;
use super::model::{DEDUP_MS, Do, LEASE_MS, Model, START_MS, id};
use crate::attempt::Attempt;
use crate::execution::Known;
use crate::state::EDGES;
use crate::status::Status;
use crate::workflow::Asked;

fn child(parent: u8, number: u32) -> ExecutionId {
    id(parent).child(number).unwrap()
}

/// What a worker says of an execution's current attempt; nothing where no worker has one.
fn reported(model: &mut Model, id: &ExecutionId, status: &str) -> Vec<String> {
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

fn status(model: &Model, id: &ExecutionId) -> Option<Status> {
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

fn asked(model: &mut Model, asked: Asked) -> Vec<String> {
    model.tell(Message::Workflow { id: id(1), asked, by: "eve".to_owned() })
}

#[test]
fn a_workflow_rests_once_what_runs_has_ended_and_goes_on() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.chain", "now"));
    assert_eq!(asked(&mut model, Asked::Pause).join(", "), "pausing");
    assert_eq!(model.live(1).core().note.error.as_deref(), Some("asked for by eve"));
    reported(&mut model, &child(1, 1), "succeeded");
    assert_eq!(model.status(1), Some(Status::Paused));
    model.workflows.drop_all();
    let resumed = asked(&mut model, Asked::Resume);
    assert_eq!(resumed.join(", "), "resuming, running, delayed(task_delay)");
    // What is none, or is over, does nothing.
    assert_eq!(model.tell(Message::Workflow { id: child(1, 2), asked: Asked::Pause, by: "eve".to_owned() }).len(), 0);
    assert_eq!(model.tell(Message::Workflow { id: id(2), asked: Asked::Pause, by: "eve".to_owned() }).len(), 0);
}

#[test]
fn what_is_asked_of_a_workflow_that_is_not_here_is_told_it_later() {
    let mut model = Model::new();
    model.act(&Do::Arrive);
    model.act(&Do::Request(1, "demo.chain", "later"));
    model.workflows.drop_all();
    model.act(&Do::Leave);
    asked(&mut model, Asked::Pause);
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
    Ask(u8, Asked),
    /// Another process goes on.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let (root, number) = (0..2_u8, 1..6_u32);
    let action = prop::sample::select(vec!["demo.chain", "demo.fan", "demo.deep", "demo.gated_chain"]);
    let revision = prop::sample::select(vec!["now", "now", "later"]);
    let said = prop::sample::select(vec!["claimed", "succeeded", "succeeded", "succeeded", "failed", "abandoned"]);
    prop_oneof![
        3 => (root.clone(), action, revision).prop_map(|(n, action, revision)| Step::Act(Do::Request(n, action, revision))),
        8 => (root.clone(), number.clone(), said).prop_map(|(n, number, said)| Step::Child(n, number, said)),
        1 => root.clone().prop_map(|n| Step::Act(Do::Cancel(n))),
        1 => (root, number).prop_map(|(n, number)| Step::CancelChild(n, number)),
        3 => (0..2 * LEASE_MS).prop_map(|ms| Step::Act(Do::Wait(ms))),
        2 => Just(Step::Restart),
        2 => (0..2_u8, prop::sample::select(vec![Asked::Pause, Asked::Resume])).prop_map(|(n, asked)| Step::Ask(n, asked)),
        1 => prop::sample::select(vec![Do::Pause, Do::Resume, Do::Arrive, Do::Leave]).prop_map(Step::Act),
    ]
}

fn run(model: &mut Model, step: &Step) {
    match step {
        Step::Act(what) => drop(model.act(what)),
        Step::Child(root, number, said) => drop(reported(model, &child(*root, *number), said)),
        Step::CancelChild(root, number) => {
            drop(model.tell(Message::Cancel { id: child(*root, *number), by: "eve".to_owned() }));
        }
        Step::Ask(root, asked) => {
            drop(model.tell(Message::Workflow { id: id(*root), asked: asked.clone(), by: "eve".to_owned() }));
        }
        Step::Restart => model.workflows.drop_all(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn families_end_and_leave_nothing(steps in prop::collection::vec(step(), 1..80)) {
        let mut model = Model::new();
        for step in &steps {
            run(&mut model, step);
            for history in model.history.values() {
                let mut before = Status::Requested;
                for (number, (sequence, status)) in history.iter().enumerate() {
                    prop_assert_eq!(*sequence, number as i64 + 1);
                    prop_assert!(EDGES.contains(&(before, *status)), "{before:?} to {status:?}: {history:?}");
                    before = *status;
                }
            }
        }
        model.act(&Do::Resume);
        model.act(&Do::Vanish);
        // Those that wait at a gate that nobody answers end by hand.
        for root in 0..2 {
            model.act(&Do::Cancel(root));
        }
        model.act(&Do::Wait(10 * (START_MS + LEASE_MS) + 3 * DEDUP_MS));
        prop_assert!(model.states.is_empty(), "{:?}", model.history);
        prop_assert!(model.timers.is_empty() && model.waiting.is_empty() && model.workflows.is_empty());
    }
}
