//! What ingest counts. Names are part of the product: dashboards and alerts use them.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Events admitted, by `source`.
pub const EVENTS_TOTAL: &str = "petrel_ingest_events_total";
/// Refusals, by `code`.
pub const REFUSALS_TOTAL: &str = "petrel_ingest_refusals_total";
/// Records taken for topics of the local bus.
pub const TOPIC_RECORDS_TOTAL: &str = "petrel_ingest_topic_records_total";
/// Attempts to write a sensor's event that failed, by `sensor`.
pub const SENSOR_FAILURES_TOTAL: &str = "petrel_sensor_publish_failures_total";
/// Samples of a sensor that were given up, by `sensor`.
pub const SENSOR_DROPPED_TOTAL: &str = "petrel_sensor_dropped_total";

/// The counters. Labels take their values from fixed sets.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) events: IntCounterVec,
    pub(crate) refusals: IntCounterVec,
    pub(crate) topic_records: IntCounter,
    pub(crate) sensor_failures: IntCounterVec,
    pub(crate) sensor_dropped: IntCounterVec,
}

impl Metrics {
    /// Creates the counters and registers them.
    ///
    /// # Errors
    /// If the registry has one of them already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let vec = |name: &str, help: &str, label: &str| IntCounterVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            events: vec(EVENTS_TOTAL, "events admitted", "source")?,
            refusals: vec(REFUSALS_TOTAL, "events and records refused", "code")?,
            topic_records: IntCounter::new(TOPIC_RECORDS_TOTAL, "records taken for topics of the local bus")?,
            sensor_failures: vec(SENSOR_FAILURES_TOTAL, "failed attempts to write a sensor's event", "sensor")?,
            sensor_dropped: vec(SENSOR_DROPPED_TOTAL, "samples of a sensor that were given up", "sensor")?,
        };
        registry.register(Box::new(metrics.events.clone()))?;
        registry.register(Box::new(metrics.refusals.clone()))?;
        registry.register(Box::new(metrics.topic_records.clone()))?;
        registry.register(Box::new(metrics.sensor_failures.clone()))?;
        registry.register(Box::new(metrics.sensor_dropped.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn refused(&self, code: &str) {
        self.refusals.with_label_values(&[code]).inc();
    }
}
