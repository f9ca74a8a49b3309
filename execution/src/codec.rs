//! From and to the records: the one place where an execution is made of strings.

use petrel_schemas::{
    Class, DecodeError, ExecutionEnded, ExecutionId, ExecutionState, ExecutionsRecord, IdError, encode,
};

use crate::attempt::{Attempt, Counts};
use crate::delivery::Delivery;
use crate::execution::{Ended, Execution, Known};
use crate::gate::{GateId, Passage, Stamp};
use crate::retry::{BackOff, Retry};
use crate::state::{
    Canceling, DelayReason, Delayed, Holder, In, Paused, Pausing, Pending, Requested, Resuming, Running, Scheduled,
};
use crate::status::Status;
use crate::subject::{Core, Note, Subject, Terms};
use crate::windows::Windows;

/// Why bytes are no execution.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// They are no record, or one of a newer release.
    #[error(transparent)]
    Record(#[from] DecodeError),
    /// The record holds no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The record contradicts itself.
    #[error("a record of a {status} execution has no proper {field}")]
    Field {
        /// Its status, as the record has it.
        status: String,
        /// The field that is missing, or has a value that means nothing.
        field: &'static str,
    },
}

/// The stored form: a full snapshot, or little of an execution that is over.
pub fn to_bytes(execution: &Execution) -> Vec<u8> {
    match execution.ended() {
        Some(ended) => encode(&ended_record(&ended)),
        None => encode(&record(execution)),
    }
}

/// Reads the stored form.
///
/// # Errors
/// See [`CodecError`].
pub fn from_bytes(bytes: &[u8]) -> Result<Known, CodecError> {
    match ExecutionsRecord::decode(bytes)? {
        ExecutionsRecord::ExecutionState(record) => live(record).map(Known::Live),
        ExecutionsRecord::ExecutionEnded(record) => over(record).map(Known::Over),
        // It stands at another key.
        ExecutionsRecord::WorkflowPiece(piece) => {
            Err(CodecError::Field { status: piece.execution_id, field: "status" })
        }
        ExecutionsRecord::WorkflowPage(page) => Err(CodecError::Field { status: page.execution_id, field: "status" }),
    }
}

fn ended_record(ended: &Ended) -> ExecutionEnded {
    ExecutionEnded {
        execution_id: ended.id.to_string(),
        root_execution_id: ended.id.root().into(),
        sequence: ended.sequence,
        status: ended.status.as_str().to_owned(),
        code: ended.code.clone(),
        return_code: ended.return_code,
        ended_at_ms: ended.ended_at_ms,
        conducted: ended.conducted,
    }
}

fn over(record: ExecutionEnded) -> Result<Ended, CodecError> {
    let status = Status::parse(&record.status).filter(|s| s.is_final());
    let status = status.ok_or_else(|| CodecError::Field { status: record.status.clone(), field: "status" })?;
    Ok(Ended {
        id: ExecutionId::parse(&record.execution_id)?,
        sequence: record.sequence,
        status,
        code: record.code,
        return_code: record.return_code,
        ended_at_ms: record.ended_at_ms,
        conducted: record.conducted,
    })
}

fn record(execution: &Execution) -> ExecutionState {
    let core = execution.core();
    let (subject, terms, id) = (&core.subject, core.terms.as_ref(), core.id());
    let retry = terms.and_then(|terms| terms.retry.as_ref());
    let mut record = ExecutionState {
        execution_id: id.to_string(),
        root_execution_id: id.root().into(),
        parent_execution_id: id.parent().map(String::from),
        children_open: core.children_open,
        sequence: core.sequence,
        status: execution.status().as_str().to_owned(),
        code: core.note.code.clone(),
        event_id: subject.event_id.clone(),
        event_at_ms: subject.event_at_ms,
        trigger: subject.trigger.clone(),
        rule: subject.rule.clone(),
        action_index: subject.action_index,
        action: subject.action.clone(),
        parameters: core.parameters.clone(),
        revision: subject.revision.clone(),
        requested_by: subject.requested_by.clone(),
        pool: terms.map(|t| t.pool.clone()).unwrap_or_default(),
        delivery: terms.map(|t| t.delivery.as_str().to_owned()).unwrap_or_default(),
        timeout_ms: terms.map(|t| t.timeout_ms).unwrap_or_default(),
        retries_max: retry.map(|r| r.retries_max).unwrap_or_default(),
        retry_on: retry.map(retried).unwrap_or_default(),
        retry_delay_ms: retry.map(|r| r.delay_ms).unwrap_or_default(),
        retry_back_off: retry.map(|r| r.back_off.as_str().to_owned()).unwrap_or_default(),
        retry_delay_ms_max: retry.map(|r| r.delay_ms_max).unwrap_or_default(),
        retry_jitter_percent: retry.map(|r| i32::from(r.jitter_percent)).unwrap_or_default(),
        retry_total_ms_max: retry.and_then(|r| r.total_ms_max),
        retry_when: retry.and_then(|r| r.when.as_deref()).map(str::to_owned),
        retry_heeds_server: retry.is_none_or(|r| r.heeds_server),
        deadline_ms: terms.and_then(|terms| terms.deadline_ms),
        windows: terms.map(|terms| terms.windows.iter().map(windows_text).collect()).unwrap_or_default(),
        gate_class: String::new(),
        gates: Vec::new(),
        gates_acquired: Vec::new(),
        gates_awaits: false,
        gates_asked_again: 0,
        gates_turned_away: 0,
        gates_inherited: Vec::new(),
        gates_begun: false,
        attempt: core.attempt.number,
        token: core.attempt.token,
        lost_leases: core.counts.lost_leases,
        failures: core.counts.failures,
        hand_overs: core.counts.hand_overs,
        not_begun: core.counts.not_begun,
        task_partition: None,
        start_by_ms: None,
        declines: 0,
        too_small: 0,
        worker: execution.holder().map(|h| h.worker.clone()),
        requested_at_ms: subject.requested_at_ms,
        scheduled_at_ms: core.scheduled_at_ms,
        started_at_ms: execution.holder().and_then(|h| h.started_at_ms),
        delayed_until_ms: None,
        canceled_by: None,
        error: core.note.error.clone(),
        cause_depth: subject.cause_depth,
        class: subject.class.map(|class| class.as_str().to_owned()),
        task: subject.task.clone(),
        frozen: None,
        runs_again: false,
        rerun_at_ms: core.rerun_at_ms,
    };
    if let Some(passage) = &core.passage {
        record.gate_class = passage.class.as_str().to_owned();
        record.gates = passage.gates.iter().map(GateId::to_string).collect();
        record.gates_acquired = passage.acquired.iter().map(Stamp::to_string).collect();
        record.gates_awaits = passage.awaits;
        record.gates_asked_again = i32::try_from(passage.asked_again).unwrap_or(i32::MAX);
        record.gates_turned_away = i32::try_from(passage.turned_away).unwrap_or(i32::MAX);
        record.gates_inherited = passage.inherited.iter().map(GateId::to_string).collect();
        record.gates_begun = passage.begun;
    }
    match execution {
        Execution::Delayed(In { state, .. }) => {
            record.delayed_until_ms = state.until_ms;
            record.start_by_ms = state.start_by_ms;
        }
        Execution::Paused(In { state, .. }) => record.frozen.clone_from(&state.frozen),
        Execution::Resuming(In { state, .. }) => {
            record.runs_again = state.runs_again;
            record.delayed_until_ms = state.awaits.as_ref().and_then(|delayed| delayed.until_ms);
        }
        Execution::Scheduled(In { state, .. }) => {
            record.task_partition = i32::try_from(state.partition).ok();
            record.start_by_ms = Some(state.start_by_ms);
            record.declines = state.declines;
            record.too_small = state.too_small;
            record.delayed_until_ms = state.again_ms;
        }
        Execution::Canceling(In { state, .. }) => {
            record.canceled_by = Some(state.by.clone());
            record.start_by_ms = state.start_by_ms;
        }
        _ => {}
    }
    record
}

const ON_FAILURE: &str = "failure";
const ON_TIMEOUT: &str = "timeout";
const ON_LOST_WORKER: &str = "lost_worker";

fn windows_text(windows: &Windows) -> String {
    // Names, numbers and times of a calendar: there is nothing in it that JSON does not have.
    serde_json::to_string(windows).unwrap_or_default()
}

fn retried(retry: &Retry) -> Vec<String> {
    let on = [(retry.on_failure, ON_FAILURE), (retry.on_timeout, ON_TIMEOUT), (retry.on_lost_worker, ON_LOST_WORKER)];
    on.into_iter().filter(|(is_on, _)| *is_on).map(|(_, what)| what.to_owned()).collect()
}

fn retry(record: &ExecutionState) -> Result<Option<Retry>, CodecError> {
    if record.retry_back_off.is_empty() {
        return Ok(None);
    }
    let missing = |field: &'static str| CodecError::Field { status: record.status.clone(), field };
    let on = |wanted: &str| record.retry_on.iter().any(|what| what == wanted);
    Ok(Some(Retry {
        on_failure: on(ON_FAILURE),
        on_timeout: on(ON_TIMEOUT),
        on_lost_worker: on(ON_LOST_WORKER),
        when: record.retry_when.as_deref().map(Into::into),
        heeds_server: record.retry_heeds_server,
        retries_max: record.retries_max,
        delay_ms: record.retry_delay_ms,
        back_off: BackOff::parse(&record.retry_back_off).ok_or_else(|| missing("retry_back_off"))?,
        delay_ms_max: record.retry_delay_ms_max,
        jitter_percent: u8::try_from(record.retry_jitter_percent).map_err(|_| missing("retry_jitter_percent"))?,
        total_ms_max: record.retry_total_ms_max,
    }))
}

fn windows(record: &ExecutionState) -> Result<Vec<Windows>, CodecError> {
    let field = || CodecError::Field { status: record.status.clone(), field: "windows" };
    record.windows.iter().map(|text| serde_json::from_str(text).map_err(|_| field())).collect()
}

fn passage(record: &ExecutionState) -> Result<Option<Passage>, CodecError> {
    if record.gate_class.is_empty() {
        return Ok(None);
    }
    let missing = |field: &'static str| CodecError::Field { status: record.status.clone(), field };
    let gates = |texts: &[String], field: &'static str| {
        texts.iter().map(|text| GateId::parse(text).map_err(|_| missing(field))).collect::<Result<Vec<_>, _>>()
    };
    let stamp = |text: &String| Stamp::parse(text).ok_or_else(|| missing("gates_acquired"));
    let passage = Passage {
        class: Class::parse(&record.gate_class).ok_or_else(|| missing("gate_class"))?,
        gates: gates(&record.gates, "gates")?,
        acquired: record.gates_acquired.iter().map(stamp).collect::<Result<_, _>>()?,
        awaits: record.gates_awaits,
        asked_again: u32::try_from(record.gates_asked_again).map_err(|_| missing("gates_asked_again"))?,
        turned_away: u32::try_from(record.gates_turned_away).map_err(|_| missing("gates_turned_away"))?,
        inherited: gates(&record.gates_inherited, "gates_inherited")?,
        begun: record.gates_begun,
    };
    let is_awaited = !passage.awaits || !passage.acquired.is_empty();
    if passage.acquired.len() > passage.gates.len() || !is_awaited {
        return Err(missing("gates_acquired"));
    }
    Ok(Some(passage))
}

fn live(record: ExecutionState) -> Result<Execution, CodecError> {
    let missing = |field: &'static str| CodecError::Field { status: record.status.clone(), field };
    let status = Status::parse(&record.status).ok_or_else(|| missing("status"))?;
    let holder = record.worker.clone().map(|worker| Holder { worker, started_at_ms: record.started_at_ms });
    let core = core(&record)?;
    Ok(match status {
        Status::Requested => In { core, state: Requested }.into(),
        Status::Delayed => {
            let reason = record.code.as_deref().and_then(DelayReason::parse).ok_or_else(|| missing("code"))?;
            let (until_ms, start_by_ms) = (record.delayed_until_ms, record.start_by_ms);
            In { core, state: Delayed { reason, until_ms, start_by_ms } }.into()
        }
        Status::Scheduled => {
            let partition = record.task_partition.and_then(|p| u32::try_from(p).ok());
            let partition = partition.ok_or_else(|| missing("task_partition"))?;
            let start_by_ms = record.start_by_ms.ok_or_else(|| missing("start_by_ms"))?;
            let (declines, too_small, again_ms) = (record.declines, record.too_small, record.delayed_until_ms);
            In { core, state: Scheduled { partition, start_by_ms, declines, too_small, again_ms } }.into()
        }
        Status::Running if holder.is_none() && !core.is_conducted() => return Err(missing("worker")),
        Status::Running => In { core, state: Running { holder } }.into(),
        Status::Pausing => In { core, state: Pausing { holder } }.into(),
        Status::Paused => In { core, state: Paused { frozen: record.frozen.clone() } }.into(),
        Status::Resuming => {
            let reason = record.code.as_deref().and_then(DelayReason::parse);
            let until_ms = record.delayed_until_ms;
            let awaits = reason.map(|reason| Delayed { reason, until_ms, start_by_ms: None });
            In { core, state: Resuming { runs_again: record.runs_again, awaits } }.into()
        }
        Status::Pending => In { core, state: Pending }.into(),
        Status::Canceling => {
            let by = record.canceled_by.clone().ok_or_else(|| missing("canceled_by"))?;
            In { core, state: Canceling { by, holder, start_by_ms: record.start_by_ms } }.into()
        }
        // Those leave another record.
        Status::Succeeded | Status::Failed | Status::Timeout | Status::Canceled | Status::Abandoned => {
            return Err(missing("status"));
        }
    })
}

fn core(record: &ExecutionState) -> Result<Core, CodecError> {
    let terms = match record.delivery.as_str() {
        "" => None,
        delivery => Some(Terms {
            pool: record.pool.clone(),
            delivery: Delivery::parse(delivery)
                .ok_or_else(|| CodecError::Field { status: record.status.clone(), field: "delivery" })?,
            timeout_ms: record.timeout_ms,
            retry: retry(record)?,
            deadline_ms: record.deadline_ms,
            windows: windows(record)?,
        }),
    };
    Ok(Core {
        subject: Subject {
            id: ExecutionId::parse(&record.execution_id)?,
            event_id: record.event_id.clone(),
            event_at_ms: record.event_at_ms,
            trigger: record.trigger.clone(),
            rule: record.rule.clone(),
            action_index: record.action_index,
            action: record.action.clone(),
            revision: record.revision.clone(),
            requested_by: record.requested_by.clone(),
            requested_at_ms: record.requested_at_ms,
            cause_depth: record.cause_depth,
            class: record.class.as_deref().and_then(Class::parse),
            task: record.task.clone(),
        },
        parameters: record.parameters.clone(),
        terms,
        sequence: record.sequence,
        attempt: Attempt { number: record.attempt, token: record.token },
        counts: Counts {
            lost_leases: record.lost_leases,
            failures: record.failures,
            hand_overs: record.hand_overs,
            not_begun: record.not_begun,
        },
        children_open: record.children_open,
        scheduled_at_ms: record.scheduled_at_ms,
        rerun_at_ms: record.rerun_at_ms,
        passage: passage(record)?,
        note: Note { code: record.code.clone(), error: record.error.clone() },
    })
}

#[cfg(test)]
mod tests;
