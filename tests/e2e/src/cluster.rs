//! An installation on real Kafka: every role in processes of its own, and a separate engine.

// What the processes said belongs into the output of a test that fails.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{engine_library, free_port, poll_until};
use rdkafka::ClientConfig;

use crate::cli::Cli;
use crate::kafka::topics_of_with;
use crate::member::Member;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(180);

/// How many processes there are, and of what size.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Workers.
    pub workers: usize,
    /// Slots of each worker.
    pub slots: usize,
    /// Whether the roles `audit` and `api`, too, run twice, so that one can take over from the other.
    pub all_twice: bool,
    /// Processes with the role `ingest`.
    pub ingest: usize,
    /// Replicas of Petrel's topics.
    pub replication: i32,
    /// Length of a lease, in milliseconds.
    pub lease_ms: u64,
    /// How processes come in at a Kafka with an authorizer.
    pub credentials: Option<Credentials>,
}

/// How processes come in at Kafka.
#[derive(Debug, Clone, Copy)]
pub struct Credentials {
    /// Name and password of a role.
    pub of_role: fn(&str) -> (&'static str, String),
}

impl Credentials {
    /// Options of librdkafka's for a role.
    pub fn properties(&self, role: &str) -> [(&'static str, String); 4] {
        let (name, password) = (self.of_role)(role);
        [
            ("security.protocol", "SASL_PLAINTEXT".to_owned()),
            ("sasl.mechanisms", "PLAIN".to_owned()),
            ("sasl.username", name.to_owned()),
            ("sasl.password", password),
        ]
    }
}

impl Default for Size {
    fn default() -> Self {
        Self { workers: 2, slots: 4, all_twice: false, ingest: 0, replication: 1, lease_ms: 6_000, credentials: None }
    }
}

/// The processes of an installation.
#[derive(Debug)]
pub struct Cluster {
    /// All that may be killed.
    pub members: Vec<Member>,
    /// The processes with the API, and the command line against each.
    apis: Vec<(Member, Cli)>,
    prefix: String,
    size: Size,
}

impl Cluster {
    /// Starts everything and waits until the API is ready. Topics get the given prefix.
    pub fn start(dir: &Path, bootstrap: &str, prefix: &str) -> Result<Self> {
        Self::start_with(dir, bootstrap, prefix, Size::default())
    }

    /// The same with processes of another number.
    pub fn start_with(dir: &Path, bootstrap: &str, prefix: &str, size: Size) -> Result<Self> {
        Self::start_changed(dir, bootstrap, prefix, size, |_| {})
    }

    /// The same with what each of Petrel's own processes is told before it starts.
    pub fn start_changed(
        dir: &Path,
        bootstrap: &str,
        prefix: &str,
        size: Size,
        change: impl FnMut(&mut Member),
    ) -> Result<Self> {
        let engine_port = free_port();
        let config = dir.join("petrel.yaml");
        std::fs::write(&config, configuration(bootstrap, prefix, engine_port, size))?;
        let (data, listen) = (dir.join("clickhouse").display().to_string(), format!("127.0.0.1:{engine_port}"));
        let library = engine_library()?.display().to_string();
        let engine = ["clickhouse", "--data-dir", &data, "--listen", &listen];
        let mut members = vec![Member::new(dir, "clickhouse", &engine, &[("PETREL_CHDB_LIB", &library)])];
        let twice = if size.all_twice { 2 } else { 1 };
        let roles =
            [("rules", 2), ("executor", 2), ("worker", size.workers), ("audit", twice), ("ingest", size.ingest)];
        for (role, count) in roles {
            members.extend((1..=count).map(|n| serve(dir, &config, role, &format!("{role}-{n}"), "127.0.0.1:0")));
        }
        let api = |n: usize| {
            let listen = format!("127.0.0.1:{}", free_port());
            (serve(dir, &config, "api", &format!("api-{n}"), &listen), Cli::new(format!("http://{listen}")))
        };
        let mut cluster = Self { members, apis: (1..=twice).map(api).collect(), prefix: prefix.to_owned(), size };
        cluster.petrels().into_iter().for_each(change);
        if let Some(credentials) = size.credentials {
            cluster.make_topics(bootstrap, credentials)?;
        }
        let all = cluster.apis.iter_mut().map(|(member, _)| member).chain(&mut cluster.members);
        for member in all.filter(|member| !member.was_started()) {
            member.start()?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// Gives each process its role's credentials. Only some of them may make topics, so one of these comes first.
    fn make_topics(&mut self, bootstrap: &str, credentials: Credentials) -> Result<()> {
        for member in self.petrels() {
            let role = member.name().split('-').next().unwrap_or_default().to_owned();
            let properties: BTreeMap<&str, String> = credentials.properties(&role).into_iter().collect();
            member.set_environment("PETREL_KAFKA__PROPERTIES", Some(&serde_json::to_string(&properties)?));
        }
        let (first, _) = self.apis.first_mut().context("there is no API")?;
        first.start()?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap);
        for (name, value) in credentials.properties("api") {
            client.set(name, value);
        }
        let last = format!("{}orders.default", self.prefix);
        let made = || topics_of_with(&client, &last).ok().filter(|topics| !topics.is_empty());
        ensure!(poll_until(START, made).is_some(), "there is no topic {last}: {}", self.apis[0].0.log_tail());
        Ok(())
    }

    fn wait_ready(&mut self) -> Result<()> {
        for (member, cli) in &mut self.apis {
            ensure!(cli.wait_ready(START), "the API was not ready: {}", member.log_tail());
        }
        Ok(())
    }

    /// The command line against its API.
    pub fn cli(&self) -> &Cli {
        &self.apis[0].1
    }

    /// Kills a process of the role `api` for good; from now on the other one is asked.
    pub fn lose_api(&mut self) -> Result<()> {
        ensure!(self.apis.len() > 1, "there is no other process with the role `api`");
        let (mut lost, _) = self.apis.remove(0);
        lost.kill();
        Ok(())
    }

    /// A process by its name.
    pub fn member(&mut self, name: &str) -> Result<&mut Member> {
        self.members.iter_mut().find(|m| m.name() == name).with_context(|| format!("there is no {name}"))
    }

    /// Every process of Petrel's own, the API first.
    pub fn petrels(&mut self) -> Vec<&mut Member> {
        let members = self.members.iter_mut().filter(|member| member.name() != "clickhouse");
        self.apis.iter_mut().map(|(member, _)| member).chain(members).collect()
    }

    /// Prefix of Petrel's own topics.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Full name of one of Petrel's own topics.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Slots of each worker.
    pub fn slots(&self) -> usize {
        self.size.slots
    }
}

/// A test that fails shows what every process said at the end: its files go with it.
impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for member in self.members.iter().chain(self.apis.iter().map(|(member, _)| member)) {
                eprintln!("{}", member.log_tail());
            }
        }
    }
}

fn serve(dir: &Path, config: &Path, role: &str, name: &str, listen: &str) -> Member {
    let (config, data) = (config.display().to_string(), dir.join(name).display().to_string());
    let arguments = ["serve", "--roles", role, "--config", &config, "--data-dir", &data, "--listen", listen];
    Member::new(dir, name, &arguments, &[("PETREL_INSTANCE_ID", name)])
}

fn configuration(bootstrap: &str, prefix: &str, engine_port: u16, size: Size) -> String {
    let Size { slots, replication, lease_ms, .. } = size;
    format!(
        "topic_prefix: {prefix}\npartitions: 4\ntask_partitions: 8\n\
         kafka: {{ bootstrap: '{bootstrap}', replication: {replication}, session_timeout_ms: 6000, \
         transaction_timeout_ms: 8000 }}\n\
         clickhouse: {{ url: 'http://127.0.0.1:{engine_port}' }}\n\
         executor: {{ lease_ms: {lease_ms} }}\nworker: {{ slots: {slots} }}\n\
         log: {{ filter: 'info' }}\n"
    )
}
