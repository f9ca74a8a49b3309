//! The statuses of a workflow.

use super::super::status::Status;

/// What a task's change means for its workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskChange {
    /// The task has this status now.
    Status(Status),
    /// The task ended badly, and something follows that deals with it.
    Remediated,
}

/// How the other tasks stand when one has succeeded or is remediated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// Something is left to do.
    Incomplete,
    /// Nothing is.
    Completed,
    /// A task is paused, is being paused or waits for a person.
    Paused,
    /// A task is canceled or is being canceled.
    Canceled,
}

/// Whether a status can be asked for; of others Orquesta says that the event is not valid.
pub fn can_be_requested(status: Status) -> bool {
    !matches!(status, Status::Unset | Status::Pending | Status::Timeout | Status::Abandoned | Status::Retrying)
}

/// The status of a workflow after somebody has asked for one. `active`: a task is. `done`: there is nothing left to go
/// on with, which only counts for one that is paused.
pub fn on_request(from: Status, asked: Status, active: bool, done: bool) -> Option<Status> {
    use Status::{
        Canceled, Canceling, Delayed, Failed, Paused, Pausing, Requested, Resuming, Running, Scheduled, Succeeded,
        Unset,
    };
    let halted = |ing, ed| Some(if active { ing } else { ed });
    match (from, asked) {
        (Succeeded, Failed) => Some(Failed),
        (Succeeded | Failed | Canceled, _) => None,
        (_, Failed) => Some(Failed),
        (Unset, Requested | Scheduled | Delayed | Running) => Some(asked),
        (Requested, Scheduled | Delayed | Running) => Some(asked),
        (Scheduled, Delayed | Running) => Some(asked),
        (Delayed, Scheduled | Running) => Some(asked),
        (Requested | Scheduled | Delayed, Pausing | Paused) if !active => Some(Paused),
        (Requested | Scheduled | Delayed, Canceling | Canceled) if !active => Some(Canceled),
        (Running | Pausing | Resuming, Pausing | Paused) => halted(Pausing, Paused),
        (Running | Pausing | Resuming | Canceling, Canceling | Canceled) => halted(Canceling, Canceled),
        (Running, Succeeded) => Some(Succeeded),
        (Pausing, Running | Resuming) => Some(asked),
        (Paused, Running | Resuming) => Some(if done { Succeeded } else { asked }),
        (Paused, Canceling | Canceled) if !active => Some(Canceled),
        (Resuming, Running) => Some(Running),
        _ => None,
    }
}

/// The status of a workflow after the status of one of its tasks has changed. `active`: a task is.
pub fn on_task(from: Status, change: TaskChange, active: bool, outlook: Outlook) -> Option<Status> {
    use Status::{
        Abandoned, Canceled, Canceling, Failed, Paused, Pausing, Pending, Resuming, Retrying, Running, Succeeded,
        Timeout,
    };
    let halted = |ing, ed| Some(if active { ing } else { ed });
    let went_well = matches!(change, TaskChange::Remediated | TaskChange::Status(Succeeded));
    let task = match change {
        TaskChange::Status(status) => status,
        TaskChange::Remediated => Succeeded,
    };
    match (from, task) {
        (Running | Pausing | Resuming, _) if went_well => after_success(from, change, active, outlook),
        (Canceling, _) if went_well => halted(Canceling, Canceled),
        (Running | Pausing | Resuming, Failed | Timeout | Abandoned) => Some(Failed),
        (Canceling, Failed | Timeout | Abandoned) => halted(Canceling, Canceled),
        (Running | Pausing | Resuming, Pending) => halted(Pausing, Paused),
        (Running, Pausing) => Some(Running),
        (Running, Paused) => halted(Running, Paused),
        (Pausing, Paused) => halted(Pausing, Paused),
        (Canceling, Pending | Paused) => halted(Canceling, Canceled),
        (Running | Pausing | Resuming, Canceling) => Some(Canceling),
        (Running | Pausing | Resuming | Canceling, Canceled) => halted(Canceling, Canceled),
        (Pausing, Retrying) => halted(Pausing, Paused),
        (Canceling, Retrying) => halted(Canceling, Canceled),
        (Paused, Running | Resuming) => Some(Running),
        (Resuming, Running) => Some(Running),
        _ => None,
    }
}

fn after_success(from: Status, change: TaskChange, active: bool, outlook: Outlook) -> Option<Status> {
    use Status::{Canceled, Canceling, Paused, Pausing, Resuming, Running, Succeeded};
    match (from, outlook) {
        (Resuming, Outlook::Paused | Outlook::Canceled) if active => None,
        (Pausing, Outlook::Canceled) if active && change != TaskChange::Remediated => Some(Pausing),
        (_, Outlook::Canceled) => Some(if active { Canceling } else { Canceled }),
        (Pausing, _) | (_, Outlook::Paused) => Some(if active { Pausing } else { Paused }),
        (_, Outlook::Completed) if !active => Some(Succeeded),
        _ => Some(Running),
    }
}

/// Whether a workflow can come from one status to another, in one step.
pub fn is_transition_valid(from: Status, to: Status) -> bool {
    const BOOL: [bool; 2] = [false, true];
    const OUTLOOKS: [Outlook; 4] = [Outlook::Incomplete, Outlook::Completed, Outlook::Paused, Outlook::Canceled];
    if matches!(from, Status::Pending | Status::Timeout | Status::Abandoned | Status::Retrying) {
        return false;
    }
    let requests = Status::ALL.into_iter().flat_map(|asked| {
        BOOL.into_iter().flat_map(move |active| BOOL.map(|done| on_request(from, asked, active, done)))
    });
    let changes = Status::ALL.into_iter().map(TaskChange::Status).chain([TaskChange::Remediated]);
    let tasks = changes.flat_map(|change| {
        BOOL.into_iter().flat_map(move |active| OUTLOOKS.map(|outlook| on_task(from, change, active, outlook)))
    });
    from == to || requests.chain(tasks).any(|status| status == Some(to))
}
