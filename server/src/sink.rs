//! The audit role.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use petrel_audit::{Endpoint, SinkHandle, SinkOptions, SinkStats, SinkTopics, spawn_sink};
use petrel_bus::SessionOptions;

use crate::metrics::Exported;
use crate::roles::Parts;

/// Group and member name of the sink.
const GROUP: &str = "audit";

/// Starts the sink on a thread of its own; it waits for what is away.
pub fn start(parts: &Parts<'_>, endpoint: Endpoint, exported: &mut Exported) -> SinkHandle {
    let session = SessionOptions {
        group: format!("{}{GROUP}", parts.topics.prefix()).into(),
        member: format!("{}-{GROUP}-0", parts.instance).into(),
        transactional: false,
    };
    let topics = SinkTopics { audit: parts.topics.audit(), dead_letters: parts.topics.dead_letters() };
    let options = SinkOptions {
        database: parts.config.clickhouse.database.clone(),
        keep: parts.config.audit.keep_days,
        own_ttl: parts.config.audit.own_ttl.clone(),
        flush_ms: parts.config.audit.flush_ms,
        batch_rows_max: parts.config.audit.batch_rows_max,
        ..SinkOptions::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let sink = spawn_sink(parts.bus.clone(), session, topics, endpoint, options, parts.clock.clone(), runtime);
    exported.sink(sink.stats().clone());
    sink
}

/// Lines of a Prometheus exposition: name, kind, help, value.
pub fn metrics(stats: &Arc<SinkStats>) -> [(&'static str, &'static str, &'static str, f64); 9] {
    let counter = |value: &std::sync::atomic::AtomicU64| value.load(Relaxed) as f64;
    [
        ("petrel_audit_records_total", "counter", "Audit records read.", counter(&stats.records)),
        ("petrel_audit_rows_total", "counter", "Rows written to ClickHouse.", counter(&stats.rows)),
        ("petrel_audit_batches_total", "counter", "Batches written to ClickHouse.", counter(&stats.batches)),
        (
            "petrel_audit_replays_total",
            "counter",
            "Batches of an earlier process written again.",
            counter(&stats.replays),
        ),
        ("petrel_audit_failures_total", "counter", "Requests to ClickHouse that failed.", counter(&stats.failures)),
        (
            "petrel_audit_missing_total",
            "counter",
            "Inserts whose rows were missing afterwards.",
            counter(&stats.missing),
        ),
        (
            "petrel_audit_lag_records",
            "gauge",
            "Audit records not read yet; -1 while unknown.",
            stats.lag.load(Relaxed) as f64,
        ),
        (
            "petrel_audit_down_since_seconds",
            "gauge",
            "Since when ClickHouse does not take rows, in seconds since the epoch; 0 while it does.",
            stats.down_since_ms.load(Relaxed) as f64 / 1000.0,
        ),
        (
            "petrel_audit_turn_began_seconds",
            "gauge",
            "When the sink's thread began its latest turn or request, in seconds since the epoch: an old one hangs.",
            stats.turn_began_ms.load(Relaxed) as f64 / 1000.0,
        ),
    ]
}
