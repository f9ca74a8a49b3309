//! Somebody wants an execution to end; what owners tell workers.

use petrel_schemas::Order;

use super::enter::Left;
use super::message::About;
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::plan::Resolution;
use crate::state::{Canceled, Canceling, End, Holder, In, LeadsTo, Running};
use crate::subject::{Core, Note};
use crate::worker::RELEASE;

impl Owner<'_> {
    /// Ends it at once if no worker can have it, else tells whoever has it. A task that nobody has claimed yet
    /// may be claimed at this very moment: the execution is being canceled until its worker has answered, or
    /// nobody may start it any more.
    pub fn cancel(&mut self, by: &str, known: Option<Known>) {
        let Some(Known::Live(execution)) = known else { return self.count(Counted::CancelInVain) };
        if execution.is_conducted() {
            return self.cancel_workflow(execution, by);
        }
        match execution {
            Execution::Delayed(delayed) => self.cancel_at_once(delayed, by),
            Execution::Paused(paused) => self.cancel_at_once(paused, by),
            Execution::Resuming(resuming) => self.cancel_at_once(resuming, by),
            Execution::Pending(pending) => self.cancel_at_once(pending, by),
            // Nobody has a task of it.
            Execution::Scheduled(scheduled) if scheduled.state.again_ms.is_some() => {
                self.nobody_goes_on(&scheduled);
                let left = Left::of(&scheduled);
                let canceling = scheduled.cancel(Canceling { by: by.to_owned(), holder: None, start_by_ms: None });
                self.enter(left, canceling.clone());
                self.end_canceling(canceling);
            }
            Execution::Scheduled(scheduled) => {
                let start_by_ms = scheduled.state.start_by_ms;
                self.order_everybody(&scheduled.core, start_by_ms);
                self.cancel_held(scheduled, by, None, Some(start_by_ms));
            }
            Execution::Running(running) => {
                // It may have been claimed in this very step, beside its owner, and not be held yet.
                let held_by_ms = self.now_ms().saturating_add(self.limits().lease_ms);
                self.order_everybody(&running.core, held_by_ms);
                let holder = running.state.holder.clone();
                self.cancel_held(running, by, holder, None);
            }
            Execution::Pausing(pausing) => {
                self.order_everybody(&pausing.core, self.now_ms());
                let holder = pausing.state.holder.clone();
                self.cancel_held(pausing, by, holder, None);
            }
            // It is being ended, or it is over.
            _ => {}
        }
    }

    pub(super) fn cancel_at_once<S: LeadsTo<Canceled>>(&mut self, from: In<S>, by: &str) {
        let left = Left::of(&from);
        let note = Note::new(code::CANCELED, format!("canceled by {by}"));
        self.enter(left, from.end_canceled(End::unheld(self.now_ms()), note));
    }

    fn cancel_held<S: LeadsTo<Canceling>>(
        &mut self,
        from: In<S>,
        by: &str,
        holder: Option<Holder>,
        start_by_ms: Option<i64>,
    ) {
        let left = Left::of(&from);
        self.enter(left, from.cancel(Canceling { by: by.to_owned(), holder, start_by_ms }));
    }

    /// Whoever has the current attempt must not run it, or run on.
    pub(super) fn order_everybody(&mut self, core: &Core, start_by_ms: i64) {
        let Some(terms) = &core.terms else { return };
        // A pool that has no topic has no worker that could be told.
        if self.has_pool(&terms.pool).is_err() {
            return;
        }
        let order = everybody(core, start_by_ms);
        self.push(Effect::Order { pool: terms.pool.clone(), order });
    }

    /// Workers that have declined its task keep room for it, if its action says what it needs: they need not any more. The
    /// one that has it now has no place for it.
    pub(super) fn free_places(&mut self, core: &Core) {
        let Some(terms) = core.terms.as_ref().filter(|terms| self.has_pool(&terms.pool).is_ok()) else { return };
        let subject = &core.subject;
        match self.facts.actions.resolve(&subject.revision, &subject.action) {
            Resolution::Ready(plan) if plan.needs.is_none() => return,
            Resolution::Removed | Resolution::NoSuchAction => return,
            // What it needs, if anything, this process does not know yet.
            _ => {}
        }
        // What is of no use to an older release is forgotten there at once.
        let start_by_ms = self.now_ms();
        let order = Order { order: RELEASE.to_owned(), ..everybody(core, start_by_ms) };
        self.push(Effect::Order { pool: terms.pool.clone(), order });
    }

    /// The worker of a report must not run its attempt, or run on.
    pub(super) fn order_cancel(&mut self, about: &About, pool: &str) {
        self.answer(about, pool, "cancel");
    }

    /// An action that runs at most once may start, at the worker that claimed it.
    pub(super) fn grant(&mut self, about: &About, pool: &str, running: &In<Running>) {
        if running.core.is_at_most_once() {
            self.answer(about, pool, "grant");
        }
    }

    fn answer(&mut self, about: &About, pool: &str, order: &str) {
        // A pool that has no topic has no worker that could be told.
        if self.has_pool(pool).is_err() {
            return;
        }
        let order = Order {
            execution_id: about.id.to_string(),
            root_execution_id: about.id.root().into(),
            attempt: about.attempt.number,
            token: about.attempt.token,
            worker: Some(about.worker.clone()),
            order: order.to_owned(),
            // It has claimed it already, and may forget the order when it has ended.
            start_by_ms: self.now_ms().saturating_add(self.limits().lease_ms),
        };
        self.push(Effect::Order { pool: pool.to_owned(), order });
    }
}

/// That whoever has the current attempt must not run it.
fn everybody(core: &Core, start_by_ms: i64) -> Order {
    Order {
        execution_id: core.id().to_string(),
        root_execution_id: core.id().root().into(),
        attempt: core.attempt.number,
        token: core.attempt.token,
        worker: None,
        order: "cancel".to_owned(),
        start_by_ms,
    }
}
