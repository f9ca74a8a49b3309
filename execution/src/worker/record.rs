//! What a worker writes.

use std::sync::Arc;

use petrel_schemas::{Claim, Declined, HandedOver, Heartbeat, ResultsRecord, Task, TaskResult};
use serde_json::Value;

use super::holding::Verdict;
use super::text::{Text, fit};
use crate::code;
use crate::inject::Injected;
use crate::limits::{RESULT_BYTES_MAX, head};
use crate::outcome::Outcome;
use crate::owner::DeclineReason;
use crate::status::Status;
use crate::subject::Note;

/// Longest text of a stream in a result, its beginning and its end together, in bytes: two of them fit into a record of a million bytes.
pub const STREAM_BYTES_MAX: usize = 400 << 10;

/// Writes the reports of one worker.
#[derive(Debug, Clone)]
pub struct Reports {
    /// Instance id of the worker.
    pub worker: Arc<str>,
    /// Its pool.
    pub pool: Arc<str>,
}

/// How an attempt ended, as it is written.
#[derive(Debug, Clone, PartialEq)]
// It is short-lived: made, looked at once and written.
#[allow(clippy::large_enum_variant)]
pub enum Final {
    /// It ended.
    Result(TaskResult),
    /// It is given back.
    HandedOver(HandedOver),
}

impl Reports {
    /// It takes the task.
    pub fn claim(&self, task: &Task, now_ms: i64) -> Claim {
        Claim {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            pool: self.pool.to_string(),
            claimed_at_ms: now_ms,
        }
    }

    /// It does not take the task.
    pub fn declined(&self, task: &Task, reason: DeclineReason, now_ms: i64) -> Declined {
        Declined {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            reason: reason.as_str().to_owned(),
            declined_at_ms: now_ms,
        }
    }

    /// It still has the attempt.
    pub fn heartbeat(&self, task: &Task, awaits_grant: bool, now_ms: i64) -> Heartbeat {
        Heartbeat {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            pool: self.pool.to_string(),
            awaits_grant,
            sent_at_ms: now_ms,
        }
    }

    /// The attempt ended. `started_at_ms` is when the action was started.
    pub fn end(&self, task: &Task, verdict: Verdict, started_at_ms: Option<i64>, now_ms: i64) -> Final {
        match verdict {
            Verdict::Ended(outcome) => Final::Result(self.result(task, outcome, started_at_ms, now_ms)),
            Verdict::HandedOver { begun, lacks, stdout, stderr } => {
                let [stdout, stderr] = [stdout, stderr].map(|stream| Text::of(stream, STREAM_BYTES_MAX));
                Final::HandedOver(HandedOver {
                    execution_id: task.execution_id.clone(),
                    root_execution_id: task.root_execution_id.clone(),
                    attempt: task.attempt,
                    token: task.token,
                    worker: self.worker.to_string(),
                    begun,
                    lacks,
                    stdout: stdout.content,
                    stderr: stderr.content,
                    stdout_truncated: stdout.truncated,
                    stderr_truncated: stderr.truncated,
                    stdout_tail: stdout.tail,
                    stderr_tail: stderr.tail,
                    stdout_omitted_bytes: stdout.omitted_bytes,
                    stderr_omitted_bytes: stderr.omitted_bytes,
                    handed_over_at_ms: now_ms,
                })
            }
        }
    }

    fn result(&self, task: &Task, outcome: Outcome, started_at_ms: Option<i64>, now_ms: i64) -> TaskResult {
        let Outcome { status, note, return_code, result, extracted, result_object, stdout, stderr, .. } = outcome;
        let Outcome { retriable, events, retry_after_ms, .. } = outcome;
        let [stdout, stderr] = [stdout, stderr].map(|stream| Text::of(stream, STREAM_BYTES_MAX));
        let result = result.map(|value| value.to_string());
        // No part of a JSON value is a JSON value: what is too long is left out, and that is said.
        let (result, note) = match result {
            Some(text) if text.len() > RESULT_BYTES_MAX => (None, without_result(note, text.len())),
            result => (result, note),
        };
        TaskResult {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            status: status.as_str().to_owned(),
            return_code,
            code: note.code,
            error: note.error,
            result,
            extracted: extracted.map(|values| Value::Object(values).to_string()),
            result_object: result_object.map(|object| object.encode()),
            retriable,
            stdout: stdout.content,
            stderr: stderr.content,
            stdout_truncated: stdout.truncated,
            stderr_truncated: stderr.truncated,
            stdout_tail: stdout.tail,
            stderr_tail: stderr.tail,
            stdout_omitted_bytes: stdout.omitted_bytes,
            stderr_omitted_bytes: stderr.omitted_bytes,
            started_at_ms,
            ended_at_ms: now_ms,
            events: events.iter().map(Injected::encode).collect(),
            retry_after_ms: retry_after_ms.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        }
    }
}

/// What is told of an attempt whose result is left out.
fn without_result(note: Note, bytes: usize) -> Note {
    let why = format!("its result of {bytes} bytes is over the limit and was left out");
    note.and(code::RESULT_TOO_LARGE, &why)
}

impl Final {
    /// Halves the output, for a log whose limit is lower than the default; without output, leaves the result out
    /// and halves the error; an attempt whose events are too large has failed. Whether there was anything to shorten.
    pub fn shorten(&mut self) -> bool {
        self.shorten_output() || self.shorten_rest()
    }

    fn shorten_rest(&mut self) -> bool {
        let Self::Result(told) = self else { return false };
        if let Some(result) = told.result.take() {
            let note = without_result(Note::of(told.code.take(), told.error.take()), result.len());
            (told.code, told.error) = (note.code, note.error);
            return true;
        }
        if told.extracted.take().is_some() {
            // What is decided by it must not go on without it.
            if told.status == Status::Succeeded.as_str() {
                told.status = Status::Failed.as_str().to_owned();
                told.retriable = false;
            }
            let why = "the log does not take what its action takes of the result, which was left out";
            let note = Note::of(told.code.take(), told.error.take()).and(code::RESULT_TOO_LARGE, why);
            (told.code, told.error) = (note.code, note.error);
            return true;
        }
        if let Some(error) = told.error.as_mut().filter(|error| !error.is_empty()) {
            error.truncate(head(error, error.len() / 2).len());
            return true;
        }
        if told.events.is_empty() {
            return false;
        }
        // Without its events it has not done what it was to do.
        told.events.clear();
        told.status = Status::Failed.as_str().to_owned();
        told.code = Some(code::EVENT_TOO_LARGE.to_owned());
        told.error = Some("the log does not take the events that it injects".to_owned());
        true
    }

    fn shorten_output(&mut self) -> bool {
        macro_rules! streams {
            ($told:expr) => {
                [
                    (
                        &mut $told.stdout,
                        &mut $told.stdout_tail,
                        &mut $told.stdout_omitted_bytes,
                        &mut $told.stdout_truncated,
                    ),
                    (
                        &mut $told.stderr,
                        &mut $told.stderr_tail,
                        &mut $told.stderr_omitted_bytes,
                        &mut $told.stderr_truncated,
                    ),
                ]
            };
        }
        let streams = match self {
            Self::Result(told) => streams!(told),
            Self::HandedOver(told) => streams!(told),
        };
        let mut any = false;
        for (content, tail, omitted_bytes, truncated) in streams {
            let bytes = content.len() + tail.len();
            any |= bytes > 0;
            fit(content, tail, omitted_bytes, truncated, bytes / 2);
        }
        any
    }

    /// Bytes of its texts, which are nearly all of it.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Result(r) => {
                let optional = [&r.result, &r.extracted, &r.result_object, &r.error];
                let texts = [&r.stdout, &r.stderr, &r.stdout_tail, &r.stderr_tail];
                let optional = optional.into_iter().flatten().map(String::len).sum::<usize>();
                texts.map(String::len).iter().sum::<usize>()
                    + optional
                    + r.events.iter().map(String::len).sum::<usize>()
            }
            Self::HandedOver(r) => r.stdout.len() + r.stderr.len() + r.stdout_tail.len() + r.stderr_tail.len(),
        }
    }

    /// As a record of `petrel.results`.
    pub fn into_record(self) -> ResultsRecord {
        match self {
            Self::Result(result) => ResultsRecord::TaskResult(result),
            Self::HandedOver(gave) => ResultsRecord::HandedOver(gave),
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Result(result) => petrel_schemas::encode(result),
            Self::HandedOver(gave) => petrel_schemas::encode(gave),
        }
    }
}

#[cfg(test)]
mod tests;
