//! What the numbers depend on, as far as this machine tells.

use std::process::Command;

use anyhow::Result;
use petrel_testkit::{java_major, kafka_libs_dir, workspace_root};
use serde_json::{Value, json};

use crate::kafka::Kafka;
use crate::settings;

/// Machine, versions and settings, for the result's file.
pub(crate) fn facts(kafka: &Kafka) -> Result<Value> {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    Ok(json!({
        "cores": std::thread::available_parallelism()?.get(),
        "cpu": cpu_model(),
        "memory_mib": memory_mib(),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "petrel": env!("CARGO_PKG_VERSION"),
        "commit": commit(),
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "librdkafka": librdkafka,
        "kafka": broker_version(),
        "java": java_major(),
        "broker_settings": kafka.settings()?,
        "consumer_settings": settings::shown(&settings::consumer(kafka, "G")),
        "producer_settings": settings::shown(&settings::producer(kafka, "G")),
    }))
}

fn read(path: &str) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn cpu_model() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory_mib() -> Option<u64> {
    let text = read("/proc/meminfo")?;
    let kib: u64 = text.lines().next()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

/// The revision of the work tree, with a `+` if files differ from it.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git").current_dir(workspace_root()).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let head = git(&["rev-parse", "--short=12", "HEAD"])?;
    let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
    Some(if changed { format!("{head}+") } else { head })
}

/// Kafka's version, by the name of the jar that the development broker runs from.
fn broker_version() -> Option<String> {
    let names = std::fs::read_dir(kafka_libs_dir()).ok()?.flatten().map(|entry| entry.file_name());
    names.filter_map(|name| name.into_string().ok()).find_map(|name| {
        let version = name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?;
        Some(version.to_owned())
    })
}
