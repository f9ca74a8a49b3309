//! The gates that an execution has to pass before it is dispatched, and what gates answer.

use super::enter::{Left, MayWait};
use super::{Counted, Effect, Owner};
use crate::execution::{Execution, Known};
use crate::gate::{About, Answer, GateId, GateMessage, Numbers, Outcome, Passage, Refusal, Step, What};
use crate::state::{DelayReason, Delayed, Failed, In, LeadsTo};
use crate::status::Status;
use crate::subject::{Core, Note};
use crate::timer::TimerKind;

/// For how long an order to a gate holds until an owner has read it, in milliseconds.
pub const GATE_ORDER_MS_MAX: i64 = 600_000;

impl Owner<'_> {
    /// A gate has answered about an acquisition.
    pub fn gate_answered(&mut self, gate: &GateId, about: &About, answer: Answer, known: Option<Known>) {
        let live = known.and_then(|known| match known {
            Known::Live(execution) if execution.core().passage.is_some() => Some(execution),
            _ => None,
        });
        let Some(mut execution) = live else {
            // It is over, or was never here: what the gate has of it is nobody's.
            if !matches!(answer, Answer::Refused(_)) {
                self.count(Counted::StaleGrant);
                self.tell(gate.clone(), Passage::unknown(about));
            }
            return;
        };
        let Some(passage) = execution.core_mut().passage.as_mut() else { return };
        match passage.hear(gate, about, answer) {
            Step::Nothing => {}
            Step::Return(what) => {
                self.count(Counted::StaleGrant);
                self.tell(gate.clone(), what);
            }
            Step::Next | Step::Through => self.let_in(execution),
            Step::Pause { for_ms } => self.turned_away(execution, for_ms),
            Step::Ends(refusal) => self.refused(execution, gate, refusal),
        }
    }

    /// A person wants a gate open or shut: this owner numbers it like all that it tells gates. One that comes late is of
    /// no account, for who gave it saw another gate; so one that is read again much later opens nothing.
    pub fn gate_ordered(&mut self, gate: GateId, what: What, at_ms: i64) {
        match self.now_ms().saturating_sub(at_ms) > GATE_ORDER_MS_MAX {
            true => self.count(Counted::LateOrder),
            false => self.tell(gate, what),
        }
    }

    /// A gate has heard later numbers of this sender than it uses: it goes on behind them.
    pub fn behind(&mut self, epoch: i64) {
        let mut numbers = self.numbers();
        if numbers.behind(epoch) {
            self.numbers = Some(numbers);
            self.push(Effect::Number(numbers.last()));
        }
    }

    /// It waits at no gate any more: the next one is asked, or it is dispatched.
    fn let_in(&mut self, execution: Execution) {
        match execution {
            Execution::Delayed(delayed) if delayed.state.reason == DelayReason::Gate => {
                match self.rests_with_parent(&delayed) {
                    true => self.rest_unbegun(delayed),
                    false => self.dispatch(delayed, Note::NONE, None),
                }
            }
            Execution::Resuming(resuming) if resuming.waits_at_gate() => self.pass_again(resuming),
            other => self.push(Effect::Update(other)),
        }
    }

    /// It would have had to wait out of order: it has nothing, and asks anew later.
    fn turned_away(&mut self, mut execution: Execution, for_ms: i64) {
        self.give_back(execution.core_mut(), Outcome::NotStarted);
        let until_ms = self.now_ms().saturating_add(for_ms);
        let why = || "it would have to wait for a gate that comes before one that its ancestors hold".to_owned();
        match execution {
            Execution::Delayed(delayed) if delayed.state.reason == DelayReason::Gate => {
                self.wait_at_gate(delayed, until_ms, why());
            }
            Execution::Resuming(resuming) if resuming.waits_at_gate() => {
                self.wait_at_gate(resuming, until_ms, why());
            }
            other => self.push(Effect::Update(other)),
        }
    }

    fn refused(&mut self, execution: Execution, gate: &GateId, refusal: Refusal) {
        let why = refusal.why().map(|why| format!(": {}", why.code())).unwrap_or_default();
        let note = Note::new(refusal.code(), format!("gate {gate} turned it away{why}"));
        match execution {
            Execution::Delayed(delayed) => self.refuse(delayed, note),
            // It has begun, and loses nothing for that.
            Execution::Resuming(resuming) if resuming.core.has_begun() && !resuming.state.runs_again => {
                self.rest_again(resuming, note);
            }
            Execution::Resuming(resuming) => self.refuse(resuming, note),
            other => self.push(Effect::Update(other)),
        }
    }

    /// Whether it has gates to pass before it is dispatched.
    pub(super) fn has_gates_before(core: &Core) -> bool {
        core.passage.as_ref().is_some_and(|passage| !passage.is_through())
    }

    /// Asks its next gate, and waits for the answer.
    pub(super) fn ask_gate<S>(&mut self, mut from: In<S>)
    where
        S: MayWait + LeadsTo<Failed>,
    {
        let (id, in_force, mut numbers) = (from.core.id().clone(), self.facts.gates.in_force(), self.numbers());
        // Under the stamp of the message that is sent next.
        let stamp = numbers.next();
        let Some(passage) = from.core.passage.as_mut() else { return };
        let asked = passage.ask(&id, stamp, &in_force);
        let (again_ms, awaited) = (passage.ask_again_ms(), passage.awaited().map(|(gate, _)| gate.to_string()));
        if let Some((gate, what)) = asked {
            self.tell(gate, what);
        }
        let until_ms = self.now_ms().saturating_add(again_ms);
        self.wait_at_gate(from, until_ms, format!("it waits at gate {}", awaited.unwrap_or_default()));
    }

    /// Its timer is due while it waits at a gate: no answer has come for long, or the pause after it was turned away is
    /// over.
    pub(super) fn gate_silent(&mut self, mut execution: Execution) {
        let (id, in_force) = (execution.id().clone(), self.facts.gates.in_force());
        let Some(passage) = execution.core_mut().passage.as_mut() else { return };
        let Some((gate, what)) = passage.ask_again(&id, &in_force) else {
            return self.let_in(execution);
        };
        let due_ms = self.facts.now_ms.saturating_add(passage.ask_again_ms());
        self.tell(gate, what);
        if let Some(delayed) = execution.waits_for_mut() {
            delayed.until_ms = Some(due_ms);
        }
        self.push(Effect::SetTimer { id, kind: TimerKind::BackOff, due_ms });
        self.push(Effect::Update(execution));
    }

    fn wait_at_gate<S: MayWait>(&mut self, from: In<S>, until_ms: i64, why: String) {
        let left = Left::of(&from);
        let delayed = Delayed { reason: DelayReason::Gate, until_ms: Some(until_ms), start_by_ms: None };
        self.enter(left, S::wait(from, delayed, Some(why)));
    }

    /// It is over: its permits go back, unless its children still pass with them. Those of a parent that ends before
    /// its children are found by the gates' question.
    pub(super) fn leave_gates(&mut self, ended: &mut Execution) {
        if ended.core().children_open > 0 {
            return;
        }
        // Attempts before a retry gave back what they had; this one has not even passed all gates.
        let is_through = !Self::has_gates_before(ended.core());
        let has_begun = ended.core().passage.as_ref().is_some_and(|passage| passage.begun);
        let has_run = ended.end().is_some_and(|end| end.holder.is_some()) || has_begun;
        let outcome = match ended.status() {
            _ if !has_run || !is_through => Outcome::NotStarted,
            Status::Succeeded => Outcome::Succeeded,
            Status::Failed | Status::Timeout | Status::Abandoned => Outcome::Failed,
            _ => Outcome::Silent,
        };
        self.give_back(ended.core_mut(), outcome);
    }

    /// It does not start now: others may have its permits, and what a start uses up is used up when it starts.
    pub(super) fn stand_back(&mut self, core: &mut Core) {
        let has_begun = core.passage.as_ref().is_some_and(|passage| passage.begun);
        self.give_back(core, if has_begun { Outcome::Silent } else { Outcome::NotStarted });
    }

    /// What it has, or has asked for, goes back; it may ask anew.
    pub(super) fn give_back(&mut self, core: &mut Core, outcome: Outcome) {
        let id = core.id().clone();
        let Some(passage) = core.passage.as_mut() else { return };
        for (gate, what) in passage.give_back(&id, outcome) {
            self.tell(gate, what);
        }
    }

    fn tell(&mut self, gate: GateId, what: What) {
        let mut numbers = self.numbers();
        let stamp = numbers.next();
        self.numbers = Some(numbers);
        let sender = self.facts.gates.partition();
        self.push(Effect::ToGate(GateMessage { sender, stamp, gate, what }));
    }

    fn numbers(&self) -> Numbers {
        self.numbers.unwrap_or_else(|| self.facts.gates.numbers())
    }
}
