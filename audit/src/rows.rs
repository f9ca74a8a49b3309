//! The rows of the tables, and how a record becomes one. A row is a function of its record alone.

use clickhouse::Row;
use petrel_bus::{NotYet, Record, Unreadable, dead_letter};
use petrel_schemas::{AuditRecord, DeadLetter, ExecutionChanged, WorkflowMoved, decode};
use serde::{Deserialize, Serialize, Serializer};

/// Where a row comes from; every table ends in these columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// Topic of the record.
    pub topic: &'a str,
    /// Its partition.
    pub partition: u32,
    /// Whether the topic carries dead letters; the audit trail otherwise.
    pub dead_letters: bool,
}

/// The sink's name in the dead letters that it writes.
const STAGE: &str = "audit";

/// A table of the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// `events`.
    Events,
    /// `rule_matches`.
    RuleMatches,
    /// `criteria_errors`.
    CriteriaErrors,
    /// `workflow_tasks`, before what follows: whoever sees the end of a workflow sees all that its tasks came to.
    WorkflowTasks,
    /// `executions`.
    Executions,
    /// `execution_output`.
    ExecutionOutput,
    /// `catalog_revisions`.
    CatalogRevisions,
    /// `secret_changes`.
    SecretChanges,
    /// `gate_decisions`.
    GateDecisions,
    /// `dead_letters`.
    DeadLetters,
}

macro_rules! rows {
    ($($row:ident $table:ident $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty),+ $(,)? })+) => {
        $(
            /// A row of the table of the same name; the columns are described in its migration.
            #[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
            pub(crate) struct $row {
                $($(#[$attribute])* pub $field: $type,)+
                pub recorded_at: i64,
                pub log_topic: String,
                pub log_partition: u32,
                pub log_offset: i64,
                pub log_row: u16,
            }
        )+

        /// The rows of one batch, by table.
        #[derive(Debug, Default, Clone, PartialEq)]
        pub(crate) struct Rows {
            $(pub $name: Vec<$row>,)+
        }

        impl Rows {
            /// Where the rows of a table come from: topic, partition, offset and number of the row.
            pub(crate) fn sources(&self, table: Table) -> Vec<(&str, u32, i64, u16)> {
                match table {
                    $(Table::$table => self.$name.iter()
                        .map(|r| (r.log_topic.as_str(), r.log_partition, r.log_offset, r.log_row)).collect(),)+
                }
            }

            /// How many rows there are of a table.
            pub(crate) fn len_of(&self, table: Table) -> usize {
                match table { $(Table::$table => self.$name.len(),)+ }
            }
        }

        impl Table {
            /// All of them, in the order in which a batch writes them.
            pub const ALL: &[Self] = &[$(Self::$table,)+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$table => stringify!($name),)+ }
            }
        }
    };
}

rows! {
    EventRow Events events {
        event_id: String,
        trigger: String,
        event_at: i64,
        payload: String,
        rules_matched: u32,
        revision: String,
        kv_version: i64,
        source_topic: String,
        source_partition: i32,
        source_offset: i64,
    }
    RuleMatchRow RuleMatches rule_matches {
        event_id: String,
        trigger: String,
        rule: String,
        event_at: i64,
        action: String,
        action_index: u32,
        execution_id: String,
        revision: String,
        kv_version: i64,
    }
    CriteriaErrorRow CriteriaErrors criteria_errors {
        event_id: String,
        trigger: String,
        rule: String,
        code: String,
        detail: String,
        event_at: i64,
        revision: String,
    }
    WorkflowTaskRow WorkflowTasks workflow_tasks {
        execution_id: String,
        root_execution_id: String,
        event_id: String,
        rule: String,
        action: String,
        revision: String,
        task: String,
        route: u32,
        run: u32,
        change: u32,
        status: String,
        moved_at: i64,
    }
    ExecutionRow Executions executions {
        execution_id: String,
        root_execution_id: String,
        parent_execution_id: String,
        sequence: i64,
        status: String,
        code: String,
        changed_at: i64,
        event_id: String,
        trigger: String,
        rule: String,
        action: String,
        parameters: String,
        revision: String,
        requested_by: String,
        attempt: u32,
        worker: String,
        requested_at: i64,
        started_at: Option<i64>,
        ended_at: Option<i64>,
        return_code: Option<i32>,
        result: String,
        extracted: String,
        result_object: String,
        error: String,
        task: String,
    }
    OutputRow ExecutionOutput execution_output {
        execution_id: String,
        attempt: u32,
        stream: String,
        content: String,
        truncated: bool,
        tail: String,
        omitted_bytes: i64,
        captured_at: i64,
    }
    RevisionRow CatalogRevisions catalog_revisions {
        revision: String,
        packs: Vec<String>,
        applied_at: i64,
        applied_by: String,
    }
    SecretChangeRow SecretChanges secret_changes {
        name: String,
        version: i64,
        change: String,
        changed_at: i64,
        changed_by: String,
    }
    GateRow GateDecisions gate_decisions {
        gate: String,
        policy: String,
        execution_id: String,
        root_execution_id: String,
        acquisition: String,
        decided: String,
        reason: String,
        decided_at: i64,
    }
    DeadLetterRow DeadLetters dead_letters {
        stage: String,
        reason: String,
        detail: String,
        event_id: String,
        execution_id: String,
        trigger: String,
        rule: String,
        source_topic: String,
        source_partition: i32,
        source_offset: i64,
        source_at: i64,
        record_bytes: i64,
        #[serde(serialize_with = "as_bytes")]
        head: Vec<u8>,
    }
}

/// Instants that `DateTime64(3)` can hold: 1900 to 2299. What lies outside is set to the nearer end;
/// ClickHouse would store something else silently.
fn instant(ms: i64) -> i64 {
    ms.clamp(-2_208_988_800_000, 10_413_791_999_999)
}

fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

macro_rules! row {
    ($row:ident, $source:expr, $record:expr, { $($field:ident: $value:expr),+ $(,)? }) => {
        $row {
            $($field: $value,)+
            recorded_at: instant($record.timestamp_ms),
            log_topic: $source.topic.to_owned(),
            log_partition: $source.partition,
            log_offset: $record.offset,
            log_row: 0,
        }
    };
}

impl Rows {
    /// Adds what a record tells. One that is damaged is a dead letter, never a stop: the sink writes no topic, so
    /// it goes straight into the table.
    ///
    /// # Errors
    /// [`NotYet`] for a record that a newer release may have written; nothing is added.
    pub(crate) fn add(&mut self, source: Source<'_>, record: Record<'_>) -> Result<(), NotYet> {
        let value = record.value.unwrap_or_default();
        let added = if source.dead_letters {
            decode::<DeadLetter>(value).map(|letter| self.add_dead_letter(source, record, letter))
        } else {
            AuditRecord::decode(value).map(|told| self.add_audit(source, record, told))
        };
        match added.map_err(Unreadable::from) {
            Ok(()) => Ok(()),
            Err(Unreadable::Newer(why)) => Err(why),
            Err(Unreadable::Damaged(reason)) => {
                let letter = dead_letter(STAGE, source.topic, source.partition, &record, reason);
                self.add_dead_letter(source, record, letter);
                Ok(())
            }
        }
    }

    fn add_audit(&mut self, source: Source<'_>, record: Record<'_>, told: AuditRecord) {
        match told {
            AuditRecord::EventAudited(r) => self.events.push(row!(EventRow, source, record, {
                event_id: r.event_id,
                trigger: r.trigger,
                event_at: instant(r.event_at_ms),
                payload: r.payload,
                rules_matched: count(r.rules_matched),
                revision: r.revision,
                kv_version: r.kv_version,
                source_topic: r.topic,
                source_partition: r.partition,
                source_offset: r.offset,
            })),
            AuditRecord::RuleMatched(r) => self.rule_matches.push(row!(RuleMatchRow, source, record, {
                event_id: r.event_id,
                trigger: r.trigger,
                rule: r.rule,
                event_at: instant(r.event_at_ms),
                action: r.action,
                action_index: count(r.action_index),
                execution_id: r.execution_id,
                revision: r.revision,
                kv_version: r.kv_version,
            })),
            AuditRecord::CriteriaFailed(r) => self.criteria_errors.push(row!(CriteriaErrorRow, source, record, {
                event_id: r.event_id,
                trigger: r.trigger,
                rule: r.rule,
                code: r.code,
                detail: r.detail,
                event_at: instant(r.event_at_ms),
                revision: r.revision,
            })),
            AuditRecord::ExecutionChanged(r) => self.add_execution(source, record, r),
            AuditRecord::OutputCaptured(r) => self.execution_output.push(row!(OutputRow, source, record, {
                execution_id: r.execution_id,
                attempt: count(r.attempt),
                stream: r.stream,
                content: r.content,
                truncated: r.truncated,
                tail: r.tail,
                omitted_bytes: r.omitted_bytes,
                captured_at: instant(r.captured_at_ms),
            })),
            AuditRecord::RevisionApplied(r) => self.catalog_revisions.push(row!(RevisionRow, source, record, {
                revision: r.revision,
                packs: r.packs,
                applied_at: instant(r.applied_at_ms),
                applied_by: r.applied_by,
            })),
            AuditRecord::SecretChanged(r) => self.secret_changes.push(row!(SecretChangeRow, source, record, {
                name: r.name,
                version: r.version,
                change: r.change,
                changed_at: instant(r.changed_at_ms),
                changed_by: r.changed_by,
            })),
            AuditRecord::GateDecided(r) => self.gate_decisions.push(row!(GateRow, source, record, {
                gate: r.gate,
                policy: r.policy,
                execution_id: r.execution_id.unwrap_or_default(),
                root_execution_id: r.root_execution_id.unwrap_or_default(),
                acquisition: r.acquisition.unwrap_or_default(),
                decided: r.decided,
                reason: r.reason.unwrap_or_default(),
                decided_at: instant(r.decided_at_ms),
            })),
            AuditRecord::WorkflowMoved(r) => self.add_workflow(source, record, &r),
        }
    }

    /// One record has a row for each of its tasks.
    fn add_workflow(&mut self, source: Source<'_>, record: Record<'_>, r: &WorkflowMoved) {
        for (number, moved) in (0..).zip(&r.tasks) {
            let row = row!(WorkflowTaskRow, source, record, {
                execution_id: r.execution_id.clone(),
                root_execution_id: r.root_execution_id.clone(),
                event_id: r.event_id.clone().unwrap_or_default(),
                rule: r.rule.clone().unwrap_or_default(),
                action: r.action.clone(),
                revision: r.revision.clone(),
                task: moved.task.clone(),
                route: count(moved.route),
                run: count(moved.run),
                change: count(moved.change),
                status: moved.status.clone(),
                moved_at: instant(r.moved_at_ms),
            });
            self.workflow_tasks.push(WorkflowTaskRow { log_row: number, ..row });
        }
    }

    fn add_execution(&mut self, source: Source<'_>, record: Record<'_>, r: ExecutionChanged) {
        self.executions.push(row!(ExecutionRow, source, record, {
            execution_id: r.execution_id,
            root_execution_id: r.root_execution_id,
            parent_execution_id: r.parent_execution_id.unwrap_or_default(),
            sequence: r.sequence,
            status: r.status,
            code: r.code.unwrap_or_default(),
            changed_at: instant(r.changed_at_ms),
            event_id: r.event_id.unwrap_or_default(),
            trigger: r.trigger.unwrap_or_default(),
            rule: r.rule.unwrap_or_default(),
            action: r.action,
            parameters: r.parameters,
            revision: r.revision,
            requested_by: r.requested_by,
            attempt: count(r.attempt),
            worker: r.worker.unwrap_or_default(),
            requested_at: instant(r.requested_at_ms),
            started_at: r.started_at_ms.map(instant),
            ended_at: r.ended_at_ms.map(instant),
            return_code: r.return_code,
            result: r.result.unwrap_or_default(),
            extracted: r.extracted.unwrap_or_default(),
            result_object: r.result_object.unwrap_or_default(),
            error: r.error.unwrap_or_default(),
            task: r.task.unwrap_or_default(),
        }));
    }

    fn add_dead_letter(&mut self, source: Source<'_>, record: Record<'_>, r: DeadLetter) {
        self.dead_letters.push(row!(DeadLetterRow, source, record, {
            stage: r.stage,
            reason: r.reason,
            detail: r.detail,
            event_id: r.event_id.unwrap_or_default(),
            execution_id: r.execution_id.unwrap_or_default(),
            trigger: r.trigger.unwrap_or_default(),
            rule: r.rule.unwrap_or_default(),
            source_topic: r.topic,
            source_partition: r.partition,
            source_offset: r.offset,
            source_at: instant(r.timestamp_ms),
            record_bytes: r.record_bytes,
            head: r.head,
        }));
    }
}
