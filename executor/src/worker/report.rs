//! Sends what an attempt says to its owner, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Clock, Output, PublishError, Publisher};
use petrel_execution::worker::{Final, Holding, Reports, heartbeat_again_ms, heartbeat_every_ms};
use petrel_schemas::{Task, encode};
use tokio::sync::watch;

use super::told::Owner;
use crate::supervise::boot_ms;

/// Pause before the end is reported again: first and longest, in milliseconds.
const RETRY_MS: (u64, u64) = (100, 5_000);

/// How long an owner beside this worker may take to commit what it is told, in milliseconds.
const TELL_MS: u64 = 2_000;

/// Speaks for one worker.
pub(super) struct Reporter {
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) results: Arc<str>,
    pub(super) reports: Reports,
}

impl Reporter {
    /// Sends heartbeats for as long as it is polled. An acknowledged one extends the lease, counted from
    /// its sending: whatever the owner counts from came later.
    pub(super) async fn heartbeats(&self, task: &Task, held: &watch::Sender<Holding>) -> std::convert::Infallible {
        let mut pause_ms = heartbeat_every_ms(task.lease_ms);
        loop {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            let (sent_ms, awaits_grant) = (boot_ms(), held.borrow().awaits_grant());
            let heartbeat = self.reports.heartbeat(task, awaits_grant, self.clock.now_ms());
            pause_ms = match self.publisher.publish(vec![self.output(task, encode(&heartbeat))]).await {
                Ok(_) => {
                    held.send_modify(|h| h.acknowledged(sent_ms));
                    heartbeat_every_ms(task.lease_ms)
                }
                Err(error) => {
                    tracing::warn!(%error, execution = %task.execution_id, "heartbeat not acknowledged");
                    heartbeat_again_ms(task.lease_ms)
                }
            };
        }
    }

    /// Sends the end until it is acknowledged. Sent twice it is harmless: the owner takes the first. Where the owner is
    /// beside this worker it is told first, and the log only if it does not answer.
    pub(super) async fn end(&self, task: &Task, mut end: Final, owner: Option<Owner>) {
        if let Some(mut telling) = owner.and_then(|owner| owner.tell(&end, is_awaited(task))) {
            let limit = Duration::from_millis(TELL_MS);
            if matches!(tokio::time::timeout(limit, &mut telling.committed).await, Ok(Ok(()))) {
                return;
            }
        }
        let mut pause_ms = RETRY_MS.0;
        loop {
            match self.publisher.publish(vec![self.output(task, end.encode())]).await {
                Ok(_) => return,
                Err(PublishError::Closed) => {
                    tracing::warn!(execution = %task.execution_id, "shut down before the result was sent");
                    return;
                }
                Err(PublishError::TooLarge { .. }) if end.shorten() => {}
                Err(error) => {
                    tracing::warn!(%error, execution = %task.execution_id, pause_ms, "result not acknowledged");
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                    pause_ms = (pause_ms * 2).min(RETRY_MS.1);
                }
            }
        }
    }

    fn output(&self, task: &Task, value: Vec<u8>) -> Output {
        Output::keyed(&self.results, task.root_execution_id.as_bytes(), value)
    }
}

/// Whether somebody may wait for the end: whoever asked for it by hand, or a parent.
fn is_awaited(task: &Task) -> bool {
    task.event_id.is_none() || task.execution_id != task.root_execution_id
}

#[cfg(test)]
mod tests;
