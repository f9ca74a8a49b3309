//! What workers report. Each report is fenced by the token of its attempt.

use petrel_schemas::{HandedOver, OutputCaptured, TaskResult};

use super::enter::Left;
use super::loss::Loss;
use super::message::{About, DeclineReason, Report};
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::inject::Injected;
use crate::outcome::Said;
use crate::state::{Canceled, Canceling, End, Failed, Holder, In, LeadsTo, Running, Scheduled, Succeeded, Timeout};
use crate::status::Status;
use crate::subject::{Core, Note, Subject};
use crate::timer::TimerKind;

impl Owner<'_> {
    /// A worker reports about an attempt.
    pub fn report(&mut self, about: &About, report: Report, known: Option<Known>) {
        let current = known.and_then(|known| match known {
            // Of an attempt that was declined nobody has a task any more.
            Known::Live(Execution::Scheduled(scheduled)) if scheduled.state.again_ms.is_some() => None,
            // No worker has a workflow.
            Known::Live(execution) if execution.is_conducted() => None,
            Known::Live(execution) if execution.core().attempt == about.attempt => Some(execution),
            _ => None,
        });
        match (report, current) {
            (Report::Claimed { pool }, Some(execution)) => self.alive(about, &pool, true, execution),
            (Report::Alive { pool, awaits_grant }, Some(execution)) => {
                self.alive(about, &pool, awaits_grant, execution);
            }
            // Whoever still works on it is told to stop: its lease is gone, or the execution is over.
            (Report::Claimed { pool } | Report::Alive { pool, .. }, None) => self.stale(about, Some(&pool)),
            (Report::Ended(result), Some(execution)) => self.ended(about, result, execution),
            (Report::Declined(reason), Some(execution)) => self.declined(about, reason, execution),
            (Report::HandedOver(gave), Some(execution)) => self.handed_over(about, gave, execution),
            (Report::Ended(_) | Report::Declined(_) | Report::HandedOver(_), None) => self.stale(about, None),
        }
    }

    /// A worker has it: the lease counts from now.
    fn alive(&mut self, about: &About, pool: &str, asks_for_grant: bool, execution: Execution) {
        match execution {
            Execution::Scheduled(scheduled) => {
                let running = self.claimed(about, scheduled);
                self.grant(about, pool, &running);
            }
            Execution::Running(running) if running.is_held_by(&about.worker) => {
                if asks_for_grant {
                    self.grant(about, pool, &running);
                }
                self.renew(&running.core);
            }
            Execution::Canceling(canceling) => match &canceling.state.holder {
                None => {
                    let left = canceling.state.start_by_ms;
                    let canceling = canceling.held(self.holder(about));
                    if left.is_some() {
                        let (id, kind) = (canceling.core.id().clone(), TimerKind::ScheduleToStart);
                        self.push(Effect::CancelTimer { id, kind });
                    }
                    self.renew(&canceling.core);
                    self.order_cancel(about, pool);
                    self.push(Effect::Update(canceling.into()));
                }
                // It may have forgotten the order; it is given again for as long as it goes on.
                Some(holder) if holder.worker == about.worker => {
                    self.renew(&canceling.core);
                    self.order_cancel(about, pool);
                }
                Some(_) => self.stale(about, Some(pool)),
            },
            // Two workers have claimed the same attempt: only the first one goes on.
            _ => self.stale(about, Some(pool)),
        }
    }

    fn holder(&self, about: &About) -> Holder {
        Holder { worker: about.worker.clone(), started_at_ms: Some(self.now_ms()) }
    }

    fn claimed(&mut self, about: &About, scheduled: In<Scheduled>) -> In<Running> {
        let left = Left::of(&scheduled);
        let running = scheduled.claimed(self.holder(about));
        self.enter(left, running.clone());
        running
    }

    /// An attempt ended.
    fn ended(&mut self, about: &About, result: TaskResult, execution: Execution) {
        let Some(said) = Said::of(&result) else {
            let detail = format!("{:?} is no status that an attempt can end with", result.status);
            return self.push(Effect::GiveUp { id: about.id.clone(), code: "unknown_status", detail });
        };
        match execution {
            // Its claim became a dead letter, say.
            Execution::Scheduled(scheduled) => {
                let running = self.claimed(about, scheduled);
                self.output(Written::of_result(result));
                self.running_ended(running, said);
            }
            Execution::Running(running) if running.is_held_by(&about.worker) => {
                self.output(Written::of_result(result));
                self.running_ended(running, said);
            }
            Execution::Canceling(canceling) if may_have(&canceling, about) => {
                self.output(Written::of_result(result));
                self.canceling_ended(canceling, said);
            }
            _ => self.stale(about, None),
        }
    }

    fn running_ended(&mut self, running: In<Running>, said: Said) {
        if said.status == Status::Abandoned {
            let why = said.note.error.unwrap_or_else(|| "the attempt was given up".to_owned());
            return self.lost(running, Loss::Lease, why);
        }
        if let Some((running, said)) = self.again(running, said) {
            self.finish(running, said);
        }
    }

    fn canceling_ended(&mut self, canceling: In<Canceling>, mut said: Said) {
        // Of a cancel it is worth most to know who asked for it.
        let note = canceling.core.note.clone();
        match said.status {
            Status::Canceled => said.note = note,
            Status::Abandoned => {
                let why = said.note.error.unwrap_or_else(|| "the attempt was given up".to_owned());
                said.status = Status::Canceled;
                said.note = Note::new(code::CANCELED, format!("{why} while it was being canceled"));
            }
            _ => {}
        }
        if said.status == Status::Canceled && canceling.is_late() {
            said.status = Status::Timeout;
            said.note.code = Some(code::DEADLINE.to_owned());
        }
        self.finish(canceling, said);
    }

    /// It is over, as its worker says.
    fn finish<S>(&mut self, from: In<S>, said: Said)
    where
        S: LeadsTo<Succeeded> + LeadsTo<Failed> + LeadsTo<Timeout> + LeadsTo<Canceled>,
    {
        let left = Left::of(&from);
        let holder = Some(Holder { worker: said.worker, started_at_ms: said.started_at_ms });
        let Said { return_code, result, extracted, result_object, stdout, stderr, .. } = said;
        let end =
            End { holder, return_code, result, extracted, result_object, stdout, stderr, ..End::unheld(self.now_ms()) };
        let note = said.note;
        match said.status {
            Status::Succeeded => {
                self.inject(&from.core.subject, &said.events);
                self.enter(left, from.succeed(end, note));
            }
            Status::Timeout => self.enter(left, from.time_out(end, note)),
            Status::Canceled => self.enter(left, from.end_canceled(end, note)),
            _ => self.enter(left, from.fail(end, note)),
        }
    }

    /// The events of an execution that has succeeded.
    fn inject(&mut self, subject: &Subject, events: &[String]) {
        for (number, text) in (0..).zip(events) {
            let effect = match Injected::decode(text) {
                Ok(event) => Effect::Event(event.event(subject, number, self.now_ms())),
                Err(detail) => Effect::GiveUp { id: subject.id.clone(), code: "bad_event", detail },
            };
            self.push(effect);
        }
    }

    /// A worker does not take the task: it goes elsewhere.
    fn declined(&mut self, about: &About, reason: DeclineReason, execution: Execution) {
        match execution {
            Execution::Scheduled(mut scheduled) => {
                self.count(Counted::Declined);
                // What is kept out says nothing of how full workers are.
                if !matches!(reason, DeclineReason::SwitchedOff | DeclineReason::WindowClosed) {
                    scheduled.state.declines = scheduled.state.declines.saturating_add(1);
                }
                let start_by_ms = scheduled.state.start_by_ms;
                if self.now_ms() >= start_by_ms {
                    return self.not_started(scheduled);
                }
                match reason {
                    // The worker's clock is ahead of this one.
                    DeclineReason::Late => {
                        let why = format!("by the clock of worker {} it was too late to start it", about.worker);
                        self.set_aside(scheduled, self.limits().decline_pause_ms, why);
                    }
                    DeclineReason::TooSmall => self.too_small(scheduled, &about.worker),
                    // One of the two has not heard of the switch yet, or their clocks differ.
                    DeclineReason::SwitchedOff | DeclineReason::WindowClosed if !self.is_kept_out(&scheduled.core) => {
                        let what =
                            if reason == DeclineReason::SwitchedOff { "switched off" } else { "outside its windows" };
                        let why = format!("as worker {} knows, it is {what}", about.worker);
                        let pause_ms = self.seldom_ms(&scheduled);
                        self.set_aside(scheduled, pause_ms, why);
                    }
                    _ => self.redispatch(scheduled, false),
                }
            }
            // Nobody has it, and nobody will: its only task is passed.
            Execution::Canceling(canceling) if canceling.state.holder.is_none() => {
                self.count(Counted::Declined);
                self.end_canceling(canceling);
            }
            _ => self.stale(about, None),
        }
    }

    /// Whether it would wait, were it dispatched now.
    fn is_kept_out(&self, core: &Core) -> bool {
        self.facts.actions.dispatch_paused() || self.closed(core).is_some()
    }

    /// What goes round at once would go round for ever, and a row of each round would be all that the audit trail has: it
    /// stays scheduled, and goes elsewhere a moment later.
    pub(super) fn set_aside(&mut self, scheduled: In<Scheduled>, pause_ms: i64, why: String) {
        let again_ms = self.now_ms().saturating_add(pause_ms);
        self.push(Effect::SetTimer { id: scheduled.core.id().clone(), kind: TimerKind::BackOff, due_ms: again_ms });
        self.push(Effect::Update(scheduled.set_aside(again_ms, why).into()));
    }

    /// A worker shuts down, or lacks what the attempt takes, and gives it back.
    fn handed_over(&mut self, about: &About, gave: HandedOver, execution: Execution) {
        let (begun, lacks) = (gave.begun, gave.lacks);
        match execution {
            Execution::Scheduled(scheduled) => {
                let running = self.claimed(about, scheduled);
                self.output(Written::of_hand_over(gave));
                self.given_back(running, begun, lacks);
            }
            Execution::Running(running) if running.is_held_by(&about.worker) => {
                self.output(Written::of_hand_over(gave));
                self.given_back(running, begun, lacks);
            }
            Execution::Canceling(canceling) if may_have(&canceling, about) => {
                self.count(Counted::HandedOver);
                self.output(Written::of_hand_over(gave));
                self.end_canceling(canceling);
            }
            _ => self.stale(about, None),
        }
    }

    fn given_back(&mut self, running: In<Running>, begun: bool, lacks: bool) {
        self.count(Counted::HandedOver);
        let worker = running.holder_text();
        let why = match begun {
            true => format!("worker {worker} gave attempt {} back while it ran", running.core.attempt.number),
            false => format!("worker {worker} gave attempt {} back before it began", running.core.attempt.number),
        };
        self.lost(running, Loss::HandOver { begun, lacks }, why);
    }

    /// Rows of what an attempt wrote.
    fn output(&mut self, written: Written) {
        let Written { execution_id, attempt, at_ms, streams } = written;
        for (stream, Text { content, truncated, tail, omitted_bytes }) in streams {
            if content.is_empty() && !truncated {
                continue;
            }
            self.push(Effect::Output(OutputCaptured {
                execution_id: execution_id.clone(),
                attempt,
                stream: stream.to_owned(),
                content,
                truncated,
                tail,
                omitted_bytes,
                captured_at_ms: at_ms,
            }));
        }
    }

    /// A report about an attempt that is not the current one, or of a worker that does not have it.
    fn stale(&mut self, about: &About, tell: Option<&str>) {
        self.count(Counted::Stale);
        if let Some(pool) = tell {
            self.order_cancel(about, pool);
        }
    }
}

/// What an attempt wrote.
struct Written {
    execution_id: String,
    attempt: i32,
    at_ms: i64,
    streams: [(&'static str, Text); 2],
}

/// What it wrote to one of its streams.
struct Text {
    content: String,
    truncated: bool,
    tail: String,
    omitted_bytes: i64,
}

impl Written {
    fn of_result(r: TaskResult) -> Self {
        let stdout = Text::new(r.stdout, r.stdout_truncated, r.stdout_tail, r.stdout_omitted_bytes);
        let stderr = Text::new(r.stderr, r.stderr_truncated, r.stderr_tail, r.stderr_omitted_bytes);
        let streams = [("stdout", stdout), ("stderr", stderr)];
        Self { execution_id: r.execution_id, attempt: r.attempt, at_ms: r.ended_at_ms, streams }
    }

    fn of_hand_over(r: HandedOver) -> Self {
        let stdout = Text::new(r.stdout, r.stdout_truncated, r.stdout_tail, r.stdout_omitted_bytes);
        let stderr = Text::new(r.stderr, r.stderr_truncated, r.stderr_tail, r.stderr_omitted_bytes);
        let streams = [("stdout", stdout), ("stderr", stderr)];
        Self { execution_id: r.execution_id, attempt: r.attempt, at_ms: r.handed_over_at_ms, streams }
    }
}

impl Text {
    fn new(content: String, truncated: bool, tail: String, omitted_bytes: i64) -> Self {
        Self { content, truncated, tail, omitted_bytes }
    }
}

/// Whether a report can be of whoever has an execution that is being canceled.
fn may_have(canceling: &In<Canceling>, about: &About) -> bool {
    canceling.state.holder.as_ref().is_none_or(|h| h.worker == about.worker)
}
