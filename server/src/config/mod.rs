//! The configuration: a file, then the environment, then flags; unknown keys are errors.
//!
//! Every option stands in docs/CONFIGURATION.md; a test holds the two together.

mod hidden;
mod load;
mod objects;
mod runners;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use petrel_audit::{KeepDays, Table};
use petrel_catalog::limits::{CATALOG_BYTES_DEFAULT, CATALOG_REVISIONS_DEFAULT, REVISION_KEEP_MS_DEFAULT};
use serde::{Deserialize, Serialize};

pub use hidden::Hidden;
pub(crate) use load::is_option;
pub use load::load;
pub use objects::Objects;
pub use runners::{Container, FileAccess, Http, Python, Ssh};

/// Everything that can be configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file that this was read from, which is no option of it.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Name of this process, unique among all; none takes one that is kept in `data_dir`.
    pub instance_id: Option<String>,
    /// Folder for everything local: the local bus, the embedded engine, caches, the instance's name.
    pub data_dir: PathBuf,
    /// Address of the HTTP API.
    pub listen: SocketAddr,
    /// Bearer token of the API; required to listen beyond loopback.
    pub token: Option<String>,
    /// File that holds the token, instead of `token`.
    pub token_file: Option<PathBuf>,
    /// Further names by which clients may address the API (the `Host` header).
    pub hosts: Vec<String>,
    /// Prefix of Petrel's own topics, with its final dot.
    pub topic_prefix: String,
    /// Partitions of Petrel's keyed topics; cannot change once they exist.
    pub partitions: u32,
    /// Partitions of each topic of tasks, of which every pool has three; cannot change once they exist.
    pub task_partitions: u32,
    /// Pools of workers: each has topics of tasks, and actions may name it.
    pub pools: Vec<String>,
    /// Labels of pools, by pool: an action may require some instead of naming its pool. The same for every process.
    pub pool_labels: BTreeMap<String, BTreeMap<String, String>>,
    /// What the largest worker of a pool has, by pool: an apply of an action that needs more is refused. The same for
    /// every process.
    pub pool_sizes: BTreeMap<String, PoolSize>,
    /// How long Petrel's own topics (but the compacted ones) keep records, in milliseconds.
    pub retention_ms: i64,
    /// How long what running actions write is kept for whoever follows it, in milliseconds.
    pub output_retention_ms: i64,
    /// How long tombstones of Petrel's compacted topics stay, in milliseconds: longer than any restore and
    /// than the longest outage. A state cache that was written last before half of it is thrown away.
    pub delete_retention_ms: i64,
    /// Largest record that Petrel writes, in bytes.
    pub record_bytes_max: usize,
    /// Longest time between two commits of a stage under load, in milliseconds.
    pub commit_interval_ms: i64,
    /// Memory for keyed state (executions, timers) that is hot or on its way to the disk, in bytes. Changing
    /// it makes the next start read that state from its changelogs.
    pub state_memory_bytes_max: u64,
    /// How long the ids of finished executions are remembered, in milliseconds.
    pub request_dedup_ms: i64,
    /// Latest revisions that stay in the catalog whatever their age.
    pub catalog_revisions_max: usize,
    /// How long a revision stays in the catalog after it was replaced, in milliseconds.
    pub catalog_revision_keep_ms: i64,
    /// Most bytes of packs that stay in the catalog.
    pub catalog_bytes_max: u64,
    /// Longest wait for work in flight at shutdown, in milliseconds.
    pub shutdown_ms: u64,
    /// Apache Kafka; with `bootstrap` unset the local bus is used.
    pub kafka: Kafka,
    /// The local bus.
    pub local: Local,
    /// ClickHouse; with `url` unset the engine is embedded.
    pub clickhouse: ClickHouse,
    /// The rules role.
    pub rules: Rules,
    /// The executor role.
    pub executor: Executor,
    /// The worker role.
    pub worker: Worker,
    /// The audit role.
    pub audit: Audit,
    /// The API role.
    pub api: Api,
    /// Secrets.
    pub secrets: Secrets,
    /// The store of objects.
    pub objects: Objects,
    /// Logging.
    pub log: Log,
}

/// Options of the Kafka bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `host:port,host:port`.
    pub bootstrap: Option<String>,
    /// Any option of librdkafka, passed to every client.
    pub properties: BTreeMap<String, String>,
    /// Options of librdkafka whose values are secrets: name → file that holds the value.
    pub property_files: BTreeMap<String, PathBuf>,
    /// Replication factor of topics that Petrel creates.
    pub replication: i32,
    /// A member that is silent for longer loses its partitions, in milliseconds.
    pub session_timeout_ms: u32,
    /// A transaction that is open for longer is aborted by the broker, in milliseconds.
    pub transaction_timeout_ms: u32,
}

/// Options of the local bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Local {
    /// When a commit reaches the disk: `commit` (before it is acknowledged), `interval` or `never`
    /// (both survive a killed process, not a power loss).
    pub fsync: Fsync,
    /// Interval of `fsync: interval`, in milliseconds.
    pub fsync_interval_ms: u64,
    /// Partitions of a user topic that is created by its first record.
    pub topic_partitions: u32,
    /// Most bytes of records in the local log. At it, records whose retention is over are removed at once;
    /// while that does not make room, nothing more is written, nothing is lost, and `petrel status` says so.
    pub log_bytes_max: u64,
}

/// When the local bus waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fsync {
    /// Before every acknowledgement.
    Commit,
    /// In intervals.
    Interval,
    /// When the operating system likes.
    Never,
}

/// Options of ClickHouse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouse {
    /// `http://host:8123`; none embeds the engine.
    pub url: Option<String>,
    /// Database that holds the tables.
    pub database: String,
    /// User.
    pub user: Option<String>,
    /// Password.
    pub password: Option<String>,
    /// File that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
    /// The engine's library (libchdb.so), for the embedded engine.
    pub library: Option<PathBuf>,
}

/// Options of the rules role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Threads, each a member of the consumer group.
    pub threads: usize,
    /// Whether events that no rule matched are audited too.
    pub record_all_events: bool,
    /// Audited criterion errors per rule, code, partition and minute; all are counted.
    pub criteria_error_rows_max: u32,
}

/// Options of the executor role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Executor {
    /// Threads, each a member of the consumer group.
    pub threads: usize,
    /// Length of a task's lease, in milliseconds.
    pub lease_ms: i64,
    /// Lost leases after which an execution is given up; shutdowns and full workers do not count.
    pub lost_leases_max: u32,
    /// How long a task may wait for a worker until its execution ends, in milliseconds.
    pub schedule_to_start_ms: i64,
    /// How long an execution is offered to workers that are all too small for it until it ends, in milliseconds.
    pub no_room_ms: i64,
    /// How long a workflow that has ended can be run again, in milliseconds: what is stored of it is kept for so long.
    pub rerun_within_ms: i64,
    /// How long a workflow waits for answers before it gives its permits back, in milliseconds.
    pub frozen_after_ms: i64,
    /// Whether actions that do not say otherwise are held to the files of their pack and their work directory.
    pub confine: FileAccess,
    /// Requests of the runner `http`.
    pub http: Http,
    /// Hosts of the runner `ssh`.
    pub ssh: Ssh,
    /// Containers of the runner `container`.
    pub container: Container,
    /// Python code of packs.
    pub python: Python,
}

impl Config {
    /// Folders and files that no action that is held to files can be given: they have Petrel's own state and its secrets.
    pub fn kept_from_actions(&self) -> Vec<PathBuf> {
        let secrets = &self.secrets;
        let objects = [&self.objects.folder, &self.objects.s3.secret_access_key_file];
        let files = [&self.file, &self.token_file, &self.clickhouse.password_file, &secrets.master_key_file];
        let files = files.into_iter().chain(objects).flatten();
        let files = files.chain(&secrets.earlier_master_key_files).chain(self.kafka.property_files.values());
        // What librdkafka itself reads keys from: `ssl.key.location`, `ssl.keystore.location`, `sasl.kerberos.keytab`.
        let is_key = |(name, value): &(&String, &String)| name.contains("key") && value.starts_with('/');
        let keys = self.kafka.properties.iter().filter(is_key).map(|(_, value)| PathBuf::from(value));
        std::iter::once(&self.data_dir).chain(files).cloned().chain(keys).collect()
    }

    /// Hosts and ports of Petrel's own services, as far as they stand here.
    pub fn own_services(&self) -> Vec<(String, u16)> {
        let url = self.clickhouse.url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
        let clickhouse = url.and_then(|url| {
            let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
            Some((host.to_owned(), url.port_or_known_default()?))
        });
        clickhouse.into_iter().chain([(self.listen.ip().to_string(), self.listen.port())]).collect()
    }
}

/// What the largest worker of a pool has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSize {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Processors.
    pub cpus: f64,
}

/// Options of the worker role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Pool whose tasks are taken; one of `pools`.
    pub pool: String,
    /// Actions that run at the same time; 0 is 16 for each processor.
    pub slots: usize,
    /// Memory for actions that say how much they need, in bytes; 0 is that of the machine, or of the control group.
    pub memory_bytes: u64,
    /// Processors for actions that say how many they need; 0 is those of the machine.
    pub cpus: f64,
    /// How long a task stands before a worker without a free slot until it is sent elsewhere, in milliseconds.
    pub decline_ms: i64,
    /// Longest wait for running actions at shutdown, in milliseconds; then they are killed.
    pub shutdown_grace_ms: u64,
    /// Most bytes of one attempt's output that are told while it runs; 0 tells nothing.
    pub live_bytes_max: u64,
    /// How long output is gathered before it is told, in milliseconds.
    pub live_flush_ms: u64,
}

/// Options of the audit role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Longest time from a record to its row, in milliseconds.
    pub flush_ms: u64,
    /// Rows after which a batch is written at once.
    pub batch_rows_max: usize,
    /// How long each table keeps rows, in days; 0 is for ever.
    pub keep_days: KeepDays,
    /// Tables whose TTL the operator sets in ClickHouse; what `keep_days` says of them is only what is told about it.
    pub own_ttl: Vec<Table>,
}

/// Limits of the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Largest event, in bytes.
    pub event_bytes_max: usize,
    /// Most events of a batch.
    pub batch_events_max: usize,
    /// Largest batch, in bytes.
    pub batch_bytes_max: usize,
    /// Largest upload of packs, in bytes.
    pub packs_bytes_max: usize,
    /// Executions in the live view.
    pub live_executions_max: usize,
    /// Gates in the live view, and as many permits, places and entries of queues.
    pub live_gates_max: usize,
    /// Longest run of a query, in milliseconds.
    pub sql_time_max_ms: u64,
    /// Most rows of a query's answer.
    pub sql_rows_max: u64,
    /// Longest time for a client to send a request, in milliseconds.
    pub request_timeout_ms: u64,
    /// Most bytes of what running actions write that this process keeps for its readers.
    pub output_bytes_max: usize,
    /// Most of them of one execution.
    pub output_execution_bytes_max: usize,
    /// Readers that follow what executions write, at the same time.
    pub output_readers_max: usize,
}

/// Options of secrets; of the roles `worker` and `api`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// The master key, 32 bytes in base64: better in a file.
    pub master_key: Option<Hidden>,
    /// File that holds the master key, instead of `master_key`; nobody but its owner and its group may read it.
    pub master_key_file: Option<PathBuf>,
    /// Files of master keys from before, which still open what was sealed with them.
    pub earlier_master_key_files: Vec<PathBuf>,
    /// How long what was given to a single execution is kept at most, in milliseconds; it goes when that is over.
    pub execution_keep_ms: i64,
}

/// Options of logging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    pub format: LogFormat,
    /// Filter in the syntax of the crate tracing-subscriber, such as `info,petrel_bus=debug`.
    pub filter: String,
    /// File that the log is appended to; none is standard error.
    pub file: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            instance_id: None,
            data_dir: PathBuf::from("petrel-data"),
            listen: SocketAddr::from(([127, 0, 0, 1], 7373)),
            token: None,
            token_file: None,
            hosts: Vec::new(),
            topic_prefix: "petrel.".into(),
            partitions: 8,
            task_partitions: 24,
            pools: vec!["default".into()],
            pool_labels: BTreeMap::new(),
            pool_sizes: BTreeMap::new(),
            retention_ms: 7 * 24 * 3_600_000,
            output_retention_ms: 24 * 3_600_000,
            delete_retention_ms: 7 * 24 * 3_600_000,
            record_bytes_max: 1_000_000,
            commit_interval_ms: 100,
            state_memory_bytes_max: 64 << 20,
            request_dedup_ms: 3_600_000,
            catalog_revisions_max: CATALOG_REVISIONS_DEFAULT,
            catalog_revision_keep_ms: REVISION_KEEP_MS_DEFAULT,
            catalog_bytes_max: CATALOG_BYTES_DEFAULT,
            shutdown_ms: 30_000,
            kafka: Kafka::default(),
            local: Local::default(),
            clickhouse: ClickHouse::default(),
            rules: Rules::default(),
            executor: Executor::default(),
            worker: Worker::default(),
            audit: Audit::default(),
            api: Api::default(),
            secrets: Secrets::default(),
            objects: Objects::default(),
            log: Log::default(),
        }
    }
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap: None,
            properties: BTreeMap::new(),
            property_files: BTreeMap::new(),
            replication: 1,
            session_timeout_ms: 8_000,
            transaction_timeout_ms: 10_000,
        }
    }
}

impl Default for Local {
    fn default() -> Self {
        Self { fsync: Fsync::Commit, fsync_interval_ms: 200, topic_partitions: 4, log_bytes_max: 64 << 30 }
    }
}

impl Default for ClickHouse {
    fn default() -> Self {
        Self { url: None, database: "petrel".into(), user: None, password: None, password_file: None, library: None }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { threads: 1, record_all_events: false, criteria_error_rows_max: 10 }
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self {
            threads: 1,
            lease_ms: 20_000,
            lost_leases_max: 5,
            schedule_to_start_ms: 24 * 3_600_000,
            no_room_ms: 600_000,
            rerun_within_ms: 7 * 24 * 3_600_000,
            frozen_after_ms: 300_000,
            confine: FileAccess::default(),
            http: Http::default(),
            ssh: Ssh::default(),
            container: Container::default(),
            python: Python::default(),
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            pool: "default".into(),
            slots: 0,
            memory_bytes: 0,
            cpus: 0.0,
            decline_ms: 2_000,
            shutdown_grace_ms: 10_000,
            live_bytes_max: 8 << 20,
            live_flush_ms: 200,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { flush_ms: 1_000, batch_rows_max: 20_000, keep_days: KeepDays::default(), own_ttl: Vec::new() }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            event_bytes_max: 900_000,
            batch_events_max: 1_000,
            batch_bytes_max: 8 << 20,
            packs_bytes_max: 32 << 20,
            live_executions_max: 10_000,
            live_gates_max: 50_000,
            sql_time_max_ms: 30_000,
            sql_rows_max: 100_000,
            request_timeout_ms: 30_000,
            output_bytes_max: 64 << 20,
            output_execution_bytes_max: 16 << 20,
            output_readers_max: 256,
        }
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            master_key: None,
            master_key_file: None,
            earlier_master_key_files: Vec::new(),
            execution_keep_ms: 7 * 24 * 3_600_000,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into(), file: None }
    }
}
