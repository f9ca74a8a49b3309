//! An installation on real Kafka: every role in processes of its own, and a separate engine.

// What the processes said belongs into the output of a test that fails.
#![allow(clippy::print_stderr)]

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_testkit::{engine_library, free_port};

use crate::cli::Cli;
use crate::member::Member;

/// The processes of an installation.
#[derive(Debug)]
pub struct Cluster {
    /// All that may be killed.
    pub members: Vec<Member>,
    api: Member,
    cli: Cli,
    prefix: String,
}

/// Roles that run twice, so that one can take over from the other.
const TWICE: [&str; 3] = ["rules", "executor", "worker"];
/// Slots of each worker.
pub(crate) const SLOTS: usize = 4;

impl Cluster {
    /// Starts everything and waits until the API is ready. Topics get the given prefix.
    pub fn start(dir: &Path, bootstrap: &str, prefix: &str) -> Result<Self> {
        Self::start_with(dir, bootstrap, prefix, &[])
    }

    /// The same, with one more process for each of these roles.
    pub fn start_with(dir: &Path, bootstrap: &str, prefix: &str, more: &[&'static str]) -> Result<Self> {
        let (engine_port, api_port) = (free_port(), free_port());
        let config = dir.join("petrel.yaml");
        std::fs::write(&config, configuration(bootstrap, prefix, engine_port))?;
        let library = engine_library()?;
        let mut members = vec![Member::new(
            dir,
            "clickhouse",
            &[
                "clickhouse",
                "--data-dir",
                &dir.join("clickhouse").display().to_string(),
                "--listen",
                &format!("127.0.0.1:{engine_port}"),
            ],
            &[("PETREL_CHDB_LIB", &library.display().to_string())],
        )];
        let names = TWICE.iter().flat_map(|role| [(*role, 1), (*role, 2)]).chain([("audit", 1)]);
        let names = names.chain(more.iter().map(|role| (*role, 3)));
        members.extend(names.map(|(role, n)| serve(dir, &config, role, &format!("{role}-{n}"), "127.0.0.1:0")));
        let api = serve(dir, &config, "api", "api-1", &format!("127.0.0.1:{api_port}"));
        let cli = Cli::new(format!("http://127.0.0.1:{api_port}"));
        let mut cluster = Self { members, api, cli, prefix: prefix.to_owned() };
        cluster.api.start()?;
        for member in &mut cluster.members {
            member.start()?;
        }
        let ready = cluster.cli.wait_ready(Duration::from_secs(120));
        ensure!(ready, "the API was not ready: {}", cluster.api.process().log_tail());
        Ok(cluster)
    }

    /// The command line against its API.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Every process of Petrel's own, the API first.
    pub fn petrels(&mut self) -> Vec<&mut Member> {
        let members = self.members.iter_mut().filter(|member| member.name() != "clickhouse");
        std::iter::once(&mut self.api).chain(members).collect()
    }

    /// Prefix of Petrel's own topics.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Full name of one of Petrel's own topics.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Slots of all workers together.
    pub fn slots(&self) -> usize {
        SLOTS * self.members.iter().filter(|m| m.name().starts_with("worker")).count()
    }
}

/// A test that fails shows what every process said at the end: its files go with it.
impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for member in self.members.iter().chain([&self.api]) {
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

fn configuration(bootstrap: &str, prefix: &str, engine_port: u16) -> String {
    format!(
        "topic_prefix: {prefix}\npartitions: 4\ntask_partitions: 8\n\
         kafka: {{ bootstrap: '{bootstrap}', session_timeout_ms: 6000, transaction_timeout_ms: 8000 }}\n\
         clickhouse: {{ url: 'http://127.0.0.1:{engine_port}' }}\n\
         executor: {{ lease_ms: 6000 }}\nworker: {{ slots: {SLOTS} }}\n\
         log: {{ filter: 'info' }}\n"
    )
}
