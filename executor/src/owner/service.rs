//! Owners as threads of a process.

use std::sync::Arc;

use petrel_bus::{Bus, Clock, DriverOptions, GlobalsSource, SessionOptions, StageHandle, StageStats, spawn_stage};

use super::{OwnerOptions, OwnerStage, STAGE};
use crate::metrics::ExecutorMetrics;
use crate::view::ExecutorView;
use crate::worker::{BesideSource, Neighbour, Told};

/// What owners need of their process.
pub struct OwnerService<G> {
    /// Settings of the stage.
    pub options: OwnerOptions,
    /// Settings of its driver.
    pub driver: DriverOptions,
    /// Name of this process, stable over restarts.
    pub instance: Arc<str>,
    /// How many threads share the partitions of this process; at least one.
    pub threads: usize,
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// The catalog, and whether dispatch is paused.
    pub globals: Arc<dyn GlobalsSource<G>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters of the process.
    pub metrics: Arc<ExecutorMetrics>,
    /// A worker in this process, which starts at once what it has room for.
    pub neighbour: Option<Neighbour>,
}

/// Most records that owners take at once: what a step makes of one is several times its size.
const FETCH_RECORDS_MAX: usize = 2_048;

impl<G: ExecutorView + 'static> OwnerService<G> {
    /// Starts the threads. They wait for a bus that cannot be reached.
    pub fn run(self) -> OwnerHandle {
        let group: Arc<str> = format!("{}executor", self.options.topics.prefix()).into();
        let threads = self.threads.max(1);
        if let Some(neighbour) = &self.neighbour {
            neighbour.slots.share_with_owners(threads);
        }
        let fetch_records_max = self.driver.fetch_records_max.min(FETCH_RECORDS_MAX);
        let driver = DriverOptions { fetch_records_max, ..self.driver.clone() };
        let start = |number: usize| {
            let told = Told::default();
            let stage = OwnerStage::new(self.options.clone(), self.metrics.clone());
            let (view, neighbour) = (self.globals.clone(), self.neighbour.clone());
            let globals = Arc::new(BesideSource { view, neighbour, told });
            let session = SessionOptions {
                group: group.clone(),
                member: format!("{}-{STAGE}-{number}", self.instance).into(),
                transactional: true,
            };
            spawn_stage(self.bus.clone(), stage, session, driver.clone(), globals, self.clock.clone())
        };
        OwnerHandle { stages: (0..threads).map(start).collect() }
    }
}

/// Running owners. Dropping it ends them.
#[derive(Debug)]
pub struct OwnerHandle {
    stages: Vec<StageHandle>,
}

impl OwnerHandle {
    /// Counters of each thread.
    pub fn stats(&self) -> Vec<Arc<StageStats>> {
        self.stages.iter().map(|s| s.stats().clone()).collect()
    }

    /// Finishes the open transactions and leaves the group. Blocks; not for a thread of an async runtime.
    pub fn shutdown(self) {
        for stage in &self.stages {
            stage.stop();
        }
        for stage in self.stages {
            stage.join();
        }
    }
}
