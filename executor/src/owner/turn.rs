//! One step of an owner: loading executions, asking for decisions, and writing their effects.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use petrel_bus::{About, Batch, Context, Output, Reason, Record, StageSpec, StateTooLarge, Unreadable};
use petrel_execution::codec::{self, CodecError};
use petrel_execution::gate::record;
use petrel_execution::owner::{Beside, Counted, Effect, Facts, Message, Owner, changed};
use petrel_execution::workflow::{Asked, Changed};
use petrel_execution::{Child, ChildEnded, Execution, Known, Note, Status, TimerKind, code, timer_key};
use petrel_schemas::{ExecutionId, Task, encode};

use super::options::OwnerOptions;
use super::pieces::{self, PieceTooLarge};
use super::sender::{self, AsSender};
use super::workflows::{AtHand, FORGOTTEN_MAX, OfStep};
use crate::metrics::ExecutorMetrics;
use crate::view::{self, ExecutorView, Resolution};
use crate::worker::{self, Start};

/// What the steps since the last commit did, for the metrics.
#[derive(Debug, Default)]
pub(super) struct Counts {
    changes: HashMap<Status, u64>,
    counted: HashMap<Counted, u64>,
    dead_letters: u64,
}

impl Counts {
    pub(super) fn tell(self, metrics: &ExecutorMetrics) {
        for (status, count) in self.changes {
            metrics.status_changes(status, count);
        }
        for (what, count) in self.counted {
            metrics.counted(what, count);
        }
        metrics.dead_letters.inc_by(self.dead_letters);
    }
}

/// Where a record stands, for a dead letter.
#[derive(Clone, Copy)]
pub(super) struct Source<'r> {
    pub(super) batch: &'r Batch<'r>,
    pub(super) record: &'r Record<'r>,
}

/// What one execution of a family has for another one. They have the same owner, and it is done in the same step, one
/// after the other: what a child's end leads to may end another one.
enum Next {
    Child(Child),
    Ended(ChildEnded),
    Stop { id: ExecutionId, by: String },
    Ask { id: ExecutionId, asked: Asked, by: String },
    Rests { parent: ExecutionId, child: ExecutionId, rests: bool },
}

impl Next {
    /// Whom it is for.
    fn id(&self) -> &ExecutionId {
        match self {
            Self::Child(child) => &child.subject.id,
            Self::Ended(told) => &told.parent,
            Self::Stop { id, .. } | Self::Ask { id, .. } => id,
            Self::Rests { parent, .. } => parent,
        }
    }
}

pub(super) struct Turn<'t, 'c, G> {
    pub(super) context: &'t mut Context<'c, G>,
    pub(super) spec: &'t StageSpec,
    pub(super) options: &'t OwnerOptions,
    pub(super) counts: &'t mut Counts,
    /// What is started beside this owner once the open transaction has committed.
    pub(super) starts: &'t mut Vec<Start>,
    pub(super) at_hand: &'t AtHand,
    next: VecDeque<Next>,
    /// The execution that was loaded or put last, as it is stored.
    stored: Option<(ExecutionId, Vec<u8>)>,
}

impl<'t, 'c, G: ExecutorView> Turn<'t, 'c, G> {
    pub(super) fn new(
        context: &'t mut Context<'c, G>,
        (spec, options): (&'t StageSpec, &'t OwnerOptions),
        counts: &'t mut Counts,
        starts: &'t mut Vec<Start>,
        at_hand: &'t AtHand,
    ) -> Self {
        Self { context, spec, options, counts, starts, at_hand, next: VecDeque::new(), stored: None }
    }
}

impl<G: ExecutorView> Turn<'_, '_, G> {
    pub(super) fn load(&mut self, id: &ExecutionId) -> Result<Option<Known>, Unreadable> {
        let Some(bytes) = self.context.get(id.as_str().as_bytes()) else { return Ok(None) };
        let bytes = bytes.into_owned();
        let known = codec::from_bytes(&bytes).map(Some);
        self.stored = Some((id.clone(), bytes));
        known.map_err(|error| {
            let damaged = Unreadable::Damaged(Reason::new("unreadable_state", error.to_string()));
            let CodecError::Record(error) = error else { return damaged };
            match Unreadable::from(error) {
                Unreadable::Damaged(_) => damaged,
                newer => newer,
            }
        })
    }

    /// Without a source it is told beside the log, by a worker of this release, which writes nothing that is given up.
    pub(super) fn message(&mut self, message: Message, known: Option<Known>, source: Option<Source<'_>>) {
        let mut effects = self.ask(|owner| match message {
            Message::Request { subject, parameters } => owner.request(subject, parameters, known.as_ref()),
            Message::Cancel { by, .. } => owner.cancel(&by, known),
            Message::Workflow { id, asked, by, at_ms } => owner.ask(&id, &asked, &by, at_ms, known),
            Message::Report(about, report) => owner.report(&about, report, known),
            Message::Gate { gate, about, answer } => owner.gate_answered(&gate, &about, answer, known),
            Message::GateOrder { gate, what, at_ms } => owner.gate_ordered(gate, what, at_ms),
            Message::Behind { epoch } => owner.behind(epoch),
        });
        if let Some(source) = source {
            for (id, reason) in given_up(&mut effects) {
                self.give_up(source, about(&id, reason));
            }
        }
        self.carry_out(effects);
        self.go_on();
    }

    pub(super) fn timer(&mut self, id: &ExecutionId, kind: TimerKind) {
        // It is gone with that.
        self.at_hand.timer_is(id, kind, false);
        match self.load(id) {
            Ok(known) => self.decide(|owner| owner.timer(kind, known)),
            // It stays as it is, timer included, for a release that can read it.
            Err(Unreadable::Newer(_)) => {
                let again_ms = self.context.now_ms().saturating_add(self.options.limits.lease_ms);
                self.set_timer(id, kind, again_ms);
            }
            // Nobody can; what is told of it next becomes a dead letter.
            Err(Unreadable::Damaged(why)) => {
                tracing::error!(execution = %id, why = why.detail, "a timer of an execution whose state is damaged ends nothing");
            }
        }
    }

    /// Asks, and writes what is decided.
    pub(super) fn decide(&mut self, what: impl FnOnce(&mut Owner<'_>)) {
        let effects = self.ask(what);
        self.carry_out(effects);
        self.go_on();
    }

    /// What has been asked for within the family, in order, until nothing is left.
    fn go_on(&mut self) {
        while let Some(next) = self.next.pop_front() {
            let Ok(known) = self.load(next.id()) else {
                self.count(Counted::Orphan);
                continue;
            };
            let effects = self.ask(|owner| match next {
                Next::Child(child) => owner.child(child, known.as_ref()),
                Next::Ended(told) => owner.child_ended(&told, known),
                Next::Stop { by, .. } => owner.cancel(&by, known),
                Next::Ask { asked, by, .. } => owner.ask_child(&asked, &by, known),
                Next::Rests { child, rests, .. } => owner.child_rests(&child, rests, known),
            });
            self.carry_out(effects);
        }
        self.at_hand.begin_step();
    }

    /// All of it, or, where the log cannot take the state, the end of the execution in its stead.
    fn carry_out(&mut self, mut effects: Vec<Effect>) {
        for (id, reason) in given_up(&mut effects) {
            self.give_up_state(&id, reason);
        }
        let mut conducted: Vec<ExecutionId> = Vec::new();
        for effect in &effects {
            let (put, id) = match effect {
                Effect::Save(execution) | Effect::Update(execution) => {
                    (self.put(execution).map_err(|error| error.to_string()), execution.id())
                }
                Effect::Piece { id, changed } => {
                    if conducted.last() != Some(id) {
                        conducted.push(id.clone());
                    }
                    (self.put_piece(id, changed).map_err(|error| error.to_string()), id)
                }
                _ => continue,
            };
            if let Err(why) = put {
                let Some(execution) = latest(&effects, id).cloned() else { continue };
                if let Effect::Piece { id, changed } = effect
                    && execution.status().is_final()
                {
                    // It is over: what is stored of it is of no use but to be run again, and that cannot be then.
                    let gone = Changed { key: changed.key.clone(), value: None };
                    // What goes has room.
                    let _ = self.put_piece(id, &gone);
                    continue;
                }
                let id = id.clone();
                return self.end_instead(effects, &id, execution, &why);
            }
        }
        for id in conducted {
            if let Err(error) = self.at_hand.store(self.context, &id)
                && let Some(execution) = latest(&effects, &id).cloned()
            {
                return self.end_instead(effects, &id, execution, &error.to_string());
            }
        }
        for effect in effects {
            self.apply(effect);
        }
    }

    /// The log cannot take it as it is: it ends.
    fn end_instead(&mut self, effects: Vec<Effect>, id: &ExecutionId, execution: Execution, why: &str) {
        // It is not as the log has it.
        self.at_hand.drop_one(id);
        let changes = effects.iter().filter(|effect| matches!(effect, Effect::Save(of) if of.id() == id));
        let unwritten = i64::try_from(changes.count()).unwrap_or(i64::MAX);
        let end = self.ask(|owner| owner.too_large(execution, unwritten, why));
        // What it waited for in the state that the log has, it does not wait for any more.
        let is_left = |effect: &Effect| matches!(effect, Effect::Unwait(_) | Effect::CancelTimer { .. });
        let left = effects.into_iter().filter(is_left);
        self.carry_out(left.chain(end).collect());
    }

    fn ask(&self, what: impl FnOnce(&mut Owner<'_>)) -> Vec<Effect> {
        let actions = view::Asked(self.context.globals());
        let room = |beside: &&worker::Beside| beside.free_slots() > self.starts.len();
        let beside = self.context.globals().beside().filter(room);
        let beside = beside.map(|beside| Beside { worker: beside.worker(), pool: beside.pool() });
        let gates = AsSender(&*self.context);
        let workflows = OfStep { context: &*self.context, at_hand: self.at_hand };
        let facts = Facts {
            now_ms: self.context.now_ms(),
            limits: &self.options.limits,
            actions: &actions,
            beside,
            gates: &gates,
            workflows: &workflows,
        };
        let mut owner = Owner::new(facts);
        what(&mut owner);
        owner.into_effects()
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Save(execution) => {
                let row = changed(&execution, self.context.now_ms());
                *self.counts.changes.entry(execution.status()).or_default() += 1;
                self.audit(&row.root_execution_id, encode(&row));
            }
            // They were put before all else.
            Effect::Update(_) | Effect::Piece { .. } => {}
            Effect::Forget { id, conducted } => self.forget(&id, conducted),
            Effect::SetTimer { id, kind, due_ms } => self.set_timer(&id, kind, due_ms),
            Effect::CancelTimer { id, kind } => self.cancel_timer(&id, kind),
            Effect::Wait(key) => {
                if let Err(error) = self.context.put(&key, Vec::new()) {
                    // An id, a revision and a number: no log has such a limit.
                    tracing::error!(%error, "what waits is not found again before it is canceled");
                }
            }
            Effect::Unwait(key) => self.context.delete(&key),
            Effect::Dispatch { pool, class, partition, task } => {
                let key = task.execution_id.as_bytes();
                let topic = self.options.topics.tasks(&pool, class);
                self.context.emit(Output::to_partition(&topic, partition, key, Some(encode(&task))));
            }
            Effect::Start(task) => self.start(task),
            Effect::Order { pool, order } => {
                if order.order == "cancel" {
                    self.starts.iter_mut().for_each(|start| start.cancel(&order));
                }
                let topic = self.options.topics.orders(&pool);
                self.context.emit(Output::keyed(&topic, order.execution_id.as_bytes(), encode(&order)));
            }
            Effect::ToGate(message) => {
                sender::remember(self.context, message.stamp);
                let (topic, key) = (self.options.topics.gates(), message.gate.to_string());
                self.context.emit(Output::keyed(&topic, key, encode(&record::of_message(&message))));
            }
            Effect::Number(stamp) => sender::remember(self.context, stamp),
            Effect::Output(row) => {
                let root = row.execution_id.split('.').next().unwrap_or_default().to_owned();
                self.audit(&root, encode(&row));
            }
            Effect::Moved(row) => self.audit(&row.root_execution_id, encode(&row)),
            Effect::Event(event) => {
                let triggers = self.options.topics.triggers();
                self.context.emit(Output::keyed(&triggers, event.event_id.as_bytes(), encode(&event)));
            }
            Effect::Parent(told) => self.next.push_back(Next::Ended(told)),
            Effect::Child(child) => self.next.push_back(Next::Child(child)),
            Effect::StopChild { id, by } => self.next.push_back(Next::Stop { id, by }),
            Effect::AskChild { id, asked, by } => self.next.push_back(Next::Ask { id, asked, by }),
            Effect::Rests { child, rests } => {
                if let Some(parent) = child.parent() {
                    self.next.push_back(Next::Rests { parent, child, rests });
                }
            }
            Effect::Count(what) => self.count(what),
            // It was told before all else.
            Effect::GiveUp { .. } => {}
        }
    }

    /// Its revision was here a moment ago, and may have been removed since: then others may try.
    fn start(&mut self, task: Task) {
        let globals = self.context.globals();
        let Some(beside) = globals.beside() else { return };
        let action = match globals.resolve(&task.revision, &task.action) {
            Resolution::Ready(action) => Ok(action),
            _ => Err(Note::new(code::REVISION_NOT_HERE, "its revision has gone")),
        };
        self.starts.push(beside.start(self.context.partition(), task, action));
    }

    fn put(&mut self, execution: &Execution) -> Result<(), StateTooLarge> {
        let bytes = codec::to_bytes(execution);
        // A parent of which a child has ended and another one begun is as it was, and a record costs more than a look.
        let is_stored = |(id, stored): &(ExecutionId, Vec<u8>)| id == execution.id() && *stored == bytes;
        if self.stored.as_ref().is_some_and(is_stored) {
            return Ok(());
        }
        self.context.put(execution.id().as_str().as_bytes(), bytes.clone())?;
        self.stored = Some((execution.id().clone(), bytes));
        Ok(())
    }

    fn put_piece(&mut self, id: &ExecutionId, changed: &Changed) -> Result<(), PieceTooLarge> {
        self.at_hand.write(self.context, id, changed)
    }

    /// What was a workflow has pieces, and goes with the last of them.
    fn forget(&mut self, id: &ExecutionId, conducted: bool) {
        if conducted {
            let prefix = pieces::prefix(id);
            let keys = self.context.scan(&prefix).map(|(key, _)| key.into_owned());
            let keys: Vec<Vec<u8>> = keys.take_while(|key| key.starts_with(&prefix)).take(FORGOTTEN_MAX).collect();
            keys.iter().for_each(|key| self.context.delete(key));
            if keys.len() == FORGOTTEN_MAX {
                return self.set_timer(id, TimerKind::Remember, self.context.now_ms());
            }
            self.at_hand.forgotten(id);
        }
        self.context.delete(id.as_str().as_bytes());
        self.stored = None;
    }

    fn cancel_timer(&mut self, id: &ExecutionId, kind: TimerKind) {
        // Each step of a workflow cancels its timer, and most have none; to look it up is not for nothing.
        if !self.at_hand.has_no_timer(id, kind) {
            self.context.cancel_timer(&timer_key(id, kind));
            self.at_hand.timer_is(id, kind, false);
        }
    }

    fn set_timer(&mut self, id: &ExecutionId, kind: TimerKind, due_ms: i64) {
        self.at_hand.timer_is(id, kind, true);
        let key = timer_key(id, kind);
        match kind.is_silence() {
            true => self.context.set_silence_timer(&key, due_ms),
            false => self.context.set_timer(&key, due_ms),
        }
    }

    fn count(&mut self, what: Counted) {
        *self.counts.counted.entry(what).or_default() += 1;
    }

    /// Gives a record up, in the same transaction as its offset.
    pub(super) fn give_up(&mut self, source: Source<'_>, reason: Reason) {
        let Batch { topic, partition, .. } = source.batch;
        self.counts.dead_letters += 1;
        self.context.emit(self.spec.give_up(topic, *partition, source.record, reason));
    }

    /// Gives up what an execution waited for, as a rule because its action is not in the revision that has come. Where
    /// its request stood nobody knows any more: in the place of that record stands the state, as it was before this
    /// step.
    fn give_up_state(&mut self, id: &ExecutionId, mut reason: Reason) {
        reason.detail.push_str("; its request had waited, and the state in which it did stands in its place");
        let (topics, key) = (&self.options.topics, id.as_str().as_bytes());
        let state = self.context.get(key).map(Cow::into_owned);
        let timestamp_ms = self.context.now_ms();
        let record = Record { offset: -1, timestamp_ms, key: Some(key), value: state.as_deref() };
        let batch = Batch { topic: &topics.executions(), partition: self.context.partition(), records: &[] };
        self.give_up(Source { batch: &batch, record: &record }, about(id, reason));
    }

    fn audit(&mut self, root: &str, row: Vec<u8>) {
        self.context.emit(Output::keyed(&self.options.topics.audit(), root.as_bytes(), row));
    }
}

/// The execution as the effects write it last.
fn latest<'e>(effects: &'e [Effect], id: &ExecutionId) -> Option<&'e Execution> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Save(execution) | Effect::Update(execution) if execution.id() == id => Some(execution),
        _ => None,
    })
}

/// Takes out what is given up: whom it is about, and why.
fn given_up(effects: &mut Vec<Effect>) -> Vec<(ExecutionId, Reason)> {
    let is_given_up = |effect: &mut Effect| matches!(effect, Effect::GiveUp { .. });
    let reason = |effect| match effect {
        Effect::GiveUp { id, code, detail } => Some((id, Reason::new(code, detail))),
        _ => None,
    };
    effects.extract_if(.., is_given_up).filter_map(reason).collect()
}

fn about(id: &ExecutionId, reason: Reason) -> Reason {
    reason.about(About { execution_id: Some(id.to_string()), ..About::default() })
}
