//! A worker stands beside the owner: what it has room for is claimed in the step that schedules it.

use super::model::{Do, LEASE_MS};
use super::table::check;
use crate::status::Status;

const OK: Do = Do::Request(1, "demo.ok", "now");
const HERE: Do = Do::Beside(Some("default"));

#[test]
fn what_it_has_room_for_is_started_in_one_step() {
    for action in ["demo.ok", "demo.once"] {
        let steps = [
            (HERE, ""),
            (Do::Request(1, action, "now"), "scheduled, running, start 1"),
            // It asks for nothing: it was granted with the start.
            (Do::Beat(1, 1), ""),
            (Do::Request(1, action, "now"), ""),
            (Do::Result(1, 1, "succeeded"), "stdout=out, succeeded"),
        ];
        let model = check(&steps, Some(Status::Succeeded));
        assert!(model.tasks.is_empty() && model.timers.keys().all(|key| key.ends_with(b"/remember")));
    }
}

#[test]
fn what_is_bulk_takes_its_turn_with_all_else() {
    let steps = [
        (HERE, ""),
        (Do::Request(1, "demo.bulk", "now"), "task 1 bulk, scheduled"),
        (Do::Decline(1, 1, crate::owner::DeclineReason::Full), "task 2 bulk"),
        (Do::Claim(1, 2), "running"),
    ];
    check(&steps, Some(Status::Running));
}

#[test]
fn what_needs_room_waits_in_line_for_it() {
    check(&[(HERE, ""), (Do::Request(1, "demo.large_needs", "now"), "task 1, scheduled")], Some(Status::Scheduled));
}

#[test]
fn it_is_fenced_as_any_other_attempt() {
    let steps = [
        (HERE, ""),
        (OK, "scheduled, running, start 1"),
        (Do::ClaimBy(1, 1, "v"), "cancel 1 of v"),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Beat(1, 1), ""),
        (Do::Wait(LEASE_MS - 1), ""),
        (Do::Beside(None), ""),
        (Do::Wait(1), "cancel 1, task 2, scheduled(lease_lost)"),
        (Do::Beat(1, 1), "cancel 1"),
        (Do::Result(1, 1, "succeeded"), ""),
        (Do::Claim(1, 2), "running"),
    ];
    check(&steps, Some(Status::Running));
}

#[test]
fn what_it_gives_back_goes_elsewhere_if_it_has_no_room() {
    let steps = [
        (HERE, ""),
        (OK, "scheduled, running, start 1"),
        (Do::Beside(None), ""),
        (Do::HandOver(1, 1, false), "task 2, scheduled(handed_over)"),
        (HERE, ""),
        // Declined by somebody else, it takes its round.
        (Do::Decline(1, 2, crate::owner::DeclineReason::Full), "task 3"),
        (Do::Claim(1, 3), "running"),
        // Nor does what was lost or given back come here again.
        (Do::HandOver(1, 3, true), "stdout=part, task 4, scheduled(handed_over)"),
    ];
    check(&steps, Some(Status::Scheduled));
}

#[test]
fn other_pools_pauses_and_revisions_that_are_not_here_go_their_own_way() {
    check(&[(Do::Beside(Some("gpu")), ""), (OK, "task 1, scheduled")], Some(Status::Scheduled));
    let needs_no_slot = Do::Request(1, "demo.noop", "now");
    check(&[(HERE, ""), (needs_no_slot, "task 1, scheduled")], Some(Status::Scheduled));
    let steps = [
        (HERE, ""),
        (Do::Pause, ""),
        (OK, "delayed(dispatch_paused)"),
        (Do::Resume, "scheduled, running, start 1"),
        (Do::Cancel(1), "cancel 1, canceling"),
        (Do::Result(1, 1, "canceled"), "stdout=out, canceled"),
    ];
    check(&steps, Some(Status::Canceled));
    let steps = [
        (HERE, ""),
        (Do::Request(1, "demo.ok", "later"), "delayed(revision_not_here)"),
        (Do::Arrive, "scheduled, running, start 1"),
    ];
    check(&steps, Some(Status::Running));
}
