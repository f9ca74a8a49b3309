//! An owner of one partition, driven by hand in one open transaction; what it writes comes out as short texts. What
//! depends on commits is asked of a process on the log ([`super::process`]).

use std::sync::Arc;

use petrel_bus::{Batch, Context, Facts, Output, PartitionState, Record, Stage, Taken, TimerKind};
use petrel_schemas::{AuditRecord, Class, DeadLetter, Order, Task, Topics, decode};

use super::steps::{Do, NOW_MS, PARTITION, View, id, record_of, stage, status_in, topics};
use crate::owner::OwnerStage;

pub(super) struct Owner {
    stage: OwnerStage<View>,
    pub(super) state: PartitionState,
    pub(super) view: View,
    pub(super) now_ms: i64,
    outputs: Vec<Output>,
    topics: Topics,
    /// Whether the last record could not be taken.
    pub(super) is_blocked: bool,
}

impl Owner {
    pub(super) fn new() -> Self {
        Self {
            stage: stage(),
            state: PartitionState::default(),
            view: View::default(),
            now_ms: NOW_MS,
            outputs: Vec::new(),
            topics: topics(),
            is_blocked: false,
        }
    }

    /// Another process goes on with the partition, as it is.
    pub(super) fn restart(&mut self) {
        self.stage = stage();
    }

    /// Does it and returns what was written, in order.
    pub(super) fn act(&mut self, what: &Do) -> Vec<String> {
        self.written(what).iter().map(|output| self.tell(output)).collect()
    }

    /// Does it and returns what was written as it is.
    pub(super) fn written(&mut self, what: &Do) -> Vec<Output> {
        self.step(what);
        std::mem::take(&mut self.outputs)
    }

    /// Takes a record of results and returns what was written as it is.
    pub(super) fn written_of(&mut self, result: Vec<u8>) -> Vec<Output> {
        self.record(self.topics.results(), result);
        std::mem::take(&mut self.outputs)
    }

    fn step(&mut self, what: &Do) {
        match what {
            Do::Wait(ms, heard) => self.wait(*ms, *heard),
            Do::Pause | Do::Resume | Do::Arrive | Do::Off(..) | Do::On(_) => {
                self.view.change(what);
                self.in_context(|stage, context| stage.globals_changed(context));
            }
            Do::Told => {
                for partition in self.stage.told(&self.view, &[PARTITION]) {
                    assert_eq!(partition, PARTITION);
                    self.in_context(|stage, context| stage.take_told(context));
                }
            }
            record => {
                let (topic, value) = record_of(&self.topics, record);
                self.record(topic, value);
            }
        }
    }

    fn wait(&mut self, ms: i64, heard: bool) {
        self.now_ms += ms;
        let kinds = [TimerKind::Time, TimerKind::Silence];
        for kind in &kinds[..if heard { 2 } else { 1 }] {
            while let due = self.state.take_due(*kind, self.now_ms, 100)
                && !due.is_empty()
            {
                self.in_context(|stage, context| stage.timers(&due, context));
            }
        }
    }

    fn record(&mut self, topic: Arc<str>, value: Vec<u8>) {
        let records = [Record { offset: 7, timestamp_ms: 5, key: None, value: Some(&value) }];
        let batch = Batch { topic: &topic, partition: PARTITION, records: &records };
        self.is_blocked = match self.in_context(|stage, context| stage.records(batch, context)) {
            Taken::All => false,
            Taken::Blocked { consumed, .. } => consumed == 0,
        };
    }

    fn in_context<R>(&mut self, f: impl FnOnce(&mut OwnerStage<View>, &mut Context<'_, View>) -> R) -> R {
        let facts = Facts { partition: PARTITION, now_ms: self.now_ms, blocked_ms: 0, is_careful: false };
        f(&mut self.stage, &mut Context::new(facts, &self.view, &mut self.state, &mut self.outputs))
    }

    /// Asks which partitions have something to be told, as a member that has these.
    pub(super) fn told(&mut self, mine: &[u32]) -> Vec<u32> {
        self.stage.told(&self.view, mine)
    }

    pub(super) fn status(&self, execution: u8) -> Option<&'static str> {
        self.state.get(id(execution).as_bytes()).map(|state| status_in(&state))
    }

    /// `task 1` is the task of token 1, `cancel 1` an order, `running` a row of that status.
    fn tell(&self, output: &Output) -> String {
        let value = output.value.as_deref().unwrap();
        if output.topic == self.topics.audit() {
            return match AuditRecord::decode(value).unwrap() {
                AuditRecord::ExecutionChanged(row) => row.status,
                AuditRecord::OutputCaptured(row) => format!("{}={}", row.stream, row.content),
                AuditRecord::WorkflowMoved(row) => format!("{} moved", row.tasks.len()),
                other => panic!("unexpected {other:?}"),
            };
        }
        if output.topic == self.topics.tasks("default", Class::Normal) {
            return format!("task {}", decode::<Task>(value).unwrap().token);
        }
        if output.topic == self.topics.orders("default") {
            let order: Order = decode(value).unwrap();
            return format!("{} {}", order.order, order.token);
        }
        assert_eq!(output.topic, self.topics.dead_letters());
        format!("dead {}", decode::<DeadLetter>(value).unwrap().reason)
    }
}
