//! An owner, alone or with a worker in the same process.

use std::sync::Arc;

use petrel_bus::{Clock, GlobalsSource, Versioned};
use petrel_executor::worker::{Neighbour, OwnerInputs, Told};

use super::{Body, Catalog, StageBody, Turn, WorkerBody};
use crate::pack::Known;
use crate::planted::GullibleOwner;

/// Turns of an owner whose process ends, while the worker beside it does.
const LAST_TURNS: u32 = 4;

/// An owner's globals.
pub struct OwnerSource {
    /// The catalog.
    pub catalog: Arc<Catalog>,
    /// The worker beside it.
    pub neighbour: Option<Neighbour>,
    /// What that tells it.
    pub told: Told,
    /// A clock that nobody sets.
    pub boot: Arc<dyn Clock>,
}

impl GlobalsSource<OwnerInputs<Known>> for OwnerSource {
    fn current(&self) -> Versioned<OwnerInputs<Known>> {
        let now_ms = u64::try_from(self.boot.now_ms()).unwrap_or(0);
        let letters = self.told.waiting();
        let beside = self.neighbour.as_ref().and_then(|neighbour| neighbour.look(&self.told, now_ms));
        let Versioned { version, value: view } = self.catalog.current();
        Versioned { version, value: Arc::new(OwnerInputs { view, beside, letters }) }
    }
}

/// An owner that runs.
pub struct OwnerBody {
    /// Its stage.
    pub owner: StageBody<GullibleOwner>,
    /// The worker in the same process.
    pub worker: Option<WorkerBody>,
}

impl Body for OwnerBody {
    fn tick(&mut self) -> Turn {
        let owner = self.owner.tick();
        if matches!(owner, Turn::Killed | Turn::Halted(_)) {
            return owner;
        }
        match self.worker.as_mut().map(Body::tick) {
            None | Some(Turn::Idle) => owner,
            Some(turn) => turn,
        }
    }

    fn owns(&self) -> Vec<u32> {
        self.owner.partitions()
    }

    fn leave(mut self: Box<Self>) {
        let Some(mut worker) = self.worker else { return self.owner.leave_in_place() };
        // The worker ends first, and tells the owner beside it how.
        worker.end();
        for _ in 0..LAST_TURNS {
            worker.steps();
            if !matches!(self.owner.tick(), Turn::Idle | Turn::Busy) {
                break;
            }
        }
        self.owner.leave_in_place();
        // What its last commit still starts beside it is given back, and what it did not take is told over the log.
        Box::new(worker).leave();
    }
}
