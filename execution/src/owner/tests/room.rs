//! What workers have no room for.

use std::collections::BTreeSet;

use super::model::{Do, Model, NO_ROOM_MS, START_MS};
use crate::owner::DeclineReason;
use crate::status::Status;

#[test]
fn what_all_workers_are_too_small_for_ends() {
    let mut model = Model::new();
    model.act(&Do::Request(1, "demo.large_needs", "now"));
    let decline = |model: &mut Model, token: i64, reason| model.act(&Do::Decline(1, token, reason));
    // One that is full may have what it needs once it is free.
    for token in 1..=15 {
        assert_eq!(decline(&mut model, token, DeclineReason::TooSmall), [format!("task {}", token + 1)]);
    }
    assert_eq!(decline(&mut model, 16, DeclineReason::Full), ["task 17"]);
    for token in 17..32 {
        assert_eq!(decline(&mut model, token, DeclineReason::TooSmall), [format!("task {}", token + 1)]);
    }
    let asked: BTreeSet<u32> = model.tasks[16..].iter().map(|(partition, _)| *partition).collect();
    assert_eq!(asked.len(), 16, "those of every partition were asked");
    // A larger one may be starting again: all are asked anew.
    assert_eq!(decline(&mut model, 32, DeclineReason::TooSmall), [""; 0]);
    assert_eq!(model.status(1), Some(Status::Scheduled));
    assert_eq!(model.act(&Do::Wait(NO_ROOM_MS)), ["task 33"]);
    for token in 33..48 {
        assert_eq!(decline(&mut model, token, DeclineReason::TooSmall), [format!("task {}", token + 1)]);
    }
    assert_eq!(decline(&mut model, 48, DeclineReason::TooSmall), ["release 48", "failed(no_room)"]);
    assert_eq!(model.status(1), Some(Status::Failed));
}

#[test]
fn those_who_keep_room_for_it_hear_when_it_has_found_some() {
    let declined = || {
        let mut model = Model::new();
        model.act(&Do::Request(1, "demo.large_needs", "now"));
        assert_eq!(model.act(&Do::Decline(1, 1, DeclineReason::Full)), ["task 2"]);
        model
    };
    for (what, told) in [
        (Do::Claim(1, 2), "release 2, running"),
        (Do::Result(1, 2, "succeeded"), "release 2, running, stdout=out, succeeded"),
        (Do::Cancel(1), "cancel 2, release 2, canceling"),
        (Do::Wait(START_MS), "release 2, timeout(schedule_to_start)"),
    ] {
        assert_eq!(declined().act(&what).join(", "), told, "{what:?}");
    }
    let mut off = declined();
    off.act(&Do::Off("everything", None, false));
    assert_eq!(off.act(&Do::Decline(1, 2, DeclineReason::Full)), ["release 2", "delayed(everything_off)"]);
    // Nobody keeps room for what nobody has declined, or for what needs none.
    let mut first = Model::new();
    first.act(&Do::Request(1, "demo.large_needs", "now"));
    assert_eq!(first.act(&Do::Claim(1, 1)), ["running"]);
    let mut other = Model::new();
    other.act(&Do::Request(1, "demo.ok", "now"));
    other.act(&Do::Decline(1, 1, DeclineReason::Full));
    assert_eq!(other.act(&Do::Claim(1, 2)), ["running"]);
}
