//! Work inside this process for as long as its attempt may go on.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use petrel_execution::worker::{Holding, Why};
use tokio::sync::watch;

use crate::supervise::boot_ms;

/// Longest time, in milliseconds, until it is looked at whether work may go on. Timers stand still while the machine
/// sleeps, and leases do not.
const LOOK_EVERY_MS: u64 = 1_000;

/// For how long the work of an attempt may go on.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    held: watch::Receiver<Holding>,
    timeout_at_ms: u64,
}

impl Leave {
    /// From now on, for at most that long, in milliseconds.
    pub(super) fn new(held: watch::Receiver<Holding>, timeout_ms: u64) -> Self {
        Self { held, timeout_at_ms: boot_ms().saturating_add(timeout_ms) }
    }

    /// Why it may not go on, if it may not.
    pub(super) fn over(&self) -> Option<Why> {
        // A worker that is gone wants nothing more of it.
        let is_gone = self.held.has_changed().is_err();
        let held = self.held.borrow();
        let now_ms = boot_ms();
        match () {
            () if is_gone || held.stop().is_some() => Some(Why::Stopped),
            () if now_ms >= held.lease_deadline_ms() => Some(Why::LeaseLost),
            () if now_ms >= self.timeout_at_ms => Some(Why::Timeout),
            () => None,
        }
    }

    /// How long it can be until that changes without anything being said, in milliseconds.
    fn left_ms(&self) -> u64 {
        self.held.borrow().lease_deadline_ms().min(self.timeout_at_ms).saturating_sub(boot_ms()).min(LOOK_EVERY_MS)
    }
}

/// Does the work until it ends, and ends it at once when the attempt is stopped, its lease passes or it has taken too
/// long. Nothing of it is done from then on, also if this process was stopped or its machine asleep meanwhile: each time
/// before the work goes on, it is looked whether it may.
pub(super) async fn limited<T>(mut leave: Leave, work: impl Future<Output = T>) -> Result<T, Why> {
    let asked = leave.clone();
    let mut work = pin!(work);
    loop {
        leave.held.borrow_and_update();
        if let Some(why) = leave.over() {
            return Err(why);
        }
        let checked = std::future::poll_fn(|context| match asked.over() {
            Some(why) => Poll::Ready(Err(why)),
            None => work.as_mut().poll(context).map(Ok),
        });
        let left = Duration::from_millis(leave.left_ms());
        tokio::select! {
            biased;
            changed = leave.held.changed() => if changed.is_err() {
                return Err(Why::Stopped);
            },
            ended = checked => return ended,
            () = tokio::time::sleep(left) => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use petrel_execution::worker::Remembered;
    use petrel_schemas::Task;

    use super::*;

    pub(in crate::runner) fn holding(lease_ms: u64) -> Holding {
        let task = Task {
            execution_id: "e".to_owned(),
            root_execution_id: "e".to_owned(),
            action: "demo.x".to_owned(),
            revision: "r".to_owned(),
            parameters: "{}".to_owned(),
            attempt: 1,
            token: 1,
            delivery: "at_least_once".to_owned(),
            timeout_ms: 60_000,
            ..Task::default()
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
            assert_eq!(limited(Leave::new(held, timeout_ms), work).await, Err(expected));
            assert_eq!(polls, 1);
        }
    }

    #[tokio::test]
    async fn work_whose_worker_is_gone_ends() {
        let (director, held) = watch::channel(holding(60_000));
        drop(director);
        assert_eq!(limited(Leave::new(held, 60_000), std::future::pending::<()>()).await, Err(Why::Stopped));
        let (_director, held) = watch::channel(holding(60_000));
        assert_eq!(limited(Leave::new(held, 60_000), std::future::ready(5)).await, Ok(5));
    }

    /// After a sleep of the machine the timer of the lease's end is late by as much; nothing else may wake the work.
    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_every_second_whether_work_may_go_on() {
        let (_director, held) = watch::channel(holding(600_000));
        let (began, mut polls) = (tokio::time::Instant::now(), 0);
        let work = std::future::poll_fn(|_| {
            polls += 1;
            if polls == 5 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(limited(Leave::new(held, 600_000), work).await, Ok(()));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}
