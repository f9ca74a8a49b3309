//! What the numbers depend on, as far as this machine tells.

use std::process::Command;

use anyhow::Result;
use petrel_testkit::{java_major, workspace_root};
use serde_json::{Value, json};

/// Machine and versions, for the result's file.
pub(crate) fn facts() -> Result<Value> {
    Ok(json!({
        "cores": std::thread::available_parallelism()?.get(),
        "cpu": after(&read("/proc/cpuinfo"), "model name"),
        "cache": after(&read("/proc/cpuinfo"), "cache size"),
        "memory_mib": after(&read("/proc/meminfo"), "MemTotal").and_then(|kib| {
            Some(kib.trim_end_matches(" kB").trim().parse::<u64>().ok()? / 1024)
        }),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": read("/proc/loadavg").split(' ').next(),
        "rustc": output(Command::new("rustc").arg("--version")),
        "rustflags": option_env!("PETREL_BENCH_RUSTFLAGS"),
        "profile": if cfg!(debug_assertions) { "debug" } else { "release" },
        "java": java_major(),
        "petrel": env!("CARGO_PKG_VERSION"),
        "commit": commit(),
        "date": output(Command::new("date").args(["-u", "+%Y-%m-%d"])),
    }))
}

/// Empty if there is no such file.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind `key : `.
fn after(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.current_dir(workspace_root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The revision of the work tree, with a `+` if files differ from it.
fn commit() -> Option<String> {
    let head = output(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))?;
    let changes = output(Command::new("git").args(["status", "--porcelain"]));
    Some(if changes.is_some_and(|changes| !changes.is_empty()) { format!("{head}+") } else { head })
}
