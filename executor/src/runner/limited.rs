//! Work inside this process for as long as its attempt may go on.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use petrel_execution::worker::{Holding, Why};
use tokio::sync::watch;

use crate::supervise::boot_ms;

/// Does the work until it ends, and ends it at once when the attempt is stopped, its lease passes or it has taken too
/// long. Nothing of it is done from then on, also if this process was stopped or its machine asleep meanwhile: each time
/// before the work goes on, it is looked whether it may.
pub(super) async fn limited<T>(
    mut held: watch::Receiver<Holding>,
    timeout_ms: u64,
    work: impl Future<Output = T>,
) -> Result<T, Why> {
    let timeout_at_ms = boot_ms().saturating_add(timeout_ms);
    let mut work = pin!(work);
    loop {
        let (stop, lease_deadline_ms) = {
            let held = held.borrow_and_update();
            (held.stop(), held.lease_deadline_ms())
        };
        if stop.is_some() {
            return Err(Why::Stopped);
        }
        let over = |now_ms: u64| match () {
            () if now_ms >= lease_deadline_ms => Some(Why::LeaseLost),
            () if now_ms >= timeout_at_ms => Some(Why::Timeout),
            () => None,
        };
        let now_ms = boot_ms();
        if let Some(why) = over(now_ms) {
            return Err(why);
        }
        let checked = std::future::poll_fn(|context| match over(boot_ms()) {
            Some(why) => Poll::Ready(Err(why)),
            None => work.as_mut().poll(context).map(Ok),
        });
        let left_ms = lease_deadline_ms.min(timeout_at_ms) - now_ms;
        tokio::select! {
            biased;
            // A worker that is gone wants nothing more of it.
            changed = held.changed() => if changed.is_err() {
                return Err(Why::Stopped);
            },
            ended = checked => return ended,
            () = tokio::time::sleep(Duration::from_millis(left_ms)) => {}
        }
    }
}
