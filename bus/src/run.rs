//! A stage on a thread of its own: connect, drive, connect anew after a failure, until told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::bus::{Bus, SessionOptions};
use crate::clock::Clock;
use crate::driver::{Driver, DriverError, DriverOptions, Suspects};
use crate::globals::GlobalsSource;
use crate::service::{Failure, Life, Service, ServiceThread, StopSignal};
use crate::stage::Stage;
use crate::stats::StageStats;

/// A running stage thread. Dropping it stops it, and waits until it has left.
#[derive(Debug)]
pub struct StageHandle {
    name: Arc<str>,
    stats: Arc<StageStats>,
    thread: Option<ServiceThread>,
}

impl StageHandle {
    /// Name of the stage.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<StageStats> {
        &self.stats
    }

    /// Asks it to finish its transaction and leave; returns at once.
    pub fn stop(&self) {
        self.thread.iter().for_each(ServiceThread::stop);
    }

    /// Stops it and waits until it has left.
    pub fn join(self) {
        drop(self);
    }
}

/// Starts a thread that runs the stage on that bus until the handle is stopped or dropped. A bus that
/// cannot be reached, now or later, is waited for, and a stage that panics is started anew;
/// [`StageStats::problems`] says so meanwhile.
pub fn spawn_stage<S: Stage + 'static>(
    bus: Arc<dyn Bus>,
    stage: S,
    session: SessionOptions,
    options: DriverOptions,
    globals: Arc<dyn GlobalsSource<S::Globals>>,
    clock: Arc<dyn Clock>,
) -> StageHandle {
    let name = stage.spec().name.clone();
    let stats = Arc::new(StageStats::default());
    let suspects = Suspects::default();
    let run = Run { bus, stage, session, options, globals, clock: clock.clone(), stats: stats.clone(), suspects };
    let thread = ServiceThread::start(&format!("stage-{name}"), clock, StopSignal::default(), run)
        .inspect_err(|e| stats.session_problem(Some(format!("no thread could be started: {e}"))));
    StageHandle { name, stats, thread: thread.ok() }
}

struct Run<S: Stage> {
    bus: Arc<dyn Bus>,
    stage: S,
    session: SessionOptions,
    options: DriverOptions,
    globals: Arc<dyn GlobalsSource<S::Globals>>,
    clock: Arc<dyn Clock>,
    stats: Arc<StageStats>,
    suspects: Suspects,
}

impl<S: Stage + 'static> Service for Run<S> {
    /// One session's life.
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        let Self { bus, stage, session, options, globals, clock, stats, suspects } = self;
        let name = stage.spec().name.clone();
        let turn = || stats.turn_began_ms.store(clock.now_ms(), Ordering::Relaxed);
        turn();
        let session = bus.session(session).map_err(|e| e.to_string())?;
        let mut driver = Driver::new(stage, session, globals.clone(), clock.clone(), options.clone(), stats.clone());
        driver.remember(std::mem::take(suspects));
        while !life.is_over() {
            turn();
            let commits = stats.commits.load(Ordering::Relaxed);
            let ticked = driver.tick();
            if stats.commits.load(Ordering::Relaxed) > commits {
                // Also before a timer's panic: the pause grows only while nothing gets done.
                life.went_well();
            }
            match ticked {
                Ok(tick) if tick.committed && !driver.is_recovering() => stats.session_problem(None),
                Ok(_) => {}
                Err(DriverError::Panicked(said)) => {
                    let pause_ms = life.next_pause_ms();
                    tracing::error!(stage = %name, said, pause_ms, "the stage panicked, it starts anew");
                    life.pause(pause_ms);
                }
                Err(error) => {
                    *suspects = driver.suspects();
                    return Err(error.to_string());
                }
            }
        }
        stats.ready.store(false, Ordering::Relaxed);
        driver.finish().map_err(|error| error.to_string())
    }

    fn failed(&mut self, failure: &Failure, _pause_ms: u64) {
        self.stats.ready.store(false, Ordering::Relaxed);
        self.stats.rebuilds.fetch_add(1, Ordering::Relaxed);
        if matches!(failure, Failure::Panic(_)) {
            self.stats.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.stats.session_problem(Some(failure.to_string()));
    }
}
