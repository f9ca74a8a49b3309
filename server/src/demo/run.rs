//! What every demo does: a folder, its stand-ins, a log, a Petrel with its pack; then its story; and the end of all of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::Router;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::files::{self, File};
use super::journal::Journal;
use super::log::Log;
use super::narrator::Narrator;
use super::petrel::Petrel;
use super::stage::{Folder, Interrupt};
use super::{random, random_text};
use crate::cli::args::StageArgs;

/// Longest wait for what an event leads to.
pub const SOON: Duration = Duration::from_secs(90);
/// Length of a task's lease in milliseconds: what ran when Petrel was killed is tried again after it, and a demo is watched.
const LEASE_MS: u32 = 10_000;
/// How an execution may have ended.
const FINAL: &[&str] = &["succeeded", "failed", "timeout", "canceled", "abandoned"];

/// The pack of a demo.
pub struct Pack {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub files: &'static [File],
    /// The topic that its trigger names.
    pub topic: &'static str,
    /// One of its rules: it is in force once all are.
    pub rule: &'static str,
}

/// What a demo's pack has to know of the stand-ins.
pub struct Setting {
    /// The pack's configuration.
    pub values: Value,
    /// Its secrets by name.
    pub secrets: Vec<(&'static str, String)>,
}

/// What there is before Petrel starts.
pub struct Ground {
    runtime: Runtime,
    /// The demo's folder.
    pub folder: Folder,
    /// What the stand-ins get.
    pub journal: Journal,
}

impl Ground {
    /// Who says what happens.
    pub fn narrator(&self) -> &Arc<Narrator> {
        self.journal.narrator()
    }

    /// Where the stand-ins run.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A free port on loopback.
    ///
    /// # Errors
    /// If there is none.
    pub fn bind(&self) -> anyhow::Result<TcpListener> {
        Ok(self.runtime.block_on(TcpListener::bind("127.0.0.1:0"))?)
    }

    /// Serves calls over HTTP until the demo ends, and answers where.
    ///
    /// # Errors
    /// If there is no port.
    pub fn serve(&self, calls: Router) -> anyhow::Result<String> {
        let socket = self.bind()?;
        let url = format!("http://{}", socket.local_addr()?);
        self.runtime.spawn(async move { axum::serve(socket, calls).await });
        Ok(url)
    }
}

/// Everything together.
pub struct Scene<'a> {
    /// The server.
    pub petrel: Petrel,
    /// The stand-ins' side.
    pub ground: &'a Ground,
    /// Where events are written.
    pub log: &'a Log,
    pack: &'a Pack,
    setting: &'a Setting,
}

/// Plays a demo: `set_up` starts its stand-ins, `story` is what happens.
///
/// # Errors
/// Whatever goes wrong. All that was started has ended then, too.
pub fn play<W>(
    pack: &Pack,
    args: StageArgs,
    set_up: impl FnOnce(&Ground) -> anyhow::Result<(Setting, W)>,
    story: impl FnOnce(&mut Scene<'_>, &W) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let narrator = Arc::new(Narrator::new());
    let run = format!("{}-{}", pack.name, &random_text()?[..8]);
    let folder = Folder::make(args.keep, &format!("petrel-demo-{run}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let interrupt = Interrupt::listen(&runtime)?;
    ensure!(has_python(), "an action of this demo is a script of Python: it needs `python3`");
    let ground = Ground { runtime, folder, journal: Journal::new(narrator.clone()) };

    narrator.headline("What is around Petrel: small stand-ins, on loopback");
    let (setting, world) = set_up(&ground)?;
    let log = Log::open(args.kafka.as_deref(), pack.topic, &run)?;
    write_files(&ground.folder, pack, &setting, log.topic())?;

    narrator.headline(&format!("A Petrel of its own, with the pack `{}`", pack.name));
    let config = configuration(&ground.folder, args.kafka.as_deref(), &log)?;
    let played =
        Petrel::start(&ground.folder, &config, args.clickhouse_library, &narrator, &interrupt).and_then(|petrel| {
            narrator.say("petrel is ready");
            let mut scene = Scene { petrel, ground: &ground, log: &log, pack, setting: &setting };
            scene.apply()?;
            story(&mut scene, &world)
        });
    let Ground { runtime, folder, journal } = ground;
    if folder.is_kept() {
        files::write(&folder.at("received.ndjson"), &journal.lines(), 0o644)?;
    }
    runtime.shutdown_timeout(Duration::from_secs(5));
    log.clear().context("what the demo has made on Kafka is still there")?;
    played?;
    narrator.headline("All that was started has ended");
    if folder.is_kept() {
        let path = folder.path().display();
        narrator.say(&format!("{path} has the pack, the configuration, the logs and what the stand-ins got"));
    }
    Ok(())
}

/// Whether there is what runs scripts.
fn has_python() -> bool {
    let mut python = std::process::Command::new("python3");
    python.arg("--version").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// The packs, and what they are configured with.
fn write_files(folder: &Folder, pack: &Pack, setting: &Setting, topic: &str) -> anyhow::Result<()> {
    files::write_all(&folder.at("packs/core"), files::CORE, str::to_owned)?;
    let change = |text: &str| text.replace(pack.topic, topic);
    files::write_all(&folder.at("packs").join(pack.name), pack.files, change)?;
    let values = serde_json::to_string_pretty(&setting.values)?;
    files::write(&folder.at("config").join(format!("{}.yaml", pack.name)), &values, 0o644)
}

/// Of the server. JSON is YAML.
fn configuration(folder: &Folder, kafka: Option<&str>, log: &Log) -> anyhow::Result<Value> {
    files::write(&folder.at("master.key"), &STANDARD.encode(random::<32>()?), 0o600)?;
    let mut config = json!({
        "data_dir": folder.at("data").display().to_string(),
        "partitions": 2,
        "task_partitions": 2,
        // The stand-ins are where no action may go by default.
        "executor": { "http": { "allow": ["127.0.0.1"] }, "lease_ms": LEASE_MS },
        "secrets": { "master_key_file": folder.at("master.key").display().to_string() },
    });
    if let (Some(kafka), Some(prefix)) = (kafka, log.prefix()) {
        config["kafka"] = json!({ "bootstrap": kafka });
        config["topic_prefix"] = json!(prefix);
    }
    Ok(config)
}

impl Scene<'_> {
    /// Who says what happens.
    pub fn narrator(&self) -> &Narrator {
        self.ground.narrator()
    }

    /// What the stand-ins got.
    pub fn journal(&self) -> &Journal {
        &self.ground.journal
    }

    /// Secrets, packs, and that the rules are in force.
    fn apply(&self) -> anyhow::Result<()> {
        let Pack { name, rule, .. } = self.pack;
        for (secret, value) in &self.setting.secrets {
            self.petrel.show(&["secret", "set", &format!("{name}.{secret}")], Some(value))?;
        }
        let path = |part: &str| self.ground.folder.at(part).display().to_string();
        let (core, pack, config) = (path("packs/core"), path(&format!("packs/{name}")), path("config"));
        self.petrel.show(&["pack", "test", &core, &pack, "--config", &config], None)?;
        self.petrel.show(&["pack", "apply", &core, &pack, "--config", &config], None)?;
        self.petrel
            .wait("the rules are in force", SOON, || Ok(self.petrel.ask(&["rule", "list"], None)?.contains(rule)))
    }

    /// Writes events of one key, and says so.
    ///
    /// # Errors
    /// If they are not written.
    pub fn write(&self, key: &str, events: &[String]) -> anyhow::Result<()> {
        self.log.write(&self.petrel, key, events)?;
        let number = if events.len() == 1 { "an event is".to_owned() } else { format!("{} events are", events.len()) };
        self.narrator().say(&format!("{number} written to the topic {}", self.log.topic()));
        Ok(())
    }

    /// The audit trail has all of it, once everything adds up: queries are shown with what they answer.
    ///
    /// # Errors
    /// If there is no answer, or something does not add up in time.
    pub fn show_audit(&self, queries: &[&str]) -> anyhow::Result<()> {
        self.narrator().headline("All of it, in SQL");
        let mut problems = String::new();
        let adds_up = self.petrel.wait("everything adds up", SOON, || {
            problems = self.petrel.ask(&["sql", "--reconcile", "--grace", "0", "--format", "json"], None)?;
            Ok(problems.trim().is_empty())
        });
        adds_up.with_context(|| format!("this does not add up:\n{}", problems.trim()))?;
        queries.iter().try_for_each(|query| self.petrel.show_query(query.trim()))?;
        self.narrator().say("$ petrel sql --reconcile");
        self.narrator().show("nothing: everything adds up");
        Ok(())
    }

    /// Waits until a policy has held the second event, whose action is the first thing that its rule asks for.
    ///
    /// # Errors
    /// If none has in time.
    pub fn wait_for_held(&self, action: &str, policy: &str) -> anyhow::Result<()> {
        let held =
            format!("SELECT execution_id FROM executions_latest WHERE action = '{action}' AND code = 'policy_excess'");
        self.petrel.wait("a policy holds the second one", SOON, || Ok(self.petrel.rows(&held)?.len() == 1))?;
        self.narrator().say(&format!("the policy {policy} has held the second one"));
        Ok(())
    }

    /// The id of the execution of a workflow, once it is told that it has begun.
    ///
    /// # Errors
    /// If there is none in time.
    pub fn wait_for_workflow(&self, action: &str) -> anyhow::Result<String> {
        let query = format!(
            "SELECT execution_id FROM executions_latest WHERE action = '{action}' AND status NOT IN ('requested', \
             'delayed') LIMIT 1"
        );
        let mut id = None;
        self.petrel.wait("the workflow has begun", SOON, || {
            let rows = self.petrel.rows(&query)?;
            id = rows.first().and_then(|row| row["execution_id"].as_str()).map(str::to_owned);
            Ok(id.is_some())
        })?;
        id.context("a workflow without an id")
    }

    /// Waits until a workflow has ended or rests; its status.
    ///
    /// # Errors
    /// If it does neither in time.
    pub fn wait_for_rest(&self, id: &str, longest: Duration) -> anyhow::Result<String> {
        self.wait_for_status(id, longest, &[FINAL, &["paused"]].concat())
    }

    /// Waits until a workflow has ended; its status.
    ///
    /// # Errors
    /// If it has not in time.
    pub fn wait_for_end(&self, id: &str, longest: Duration) -> anyhow::Result<String> {
        self.wait_for_status(id, longest, FINAL)
    }

    /// The status of a workflow that has ended.
    pub fn ended(&self, id: &str) -> Option<String> {
        self.status(id).filter(|status| FINAL.contains(&status.as_str()))
    }

    /// Its status; behind a start it is not known for a moment.
    fn status(&self, id: &str) -> Option<String> {
        let shown = self.petrel.json(&["execution", "get", id]).ok()?;
        shown["status"].as_str().map(str::to_owned)
    }

    fn wait_for_status(&self, id: &str, longest: Duration, wanted: &[&str]) -> anyhow::Result<String> {
        let mut status = None;
        self.petrel.wait(&format!("the workflow is one of {}", wanted.join(", ")), longest, || {
            status = self.status(id).filter(|status| wanted.contains(&status.as_str()));
            Ok(status.is_some())
        })?;
        status.context("a workflow without a status")
    }
}
