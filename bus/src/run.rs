//! A stage on a thread of its own: connect, drive, connect anew after a failure, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::bus::{Bus, SessionOptions};
use crate::clock::Clock;
use crate::driver::{Driver, DriverError, DriverOptions};
use crate::globals::GlobalsSource;
use crate::stage::Stage;
use crate::stats::StageStats;

/// First and longest pause before connecting anew, in milliseconds.
const BACKOFF_MS: (u64, u64) = (100, 5_000);
/// How often a waiting thread looks whether it shall stop, in milliseconds.
const STOP_POLL_MS: u64 = 50;

/// A running stage thread.
#[derive(Debug)]
pub struct StageHandle {
    name: Arc<str>,
    stop: Arc<AtomicBool>,
    stats: Arc<StageStats>,
    thread: Option<JoinHandle<()>>,
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
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Stops it and waits until it has left.
    pub fn join(mut self) {
        self.stop();
        self.join_thread();
    }

    fn join_thread(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(stage = %self.name, "stage thread panicked");
        }
    }
}

impl Drop for StageHandle {
    fn drop(&mut self) {
        self.stop();
        self.join_thread();
    }
}

/// Starts a thread that runs the stage on that bus until the handle is stopped or dropped. A bus that
/// cannot be reached, now or later, is waited for; [`StageStats::problems`] says so meanwhile.
pub fn spawn_stage<S: Stage + 'static>(
    bus: Arc<dyn Bus>,
    mut stage: S,
    session: SessionOptions,
    options: DriverOptions,
    globals: Arc<dyn GlobalsSource<S::Globals>>,
    clock: Arc<dyn Clock>,
) -> StageHandle {
    let name = stage.spec().name.clone();
    let (stop, stats) = (Arc::new(AtomicBool::new(false)), Arc::new(StageStats::default()));
    let run = Run { bus, session, options, clock, stop: stop.clone(), stats: stats.clone() };
    let spawned = std::thread::Builder::new()
        .name(format!("stage-{name}"))
        .spawn(move || run.until_stopped(&mut stage, &globals))
        .inspect_err(|e| stats.session_problem(Some(format!("no thread could be started: {e}"))));
    StageHandle { name, stop, stats, thread: spawned.ok() }
}

struct Run {
    bus: Arc<dyn Bus>,
    session: SessionOptions,
    options: DriverOptions,
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    stats: Arc<StageStats>,
}

impl Run {
    fn until_stopped<S: Stage>(&self, stage: &mut S, globals: &Arc<dyn GlobalsSource<S::Globals>>) {
        let name = stage.spec().name.clone();
        let mut backoff_ms = BACKOFF_MS.0;
        while !self.stopped() {
            let error = match self.connected(stage, globals, &mut backoff_ms) {
                Ok(()) => break,
                Err(error) => error,
            };
            self.stats.ready.store(false, Ordering::Relaxed);
            self.stats.rebuilds.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(stage = %name, %error, backoff_ms, "stage starts anew");
            self.stats.session_problem(Some(error));
            self.pause(backoff_ms);
            backoff_ms = (backoff_ms * 2).min(BACKOFF_MS.1);
        }
        self.stats.ready.store(false, Ordering::Relaxed);
    }

    /// One session's life.
    fn connected<S: Stage>(
        &self,
        stage: &mut S,
        globals: &Arc<dyn GlobalsSource<S::Globals>>,
        backoff_ms: &mut u64,
    ) -> Result<(), String> {
        let session = self.bus.session(&self.session).map_err(|e| e.to_string())?;
        let mut driver =
            Driver::new(stage, session, globals.clone(), self.clock.clone(), self.options.clone(), self.stats.clone());
        while !self.stopped() {
            let tick = driver.tick().map_err(describe)?;
            if tick.committed {
                *backoff_ms = BACKOFF_MS.0;
                self.stats.session_problem(None);
            }
        }
        driver.finish().map_err(describe)
    }

    fn pause(&self, ms: u64) {
        let mut left_ms = ms;
        while left_ms > 0 && !self.stopped() {
            let step_ms = left_ms.min(STOP_POLL_MS);
            self.clock.sleep(Duration::from_millis(step_ms));
            left_ms -= step_ms;
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn describe(error: DriverError) -> String {
    error.to_string()
}
