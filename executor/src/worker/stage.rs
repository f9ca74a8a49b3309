//! Claims: the stage between a pool's tasks and the worker that runs them.
//!
//! It claims a task only with a free slot. The claim commits together with the task's offset, and only then
//! does the worker get the task: a task is run by whoever committed its claim, or by nobody, in which case the
//! lease passes and the owner decides. Orders are not looked at here: the worker does, before it begins.
//!
//! How many slots are free is part of its globals, as they were when the turn began; what it claims in the open
//! transaction is counted on top. A slot is really taken when the claim has committed. Which class of tasks has the next
//! one is said by [`Turns`]; who has the next room, where actions say what they need, by [`Line`].
//!
//! An attempt that starts nothing needs no slot and no lease: its result commits in the place of its claim. Only one
//! that is not to run, as its owner has said, is claimed like the others.

use std::marker::PhantomData;
use std::sync::Arc;

use petrel_bus::{Batch, Context, InputTopic, NotYet, Output, Record, Stage, StageSpec, Start, Taken, Unreadable};
use petrel_execution::owner::DeclineReason;
use petrel_execution::worker::{
    Line, Remembered, Reports, Turns, Verdict, is_outside, is_switched_off, patience_ms, room_patience_ms,
};
use petrel_execution::{Needs, Note, code};
use petrel_schemas::{Class, Task, decode, encode};
use tokio::sync::mpsc;

use super::call::{at_once, label};
use super::inputs::WorkerInputs;
use super::options::WorkerOptions;
use super::slots::{Slot, Slots};
use super::told::Owner;
use crate::metrics::ExecutorMetrics;
use crate::view::{ExecutorView, Resolution, ResolvedAction};

/// Name of the stage.
pub(super) const STAGE: &str = "worker";

/// A task that this worker has claimed, and has to run or to report.
pub struct Claimed {
    /// The task.
    pub task: Task,
    /// Its action, or why it cannot be run.
    pub action: Result<ResolvedAction, Note>,
    /// An instant before the claim was sent, in milliseconds of `CLOCK_BOOTTIME`: the lease counts from it.
    pub claim_began_ms: u64,
    /// Its slot; none if somebody else was faster, in which case it is given back.
    pub slot: Option<Slot>,
    /// What its owner has said already.
    pub said: Remembered,
    /// The owner beside this worker that started it.
    pub owner: Option<Owner>,
}

/// A claim of the open transaction.
struct Open {
    task: Task,
    action: Result<ResolvedAction, Note>,
    claim_began_ms: u64,
    waited_ms: i64,
    needs: Needs,
}

/// An attempt that ended in the open transaction.
struct Ended {
    status: &'static str,
    waited_ms: i64,
    since_event_ms: Option<i64>,
}

/// The stage that claims tasks.
pub struct ClaimStage<G> {
    spec: StageSpec,
    /// Topics of tasks, by the places of their classes.
    tasks: [Arc<str>; Class::ALL.len()],
    turns: Turns,
    line: Line,
    results: Arc<str>,
    reports: Reports,
    /// See [`WorkerOptions::decline_ms`].
    decline_ms: i64,
    slots: Slots,
    /// Where committed claims go.
    pool: mpsc::UnboundedSender<Claimed>,
    metrics: Arc<ExecutorMetrics>,
    open: Vec<Open>,
    open_ended: Vec<Ended>,
    open_declines: Vec<DeclineReason>,
    open_dead_letters: u64,
    globals: PhantomData<fn(&G)>,
}

impl<G: ExecutorView> ClaimStage<G> {
    /// A stage that claims for this worker; the channel holds at most as many as there are slots.
    pub fn new(
        options: &WorkerOptions,
        slots: Slots,
        pool: mpsc::UnboundedSender<Claimed>,
        metrics: Arc<ExecutorMetrics>,
    ) -> Self {
        Self {
            spec: StageSpec {
                name: STAGE.into(),
                changelog: None,
                silence: None,
                dead_letters: options.topics.dead_letters(),
            },
            tasks: Class::ALL.map(|class| options.topics.tasks(&options.pool, class)),
            turns: Turns::default(),
            line: Line::default(),
            results: options.topics.results(),
            reports: options.reports(),
            decline_ms: options.decline_ms,
            slots,
            pool,
            metrics,
            open: Vec::new(),
            open_ended: Vec::new(),
            open_declines: Vec::new(),
            open_dead_letters: 0,
            globals: PhantomData,
        }
    }

    fn record(
        &mut self,
        batch: &Batch<'_>,
        record: &Record<'_>,
        context: &mut Context<'_, WorkerInputs<G>>,
    ) -> Result<(), NotYet> {
        match decode::<Task>(record.value.unwrap_or_default()).map_err(Unreadable::from) {
            Ok(task) => self.task(task, self.class_of(batch.topic), context),
            Err(Unreadable::Newer(why)) => Err(why),
            Err(Unreadable::Damaged(reason)) => {
                self.open_dead_letters += 1;
                context.emit(self.spec.give_up(batch.topic, batch.partition, record, reason));
                Ok(())
            }
        }
    }

    fn class_of(&self, topic: &str) -> Class {
        Class::ALL.into_iter().find(|class| *self.tasks[class.index()] == *topic).unwrap_or_default()
    }

    fn task(&mut self, task: Task, class: Class, context: &mut Context<'_, WorkerInputs<G>>) -> Result<(), NotYet> {
        let inputs = context.globals();
        if context.now_ms() > task.start_by_ms {
            self.line.leave(&task.execution_id);
            self.decline(&task, DeclineReason::Late, context);
            return Ok(());
        }
        // Before all that it could wait for: nothing of it is claimed, wherever it stands, and nobody waits behind it.
        if self.is_switched_off(&task, context) {
            self.keep_out(&task, DeclineReason::SwitchedOff, context);
            return Ok(());
        }
        // Owners dispatch nothing then, and what they have dispatched before may be of it.
        if inputs.view.has_unreadable_switches() {
            let why = "a switch cannot be read: it may come from a newer release";
            return self.wait_or_decline(&task, DeclineReason::NotFollowing, why, context);
        }
        if inputs.draining {
            self.decline(&task, DeclineReason::ShuttingDown, context);
            return Ok(());
        }
        if inputs.drained {
            // All the others are asked at once, whichever partitions they have; where there are none, it does not go round
            // without a pause.
            if u32::try_from(task.declines).unwrap_or(u32::MAX) < inputs.partitions {
                self.decline(&task, DeclineReason::ShuttingDown, context);
                return Ok(());
            }
            let why = "the worker is drained";
            return self.wait_or_decline(&task, DeclineReason::ShuttingDown, why, context);
        }
        if !inputs.following {
            return self.wait_or_decline(
                &task,
                DeclineReason::NotFollowing,
                "the owners' orders are not followed",
                context,
            );
        }
        let action = match inputs.view.resolve(&task.revision, &task.action) {
            Resolution::Ready(action) => Ok(action),
            Resolution::NotYet => {
                return Err(NotYet(format!("revision {} has not arrived yet", task.revision)));
            }
            Resolution::Broken(why) => return Err(NotYet(why)),
            Resolution::Removed => {
                let why = format!("revision {} was removed, or was never applied", task.revision);
                Err(Note::new(code::REVISION_REMOVED, why))
            }
            Resolution::NoSuchAction => {
                let why = format!("revision {} has no action {}", task.revision, task.action);
                Err(Note::new(code::NO_SUCH_ACTION, why))
            }
        };
        if action.as_ref().is_ok_and(|action| is_outside_windows(&task, action, context.now_ms())) {
            self.keep_out(&task, DeclineReason::WindowClosed, context);
            return Ok(());
        }
        if let Ok(action) = &action
            && !inputs.said.of(&task.execution_id, task.token).cancel
            && let Some(verdict) = at_once(&task, action)
        {
            self.end(&task, verdict, context);
            return Ok(());
        }
        // It would hold a slot while it waits for what nobody reads.
        if inputs.secrets_unread && action.as_ref().is_ok_and(may_name_secrets) {
            let why = "the topic of secrets is not read";
            return self.wait_or_decline(&task, DeclineReason::NotFollowing, why, context);
        }
        let needs = action.as_ref().map_or(Needs::default(), |action| action.plan.needs);
        if !needs.fits(&inputs.room) {
            self.decline(&task, DeclineReason::TooSmall, context);
            return Ok(());
        }
        if !self.has_room(&task, needs, context) {
            let why = "there is no room for what it needs, or something that needs more is in line before it";
            let patience_ms = room_patience_ms(self.decline_ms, task.declines, inputs.workers);
            return self.wait_at_most(patience_ms, &task, DeclineReason::Full, why, context);
        }
        self.turns.begin(inputs.turn, inputs.free_slots.saturating_sub(self.open.len()));
        if !self.turns.take(class) {
            let why = "no slot is free, or it is another class's turn";
            return self.wait_or_decline(&task, DeclineReason::Full, why, context);
        }
        let now_ms = context.now_ms();
        let claim = self.reports.claim(&task, now_ms);
        context.emit(Output::keyed(&self.results, task.root_execution_id.as_bytes(), encode(&claim)));
        let waited_ms = now_ms.saturating_sub(task.dispatched_at_ms);
        self.line.leave(&task.execution_id);
        self.open.push(Open { task, action, claim_began_ms: inputs.boot_ms, waited_ms, needs });
        Ok(())
    }

    /// As its process knows at the beginning of the turn, and by its clock.
    fn is_switched_off(&self, task: &Task, context: &Context<'_, WorkerInputs<G>>) -> bool {
        let (view, now_ms) = (&context.globals().view, context.now_ms());
        view.has_switches() && is_switched_off(task, |scope| view.switched_off(scope, now_ms))
    }

    /// Its owner holds it, or ends it, as it does with what it has not dispatched yet.
    fn keep_out(&mut self, task: &Task, reason: DeclineReason, context: &mut Context<'_, WorkerInputs<G>>) {
        self.line.leave(&task.execution_id);
        self.decline(task, reason, context);
    }

    /// Whether there is room for what a task needs; if not, it stands in line. Where all workers have declined it, its
    /// place is kept while it comes round once more.
    fn has_room(&mut self, task: &Task, needs: Needs, context: &Context<'_, WorkerInputs<G>>) -> bool {
        let inputs = context.globals();
        if !needs.is_none() {
            self.line.release(|execution, token| inputs.said.is_released(execution, token));
        }
        let room = self.open.iter().fold(inputs.free_room, |room, open| room.minus(&open.needs));
        let round = i64::from(inputs.workers).saturating_add(1);
        let patience_ms = patience_ms(self.decline_ms, task.declines, inputs.workers);
        let until_ms = context.now_ms().saturating_add(patience_ms.saturating_mul(round));
        self.line.may_have((&task.execution_id, task.token), needs, &room, context.now_ms(), until_ms)
    }

    /// The result takes the place of the claim.
    fn end(&mut self, task: &Task, verdict: Verdict, context: &mut Context<'_, WorkerInputs<G>>) {
        let (now_ms, status) = (context.now_ms(), label(&verdict));
        let result = self.reports.end(task, verdict, Some(now_ms), now_ms);
        context.emit(Output::keyed(&self.results, task.root_execution_id.as_bytes(), result.encode()));
        let waited_ms = now_ms.saturating_sub(task.dispatched_at_ms);
        let since_event_ms = task.event_at_ms.map(|event_at_ms| now_ms.saturating_sub(event_at_ms));
        self.open_ended.push(Ended { status, waited_ms, since_event_ms });
    }

    /// Somebody else may be able to: what has stood here for long enough is sent elsewhere.
    fn wait_or_decline(
        &mut self,
        task: &Task,
        reason: DeclineReason,
        why: &str,
        context: &mut Context<'_, WorkerInputs<G>>,
    ) -> Result<(), NotYet> {
        let inputs = context.globals();
        // Drained workers send it round by every partition, not by every worker.
        let round = if inputs.drained { inputs.partitions } else { inputs.workers };
        self.wait_at_most(patience_ms(self.decline_ms, task.declines, round), task, reason, why, context)
    }

    fn wait_at_most(
        &mut self,
        patience_ms: i64,
        task: &Task,
        reason: DeclineReason,
        why: &str,
        context: &mut Context<'_, WorkerInputs<G>>,
    ) -> Result<(), NotYet> {
        if context.blocked_ms() < patience_ms {
            return Err(NotYet(why.to_owned()));
        }
        if u32::try_from(task.declines).unwrap_or(u32::MAX).saturating_add(1) < context.globals().workers {
            // Others are asked first, and one of them may have room.
            self.line.leave(&task.execution_id);
        }
        self.decline(task, reason, context);
        Ok(())
    }

    fn decline(&mut self, task: &Task, reason: DeclineReason, context: &mut Context<'_, WorkerInputs<G>>) {
        let declined = self.reports.declined(task, reason, context.now_ms());
        context.emit(Output::keyed(&self.results, task.root_execution_id.as_bytes(), encode(&declined)));
        self.open_declines.push(reason);
    }
}

/// Whether an attempt may not begin now, by the windows that the action's revision names: those that its owner goes by.
fn is_outside_windows(task: &Task, action: &ResolvedAction, now_ms: i64) -> bool {
    let own = action.plan.policies.as_ref().map(|policies| policies.own_terms(task.rule.as_deref()));
    own.is_some_and(|own| is_outside(&own.windows, now_ms))
}

/// Whether an attempt at an action may need secrets: the action names some, or takes some as parameters.
fn may_name_secrets(action: &ResolvedAction) -> bool {
    !action.plan.runner.secrets().is_empty() || !action.plan.parameters.secrets().is_empty()
}

impl<G: ExecutorView> Stage for ClaimStage<G> {
    type Globals = WorkerInputs<G>;

    fn spec(&self) -> &StageSpec {
        &self.spec
    }

    fn inputs(&self, _: &WorkerInputs<G>) -> Vec<InputTopic> {
        // A worker has the same partitions of all of them, so that it knows of every class what waits.
        let leader = &self.tasks[Class::Normal.index()];
        let with = |name: &Arc<str>| (name != leader).then(|| leader.clone());
        let input = |name: &Arc<str>| InputTopic { name: name.clone(), start: Start::Beginning, with: with(name) };
        self.tasks.iter().map(input).collect()
    }

    fn records(&mut self, batch: Batch<'_>, context: &mut Context<'_, WorkerInputs<G>>) -> Taken {
        batch.take_each(|record| self.record(&batch, record, context))
    }

    fn committed(&mut self) {
        self.turns.committed();
        self.line.committed();
        self.metrics.dead_letters.inc_by(std::mem::take(&mut self.open_dead_letters));
        self.open_declines.drain(..).for_each(|reason| self.metrics.task_declined(reason));
        for Ended { status, waited_ms, since_event_ms } in self.open_ended.drain(..) {
            self.metrics.claimed(waited_ms);
            since_event_ms.into_iter().for_each(|since_ms| self.metrics.action_started(since_ms));
            self.metrics.attempt_ended(status);
        }
        for Open { task, action, claim_began_ms, waited_ms, needs } in self.open.drain(..) {
            self.metrics.claimed(waited_ms);
            let (slot, said) = (self.slots.take(needs), Remembered::default());
            let claimed = Claimed { task, action, claim_began_ms, slot, said, owner: None };
            // A worker that has stopped leaves the attempt to the lease.
            if self.pool.send(claimed).is_err() {
                tracing::warn!("a claimed task came after the worker had stopped");
            }
        }
    }

    fn aborted(&mut self) {
        self.turns.aborted();
        self.line.aborted();
        self.open.clear();
        self.open_ended.clear();
        self.open_declines.clear();
        self.open_dead_letters = 0;
    }
}
