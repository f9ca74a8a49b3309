//! A request for an execution, and what became of it when its revision has arrived.

use serde_json::Value;

use super::enter::{Left, MayWait};
use super::{Counted, Effect, Owner};
use crate::code;
use crate::execution::{Execution, Known};
use crate::family::Child;
use crate::gate::Passage;
use crate::plan::{ActionPlan, Resolution, labels_text, pool_with};
use crate::state::{DelayReason, Delayed, End, Failed, In, LeadsTo, Requested, Resuming, Scheduled, State, Timeout};
use crate::subject::{Core, Note, Subject, Terms};

impl Owner<'_> {
    /// Somebody wants an action to run: it is dispatched, unless it is known already or cannot be.
    pub fn request(&mut self, subject: Subject, parameters: String, known: Option<&Known>) {
        match known {
            Some(_) => self.count(Counted::Duplicate),
            None => self.prepare(In::<Requested>::new(subject, parameters)),
        }
    }

    /// What it waited for may have come: its revision, or the end of a pause.
    pub fn release(&mut self, known: Option<Known>) {
        let delayed = match known {
            Some(Known::Live(Execution::Delayed(delayed))) => delayed,
            Some(Known::Live(Execution::Resuming(resuming))) => return self.release_resuming(resuming),
            _ => return,
        };
        if self.rests_with_parent(&delayed) {
            return self.rest_unbegun(delayed);
        }
        match delayed.state.reason {
            // It is asked for again when it has come.
            DelayReason::RevisionNotHere | DelayReason::ActionBroken if !self.has_come(&delayed.core) => {}
            _ if delayed.core.terms.is_none() => self.prepare(delayed),
            // What it waited for is not why it starts.
            DelayReason::SwitchedOff(_) | DelayReason::Window => self.dispatch(delayed, Note::NONE, None),
            _ => {
                let (note, start_by_ms) = (delayed.core.note.clone(), delayed.state.start_by_ms);
                self.dispatch(delayed, Note { code: None, ..note }, start_by_ms);
            }
        }
    }

    fn release_resuming(&mut self, resuming: In<Resuming>) {
        match resuming.state.awaits.as_ref().map(|delayed| delayed.reason) {
            None => {}
            Some(DelayReason::RevisionNotHere | DelayReason::ActionBroken) if !self.has_come(&resuming.core) => {}
            Some(_) => self.pass_again(resuming),
        }
    }

    fn has_come(&self, core: &Core) -> bool {
        let subject = &core.subject;
        let resolution = self.facts.actions.resolve(&subject.revision, &subject.action);
        !matches!(resolution, Resolution::NotYet | Resolution::Broken(_))
    }

    pub(super) fn prepare<S>(&mut self, from: In<S>)
    where
        S: MayWait + LeadsTo<Scheduled> + LeadsTo<Failed> + LeadsTo<Timeout>,
    {
        let subject = &from.core.subject;
        let (revision, action) = (subject.revision.clone(), subject.action.clone());
        match self.facts.actions.resolve(&revision, &action) {
            Resolution::Ready(plan) => match self.accept(&from, &plan) {
                Ok((parameters, terms, passage)) => {
                    let mut from = from;
                    from.core.parameters = parameters;
                    from.core.terms = Some(terms);
                    from.core.subject.class.get_or_insert(plan.class);
                    from.core.passage = passage;
                    if !self.is_late(&from.core) {
                        self.watch_deadline(&from.core);
                    }
                    self.dispatch(from, Note::NONE, None);
                }
                Err(note) => self.refuse(from, note),
            },
            Resolution::NotYet => {
                self.wait(from, DelayReason::RevisionNotHere, format!("revision {revision} has not arrived yet"));
            }
            Resolution::Broken(why) => self.wait(from, DelayReason::ActionBroken, why),
            Resolution::Removed => {
                let why = format!("revision {revision} was removed, or was never applied");
                self.refuse(from, Note::new(code::REVISION_REMOVED, why));
            }
            Resolution::NoSuchAction => {
                let why = format!("revision {revision} has no action {action}");
                // A child's parent is told.
                if from.core.id().parent().is_none() {
                    let id = from.core.id().clone();
                    self.push(Effect::GiveUp { id, code: code::NO_SUCH_ACTION, detail: why.clone() });
                }
                self.refuse(from, Note::new(code::NO_SUCH_ACTION, why));
            }
        }
    }

    /// A parent wants a child to run, in the step in which it asks for it.
    pub fn child(&mut self, child: Child, known: Option<&Known>) {
        let Child { subject, parameters, inherited, delay_ms } = child;
        if known.is_some() {
            return self.count(Counted::Duplicate);
        }
        let mut requested = In::<Requested>::new(subject, parameters);
        if !inherited.is_empty() {
            requested.core.passage = Some(Passage::new(requested.core.class(), [], &inherited));
        }
        // While it waits for anything they stand in its state.
        if let Err(note) = self.fits(&requested.core.parameters) {
            return self.refuse(requested, note);
        }
        match delay_ms.filter(|delay_ms| *delay_ms > 0) {
            None => self.prepare(requested),
            Some(delay_ms) => {
                let until_ms = Some(self.now_ms().saturating_add(delay_ms));
                let delayed = Delayed { reason: DelayReason::Task, until_ms, start_by_ms: None };
                self.enter(Left::of(&requested), requested.delay(delayed, None));
            }
        }
    }

    pub(super) fn wait<S: MayWait>(&mut self, from: In<S>, reason: DelayReason, why: String) {
        let left = Left::of(&from);
        self.enter(left, S::wait(from, Delayed { reason, until_ms: None, start_by_ms: None }, Some(why)));
    }

    /// Parameters, terms and gates, or why it cannot be dispatched.
    fn accept<S: State>(&self, from: &In<S>, plan: &ActionPlan) -> Result<(String, Terms, Option<Passage>), Note> {
        let invalid = |why: String| Note::new(code::INVALID_PARAMETERS, why);
        let given: Value = serde_json::from_str(&from.core.parameters)
            .map_err(|e| invalid(format!("the parameters are no JSON: {e}")))?;
        let completed = plan.parameters.complete(&given).map_err(|e| invalid(e.to_string()))?;
        let parameters = completed.to_string();
        self.fits(&parameters)?;
        let is_conducted = plan.runner.workflow().is_some();
        let pool = if is_conducted { String::new() } else { self.pool_for(plan)? };
        let subject = &from.core.subject;
        let gates =
            plan.policies.as_ref().map(|named| named.gates(from.core.id(), subject.rule.as_deref(), &completed));
        let gates = gates.transpose().map_err(|why| Note::new(code::POLICY_KEY, why))?;
        let inherited = from.core.passage.as_ref().map(|passage| passage.inherited.clone()).unwrap_or_default();
        // None of its policies may be for that rule. What its ancestors hold its descendants pass with, too.
        let passage = Passage::new(subject.class.unwrap_or(plan.class), gates.unwrap_or_default(), &inherited);
        let passage = (!passage.gates.is_empty() || !inherited.is_empty()).then_some(passage);
        let own = plan.policies.as_ref().map(|named| named.own_terms(subject.rule.as_deref())).unwrap_or_default();
        let (delivery, timeout_ms) = (plan.delivery, plan.timeout_ms);
        // Of a workflow the tasks are tried again.
        let retry = plan.retry.clone().or(own.retry).filter(|_| !is_conducted);
        let terms = Terms { pool, delivery, timeout_ms, retry, deadline_ms: own.deadline_ms, windows: own.windows };
        Ok((parameters, terms, passage))
    }

    /// Whether parameters are within the limit; if not, how their execution ends.
    fn fits(&self, parameters: &str) -> Result<(), Note> {
        let (bytes, most) = (parameters.len(), self.limits().parameters_bytes_max);
        match bytes <= most {
            true => Ok(()),
            false => {
                let why = format!("its parameters have {bytes} bytes, the limit PARAMETERS_BYTES_MAX is {most}");
                Err(Note::new(code::PARAMETERS_TOO_LARGE, why))
            }
        }
    }

    /// The execution ends without a further attempt.
    pub(super) fn refuse<S: LeadsTo<Failed>>(&mut self, mut from: In<S>, note: Note) {
        if from.core.parameters.len() > self.limits().parameters_bytes_max {
            // The row that tells of them must not be over the limit in their stead.
            from.core.parameters = "{}".to_owned();
        }
        let left = Left::of(&from);
        self.enter(left, from.fail(End::unheld(self.now_ms()), note));
    }

    /// The pool of an action.
    fn pool_for(&self, plan: &ActionPlan) -> Result<String, Note> {
        if plan.requires.is_empty() {
            return self.has_pool(&plan.pool).map(|()| plan.pool.clone());
        }
        let limits = self.limits();
        let pools = limits.pools.iter().map(|pool| (&**pool, limits.pool_labels.get(&**pool)));
        let none = || format!("no worker pool has the labels {}", labels_text(&plan.requires));
        let pool = pool_with(pools, &plan.requires).ok_or_else(|| Note::new(code::NO_SUCH_POOL, none()))?;
        Ok(pool.to_owned())
    }

    /// Whether a pool has topics; if not, how its executions end.
    pub(super) fn has_pool(&self, pool: &str) -> Result<(), Note> {
        match self.limits().pools.iter().any(|p| **p == *pool) {
            true => Ok(()),
            false => Err(Note::new(code::NO_SUCH_POOL, format!("there is no worker pool {pool:?}"))),
        }
    }
}
