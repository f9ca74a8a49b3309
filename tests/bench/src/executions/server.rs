//! A `petrel up` with a pack whose action does nothing, that can be killed and started again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use petrel_bus::Clock;
use petrel_testkit::{Proc, engine_library, free_port, petrel_binary, poll_until, scratch_dir};
use serde_json::Value;

use crate::clock::SystemClock;
use crate::kafka::Kafka;

/// How long a start may take before the measurement is given up.
const READY: Duration = Duration::from_secs(600);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(120);
/// The trigger whose events lead to the pack's action.
pub(crate) const TRIGGER: &str = "scale.order";
/// The pack's `pack.yaml`.
pub(crate) const MANIFEST: &str = "name: scale\nversion: 1.0.0\ndescription: Does nothing, often\n";

/// What an event leads to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// Nothing that a worker would have to start.
    Noop,
    /// A process that ends at once.
    True,
}

/// The server, and how to start it.
pub(crate) struct Server {
    program: PathBuf,
    http: Http,
    kafka: Option<String>,
    prefix: String,
    process: Option<Proc>,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it and applies a pack whose action is a `noop`.
    pub(crate) fn start(kafka: Option<&Kafka>) -> Result<Self> {
        Self::start_of(&petrel_binary()?, Action::Noop, kafka)
    }

    /// Starts that program and applies a pack whose action is that one.
    pub(crate) fn start_of(program: &Path, action: Action, kafka: Option<&Kafka>) -> Result<Self> {
        Self::start_with(program, &pack_of(action), kafka)
    }

    /// Starts that program and applies a pack of these files.
    pub(crate) fn start_with(program: &Path, files: &[(String, String)], kafka: Option<&Kafka>) -> Result<Self> {
        let mut server = Self {
            program: program.to_owned(),
            http: Http { address: format!("127.0.0.1:{}", free_port()) },
            kafka: kafka.map(|kafka| kafka.bootstrap.clone()),
            prefix: format!("scale{}.", SystemClock.now_ms()),
            process: None,
            dir: tempfile::Builder::new().prefix("executions-").tempdir_in(scratch_dir()?)?,
        };
        server.begin()?;
        let pack = write_pack(server.dir.path(), files)?.display().to_string();
        // The API may be ready a moment before the catalog takes writes.
        let applied = poll_until(ANSWER, || server.cli(&["pack", "apply", &pack]).ok());
        applied.with_context(|| format!("the pack cannot be applied: {}", server.log_tail()))?;
        Ok(server)
    }

    /// Starts the process; how long it took until it said that it is ready.
    pub(crate) fn begin(&mut self) -> Result<Duration> {
        let mut command = Command::new(&self.program);
        command.args(["up", "--quiet", "--listen", &self.http.address, "--data-dir"]).arg(self.data());
        // A variable of the tests would be an unknown option of the server.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PETREL_")) {
            command.env_remove(name);
        }
        if let Some(bootstrap) = &self.kafka {
            command.args(["--kafka", bootstrap]).env("PETREL_TOPIC_PREFIX", &self.prefix);
        }
        command.env("PETREL_CHDB_LIB", engine_library()?);
        // What is to be remembered must not be forgotten while it is measured.
        command.env("PETREL_REQUEST_DEDUP_MS", "86400000");
        let began = Instant::now();
        let process = Proc::start("petrel", &mut command, &self.dir.path().join("petrel.log"))?;
        let http = self.http.clone();
        self.process.insert(process).wait_until_ready(READY, || http.get("/readyz").ok())?;
        Ok(began.elapsed())
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.terminate()?;
        let status = process.wait(ANSWER)?;
        ensure!(status.success(), "ended with {status}: {}", process.log_tail());
        Ok(())
    }

    /// Removes what it keeps of the owners' state beside the log; only while it does not run.
    pub(crate) fn lose_cache(&self) -> Result<()> {
        ensure!(self.process.is_none(), "the server runs");
        std::fs::remove_dir_all(self.data().join("state")).context("there is no cache that could be lost")
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the server does not run")?.pid())
    }

    pub(crate) fn http(&self) -> &Http {
        &self.http
    }

    /// The sum of a metric over its labels; `name` may name some of them, as `name{status="x"`.
    pub(crate) fn metric(&self, name: &str) -> Result<u64> {
        let text = self.http.get("/metrics")?;
        let of = text.lines().filter(|line| line.starts_with(name));
        Ok(of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>() as u64)
    }

    /// The number that a query answers with.
    pub(crate) fn sql(&self, query: &str) -> Result<u64> {
        let text = self.cli(&["sql", query, "--format", "json"])?;
        let row: Value = serde_json::from_str(text.lines().next().context("no row")?)?;
        let value = row.as_object().and_then(|row| row.values().next()).cloned().unwrap_or_default();
        // 64-bit numbers may come as text.
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).with_context(|| format!("no number: {row}"))
    }

    /// Standard output of Petrel's own command line.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Result<String> {
        let api = format!("http://{}", self.http.address);
        let output = Command::new(&self.program).args(arguments).args(["--api", &api]).output()?;
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        ensure!(output.status.success(), "petrel {}: {out}{err}", arguments.join(" "));
        Ok(out)
    }

    pub(crate) fn log_tail(&self) -> String {
        self.process.as_ref().map_or_else(String::new, Proc::log_tail)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

/// As much of an HTTP client as is needed.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    address: String,
}

impl Http {
    /// The body of an answer.
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let (status, body) = self.ask(&format!("GET {path} HTTP/1.1\r\n"), "")?;
        ensure!((200..300).contains(&status), "GET {path}: {status} {body}");
        Ok(body)
    }

    /// Status and body of an answer to a body.
    pub(crate) fn post(&self, path: &str, headers: &str, body: &str) -> Result<(u16, String)> {
        let length = body.len();
        self.ask(&format!("POST {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\n"), body)
    }

    fn ask(&self, head: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).context("cannot reach petrel")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let address = &self.address;
        stream.write_all(format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no answer")?;
        Ok((status, answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, body)| body.to_owned())))
    }
}

/// A pack whose rule asks for an action at every event.
fn pack_of(action: Action) -> Vec<(String, String)> {
    let runner = match action {
        Action::Noop => "runner: noop",
        Action::True => "runner: command\ncommand: [\"true\"]",
    };
    let action = format!(
        "name: nothing\n{runner}\ndelivery: at_least_once\nparameters:\n  host: {{ type: string, required: true }}\n"
    );
    let mut files = vec![("pack.yaml".to_owned(), MANIFEST.to_owned()), ("actions/nothing.yaml".to_owned(), action)];
    files.extend(rule_at(TRIGGER, "nothing"));
    files
}

/// The files of a trigger of the pack, and of a rule that asks for an action of the pack at each of its events.
pub(crate) fn rule_at(trigger: &str, action: &str) -> [(String, String); 2] {
    let name = trigger.split_once('.').map_or(trigger, |(_, name)| name);
    let source = format!(
        "name: {name}\nsource: {{ http: {{}} }}\nschema: {{ type: object, required: [n, host], \
         properties: {{ n: {{ type: integer }}, host: {{ type: string }} }} }}\n"
    );
    let rule = format!(
        "name: every_{name}\ntrigger: {trigger}\ncriteria: trigger.n >= 0\n\
         action: {{ ref: scale.{action}, parameters: {{ host: \"${{trigger.host}}\" }} }}\n"
    );
    [(format!("triggers/{name}.yaml"), source), (format!("rules/every_{name}.yaml"), rule)]
}

fn write_pack(dir: &Path, files: &[(String, String)]) -> Result<PathBuf> {
    let root = dir.join("scale");
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(root)
}
