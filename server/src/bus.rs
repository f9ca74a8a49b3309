//! Which log a process uses: Apache Kafka where an address is configured, else the local one.

use std::sync::Arc;

use anyhow::Context;
use petrel_bus::{Bus, Clock};
#[cfg(feature = "kafka")]
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use petrel_bus_local::{Fsync, LocalBus, LocalOptions};

use crate::config::{self, Config};

/// Folder of the local log, in the data directory.
const LOG: &str = "log";

/// A log, and what it is.
pub struct OpenBus {
    /// The log.
    pub bus: Arc<dyn Bus>,
    /// For people.
    pub name: String,
    /// Whether it is the local one, which nobody but this process can write to.
    pub is_local: bool,
}

/// Opens the log. Kafka need not be there yet.
///
/// # Errors
/// If the configuration is wrong, or the local log's directory cannot be used.
pub fn open(config: &Config, instance: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<OpenBus> {
    match &config.kafka.bootstrap {
        Some(bootstrap) => open_kafka(config, bootstrap, instance),
        None => {
            let options = local_options(config);
            let name = format!("local log in {}", options.dir.display());
            let bus = LocalBus::open(options, clock.clone()).context("the local log cannot be opened")?;
            Ok(OpenBus { bus: Arc::new(bus), name, is_local: true })
        }
    }
}

#[cfg(feature = "kafka")]
fn open_kafka(config: &Config, bootstrap: &str, instance: &str) -> anyhow::Result<OpenBus> {
    let bus = KafkaBus::new(kafka_options(config, bootstrap, instance))?;
    Ok(OpenBus { bus: Arc::new(bus), name: format!("Kafka at {bootstrap}"), is_local: false })
}

#[cfg(not(feature = "kafka"))]
fn open_kafka(_: &Config, bootstrap: &str, _: &str) -> anyhow::Result<OpenBus> {
    anyhow::bail!(
        "this petrel was built without Kafka and cannot use {bootstrap}: \
         build all of it by `cargo build --release --package petrel-server`, or start it by `cargo xtask up --release`"
    )
}

/// How a process calls Kafka.
#[cfg(feature = "kafka")]
pub(crate) fn kafka_options(config: &Config, bootstrap: &str, instance: &str) -> KafkaOptions {
    KafkaOptions {
        properties: config.kafka.properties.clone(),
        transactional_id_prefix: config.topic_prefix.clone(),
        replication: config.kafka.replication,
        session_timeout_ms: config.kafka.session_timeout_ms,
        transaction_timeout_ms: config.kafka.transaction_timeout_ms,
        record_bytes_max: config.record_bytes_max,
        ..KafkaOptions::new(bootstrap, instance)
    }
}

fn local_options(config: &Config) -> LocalOptions {
    let fsync = match config.local.fsync {
        config::Fsync::Commit => Fsync::Commit,
        config::Fsync::Interval => Fsync::Interval(config.local.fsync_interval_ms),
        config::Fsync::Never => Fsync::Never,
    };
    LocalOptions {
        fsync,
        retention_ms_default: Some(config.retention_ms),
        topic_partitions_default: config.local.topic_partitions,
        log_bytes_max: config.local.log_bytes_max,
        ..LocalOptions::new(config.data_dir.join(LOG))
    }
}
