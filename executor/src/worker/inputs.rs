//! What the claim stage may know beside the tasks: the catalog, and how the worker stands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use petrel_bus::{Clock, GlobalsSource, StageStats, Versioned};
use petrel_execution::worker::{Reports, Said, workers_of};
use petrel_schemas::Class;

use super::attempts::Attempts;
use super::drain::Draining;
use super::slots::Slots;
use crate::SecretSource;
use crate::supervise::boot_ms;
use crate::view::ExecutorView;

/// The claim stage's globals, fixed for a turn of its driver.
#[derive(Debug)]
pub struct WorkerInputs<G> {
    /// The catalog.
    pub view: Arc<G>,
    /// Number of the turn, consecutive, from 1.
    pub turn: u64,
    /// Slots that were free.
    pub free_slots: usize,
    /// Whether the owners' orders are followed.
    pub following: bool,
    /// Whether no secret can be opened for the moment.
    pub secrets_unread: bool,
    /// What they said about attempts that are not held.
    pub said: Said,
    /// How many workers the pool has, as far as this one can tell.
    pub workers: u32,
    /// Whether the worker is about to stop.
    pub draining: bool,
    /// Whether people want it to take nothing more.
    pub drained: bool,
    /// When that was, in milliseconds of `CLOCK_BOOTTIME`: whatever is claimed is sent later.
    pub boot_ms: u64,
}

/// Looks at the catalog and the slots together.
pub(super) struct Inputs<G> {
    pub(super) view: Arc<dyn GlobalsSource<G>>,
    /// The worker and its pool.
    pub(super) reports: Reports,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) draining: Draining,
    pub(super) slots: Slots,
    pub(super) attempts: Arc<Attempts>,
    pub(super) secrets: Arc<dyn SecretSource>,
    /// Number of the last turn.
    pub(super) turn: AtomicU64,
    /// Partitions of the pool's tasks, of one class.
    pub(super) partitions: u32,
    /// Tells how many of them this worker has; nothing before the stage's thread is started.
    pub(super) stats: Arc<OnceLock<Arc<StageStats>>>,
}

impl<G> GlobalsSource<WorkerInputs<G>> for Inputs<G>
where
    G: ExecutorView,
{
    fn current(&self) -> Versioned<WorkerInputs<G>> {
        self.look(self.turn.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn anew(&self) -> Arc<WorkerInputs<G>> {
        self.look(self.turn.load(Ordering::Relaxed)).value
    }
}

impl<G: ExecutorView> Inputs<G> {
    fn look(&self, turn: u64) -> Versioned<WorkerInputs<G>> {
        let boot_ms = boot_ms();
        let Versioned { version, value: view } = self.view.current();
        let wanted = view.drain(&self.reports.worker, &self.reports.pool);
        self.draining.look(wanted, self.clock.now_ms());
        let own = self.stats.get().map_or(0, |stats| stats.assigned.load(Ordering::Relaxed));
        let own = own.div_ceil(Class::ALL.len() as u64);
        let inputs = WorkerInputs {
            view,
            turn,
            free_slots: self.slots.free(),
            following: self.attempts.is_following(),
            secrets_unread: self.secrets.is_unread(),
            said: self.attempts.said(boot_ms),
            workers: workers_of(self.partitions, u32::try_from(own).unwrap_or(u32::MAX)),
            draining: self.slots.is_closed(),
            drained: self.slots.is_drained(),
            boot_ms,
        };
        Versioned { version, value: Arc::new(inputs) }
    }
}

#[cfg(test)]
mod tests {
    use petrel_bus::sim::SimClock;
    use petrel_execution::gate::InForce;

    use super::*;
    use crate::view::{Drain, Resolution};

    /// People may want it to be drained.
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
            self.0.filter(|_| (worker, pool) == ("w1", "default"))
        }
    }

    fn inputs(wanted: Option<Drain>, stats: Arc<OnceLock<Arc<StageStats>>>) -> Inputs<Wanted> {
        let (slots, attempts) = (Slots::new(1), Arc::new(Attempts::new("w1".into())));
        Inputs {
            view: Arc::new(Versioned { version: 1, value: Arc::new(Wanted(wanted)) }),
            reports: Reports { worker: "w1".into(), pool: "default".into() },
            clock: SimClock::at(1_000),
            draining: Draining::new(slots.clone(), attempts.clone()),
            slots,
            attempts,
            secrets: Arc::new(crate::worker::attempt::tests::NoSecrets::default()),
            turn: AtomicU64::default(),
            partitions: 64,
            stats,
        }
    }

    #[test]
    fn a_worker_knows_the_others_by_its_share() {
        let stats = Arc::new(OnceLock::new());
        let inputs = inputs(None, stats.clone());
        assert_eq!(inputs.current().value.workers, 64, "it has none yet");
        let of_stage: &Arc<StageStats> = stats.get_or_init(Arc::default);
        of_stage.assigned.store(66, Ordering::Relaxed);
        assert_eq!(inputs.current().value.workers, 3);
    }

    #[test]
    fn a_turn_sees_what_people_want_and_turns_are_numbered() {
        for (wanted, free_slots) in [(None, 1), (Some(Drain { at_ms: 1, hand_over_at_ms: None }), 0)] {
            let inputs = inputs(wanted, Arc::default());
            let (first, anew, second) = (inputs.current().value, inputs.anew(), inputs.current().value);
            assert_eq!((first.turn, anew.turn, second.turn, first.free_slots), (1, 1, 2, free_slots));
            assert_eq!(first.drained, wanted.is_some());
        }
    }
}
