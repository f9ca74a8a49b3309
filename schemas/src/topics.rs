//! Petrel's own topics: their names under a prefix, and what each needs (DESIGN §4).

use std::sync::Arc;

use crate::Class;

/// How a topic forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// Records go after the retention time.
    Delete,
    /// The last record of every key stays.
    Compact,
}

/// One of Petrel's own topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTopic {
    /// Full name, prefix included.
    pub name: Arc<str>,
    /// Number of partitions; never changes once the topic exists.
    pub partitions: u32,
    /// How it forgets.
    pub cleanup: Cleanup,
}

/// Names and partition counts of Petrel's own topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
    partitions: u32,
    task_partitions: u32,
}

macro_rules! names {
    ($($method:ident => $suffix:literal, $doc:literal;)+) => {
        $(#[doc = $doc] pub fn $method(&self) -> Arc<str> { self.named($suffix) })+
    };
}

impl Topics {
    /// `prefix` as configured, with its final dot (`petrel.`); `partitions` of `requests`,
    /// `results`, `executions` and the other keyed topics; `task_partitions` of each topic of tasks.
    pub fn new(prefix: &str, partitions: u32, task_partitions: u32) -> Self {
        Self { prefix: prefix.to_owned(), partitions, task_partitions }
    }

    /// Partitions of each topic of tasks: of every pool and class.
    pub fn task_partitions(&self) -> u32 {
        self.task_partitions
    }

    names! {
        triggers => "triggers", "Events from ingest.";
        timers => "timers", "Timer definitions, and the timer stage's state.";
        matches => "matches", "Matches on their way to correlation.";
        requests => "requests", "Action requests and cancels.";
        results => "results", "What workers report: claims, heartbeats, results, what they decline or hand over.";
        executions => "executions", "The owners' state.";
        gates => "gates", "What owners want of gates.";
        gate_state => "gate_state", "The gates' state.";
        windows => "windows", "The correlation stage's state.";
        catalog => "catalog", "The catalog's log; one partition.";
        secrets => "secrets", "Sealed secrets; one partition.";
        kv => "kv", "The key-value store; one partition.";
        positions => "positions", "Positions of stages without a changelog.";
        worker_positions => "worker_positions", "The same of workers, who have no right to write those of others.";
        processes => "processes", "Which processes run; one partition.";
        output => "output", "What running actions write, as it comes.";
        audit => "audit", "The audit trail.";
        dead_letters => "dead_letters", "What could not be used.";
    }

    /// Tasks of a class of a worker pool. Those of the class `normal` have the pool's name alone (docs/adr/0032).
    pub fn tasks(&self, pool: &str, class: Class) -> Arc<str> {
        match class {
            Class::Normal => self.named(&format!("tasks.{pool}")),
            Class::Urgent | Class::Bulk => self.named(&format!("tasks.{pool}.{class}")),
        }
    }

    /// What owners want of the workers of a pool, read by every one of them; one partition.
    pub fn orders(&self, pool: &str) -> Arc<str> {
        self.named(&format!("orders.{pool}"))
    }

    /// Prefix of all names, with its final dot.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether a name belongs to Petrel, and is therefore no user topic.
    pub fn is_own(&self, topic: &str) -> bool {
        topic.starts_with(&self.prefix)
    }

    /// Every topic to create, with those of the pools.
    pub fn all(&self, pools: &[&str]) -> Vec<OwnTopic> {
        let keyed = self.partitions;
        let mut topics = vec![
            own(self.triggers(), keyed, Cleanup::Delete),
            own(self.timers(), keyed, Cleanup::Compact),
            own(self.matches(), keyed, Cleanup::Delete),
            own(self.requests(), keyed, Cleanup::Delete),
            own(self.results(), keyed, Cleanup::Delete),
            own(self.executions(), keyed, Cleanup::Compact),
            own(self.gates(), keyed, Cleanup::Delete),
            own(self.gate_state(), keyed, Cleanup::Compact),
            own(self.windows(), keyed, Cleanup::Compact),
            own(self.catalog(), 1, Cleanup::Compact),
            own(self.kv(), 1, Cleanup::Compact),
            own(self.secrets(), 1, Cleanup::Compact),
            own(self.positions(), keyed, Cleanup::Compact),
            own(self.worker_positions(), keyed, Cleanup::Compact),
            own(self.processes(), 1, Cleanup::Delete),
            own(self.output(), keyed, Cleanup::Delete),
            own(self.audit(), keyed, Cleanup::Delete),
            own(self.dead_letters(), keyed, Cleanup::Delete),
        ];
        for pool in pools {
            for class in Class::ALL {
                topics.push(own(self.tasks(pool, class), self.task_partitions, Cleanup::Delete));
            }
            topics.push(own(self.orders(pool), 1, Cleanup::Delete));
        }
        topics
    }

    fn named(&self, suffix: &str) -> Arc<str> {
        format!("{}{suffix}", self.prefix).into()
    }
}

fn own(name: Arc<str>, partitions: u32, cleanup: Cleanup) -> OwnTopic {
    OwnTopic { name, partitions, cleanup }
}
