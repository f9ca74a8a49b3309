//! What keeps a worker from claiming a task for which it has a slot: a switch that is off, and windows that are closed. Its
//! owner has asked both when it dispatched the task, which may have lain in its queue for hours since.

use petrel_schemas::Task;

use crate::switch::{Switch, SwitchedOff};
use crate::windows::{Windows, are_open};

/// Whether something that a task is of is switched off. `off` tells what the switch of a scope says, if it is off.
pub fn is_switched_off(task: &Task, off: impl Fn(&str) -> Option<SwitchedOff>) -> bool {
    Switch::first_off(&task.action, task.rule.as_deref(), off).is_some()
}

/// Whether attempts may not begin at an instant, in milliseconds since the epoch. Where this release does not know a time
/// zone they may not: nobody here can tell.
pub fn is_outside(windows: &[Windows], now_ms: i64) -> bool {
    are_open(windows, now_ms) != Ok(true)
}
