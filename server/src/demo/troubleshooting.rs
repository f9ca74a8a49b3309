//! `petrel demo troubleshooting`: an alert, what a person would look at first, and one message of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::host::{Host, Keys, USER};
use super::log::{self, Log};
use super::narrator::Narrator;
use super::services::{
    ACCOUNT, Asked as Request, CHANNEL, INSTANCE, JIRA, PROJECT, SLACK, Services, TICKETS, Tokens, ZONE,
};
use super::stage::{Asked, Folder, Petrel};
use super::{files, random, random_text};
use crate::cli::args::TroubleshootingArgs;
use crate::cli::{EXIT_FAILED, Failure};

/// Longest wait for what the alerts lead to.
const SOON: Duration = Duration::from_secs(90);
/// The whole story of one alert.
const STORY: &str = include_str!("story.sql");
/// What the policies have decided.
const GATES: &str = include_str!("gates.sql");

/// Plays it.
pub fn run(args: TroubleshootingArgs) -> Result<(), Failure> {
    play(args).map_err(|error| Failure::new(EXIT_FAILED, format!("{error:#}")))
}

fn play(args: TroubleshootingArgs) -> anyhow::Result<()> {
    let narrator = Arc::new(Narrator::new());
    let run = random_text()?[..8].to_owned();
    let folder = Folder::make(args.keep, &format!("petrel-demo-{run}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let asked = Asked::listen(&runtime)?;

    ensure!(has_python(), "the action that makes tickets is a script of Python: this demo needs `python3`");
    narrator.headline("What is around Petrel: small stand-ins, on loopback");
    let world = World::start(&runtime, &narrator, &folder, args.lose_answers)?;
    let log = Log::open(args.kafka.as_deref(), &run)?;
    write_files(&folder, &world, log.topic())?;

    narrator.headline("A Petrel of its own, with the pack `troubleshooting`");
    let config = configuration(&folder, args.kafka.as_deref(), &log)?;
    let played =
        Petrel::start(&folder, &config, args.clickhouse_library.as_deref(), &narrator, &asked).and_then(|petrel| {
            narrator.say("petrel is ready");
            let scene = Scene { petrel, world: &world, log: &log, narrator: &narrator, folder: &folder };
            scene.apply()?;
            scene.alert(args.repeats, args.lose_answers)?;
            scene.ask()
        });
    if folder.is_kept() {
        keep(&folder, &world.services.asked())?;
    }
    runtime.shutdown_timeout(Duration::from_secs(5));
    log.clear().context("what the demo has made on Kafka is still there")?;
    played?;
    narrator.headline("All that was started has ended");
    if folder.is_kept() {
        narrator.say(&format!(
            "{} has the pack, the configuration, the logs and what the stand-ins got",
            folder.path().display()
        ));
    }
    Ok(())
}

/// Whether there is what runs the script.
fn has_python() -> bool {
    let mut python = std::process::Command::new("python3");
    python.arg("--version").stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// The stand-ins.
struct World {
    services: Services,
    tokens: Tokens,
    url: String,
    ssh_port: u16,
    known_hosts: String,
    ssh_key: String,
}

impl World {
    fn start(
        runtime: &tokio::runtime::Runtime,
        narrator: &Arc<Narrator>,
        folder: &Folder,
        loses_answers: bool,
    ) -> anyhow::Result<Self> {
        let token = |kind: &str| anyhow::Ok(format!("{kind}{}", random_text()?));
        let tokens = Tokens { cloud: token("ya29.")?, slack: token("xoxb-")?, jira: token("ATATT")? };
        let services = Services::new(narrator.clone(), tokens.clone(), loses_answers);
        let bind = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let (web, ssh) = (bind()?, bind()?);
        let (url, ssh_port) = (format!("http://{}", web.local_addr()?), ssh.local_addr()?.port());
        let router = services.router();
        runtime.spawn(async move { axum::serve(web, router).await });
        let programs = folder.at("host");
        files::write_all(&programs, files::HOST, str::to_owned)?;
        let keys = Keys::new()?;
        let (known_hosts, ssh_key) = (keys.known_hosts(ssh_port)?, keys.user_key()?);
        runtime.spawn(Host::new(narrator.clone(), &keys, programs).serve(keys, ssh));
        narrator.say(&format!("Compute Engine, Slack and Jira answer at {url}"));
        narrator.say(&format!("the host {INSTANCE} lets {USER} in by SSH on port {ssh_port}"));
        Ok(Self { services, tokens, url, ssh_port, known_hosts, ssh_key })
    }
}

/// The packs, and what they are configured with.
fn write_files(folder: &Folder, world: &World, topic: &str) -> anyhow::Result<()> {
    files::write_all(&folder.at("packs/core"), files::CORE, str::to_owned)?;
    let change = |text: &str| text.replace(log::TOPIC, topic);
    files::write_all(&folder.at("packs/troubleshooting"), files::TROUBLESHOOTING, change)?;
    let values = json!({
        "ssh_user": USER, "ssh_port": world.ssh_port, "ssh_known_hosts": world.known_hosts,
        "cloud_url": world.url, "cloud_project": PROJECT, "cloud_zone": ZONE,
        "slack_url": world.url, "slack_channel": CHANNEL,
        "jira_url": world.url, "jira_user": ACCOUNT, "jira_project": TICKETS,
    });
    files::write(&folder.at("config/troubleshooting.yaml"), &serde_json::to_string_pretty(&values)?, 0o644)
}

/// Of the server. JSON is YAML.
fn configuration(folder: &Folder, kafka: Option<&str>, log: &Log) -> anyhow::Result<Value> {
    files::write(&folder.at("master.key"), &STANDARD.encode(random::<32>()?), 0o600)?;
    let mut config = json!({
        "data_dir": folder.at("data").display().to_string(),
        "partitions": 2,
        "task_partitions": 2,
        // The stand-ins are where no action may go by default.
        "executor": { "http": { "allow": ["127.0.0.1"] } },
        "secrets": { "master_key_file": folder.at("master.key").display().to_string() },
    });
    if let (Some(kafka), Some(prefix)) = (kafka, log.prefix()) {
        config["kafka"] = json!({ "bootstrap": kafka });
        config["topic_prefix"] = json!(prefix);
    }
    Ok(config)
}

/// What the stand-ins got, a line each.
fn keep(folder: &Folder, asked: &[Request]) -> anyhow::Result<()> {
    let line = |asked: &Request| {
        let Request { service, at_ms, status, body } = asked;
        format!("{}\n", json!({ "service": service, "at_ms": at_ms, "status": status, "body": body }))
    };
    files::write(&folder.at("received.ndjson"), &asked.iter().map(line).collect::<String>(), 0o644)
}

/// Everything together.
struct Scene<'a> {
    petrel: Petrel,
    world: &'a World,
    log: &'a Log,
    narrator: &'a Narrator,
    folder: &'a Folder,
}

impl Scene<'_> {
    /// Secrets, packs, and that the rules are in force.
    fn apply(&self) -> anyhow::Result<()> {
        let Tokens { cloud, slack, jira } = &self.world.tokens;
        let secrets =
            [("cloud_token", cloud), ("slack_token", slack), ("jira_token", jira), ("ssh_key", &self.world.ssh_key)];
        for (name, value) in secrets {
            self.petrel.show(&["secret", "set", &format!("troubleshooting.{name}")], Some(value))?;
        }
        let path = |name: &str| self.folder.at(name).display().to_string();
        let (core, pack, config) = (path("packs/core"), path("packs/troubleshooting"), path("config"));
        self.petrel.show(&["pack", "test", &core, &pack, "--config", &config], None)?;
        self.petrel.show(&["pack", "apply", &core, &pack, "--config", &config], None)?;
        self.petrel.wait("the rules are in force", SOON, || {
            Ok(self.petrel.ask(&["rule", "list"], None)?.contains("troubleshooting.after_cloud_state"))
        })
    }

    /// One alert, and then a storm of the same one.
    fn alert(&self, repeats: u32, loses_answers: bool) -> anyhow::Result<()> {
        self.narrator.headline("The service checkout fails, and Sensu says so");
        let first = alert(self.narrator.now_ms(), 0);
        self.narrator.say(&format!("an event is written to the topic {}", self.log.topic()));
        self.narrator.show(&first.to_string());
        self.log.write(&self.petrel, INSTANCE, &[first.to_string()])?;
        let services = &self.world.services;
        self.petrel
            .wait("a message and a ticket", SOON, || Ok(services.taken(SLACK) > 0 && services.taken(JIRA) > 0))?;
        self.petrel.wait("all of it has ended", SOON, || {
            let query = "SELECT execution_id FROM executions_latest WHERE action IN \
                         ('troubleshooting.slack', 'troubleshooting.jira') AND status = 'succeeded'";
            Ok(self.petrel.rows(query)?.len() >= 2)
        })?;
        self.tell_messages();

        self.narrator.headline("It goes on failing, and Sensu goes on saying so");
        let more: Vec<String> = (1..=repeats).map(|n| alert(self.narrator.now_ms(), n).to_string()).collect();
        self.log.write(&self.petrel, INSTANCE, &more)?;
        self.narrator.say(&format!("{repeats} more events of the same check are written"));
        self.petrel.wait("the policy has held them", SOON, || {
            let query = "SELECT execution_id FROM executions_latest WHERE action = 'troubleshooting.ping' \
                         AND code = 'policy_excess'";
            Ok(self.petrel.rows(query)?.len() == repeats as usize)
        })?;
        self.narrator.say(&format!("the policy troubleshooting.once has held all {repeats} of them"));
        self.count(if loses_answers { 2 } else { 1 })
    }

    /// Of a message whose answer is lost there is a second one, for Slack knows no repeated request again; of a ticket there
    /// is one all the same, for the action looks for it.
    fn count(&self, messages: usize) -> anyhow::Result<()> {
        let services = &self.world.services;
        let count = (services.taken(SLACK), services.taken(JIRA));
        ensure!(count == (messages, 1), "{messages} messages and one ticket were to be sent, and there are {count:?}");
        let message = if messages == 1 { "one message" } else { "the message twice, for its first answer was lost," };
        self.narrator.say(&format!("there is {message} in Slack and one ticket in Jira"));
        Ok(())
    }

    fn tell_messages(&self) {
        for Request { service, body, .. } in self.world.services.asked().iter().filter(|asked| !asked.body.is_null()) {
            self.narrator.say(&format!("{service} was told:"));
            self.narrator.show(&serde_json::to_string_pretty(body).unwrap_or_default());
        }
    }

    /// The audit trail has all of it.
    fn ask(&self) -> anyhow::Result<()> {
        self.narrator.headline("All of it, in SQL");
        let story = STORY.replace("{id}", &alert_id(0));
        self.petrel.show_query(story.trim())?;
        self.petrel.show_query(GATES.trim())?;
        self.petrel.wait("everything adds up", SOON, || {
            Ok(self.petrel.ask(&["sql", "--reconcile", "--grace", "0", "--format", "json"], None)?.trim().is_empty())
        })?;
        self.narrator.say("$ petrel sql --reconcile");
        self.narrator.show("nothing: everything adds up");
        Ok(())
    }
}

/// Ids of events are those of Sensu: another one each time.
fn alert_id(number: u32) -> String {
    format!("3a5948f3-6ffd-4ea2-a41e-{number:012}")
}

/// An event of Sensu Go: <https://docs.sensu.io/sensu-go/latest/observability-pipeline/observe-events/events/>.
fn alert(now_ms: i64, number: u32) -> Value {
    let now_s = now_ms / 1000;
    json!({
        "id": alert_id(number),
        "timestamp": now_s,
        "metadata": { "namespace": "default" },
        "entity": {
            "entity_class": "agent",
            "metadata": {
                "name": INSTANCE, "namespace": "default",
                "labels": { "address": "127.0.0.1", "service": "checkout" },
            },
            "system": { "hostname": INSTANCE, "os": "linux" },
            "subscriptions": ["web"],
        },
        "check": {
            "metadata": { "name": "checkout-http", "namespace": "default" },
            "command": "http-check --url http://localhost:8080/health",
            "output": "CRITICAL: http://localhost:8080/health: connection refused\n",
            "status": 2,
            "state": "failing",
            "occurrences": number + 1,
            "occurrences_watermark": number + 1,
            "interval": 30,
            "issued": now_s, "executed": now_s, "duration": 0.022274319,
            "history": [{ "status": 0, "executed": now_s - 30 }, { "status": 2, "executed": now_s }],
        },
    })
}
