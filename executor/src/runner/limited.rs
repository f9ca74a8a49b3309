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

#[cfg(test)]
mod tests {
    use petrel_execution::worker::Remembered;
    use petrel_schemas::Task;

    use super::*;

    fn holding(lease_ms: u64) -> Holding {
        let task = Task {
            execution_id: "e".to_owned(),
            root_execution_id: "e".to_owned(),
            event_id: None,
            event_at_ms: None,
            rule: None,
            action: "demo.x".to_owned(),
            revision: "r".to_owned(),
            parameters: "{}".to_owned(),
            attempt: 1,
            token: 1,
            delivery: "at_least_once".to_owned(),
            timeout_ms: 60_000,
            lease_ms: 0,
            dispatched_at_ms: 0,
            start_by_ms: 0,
            declines: 0,
        };
        Holding::new(&task, boot_ms() + lease_ms, Remembered::default())
    }

    /// As a process that is stopped for longer than its lease, and continued: what is ready by then is not done.
    #[tokio::test]
    async fn what_was_held_up_for_longer_than_its_lease_does_nothing_more() {
        for (lease_ms, timeout_ms, expected) in [(50, 60_000, Why::LeaseLost), (60_000, 50, Why::Timeout)] {
            let (_director, held) = watch::channel(holding(lease_ms));
            let (began_ms, mut polls) = (boot_ms(), 0);
            let work = std::future::poll_fn(|context| {
                polls += 1;
                while boot_ms() < began_ms + 100 {
                    std::hint::spin_loop();
                }
                context.waker().wake_by_ref();
                if polls == 1 { Poll::Pending } else { Poll::Ready("sent") }
            });
            assert_eq!(limited(held, timeout_ms, work).await, Err(expected));
            assert_eq!(polls, 1);
        }
    }

    #[tokio::test]
    async fn work_whose_worker_is_gone_ends() {
        let (director, held) = watch::channel(holding(60_000));
        drop(director);
        assert_eq!(limited(held, 60_000, std::future::pending::<()>()).await, Err(Why::Stopped));
        let (_director, held) = watch::channel(holding(60_000));
        assert_eq!(limited(held, 60_000, std::future::ready(5)).await, Ok(5));
    }
}
