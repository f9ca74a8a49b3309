//! The sink on a thread of its own: connect, write, connect anew after a failure, until told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::{Bus, Clock, Failure, Life, Service, ServiceThread, SessionOptions, StopSignal};
use tokio::runtime::Handle;

use super::stats::SinkStats;
use super::step::{Sink, StepError};
use super::writer::ClickHouseWriter;
use crate::address::Endpoint;
use crate::rows::Table;
use crate::tables::KeepDays;

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
    /// Tables whose TTL is not the sink's to set.
    pub own_ttl: Vec<Table>,
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
            own_ttl: Vec::new(),
            flush_ms: 1_000,
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

/// A running sink thread. Dropping it stops it, and waits for nobody.
#[derive(Debug)]
pub struct SinkHandle {
    stats: Arc<SinkStats>,
    thread: Option<ServiceThread>,
}

impl SinkHandle {
    /// Its counters.
    pub fn stats(&self) -> &Arc<SinkStats> {
        &self.stats
    }

    /// Asks it to write what it has and leave; returns at once.
    pub fn stop(&self) {
        self.thread.iter().for_each(ServiceThread::stop);
    }

    /// Waits until it has left. Blocks.
    pub fn join(mut self) {
        drop(self.thread.take());
    }

    /// Whether its thread is running.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(ServiceThread::is_alive)
    }
}

impl Drop for SinkHandle {
    fn drop(&mut self) {
        self.stop();
        // Its last requests may need the very thread that drops it.
        if let Some(thread) = self.thread.take() {
            thread.detach();
        }
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
    let stats = Arc::new(SinkStats::default());
    let writer = ClickHouseWriter::new(endpoint, &options, runtime);
    let service = SinkService { bus, session, topics, writer, options, clock: clock.clone(), stats: stats.clone() };
    let thread = ServiceThread::start("audit-sink", clock, StopSignal::default(), service)
        .inspect_err(|e| stats.session_problem(Some(format!("no thread could be started: {e}"))));
    SinkHandle { stats, thread: thread.ok() }
}

struct SinkService {
    bus: Arc<dyn Bus>,
    session: SessionOptions,
    topics: SinkTopics,
    writer: ClickHouseWriter,
    options: SinkOptions,
    clock: Arc<dyn Clock>,
    stats: Arc<SinkStats>,
}

impl Service for SinkService {
    /// One session's life.
    fn live(&mut self, life: &Life<'_>) -> Result<(), String> {
        let Self { bus, session, topics, writer, options, clock, stats } = self;
        stats.turn_began(clock.now_ms());
        let session = bus.session(session).map_err(|e| e.to_string())?;
        let text = |e: StepError| e.to_string();
        let mut sink = Sink::new(session, writer, topics, options, clock.clone(), stats.clone()).map_err(text)?;
        stats.session_problem(None);
        let mut batches = stats.batches.load(Ordering::Relaxed);
        while !life.is_over() {
            sink.step(&mut |_| false).map_err(text)?;
            if std::mem::replace(&mut batches, stats.batches.load(Ordering::Relaxed)) < batches {
                life.went_well();
            }
        }
        sink.finish(&mut |_| false).map_err(text)?;
        stats.assigned.store(0, Ordering::Relaxed);
        Ok(())
    }

    fn failed(&mut self, failure: &Failure, _pause_ms: u64) {
        self.stats.assigned.store(0, Ordering::Relaxed);
        self.stats.rebuilds.fetch_add(1, Ordering::Relaxed);
        self.stats.session_problem(Some(failure.to_string()));
    }
}
