//! Draining: people want a worker to take nothing more, and the process goes on. What it runs ends, or is handed over
//! to others after a while; then the worker may be stopped, or take tasks again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_bus::{Clock, GlobalsSource};
use petrel_execution::worker::Reports;
use tokio::task::JoinHandle;

use super::attempts::Attempts;
use super::slots::Slots;
use crate::view::{Drain, ExecutorView};

/// How often it is looked what is wanted.
const LOOK: Duration = Duration::from_millis(200);

/// Lets a worker do what is wanted of it.
#[derive(Debug)]
pub struct Draining {
    slots: Slots,
    attempts: Arc<Attempts>,
    /// Whether what runs was ended.
    is_over: AtomicBool,
}

impl Draining {
    /// Nothing is wanted yet.
    pub fn new(slots: Slots, attempts: Arc<Attempts>) -> Self {
        Self { slots, attempts, is_over: AtomicBool::new(false) }
    }

    /// Looks at once, and then again and again until it is aborted: neither the claim stage nor the owners beside it have
    /// to have reached the log for that, or be able to.
    pub fn follow<G: ExecutorView + 'static>(
        self,
        view: Arc<dyn GlobalsSource<G>>,
        whose: Reports,
        clock: Arc<dyn Clock>,
    ) -> JoinHandle<()> {
        let look = move || self.look(view.current().value.drain(&whose.worker, &whose.pool), clock.now_ms());
        look();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                look();
            }
        })
    }

    /// This is wanted now, in milliseconds since the epoch. A worker that stops anyway goes on with that.
    pub fn look(&self, wanted: Option<Drain>, now_ms: i64) {
        if self.slots.is_closed() {
            return;
        }
        let by_ms = wanted.map(|drain| drain.at_ms);
        // What is claimed in between is given back before it begins: whoever reads that the worker is drained, and that
        // nothing runs, may rely on it.
        match (self.slots.is_drained(), by_ms) {
            (false, Some(_)) => {
                tracing::info!("this worker is drained: it claims nothing more");
                self.attempts.drain();
            }
            (true, None) => {
                tracing::info!("this worker claims tasks again");
                self.is_over.store(false, Ordering::SeqCst);
                self.attempts.resume();
            }
            _ => {}
        }
        self.slots.set_drained(by_ms);
        let hand_over_at_ms = wanted.and_then(|drain| drain.hand_over_at_ms);
        if hand_over_at_ms.is_some_and(|at_ms| now_ms >= at_ms) && !self.is_over.swap(true, Ordering::SeqCst) {
            tracing::info!(attempts = self.slots.busy(), "what still runs here is handed over");
            self.attempts.end_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use petrel_bus::Versioned;
    use petrel_bus::sim::SimClock;
    use petrel_execution::gate::InForce;
    use petrel_execution::worker::{Begin, Stop};

    use super::*;
    use crate::view::Resolution;
    use crate::worker::attempt::tests::task;

    /// What people want.
    #[derive(Clone)]
    struct Wanted(Option<Drain>);

    impl ExecutorView for Wanted {
        fn in_force(&self) -> InForce {
            InForce { revision: "now".into(), since_ms: 0 }
        }

        fn dispatch_paused(&self) -> bool {
            false
        }

        fn resolve(&self, _: &str, _: &str) -> Resolution {
            Resolution::NotYet
        }

        fn drain(&self, worker: &str, pool: &str) -> Option<Drain> {
            self.0.filter(|_| (worker, pool) == ("w", "default"))
        }
    }

    struct View(Mutex<Wanted>);

    impl GlobalsSource<Wanted> for View {
        fn current(&self) -> Versioned<Wanted> {
            Versioned { version: 1, value: Arc::new(self.0.lock().unwrap().clone()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_is_there_before_anything_starts_and_goes_on_without_a_claim_stage() {
        let (slots, attempts) = (Slots::new(4), Arc::new(Attempts::new("w".into())));
        slots.share_with_owners(1);
        let runs = attempts.hold(&task(), 0);
        runs.send_modify(|held| assert_eq!(held.begin(1), Begin::Now));
        let wanted = |hand_over_at_ms| Wanted(Some(Drain { at_ms: 5, hand_over_at_ms }));
        let (view, clock) = (Arc::new(View(Mutex::new(wanted(None)))), SimClock::at(10));
        let whose = Reports { worker: "w".into(), pool: "default".into() };
        let following = Draining::new(slots.clone(), attempts.clone()).follow(view.clone(), whose, clock);
        // As on a restart, when an owner beside it is there first.
        assert_eq!((slots.free_beside(), slots.drained_by_ms()), (0, Some(5)));
        *view.0.lock().unwrap() = wanted(Some(10));
        let mut changes = runs.subscribe();
        changes.wait_for(|held| held.stop() == Some(Stop::ShuttingDown)).await.unwrap();
        *view.0.lock().unwrap() = Wanted(None);
        while slots.is_drained() {
            tokio::time::sleep(LOOK).await;
        }
        assert_eq!(slots.free_beside(), 2);
        following.abort();
    }

    #[test]
    fn what_runs_may_end_until_it_is_handed_over_and_a_resume_undoes_it() {
        let (slots, attempts) = (Slots::new(2), Arc::new(Attempts::new("w".into())));
        let draining = Draining::new(slots.clone(), attempts.clone());
        let of = |execution: &str| petrel_schemas::Task { execution_id: execution.to_owned(), ..task() };
        let (runs, waits) = (attempts.hold(&of("a"), 0), attempts.hold(&of("b"), 0));
        runs.send_modify(|held| assert_eq!(held.begin(1), Begin::Now));
        draining.look(None, 10);
        assert_eq!((slots.free(), waits.borrow().stop()), (2, None));
        let wanted = Some(Drain { at_ms: 5, hand_over_at_ms: Some(100) });
        draining.look(wanted, 10);
        assert_eq!((slots.free(), slots.drained_by_ms()), (0, Some(5)));
        assert_eq!((runs.borrow().stop(), waits.borrow().stop()), (None, Some(Stop::ShuttingDown)));
        draining.look(wanted, 99);
        assert_eq!(runs.borrow().stop(), None);
        draining.look(wanted, 100);
        assert_eq!(runs.borrow().stop(), Some(Stop::ShuttingDown));
        draining.look(None, 200);
        let next = attempts.hold(&of("c"), 0);
        assert_eq!((slots.free(), next.borrow().stop()), (2, None));
        // Once more, without an end.
        draining.look(Some(Drain { at_ms: 201, hand_over_at_ms: None }), i64::MAX);
        assert_eq!(next.borrow().stop(), Some(Stop::ShuttingDown), "it has not begun");
        // Who stops is not called back.
        slots.close();
        draining.look(None, 300);
        assert!(slots.is_drained());
    }
}
