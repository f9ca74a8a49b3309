//! The changes of the state. Each one is remembered, so that what has changed can be stored.

use std::sync::Arc;

use super::Conductor;
use super::context::ContextId;
use super::items::ITEMS_IN_CHUNK;
use super::led::{LED_IN_CHUNK, Led};
use super::pieces::Piece;
use super::runs::{Run, RunId};
use super::staged::{Staged, StagedId};
use super::status::Status;

fn chunk_of(item: usize) -> u32 {
    u32::try_from(item / ITEMS_IN_CHUNK).unwrap_or(u32::MAX)
}

fn led_chunk_of(place: usize) -> u32 {
    u32::try_from(place / LED_IN_CHUNK).unwrap_or(u32::MAX)
}

impl Conductor {
    pub(super) fn workflow_changed(&mut self) {
        self.changed.insert(Piece::Workflow);
    }

    pub(super) fn set_status(&mut self, status: Status) {
        let had_ended = self.has_ended();
        let status = self.status_on_the_way(status);
        if !had_ended && (status.is_completed() || self.is_ending()) {
            self.thaw();
            self.withdraw_questions();
            self.drop_notices();
        }
        self.come_to(status);
    }

    /// Sets the status as it is, whatever is left to do.
    pub(super) fn come_to(&mut self, status: Status) {
        self.pause_time(status);
        let goes_on = matches!(status, Status::Running | Status::Resuming) && !self.is_ending();
        if goes_on && self.definition.native.is_some() && (self.status.is_pause() || self.status.is_completed()) {
            self.resume_items();
        }
        if self.status != status {
            self.status = status;
            self.workflow_changed();
        }
        self.call_about_freeze();
    }

    pub(super) fn run_changed(&mut self, run: RunId) {
        self.changed.insert(Piece::Run(run));
    }

    pub(super) fn set_run_status(&mut self, run: RunId, status: Status) {
        let before = self.runs.get(run).status;
        self.runs_mut().set_status(run, status);
        self.run_changed(run);
        if before != status {
            self.moved(run);
        }
    }

    pub(super) fn set_next(&mut self, run: RunId, transition: usize, taken: bool) {
        self.runs_mut().set_next(run, transition, taken);
        self.run_changed(run);
    }

    pub(super) fn set_terminal(&mut self, run: RunId, terminal: bool) {
        if self.runs.get(run).terminal != terminal {
            self.change_run(run, |run| run.terminal = terminal);
        }
    }

    /// A run counts no more, because what led to it runs again.
    pub(super) fn take_back_run(&mut self, run: RunId) {
        self.set_due(run, None);
        self.set_reminder(run, None);
        self.set_terminal(run, false);
        self.runs_mut().take_back(run);
        self.run_changed(run);
    }

    /// What came behind a run does not count until its task has run again.
    pub(super) fn forget_next(&mut self, run: RunId) {
        self.runs_mut().forget_next(run);
        self.run_changed(run);
    }

    pub(super) fn change_run(&mut self, run: RunId, change: impl FnOnce(&mut Run)) {
        self.runs_mut().change(run, change);
        self.run_changed(run);
    }

    pub(super) fn add_route(&mut self, steps: Vec<String>) -> u32 {
        let route = Arc::make_mut(&mut self.runs).push_route(steps);
        self.changed.insert(Piece::Route(route));
        route
    }

    pub(super) fn context_added(&mut self, context: ContextId) {
        self.changed.insert(Piece::Context(context));
    }

    pub(super) fn stage(&mut self, staged: Staged) -> StagedId {
        let led_by = staged.before.len();
        let id = self.staging.add(staged);
        self.changed.insert(Piece::Staged(id));
        self.led_changed(id, led_by, 0..led_by);
        id
    }

    /// What led to a staged task, so many runs, has changed at these places. Few of them are in its own piece.
    fn led_changed(&mut self, id: StagedId, led_by: usize, places: std::ops::Range<usize>) {
        if led_by <= LED_IN_CHUNK {
            return;
        }
        // With the first one that is more than few all of them leave the task's own piece.
        let first = if led_by == LED_IN_CHUNK + 1 { 0 } else { places.start };
        let chunks = led_chunk_of(first)..=led_chunk_of(places.end.saturating_sub(1));
        self.changed.extend(chunks.map(|chunk| Piece::Led(id, chunk)));
    }

    /// Remembers which run led to a staged task that begins anew because of that, by which step.
    pub(super) fn led_by(&mut self, id: StagedId, step: &Arc<str>, run: RunId) {
        let Some((place, led_by)) =
            self.staging.change(id, |staged| (staged.before.insert(step, run), staged.before.len()))
        else {
            return;
        };
        self.led_changed(id, led_by, place..place + 1);
    }

    /// Remembers that only these runs led to a staged task, of those that did.
    pub(super) fn led_only_by(&mut self, id: StagedId, before: Led) {
        let led_by = self.staging.get(id).map_or(0, |staged| staged.before.len());
        self.led_changed(id, led_by, 0..led_by);
        self.change_staged(id, |staged| staged.before = before);
    }

    pub(super) fn change_staged(&mut self, id: StagedId, change: impl FnOnce(&mut Staged)) {
        self.staging.change(id, change);
        self.changed.insert(Piece::Staged(id));
    }

    /// Changes a task that is staged and begins anew: its items have not run, and it is rendered again.
    pub(super) fn restage(&mut self, id: StagedId, change: impl FnOnce(&mut Staged)) {
        self.items_changed(id, 0..self.item_count(id));
        self.change_staged(id, |staged| {
            change(staged);
            staged.items = None;
            staged.rendered = None;
            staged.completed = false;
        });
    }

    /// Removes a staged task, unless items of it are active.
    pub(super) fn unstage(&mut self, id: StagedId) {
        let items = self.item_count(id);
        let led_by = self.staging.get(id).map_or(0, |staged| staged.before.len());
        if self.staging.remove(id) {
            self.changed.insert(Piece::Staged(id));
            self.led_changed(id, led_by, 0..led_by);
            self.items_changed(id, 0..items);
        }
    }

    fn item_count(&self, id: StagedId) -> usize {
        self.staging.get(id).and_then(|staged| staged.items.as_ref()).map_or(0, super::items::Items::len)
    }

    fn items_changed(&mut self, id: StagedId, items: std::ops::Range<usize>) {
        let chunks = items.step_by(ITEMS_IN_CHUNK).map(|item| Piece::Items(id, chunk_of(item)));
        self.changed.extend(chunks);
    }

    pub(super) fn items_prepared(&mut self, id: StagedId, count: usize) {
        self.changed.insert(Piece::Staged(id));
        self.items_changed(id, 0..count);
    }

    pub(super) fn set_item(&mut self, id: StagedId, item: usize, status: Status) {
        self.staging.change(id, |staged| {
            if let Some(items) = &mut staged.items {
                items.set(item, status);
            }
        });
        self.changed.insert(Piece::Items(id, chunk_of(item)));
    }

    pub(super) fn reset_items(&mut self, id: StagedId, all: bool) {
        let reset = |staged: &mut Staged| staged.items.as_mut().map(|items| items.reset(all));
        let again = self.staging.change(id, reset).flatten().unwrap_or_default();
        self.changed.extend(again.into_iter().map(|item| Piece::Items(id, chunk_of(item))));
    }

    pub(super) fn forget_errors_of_the_whole(&mut self) {
        let gone = self.errors.remove_where(|entry| entry.task_id.is_none());
        self.changed.extend(gone.into_iter().map(Piece::Error));
    }

    pub(super) fn forget_errors_of(&mut self, task: &str) {
        let gone = self.errors.remove_where(|entry| entry.task_id.as_deref() == Some(task));
        self.changed.extend(gone.into_iter().map(Piece::Error));
    }
}
