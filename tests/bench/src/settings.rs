//! The librdkafka settings of the plain clients: those of Petrel's Kafka bus, so that only what is done
//! with the records differs.
//!
//! Copied from `member` and `producer` of bus/kafka/src/options.rs, which are not public. Left out is what
//! only Petrel needs: ends of partitions as events, and an error instead of a start at the beginning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use petrel_bus::Bus;
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use rdkafka::ClientConfig;

use crate::kafka::Kafka;

/// `commit_interval_ms` of the driver.
pub(crate) const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// A consumer that reads a new group from the beginning.
pub(crate) fn consumer(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = kafka.client();
    config
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("session.timeout.ms", "8000")
        .set("heartbeat.interval.ms", "2000")
        .set("socket.timeout.ms", "10000")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.message.max.bytes", "1048576")
        .set("fetch.max.bytes", "2097152")
        .set("queued.min.messages", "40000")
        .set("queued.max.messages.kbytes", "16384")
        .set("check.crcs", "false");
    config
}

/// A transactional producer.
pub(crate) fn producer(kafka: &Kafka, name: &str) -> ClientConfig {
    let mut config = kafka.client();
    config
        .set("transactional.id", name)
        .set("transaction.timeout.ms", "10000")
        .set("enable.idempotence", "true")
        .set("message.max.bytes", "1048588")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000")
        .set("queue.buffering.max.kbytes", "262144")
        .set("linger.ms", "1")
        .set("compression.type", "lz4")
        .set("retry.backoff.ms", "20");
    config
}

/// Petrel's bus on that broker, with its defaults.
pub(crate) fn bus(kafka: &Kafka) -> Result<Arc<dyn Bus>> {
    Ok(Arc::new(KafkaBus::new(KafkaOptions::new(&kafka.bootstrap, "bench"))?))
}

/// Settings as they go into the result's file, without this machine's addresses.
pub(crate) fn shown(config: &ClientConfig) -> BTreeMap<String, String> {
    let settings = config.config_map().into_iter().filter(|(name, _)| *name != "bootstrap.servers");
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
