//! Cancels in every state; parents and children.

use petrel_schemas::ExecutionId;

use super::model::{Do, LEASE_MS, Model, START_MS, id};
use super::table::check;
use crate::execution::{Ended, Known};
use crate::family::ChildEnded;
use crate::owner::{About, DeclineReason, Message, Report};
use crate::status::Status;
use crate::subject::Subject;

const OK: Do = Do::Request(1, "demo.ok", "now");

#[test]
fn what_nobody_can_have_is_canceled_at_once() {
    let paused =
        [(Do::Pause, ""), (OK, "delayed(dispatch_paused)"), (Do::Cancel(1), "canceled"), (Do::Resume, ""), (OK, "")];
    check(&paused, Some(Status::Canceled));
    // Requests and cancels share a partition, so a cancel of an unknown execution is about none.
    check(&[(Do::Cancel(1), ""), (OK, "task 1, scheduled")], Some(Status::Scheduled));
}

#[test]
fn a_scheduled_one_is_being_canceled_until_its_worker_has_answered_or_nobody_may_start_it() {
    let ends: [(Vec<(Do, &str)>, &str); 4] = [
        // The worker claimed it, found the order and did not start.
        (vec![(Do::Claim(1, 1), "cancel 1"), (Do::Result(1, 1, "canceled"), "stdout=out, canceled")], "canceled"),
        // The order came too late.
        (vec![(Do::Claim(1, 1), "cancel 1"), (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded")], "succeeded"),
        (vec![(Do::Decline(1, 1, DeclineReason::Full), "canceled")], "canceled"),
        (vec![(Do::Wait(START_MS - 1), ""), (Do::Wait(1), "canceled")], "canceled"),
    ];
    for (answers, status) in ends {
        let mut steps = vec![(OK, "task 1, scheduled"), (Do::Cancel(1), "cancel 1, canceling"), (Do::Cancel(1), "")];
        steps.extend(answers);
        steps.push((Do::Claim(1, 1), "cancel 1"));
        steps.push((Do::Cancel(1), ""));
        check(&steps, Status::parse(status));
    }
}

#[test]
fn a_late_claim_of_what_is_being_canceled_keeps_a_lease() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Cancel(1), "cancel 1, canceling"),
        (Do::Wait(START_MS - 1), ""),
        (Do::Claim(1, 1), "cancel 1"),
        (Do::Wait(LEASE_MS - 1), ""),
        // The order is given again for as long as it is alive.
        (Do::Beat(1, 1), "cancel 1"),
        (Do::ClaimBy(1, 1, "v"), "cancel 1 of v"),
        (Do::Wait(LEASE_MS), "cancel 1, canceled"),
    ];
    check(&steps, Some(Status::Canceled));
}

#[test]
fn a_running_one_ends_as_its_worker_says() {
    let ends = [
        (Do::Result(1, 1, "canceled"), "stdout=out, canceled", "canceled"),
        // It ended by itself before the order came.
        (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded", "succeeded"),
        (Do::Result(1, 1, "abandoned"), "stdout=out, canceled", "canceled"),
        (Do::HandOver(1, 1, true), "stdout=part, canceled", "canceled"),
        (Do::Wait(LEASE_MS), "cancel 1, canceled", "canceled"),
    ];
    for (end, decided, status) in ends {
        let steps = [
            (OK, "task 1, scheduled"),
            (Do::Claim(1, 1), "running"),
            (Do::Cancel(1), "cancel 1, canceling"),
            (Do::Cancel(1), ""),
            (Do::Beat(1, 1), "cancel 1"),
            (end, decided),
            (Do::Cancel(1), ""),
        ];
        check(&steps, Status::parse(status));
    }
}

#[test]
fn a_cancel_does_not_prolong_a_lease() {
    let steps = [
        (OK, "task 1, scheduled"),
        (Do::Claim(1, 1), "running"),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Cancel(1), "cancel 1, canceling"),
        (Do::Wait(1), "cancel 1, canceled"),
    ];
    check(&steps, Some(Status::Canceled));
}

#[test]
fn whoever_asked_for_the_cancel_is_told_of() {
    let mut model = Model::new();
    for what in [OK, Do::Claim(1, 1), Do::Cancel(1)] {
        model.act(&what);
    }
    assert_eq!(model.live(1).core().note.error.as_deref(), Some("canceled by eve"));
}

/// A child of execution 1, asked for and claimed.
fn child(model: &mut Model) -> (ExecutionId, About) {
    let child = id(1).child(3).unwrap();
    let Message::Request { subject, parameters } = super::messages::message_of(&OK) else { unreachable!() };
    let subject = Subject { id: child.clone(), ..subject };
    assert_eq!(model.tell(Message::Request { subject, parameters }), ["task 1", "scheduled"]);
    let Message::Report(about, claimed) = super::messages::message_of(&Do::Claim(1, 1)) else { unreachable!() };
    let about = About { id: child.clone(), ..about };
    assert_eq!(model.tell(Message::Report(about.clone(), claimed)), ["running"]);
    (child, about)
}

#[test]
fn a_parent_is_told_when_a_child_ends_and_a_root_has_none() {
    let mut model = Model::new();
    let (child, about) = child(&mut model);
    let Message::Report(_, Report::Ended(result)) = super::messages::message_of(&Do::Result(1, 1, "succeeded")) else {
        unreachable!()
    };
    let object = petrel_schemas::ObjectRef {
        store: "files".to_owned(),
        sha256: "0".repeat(64),
        bytes: 100_000,
        media_type: "application/json".to_owned(),
    };
    let result = petrel_schemas::TaskResult {
        result: Some("{\"n\":1}".to_owned()),
        extracted: Some("{\"m\":2}".to_owned()),
        result_object: Some(object.encode()),
        ..result
    };
    model.tell(Message::Report(about, Report::Ended(result)));
    let told = &model.parents_told[0];
    assert_eq!((&told.parent, &told.child.id, told.child.status), (&id(1), &child, Status::Succeeded));
    assert_eq!((told.result.as_deref(), told.extracted.as_deref()), (Some("{\"n\":1}"), Some("{\"m\":2}")));
    assert_eq!(told.result_object, Some(object));
    for what in [OK, Do::Claim(1, 1), Do::Result(1, 1, "succeeded")] {
        model.act(&what);
    }
    assert_eq!(model.parents_told.len(), 1);
}

#[test]
fn a_parent_counts_the_children_that_it_waits_for() {
    let mut model = Model::new();
    model.act(&OK);
    let told = ChildEnded {
        parent: id(1),
        child: Ended {
            id: id(1).child(1).unwrap(),
            sequence: 3,
            status: Status::Failed,
            code: None,
            return_code: None,
            ended_at_ms: 1,
            conducted: false,
        },
        error: None,
        result: None,
        extracted: None,
        result_object: None,
        stdout: crate::Wrote::default(),
        stderr: crate::Wrote::default(),
    };
    for (open, left) in [(0, 0), (2, 1), (1, 0)] {
        let mut parent = model.live(1);
        parent.core_mut().children_open = open;
        model.decide(|owner| owner.child_ended(&told, Some(Known::Live(parent.clone()))));
        if open > 0 {
            assert_eq!(model.live(1).core().children_open, left);
        }
    }
}
