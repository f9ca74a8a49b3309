//! A supervised thread: it lives until it is told to stop; a life that fails or panics is followed by another,
//! after a pause that grows. Everything that runs on a thread of its own for as long as its process is one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::panics::caught;

/// First and longest pause between two lives, in milliseconds.
const BACKOFF_MS: (u64, u64) = (100, 5_000);
/// How often a pausing thread looks whether it shall stop, in milliseconds.
const STOP_POLL_MS: u64 = 50;

/// Tells threads to stop; clones are the same signal.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// Tells them; they stop soon after.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it is time to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How a life ended before it was told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// With an error, for people.
    Error(String),
    /// By a panic: what it said, and where.
    Panic(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error(why) => f.write_str(why),
            Self::Panic(said) => write!(f, "panicked: {said}"),
        }
    }
}

/// What a supervised thread runs.
pub trait Service: Send + 'static {
    /// One life: what it needs is made anew, then it works until [`Life::is_over`].
    ///
    /// # Errors
    /// Why it cannot go on, for people: another life follows.
    fn live(&mut self, life: &Life<'_>) -> Result<(), String>;

    /// A life ended by itself; the next one begins in `pause_ms` milliseconds.
    fn failed(&mut self, failure: &Failure, pause_ms: u64) {
        let _ = (failure, pause_ms);
    }
}

/// What a service is told of its own life.
pub struct Life<'t> {
    stop: &'t StopSignal,
    clock: &'t dyn Clock,
    pause_ms: &'t Cell<u64>,
}

impl Life<'_> {
    /// Whether it shall end in order.
    pub fn is_over(&self) -> bool {
        self.stop.is_set()
    }

    /// Something has been achieved: the pause behind the next failure is the first again.
    pub fn went_well(&self) {
        self.pause_ms.set(BACKOFF_MS.0);
    }

    /// How long the pause behind the next failure is, in milliseconds; the one after it will be longer.
    pub fn next_pause_ms(&self) -> u64 {
        let pause_ms = self.pause_ms.get();
        self.pause_ms.set((pause_ms * 2).min(BACKOFF_MS.1));
        pause_ms
    }

    /// Waits so many milliseconds, or until it shall end.
    pub fn pause(&self, ms: u64) {
        let mut left_ms = ms;
        while left_ms > 0 && !self.is_over() {
            let step_ms = left_ms.min(STOP_POLL_MS);
            self.clock.sleep(Duration::from_millis(step_ms));
            left_ms -= step_ms;
        }
    }
}

/// A supervised thread. Dropping it stops it, and waits until it has ended.
#[derive(Debug)]
pub struct ServiceThread {
    name: String,
    stop: StopSignal,
    thread: Option<JoinHandle<()>>,
}

impl ServiceThread {
    /// Starts it; `stop` may be shared with others.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        name: &str,
        clock: Arc<dyn Clock>,
        stop: StopSignal,
        mut service: impl Service,
    ) -> std::io::Result<Self> {
        let (told, named) = (stop.clone(), name.to_owned());
        let run = move || {
            // The last line of defence: also a service that panics when it is told of its failure is not gone
            // without a word.
            while let Err(said) = caught(|| supervise(&named, &mut service, &told, &*clock)) {
                tracing::error!(service = %named, said, "a service panicked while its failure was told");
                clock.sleep(Duration::from_millis(BACKOFF_MS.1));
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { name: name.to_owned(), stop, thread: Some(thread) })
    }

    /// Asks it to end in order; returns at once.
    pub fn stop(&self) {
        self.stop.set();
    }

    /// Whether its thread is running.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops it and waits until it has ended.
    pub fn join(self) {
        drop(self);
    }

    /// Leaves it to its stop signal; nobody waits for it.
    pub fn detach(mut self) {
        self.thread = None;
    }
}

impl Drop for ServiceThread {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.set();
        if thread.join().is_err() {
            tracing::error!(service = %self.name, "a service's thread did not end in order");
        }
    }
}

fn supervise(name: &str, service: &mut impl Service, stop: &StopSignal, clock: &dyn Clock) {
    let pause_ms = Cell::new(BACKOFF_MS.0);
    let life = Life { stop, clock, pause_ms: &pause_ms };
    while !life.is_over() {
        let failure = match caught(|| service.live(&life)) {
            Ok(Ok(())) => return,
            Ok(Err(why)) => Failure::Error(why),
            Err(said) => Failure::Panic(said),
        };
        let pause_ms = life.next_pause_ms();
        match &failure {
            Failure::Error(error) => tracing::warn!(service = name, error, pause_ms, "a service starts anew"),
            Failure::Panic(said) => {
                tracing::error!(service = name, said, pause_ms, "a service panicked, it starts anew")
            }
        }
        service.failed(&failure, pause_ms);
        life.pause(pause_ms);
    }
}

#[cfg(test)]
mod tests;
