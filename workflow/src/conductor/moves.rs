//! What is told of the tasks: each change of a run's status, for whoever wants to write it down.

use std::sync::Arc;

use super::Conductor;
use super::runs::RunId;
use super::status::Status;

/// A run of a task has come to another status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The task's name.
    pub task: Arc<str>,
    /// Its route's number.
    pub route: u32,
    /// Which of all runs of tasks it is, from 0.
    pub run: u32,
    /// How many changes of this run came before.
    pub change: u32,
    /// What it has come to.
    pub status: Status,
}

impl Conductor {
    /// Keeps what moves from now on, for [`Conductor::take_moves`]. Who never asks does not pay for it.
    pub fn tell_moves(&mut self) {
        self.moves.get_or_insert_default();
    }

    /// What has moved since this was asked last, in order; nothing before [`Conductor::tell_moves`].
    pub fn take_moves(&mut self) -> Vec<Moved> {
        self.moves.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn moved(&mut self, run: RunId) {
        let Some(moves) = &mut self.moves else { return };
        let moved = self.runs.get(run);
        moves.push(Moved {
            task: self.definition.task(moved.task).name.clone(),
            route: moved.route,
            run,
            change: moved.changes.saturating_sub(1),
            status: moved.status,
        });
    }
}
