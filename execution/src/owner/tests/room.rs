//! What workers have no room for.

use std::collections::BTreeSet;

use super::model::{Do, Model, NO_ROOM_MS};
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
    assert_eq!(decline(&mut model, 48, DeclineReason::TooSmall), ["failed(no_room)"]);
    assert_eq!(model.status(1), Some(Status::Failed));
}
