//! Petrel's own command line, as a user calls it.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use petrel_testkit::{petrel_binary, poll_until};
use serde_json::Value;

/// How long rows may take that are on their way.
const SETTLE: Duration = Duration::from_secs(60);

/// Calls `petrel` against one server.
#[derive(Debug, Clone)]
pub struct Cli {
    api: String,
    token: Option<String>,
}

impl Cli {
    /// For the server at that address, such as `http://127.0.0.1:7373`.
    pub fn new(api: impl Into<String>) -> Self {
        Self { api: api.into(), token: None }
    }

    /// The same with a token.
    pub fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Address of the server.
    pub fn api(&self) -> &str {
        &self.api
    }

    /// Runs a command, whatever comes of it.
    pub fn output(&self, arguments: &[&str]) -> Result<Output> {
        let binary = petrel_binary()?;
        let mut command = Command::new(binary);
        command.args(arguments).args(["--api", &self.api]);
        if let Some(token) = &self.token {
            command.args(["--token", token]);
        }
        command.output().context("petrel cannot be started")
    }

    /// Standard output of a command that succeeds.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        if !output.status.success() {
            bail!("petrel {}: {}: {}", arguments.join(" "), output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The answer of a command under `-o json`.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let text = self.run(&all)?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    /// Rows of a query, one object each.
    pub fn sql(&self, query: &str) -> Result<Vec<Value>> {
        rows(&self.run(&["sql", query, "--format", "json"])?)
    }

    /// Waits until the reconciliation query, without a period of grace, has no rows; fails with them.
    pub fn reconciles(&self) -> Result<()> {
        let mut left = Vec::new();
        let done = poll_until(SETTLE, || {
            left = rows(&self.run(&["sql", "--reconcile", "--grace", "0", "--format", "json"]).ok()?).ok()?;
            left.is_empty().then_some(())
        });
        ensure!(done.is_some(), "{} rows do not add up, the first is {:?}", left.len(), left.first());
        Ok(())
    }

    /// The number that a query answers with.
    pub fn number(&self, query: &str) -> Result<u64> {
        let rows = self.sql(query)?;
        let value = rows.first().and_then(|row| row.as_object()).and_then(|row| row.values().next());
        match value {
            Some(Value::Number(n)) => n.as_u64().context("no whole number"),
            Some(Value::String(text)) => text.parse().context("no whole number"),
            other => bail!("{query}: {other:?}"),
        }
    }

    /// Whether the server says that it is ready, asked until it is or the time is over.
    pub fn wait_ready(&self, timeout: Duration) -> bool {
        let ready = || self.output(&["status"]).ok().filter(|o| o.status.success()).map(drop);
        poll_until(timeout, ready).is_some()
    }
}

/// One JSON object a line.
fn rows(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("no row: {line}"))).collect()
}
