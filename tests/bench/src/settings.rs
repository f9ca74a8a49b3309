//! The librdkafka settings of the plain clients: those of Petrel's Kafka bus, so that only what is done
//! with the records differs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use petrel_bus::Bus;
use rdkafka::ClientConfig;

use crate::kafka::Kafka;

/// `commit_interval_ms` of the driver.
pub(crate) const COMMIT_INTERVAL: Duration = Duration::from_millis(100);

/// A consumer that reads a new group from the beginning.
pub(crate) fn consumer(kafka: &Kafka, group: &str) -> ClientConfig {
    let mut config = kafka.client();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "20")
        .set("queued.min.messages", "200000")
        .set("queued.max.messages.kbytes", "262144")
        .set("fetch.message.max.bytes", "4194304")
        .set("check.crcs", "false");
    config
}

/// A transactional producer.
pub(crate) fn producer(kafka: &Kafka, name: &str) -> ClientConfig {
    let mut config = kafka.client();
    config
        .set("transactional.id", name)
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "1000000")
        .set("compression.type", "lz4");
    config
}

/// Petrel's bus on that broker.
pub(crate) fn bus(_kafka: &Kafka) -> Result<Arc<dyn Bus>> {
    bail!("petrel-bus-kafka is not there yet")
}

/// Settings as they go into the result's file, without this machine's addresses.
pub(crate) fn shown(config: &ClientConfig) -> BTreeMap<String, String> {
    let settings = config.config_map().into_iter().filter(|(name, _)| *name != "bootstrap.servers");
    settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
