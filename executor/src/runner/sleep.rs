//! The runner `sleep`.

use std::time::Duration;

use petrel_execution::runner::SleepCall;
use petrel_execution::worker::{Exit, Holding, Why};
use tokio::sync::watch;

use super::Context;
use super::limited::{Leave, limited};

pub(super) async fn carry_out(call: SleepCall, context: &Context<'_>) -> Exit {
    (context.started)();
    sleep(call, context.timeout_ms(), context.held.subscribe()).await
}

/// Waits for as long as it is told, in milliseconds, and as the attempt may go on.
pub async fn sleep(call: SleepCall, timeout_ms: u64, held: watch::Receiver<Holding>) -> Exit {
    let slept =
        limited(Leave::new(held, timeout_ms), tokio::time::sleep(Duration::from_millis(call.duration_ms))).await;
    Exit::bare(slept.map_or_else(|why| why, |()| Why::Succeeded), None)
}
