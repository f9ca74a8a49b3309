//! An audit sink over tables in memory that outlive it.

use std::sync::Arc;

use petrel_audit::{MemorySink, MemoryTables, SinkOptions, SinkTopics};
use petrel_bus::sim::SimBus;
use petrel_bus::{Bus, Clock, SessionOptions};

use super::{Body, Turn};

/// Pause before connecting anew, in milliseconds.
const BACKOFF_MS: i64 = 500;

/// A sink, with the session that it has now.
pub struct SinkBody {
    /// The log.
    pub bus: SimBus,
    /// Group and member.
    pub session: SessionOptions,
    /// The clock of the process.
    pub clock: Arc<dyn Clock>,
    /// What it writes to.
    pub tables: MemoryTables,
    /// What it reads.
    pub topics: SinkTopics,
    /// Its settings.
    pub options: SinkOptions,
    /// While it has a session.
    pub sink: Option<MemorySink>,
    /// Not before that it connects anew, in milliseconds since the epoch.
    pub again_ms: i64,
}

impl SinkBody {
    fn connect(&self) -> Result<MemorySink, String> {
        let session = self.bus.session(&self.session).map_err(|e| e.to_string())?;
        MemorySink::new(session, self.tables.clone(), &self.topics, &self.options, self.clock.clone())
    }
}

impl Body for SinkBody {
    fn tick(&mut self) -> Turn {
        let now_ms = self.clock.now_ms();
        if self.sink.is_none() {
            if now_ms < self.again_ms {
                return Turn::Idle;
            }
            self.again_ms = now_ms + BACKOFF_MS;
            self.sink = self.connect().ok();
        }
        if self.sink.as_mut().is_some_and(|sink| sink.step(&mut || false).is_err()) {
            self.sink = None;
            self.again_ms = now_ms + BACKOFF_MS;
        }
        // What it writes nobody waits for.
        Turn::Idle
    }

    fn leave(mut self: Box<Self>) {
        if let Some(sink) = self.sink.take() {
            // One that fails at its last batch is a member that died.
            let _ = sink.finish();
        }
    }
}
