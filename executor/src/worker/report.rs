//! What an attempt says to its owner, and for how long it may go on without an answer.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Clock, Output, PublishError, Publisher};
use petrel_schemas::{Heartbeat, Task, TaskResult, encode};
use tokio::sync::watch;

use crate::limits::{STREAM_BYTES_MAX, head};
use crate::owner::Status;
use crate::runner::{Directive, Outcome};
use crate::supervise::boot_ms;

/// Pause before a result is sent again: first and longest, in milliseconds.
const RETRY_MS: (u64, u64) = (100, 5_000);
/// Heartbeats in a lease.
const HEARTBEATS: u64 = 3;
/// The worker's lease is shorter than the owner's by this share, so that its commands are dead by then.
const MARGIN: u64 = 10;

/// Speaks for one worker.
pub(super) struct Reporter {
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) results: Arc<str>,
    pub(super) worker: Arc<str>,
}

/// How an attempt ended, for its owner.
pub(super) struct Ended {
    pub(super) status: Status,
    pub(super) started_at_ms: Option<i64>,
    pub(super) outcome: Outcome,
}

/// How long a worker may go on after something that it sent and that was acknowledged, in milliseconds.
pub(super) fn worker_lease_ms(task: &Task) -> u64 {
    let lease_ms = u64::try_from(task.lease_ms).unwrap_or(0);
    lease_ms - lease_ms / MARGIN
}

impl Reporter {
    /// Sends heartbeats for as long as it is polled. An acknowledged one extends the lease, counted from
    /// its sending: whatever the owner counts from came later.
    pub(super) async fn heartbeats(
        &self,
        task: &Task,
        director: &watch::Sender<Directive>,
    ) -> std::convert::Infallible {
        let lease_ms = worker_lease_ms(task);
        loop {
            tokio::time::sleep(Duration::from_millis((lease_ms / HEARTBEATS).max(1))).await;
            let sent_ms = boot_ms();
            let heartbeat = Heartbeat {
                execution_id: task.execution_id.clone(),
                root_execution_id: task.root_execution_id.clone(),
                attempt: task.attempt,
                token: task.token,
                worker: self.worker.to_string(),
                sent_at_ms: self.clock.now_ms(),
            };
            match self.publisher.publish(vec![self.output(task, encode(&heartbeat))]).await {
                Ok(_) => director.send_modify(|d| d.lease_deadline_ms = d.lease_deadline_ms.max(sent_ms + lease_ms)),
                Err(error) => {
                    tracing::warn!(%error, execution = %task.execution_id, "heartbeat not acknowledged");
                }
            }
        }
    }

    /// Sends the result until it is acknowledged. Sent twice it is harmless: the owner takes the first.
    pub(super) async fn result(&self, task: &Task, ended: Ended) {
        let mut result = self.result_of(task, ended);
        let mut pause_ms = RETRY_MS.0;
        loop {
            match self.publisher.publish(vec![self.output(task, encode(&result))]).await {
                Ok(_) => return,
                Err(PublishError::Closed) => {
                    tracing::warn!(execution = %task.execution_id, "shut down before the result was sent");
                    return;
                }
                Err(PublishError::TooLarge { .. }) if !(result.stdout.is_empty() && result.stderr.is_empty()) => {
                    shorten(&mut result);
                }
                Err(error) => {
                    tracing::warn!(%error, execution = %task.execution_id, pause_ms, "result not acknowledged");
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = (pause_ms * 2).min(RETRY_MS.1);
                }
            }
        }
    }

    fn result_of(&self, task: &Task, ended: Ended) -> TaskResult {
        let Ended { status, started_at_ms, outcome } = ended;
        let (stdout, stdout_cut) = text(&outcome.stdout);
        let (stderr, stderr_cut) = text(&outcome.stderr);
        TaskResult {
            execution_id: task.execution_id.clone(),
            root_execution_id: task.root_execution_id.clone(),
            attempt: task.attempt,
            token: task.token,
            worker: self.worker.to_string(),
            status: status.as_str().to_owned(),
            return_code: outcome.return_code,
            error: outcome.error,
            stdout,
            stderr,
            stdout_truncated: outcome.stdout_truncated || stdout_cut,
            stderr_truncated: outcome.stderr_truncated || stderr_cut,
            started_at_ms,
            ended_at_ms: self.clock.now_ms(),
        }
    }

    fn output(&self, task: &Task, value: Vec<u8>) -> Output {
        Output::keyed(&self.results, task.root_execution_id.as_bytes(), value)
    }
}

/// Output as text, and whether it had to be cut: a replaced byte takes three.
fn text(bytes: &[u8]) -> (String, bool) {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let kept = head(&text, STREAM_BYTES_MAX).len();
    let cut = kept < text.len();
    text.truncate(kept);
    (text, cut)
}

/// Halves the output, for a log whose limit is lower than the default.
fn shorten(result: &mut TaskResult) {
    for (text, truncated) in
        [(&mut result.stdout, &mut result.stdout_truncated), (&mut result.stderr, &mut result.stderr_truncated)]
    {
        *truncated |= !text.is_empty();
        text.truncate(head(text, text.len() / 2).len());
    }
}

#[cfg(test)]
mod tests;
