//! Executions that are held up, and what is known of their attempts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::Cli;
use petrel_testkit::poll_until;
use serde_json::Value;

use super::{RUNNERS, SOON};

/// Runners whose attempts write all the time that they go on.
pub const TOLD: [&str; 6] = ["command", "shell", "script", "python", "ssh", "container"];

/// What runs.
pub struct Held {
    cli: Cli,
    dir: PathBuf,
    mark: String,
    /// Ids, by the names of their logs.
    ids: BTreeMap<String, String>,
}

impl Held {
    /// Nothing yet; logs and the gate are in that folder.
    pub fn new(cli: &Cli, dir: &std::path::Path, mark: &str) -> Self {
        Self { cli: cli.clone(), dir: dir.to_owned(), mark: mark.to_owned(), ids: BTreeMap::new() }
    }

    /// Asks for an execution of that action; the name of its log.
    pub fn ask(&mut self, action: &str) -> Result<String> {
        let log = format!("{action}-{}.log", self.ids.len());
        let parameters = [
            ("log", self.dir.join(&log).display().to_string()),
            ("gate", self.dir.join("gate").display().to_string()),
            ("mark", self.mark.clone()),
            ("name", log.clone()),
        ];
        let parameters = parameters.map(|(name, value)| format!("{name}={value}"));
        let action = format!("hold.{action}");
        let mut arguments = vec!["action", "run", &action];
        arguments.extend(parameters.iter().map(String::as_str));
        let id = self.cli.run(&arguments)?;
        self.ids.insert(log.clone(), id.trim().to_owned());
        Ok(log)
    }

    /// Names of all logs, with the ids of their executions.
    pub fn ids(&self) -> &BTreeMap<String, String> {
        &self.ids
    }

    pub fn get(&self, log: &str) -> Result<Value> {
        self.cli.json(&["execution", "get", &self.ids[log]])
    }

    fn lines(&self, log: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join(log)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The attempts that have begun, in their order.
    pub fn begun(&self, log: &str) -> Vec<i64> {
        self.lines(log).iter().filter_map(|line| line.strip_prefix('+')?.parse().ok()).collect()
    }

    /// How much has been written of it.
    pub fn length(&self, log: &str) -> usize {
        self.lines(log).len()
    }

    /// From the first to the last that was written of it, by the machine's own clock.
    pub fn lasted(&self, log: &str) -> Result<Duration> {
        let file = std::fs::metadata(self.dir.join(log))?;
        Ok(file.modified()?.duration_since(file.created()?)?)
    }

    /// Whose it is, once an attempt behind that many has begun, and its number. A record that is held up is not seen: of
    /// such an attempt is known that it was claimed.
    pub fn runs(&self, log: &str, behind: i64) -> Result<(String, i64)> {
        let found = poll_until(SOON, || {
            let shown = self.get(log).ok()?;
            let (worker, attempt) = (shown["worker"].as_str()?, shown["attempt"].as_i64()?);
            let has_begun = log.starts_with("kafka-") || self.begun(log).contains(&attempt);
            (shown["status"] == "running" && attempt > behind && has_begun).then(|| (worker.to_owned(), attempt))
        });
        found.with_context(|| format!("{log} does not run: {:?} {:?}", self.get(log), self.begun(log)))
    }

    /// Who has what, and which attempt of it.
    pub fn all(&self) -> Result<BTreeMap<String, (String, i64)>> {
        self.ids.keys().map(|log| Ok((log.clone(), self.runs(log, 0)?))).collect()
    }

    /// Waits until what that worker had runs again somewhere; whether it had something of every runner.
    pub fn moved(&self, before: &BTreeMap<String, (String, i64)>, worker: &str) -> Result<bool> {
        let lost: Vec<_> = before.iter().filter(|(_, (had, _))| had == worker).collect();
        for (log, (_, attempt)) in &lost {
            self.runs(log, *attempt)?;
        }
        Ok(RUNNERS.iter().all(|runner| lost.iter().any(|(log, _)| log.starts_with(&format!("{runner}-")))))
    }

    /// No attempt begins twice, none goes on once the next one has begun, and none costs more than a lost lease.
    pub fn check(&self) -> Result<()> {
        for log in self.ids.keys() {
            let (begun, shown) = (self.begun(log), self.get(log)?);
            let numbers: Vec<i64> =
                self.lines(log).iter().filter_map(|line| line.trim_start_matches('+').parse().ok()).collect();
            ensure!(numbers.is_sorted(), "{log}: attempts overlap: {numbers:?}");
            ensure!(begun.is_sorted_by(|one, next| one < next), "{log}: one began twice: {begun:?}");
            // Of what is over that is not told any more.
            let Some(lost) = shown["lost_leases"].as_u64() else { continue };
            let lost = lost + shown["hand_overs"].as_u64().unwrap_or(0);
            ensure!(begun.len() as u64 <= lost + 1, "{log}: {begun:?} for {lost} lost attempts: {shown}");
        }
        Ok(())
    }

    /// Opens the gate of all but the topic.
    pub fn open(&self) -> Result<()> {
        Ok(std::fs::write(self.dir.join("gate"), "")?)
    }

    /// Waits until an execution has ended so.
    pub fn ended(&self, log: &str, status: &str) -> Result<Value> {
        let ended = poll_until(SOON, || self.get(log).ok().filter(|shown| shown["status"] == status));
        ended.with_context(|| format!("{log}: {:?}", self.get(log)))
    }
}

/// Processes that have this variable.
pub fn marked(mark: &str) -> usize {
    let wanted = format!("MARK={mark}");
    let has_it = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
    };
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(has_it).count()
}
