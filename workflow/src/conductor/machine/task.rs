//! The statuses of a task.

use super::super::status::Status;

/// How the other items of a task stand when one of them has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherItems {
    /// One of them is active.
    Active,
    /// None is, and one is paused or waits for a person.
    Paused,
    /// None is, and one was canceled.
    Canceled,
    /// None is, and one ended badly.
    Failed,
    /// None is, and one has not run yet.
    Incomplete,
    /// All of them have ended well.
    Completed,
}

/// What the engine asks of a task itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineRequest {
    /// A command is done: `continue` and `noop`.
    Succeed,
    /// The command `fail`.
    Fail,
    /// The task is to be tried again.
    Retry,
}

/// The status of a task after what runs for it has another status.
pub fn on_action(from: Status, action: Status) -> Option<Status> {
    use Status::{
        Abandoned, Canceled, Canceling, Delayed, Failed, Paused, Pausing, Pending, Requested, Resuming, Retrying,
        Running, Scheduled, Succeeded, Timeout, Unset,
    };
    match (from, action) {
        (Unset, Requested | Scheduled | Delayed | Running | Pending) => Some(action),
        (Requested, Scheduled | Delayed) | (Scheduled, Delayed) | (Delayed, Scheduled) => Some(action),
        (
            Requested | Scheduled | Delayed,
            Running | Pending | Pausing | Paused | Canceling | Canceled | Failed | Timeout | Abandoned,
        ) => Some(action),
        (Running, Running | Pending | Pausing | Paused | Canceling | Canceled | Failed | Succeeded) => Some(action),
        (Running | Pending | Pausing | Canceling, Timeout | Abandoned) => Some(Failed),
        (Pending, Canceled | Failed | Succeeded) => Some(action),
        (Pausing, Paused | Resuming | Canceling | Canceled | Failed) => Some(action),
        (Paused, Running | Resuming | Canceling | Canceled) => Some(action),
        (Resuming | Retrying, Running | Canceling | Canceled) => Some(action),
        (Canceling, Paused | Canceled) => Some(Canceled),
        (Canceling, Failed) => Some(Failed),
        _ => None,
    }
}

/// The status of a task after one of its items has another status.
pub fn on_item(from: Status, item: Status, others: OtherItems) -> Option<Status> {
    use Status::{
        Abandoned, Canceled, Canceling, Failed, Paused, Pausing, Pending, Resuming, Running, Succeeded, Timeout,
    };
    let active = others == OtherItems::Active;
    match item {
        Resuming => None,
        Pending | Paused => match (from, others) {
            (Running, OtherItems::Active) => Some(Pausing),
            (Canceling, _) if !active => Some(Canceled),
            (Running | Pausing, OtherItems::Canceled) => Some(Canceled),
            (Running | Pausing, OtherItems::Failed) => Some(Failed),
            (Running | Pausing, _) if !active => Some(Paused),
            _ => None,
        },
        Canceled => match from {
            Running if active => Some(Canceling),
            Running | Pausing | Canceling if !active => Some(Canceled),
            _ => None,
        },
        Failed | Timeout | Abandoned => match (from, others) {
            (_, OtherItems::Active) => None,
            (Canceling, _) | (Running | Pausing, OtherItems::Canceled) => Some(Canceled),
            (Running | Pausing, _) => Some(Failed),
            _ => None,
        },
        Succeeded => match (from, others) {
            (Running, OtherItems::Active) => Some(Running),
            (Running | Pausing | Canceling, OtherItems::Completed) => Some(Succeeded),
            (Canceling, _) if !active => Some(Canceled),
            (Running | Pausing, OtherItems::Canceled) => Some(Canceled),
            (Running | Pausing, OtherItems::Paused) => Some(Paused),
            (Running | Pausing, OtherItems::Failed) => Some(Failed),
            (Running, OtherItems::Incomplete) => Some(Running),
            (Pausing, OtherItems::Incomplete) => Some(Paused),
            _ => None,
        },
        _ => on_action(from, item),
    }
}

/// The status of a task after somebody has asked its workflow for a status. `items`: of a task with items, whether one
/// is active, and whether one has not ended.
pub fn on_workflow(from: Status, asked: Status, items: Option<(bool, bool)>) -> Option<Status> {
    match (from, items) {
        (Status::Running, Some((active, true))) if asked.is_pause() => {
            Some(if active { Status::Pausing } else { Status::Paused })
        }
        (Status::Running, Some((active, true))) if asked.is_cancel() => {
            Some(if active { Status::Canceling } else { Status::Canceled })
        }
        (Status::Retrying, None) if asked.is_cancel() => Some(Status::Canceled),
        _ => None,
    }
}

/// The status of a task after the engine has asked something of it.
pub fn on_engine(from: Status, request: EngineRequest) -> Option<Status> {
    match (from, request) {
        (Status::Unset, EngineRequest::Succeed) => Some(Status::Succeeded),
        (Status::Unset, EngineRequest::Fail) => Some(Status::Failed),
        (Status::Succeeded | Status::Failed, EngineRequest::Retry) => Some(Status::Retrying),
        _ => None,
    }
}

/// Whether a task can come from one status to another, in one step.
pub fn is_transition_valid(from: Status, to: Status) -> bool {
    const OTHERS: [OtherItems; 6] = [
        OtherItems::Active,
        OtherItems::Paused,
        OtherItems::Canceled,
        OtherItems::Failed,
        OtherItems::Incomplete,
        OtherItems::Completed,
    ];
    const ITEMS: [Option<(bool, bool)>; 3] = [None, Some((false, true)), Some((true, true))];
    const ENGINE: [EngineRequest; 3] = [EngineRequest::Succeed, EngineRequest::Fail, EngineRequest::Retry];
    if matches!(from, Status::Timeout | Status::Abandoned) {
        return false;
    }
    let actions = Status::ALL.into_iter().map(|status| on_action(from, status));
    let items = Status::ALL.into_iter().flat_map(|status| OTHERS.map(|others| on_item(from, status, others)));
    let workflow = Status::ALL.into_iter().flat_map(|status| ITEMS.map(|items| on_workflow(from, status, items)));
    let engine = ENGINE.into_iter().map(|request| on_engine(from, request));
    from == to || actions.chain(items).chain(workflow).chain(engine).any(|status| status == Some(to))
}
