//! The cache of keyed state of this process, and what it may be believed for.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context;
use petrel_bus::{Bus, StateStores};
use petrel_bus_cache::{CacheOptions, DiskStores};
use petrel_schemas::Topics;

use crate::cli::args::Role;
use crate::config::{Config, Fsync};
use crate::process::blocking;

/// Folder of the cache, in the data directory.
const STATE: &str = "state";
/// Where Linux says which start of the machine this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Opens the cache, if a role of this process has any state.
pub(crate) async fn open_stores(
    config: &Config,
    roles: &BTreeSet<Role>,
    bus: &Arc<dyn Bus>,
    topics: &Topics,
    cluster_id: &str,
) -> anyhow::Result<Option<Arc<dyn StateStores>>> {
    if !roles.contains(&Role::Executor) && !roles.contains(&Role::Ingest) {
        return Ok(None);
    }
    let changelogs = [topics.executions(), topics.gate_state(), topics.timers(), topics.windows()];
    let incarnations = blocking(bus, move |bus| bus.incarnations(&changelogs)).await?;
    let is_durable = config.kafka.bootstrap.is_some() || config.local.fsync == Fsync::Commit;
    let boot = || std::fs::read_to_string(BOOT_ID).ok();
    let options = CacheOptions {
        memory_bytes_max: config.state_memory_bytes_max,
        age_ms_max: config.delete_retention_ms / 2,
        incarnations,
        ..CacheOptions::new(config.data_dir.join(STATE), log_identity(cluster_id, is_durable, boot))
    };
    let opened = tokio::task::spawn_blocking(move || DiskStores::open(options)).await?;
    Ok(Some(Arc::new(opened.context("the folder for state in the data directory cannot be used")?)))
}

/// What the cache takes the log for. A log that does not wait for the disk may be older after a power loss than
/// the cache, and go on differently: so it is another one after every start of the machine.
fn log_identity(cluster_id: &str, is_durable: bool, boot: impl FnOnce() -> Option<String>) -> String {
    if is_durable {
        return cluster_id.to_owned();
    }
    // Where nobody says which start of the machine this is, it is another log for every process.
    let start = boot().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    format!("{cluster_id} since {}", start.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_does_not_wait_for_the_disk_is_another_one_after_the_machine_has_started_again() {
        let (one, two) = (|| Some("one\n".to_owned()), || Some("two\n".to_owned()));
        assert_eq!(log_identity("c", true, one), log_identity("c", true, two));
        assert_eq!(log_identity("c", false, one), log_identity("c", false, one));
        assert_ne!(log_identity("c", false, one), log_identity("c", false, two));
        assert_ne!(log_identity("c", false, one), log_identity("d", false, one));
        assert_ne!(log_identity("c", false, || None), log_identity("c", false, || None));
    }
}
