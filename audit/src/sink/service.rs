//! The sink on a thread of its own: connect, write, connect anew after a failure, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use petrel_bus::{Bus, Clock, SessionOptions};
use tokio::runtime::Handle;

use super::stats::SinkStats;
use super::step::{Sink, StepError};
use super::writer::ClickHouseWriter;
use crate::address::Endpoint;
use crate::tables::KeepDays;

/// First and longest pause before connecting to the log anew, in milliseconds.
const BACKOFF_MS: (u64, u64) = (100, 5_000);
/// How often a waiting thread looks whether it shall stop, in milliseconds.
const STOP_POLL_MS: u64 = 50;

/// The topics that the sink reads, by their full names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkTopics {
    /// The audit trail.
    pub audit: Arc<str>,
    /// The dead letters.
    pub dead_letters: Arc<str>,
}

/// Limits and intervals of the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkOptions {
    /// Database that holds the tables.
    pub database: String,
    /// How long its tables keep rows.
    pub keep: KeepDays,
    /// Longest time that a record waits for others, in milliseconds.
    pub flush_ms: u64,
    /// Records after which a batch is written at once; no batch has more.
    pub batch_rows_max: usize,
    /// Bytes of records after which a batch is written at once.
    pub batch_bytes_max: usize,
    /// Bytes of records of all partitions that wait; beyond them the partition with the most of them is written at once.
    pub waiting_bytes_max: usize,
    /// Most records taken by one fetch.
    pub fetch_records_max: usize,
    /// Longest wait for records, in milliseconds.
    pub idle_wait_ms: u64,
    /// Longest time of one request to ClickHouse, in milliseconds.
    pub request_ms: u64,
    /// First and longest pause after ClickHouse failed, in milliseconds; half of it is random.
    pub backoff_ms: (u64, u64),
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self {
            database: "petrel".into(),
            keep: KeepDays::FOREVER,
            flush_ms: 500,
            batch_rows_max: 20_000,
            batch_bytes_max: 32 << 20,
            waiting_bytes_max: 16 << 20,
            fetch_records_max: 4_096,
            idle_wait_ms: 100,
            request_ms: 30_000,
            backoff_ms: (200, 10_000),
        }
    }
}

/// A running sink thread.
#[derive(Debug)]
pub struct SinkHandle {
    stop: Arc<AtomicBool>,
    stats: Arc<SinkStats>,
    thread: Option<JoinHandle<()>>,
}

impl SinkHandle {
    /// Its counters.
    pub fn stats(&self) -> &Arc<SinkStats> {
        &self.stats
    }

    /// Asks it to write what it has and leave; returns at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until it has left. Blocks.
    pub fn join(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("audit sink panicked");
        }
    }

    /// Whether its thread is running.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for SinkHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a sink. `session` names the group and the member; `runtime` carries the requests to
/// ClickHouse, which the sink's own thread waits for.
pub fn spawn_sink(
    bus: Arc<dyn Bus>,
    session: SessionOptions,
    topics: SinkTopics,
    endpoint: Endpoint,
    options: SinkOptions,
    clock: Arc<dyn Clock>,
    runtime: Handle,
) -> SinkHandle {
    let (stop, stats) = (Arc::new(AtomicBool::new(false)), Arc::new(SinkStats::default()));
    let service =
        Service { bus, session, topics, endpoint, options, clock, runtime, stop: stop.clone(), stats: stats.clone() };
    let thread = std::thread::Builder::new()
        .name("audit-sink".into())
        .spawn(move || service.run())
        .inspect_err(|e| stats.session_problem(Some(format!("no thread could be started: {e}"))))
        .ok();
    SinkHandle { stop, stats, thread }
}

struct Service {
    bus: Arc<dyn Bus>,
    session: SessionOptions,
    topics: SinkTopics,
    endpoint: Endpoint,
    options: SinkOptions,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    stop: Arc<AtomicBool>,
    stats: Arc<SinkStats>,
}

impl Service {
    fn run(&self) {
        let mut writer = ClickHouseWriter::new(self.endpoint.clone(), &self.options, self.runtime.clone());
        let mut backoff_ms = BACKOFF_MS.0;
        while !self.stopped() {
            let batches = self.stats.batches.load(Ordering::Relaxed);
            let Err(error) = self.connected(&mut writer) else { break };
            if self.stats.batches.load(Ordering::Relaxed) > batches {
                backoff_ms = BACKOFF_MS.0;
            }
            self.stats.assigned.store(0, Ordering::Relaxed);
            self.stats.rebuilds.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(error, backoff_ms, "audit sink starts anew");
            self.stats.session_problem(Some(error));
            self.pause(backoff_ms);
            backoff_ms = (backoff_ms * 2).min(BACKOFF_MS.1);
        }
        self.stats.assigned.store(0, Ordering::Relaxed);
    }

    /// One session's life.
    fn connected(&self, writer: &mut ClickHouseWriter) -> Result<(), String> {
        let session = self.bus.session(&self.session).map_err(|e| e.to_string())?;
        let text = |e: StepError| e.to_string();
        let (clock, stats) = (self.clock.clone(), self.stats.clone());
        let mut sink = Sink::new(session, &mut *writer, &self.topics, &self.options, clock, stats).map_err(text)?;
        self.stats.session_problem(None);
        while !self.stopped() {
            sink.step(&mut |_| false).map_err(text)?;
        }
        sink.finish(&mut |_| false).map_err(text)
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
