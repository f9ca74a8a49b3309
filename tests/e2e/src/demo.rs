//! `petrel demo`, as somebody types it who sees Petrel for the first time.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{engine_library, petrel_binary};
use serde_json::Value;

use crate::count_from_env;

/// With how many of the things that may go wrong in it each demo is played: `PETREL_E2E_DEMO_FAULTS`, one in the gate.
pub fn demo_faults() -> usize {
    count_from_env("PETREL_E2E_DEMO_FAULTS", 1)
}

/// A demo that has ended well.
#[derive(Debug)]
pub struct Played {
    /// What it said.
    pub said: String,
    /// What its stand-ins got, in their order.
    pub received: Vec<Value>,
    kept: PathBuf,
}

impl Played {
    /// Runs a demo to its end, in a folder in which it keeps everything. Nothing of it runs afterwards.
    ///
    /// # Errors
    /// If it does not end well; with all that it has said.
    pub fn of(dir: &Path, demo: &str, more: &[&str]) -> Result<Self> {
        let kept = dir.join("kept");
        let output = Command::new(petrel_binary()?)
            .args(["demo", demo, "--keep"])
            .arg(&kept)
            .args(more)
            .env("PETREL_CHDB_LIB", engine_library()?)
            // Another server's settings are nothing to it.
            .env("PETREL_TOKEN", "x")
            .env("PETREL_CONFIG", "/nowhere")
            .current_dir(dir)
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        let runs = processes_naming(&kept);
        ensure!(runs.is_empty(), "it still runs: {runs:?}");
        let log = std::fs::read_to_string(kept.join("petrel.log")).unwrap_or_default();
        ensure!(output.status.success(), "{}: {error}\n{said}\n{log}", output.status);
        let received = std::fs::read_to_string(kept.join("received.ndjson"))?;
        let received: Result<Vec<Value>, _> = received.lines().map(serde_json::from_str).collect();
        Ok(Self { said, received: received?, kept })
    }

    /// Bodies of the requests that a stand-in took, of those whose description begins so.
    pub fn taken(&self, service: &str, what: &str) -> Vec<&Value> {
        let is_wanted = |entry: &&Value| {
            entry["service"] == service
                && entry["what"].as_str().is_some_and(|text| text.starts_with(what))
                && entry["status"].as_u64().is_some_and(|status| status < 400)
        };
        self.received.iter().filter(is_wanted).map(|entry| &entry["body"]).collect()
    }

    /// The only one of these.
    ///
    /// # Errors
    /// If there is none, or there are several.
    pub fn only(&self, service: &str, what: &str) -> Result<&Value> {
        let taken = self.taken(service, what);
        ensure!(taken.len() == 1, "{service}: {what}: {} times: {taken:?}", taken.len());
        taken.first().copied().context("there is one")
    }

    /// Fails if a text stands in what was said or logged: a secret that it should not say.
    ///
    /// # Errors
    /// If it does.
    pub fn does_not_tell(&self, secrets: &[&str]) -> Result<()> {
        let log = std::fs::read_to_string(self.kept.join("petrel.log"))?;
        for secret in secrets {
            ensure!(!self.said.contains(secret) && !log.contains(secret), "{secret} is told");
        }
        Ok(())
    }

    /// Fails unless all of these stand in what was said.
    ///
    /// # Errors
    /// With the first one that does not.
    pub fn says(&self, texts: &[&str]) -> Result<()> {
        let missing = texts.iter().find(|text| !self.said.contains(**text));
        missing.map_or(Ok(()), |text| Err(anyhow::anyhow!("it does not say {text:?}\n{}", self.said)))
    }
}

/// Command lines of processes that name a folder.
pub fn processes_naming(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&folder)).collect()
}
