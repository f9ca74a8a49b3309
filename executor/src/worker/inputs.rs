//! What the claim stage may know beside the tasks: the catalog, and how the worker stands.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use petrel_bus::{GlobalsSource, StageStats, Versioned};
use petrel_execution::Needs;
use petrel_execution::worker::{Said, workers_of};
use petrel_schemas::Class;

use super::attempts::Attempts;
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
    /// Memory and processors that nothing needed.
    pub free_room: Needs,
    /// Memory and processors that the worker has.
    pub room: Needs,
    /// Whether the owners' orders are followed.
    pub following: bool,
    /// Whether no secret can be opened for the moment.
    pub secrets_unread: bool,
    /// What they said about attempts that are not held.
    pub said: Said,
    /// How many workers the pool has, as far as this one can tell.
    pub workers: u32,
    /// Partitions of the pool's tasks, of one class.
    pub partitions: u32,
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
        let own = self.stats.get().map_or(0, |stats| stats.assigned.load(Ordering::Relaxed));
        let own = own.div_ceil(Class::ALL.len() as u64);
        let inputs = WorkerInputs {
            view,
            turn,
            free_slots: self.slots.free(),
            free_room: self.slots.free_room(),
            room: self.slots.room(),
            following: self.attempts.is_following(),
            secrets_unread: self.secrets.is_unread(),
            said: self.attempts.said(boot_ms),
            workers: workers_of(self.partitions, u32::try_from(own).unwrap_or(u32::MAX)),
            partitions: self.partitions,
            draining: self.slots.is_closed(),
            drained: self.slots.is_drained(),
            boot_ms,
        };
        Versioned { version, value: Arc::new(inputs) }
    }
}

#[cfg(test)]
mod tests {
    use petrel_execution::gate::InForce;

    use super::*;
    use crate::view::Resolution;

    struct View;

    impl ExecutorView for View {
        fn in_force(&self) -> InForce {
            InForce { revision: "now".into(), since_ms: 0 }
        }

        fn dispatch_paused(&self) -> bool {
            false
        }

        fn resolve(&self, _: &str, _: &str) -> Resolution {
            Resolution::NotYet
        }
    }

    fn inputs(stats: Arc<OnceLock<Arc<StageStats>>>) -> Inputs<View> {
        let (slots, attempts) = (Slots::new(1), Arc::new(Attempts::new("w1".into())));
        Inputs {
            view: Arc::new(Versioned { version: 1, value: Arc::new(View) }),
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
        let inputs = inputs(stats.clone());
        assert_eq!(inputs.current().value.workers, 64, "it has none yet");
        let of_stage: &Arc<StageStats> = stats.get_or_init(Arc::default);
        of_stage.assigned.store(66, Ordering::Relaxed);
        assert_eq!(inputs.current().value.workers, 3);
    }

    #[test]
    fn a_turn_sees_that_the_worker_is_drained_and_turns_are_numbered() {
        let inputs = inputs(Arc::default());
        let first = inputs.current().value;
        inputs.slots.set_drained(Some(1));
        let (anew, second) = (inputs.anew(), inputs.current().value);
        assert_eq!((first.turn, first.free_slots, first.drained), (1, 1, false));
        assert_eq!((anew.turn, anew.drained), (1, true));
        assert_eq!((second.turn, second.free_slots, second.drained), (2, 0, true));
    }
}
