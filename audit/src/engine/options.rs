//! What the engine's host is told, and why it may end.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Environment variable by which [`super::EngineProcess`] tells its child the password.
pub(super) const PASSWORD_VARIABLE: &str = "PETREL_CLICKHOUSE_PASSWORD";
/// Environment variable by which [`super::EngineProcess`] tells its child to end with it.
pub(super) const PARENT_VARIABLE: &str = "PETREL_CLICKHOUSE_PARENT";

/// Limits of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLimits {
    /// Statements that run at the same time.
    pub statements_max: usize,
    /// Statements that wait for their turn; a further one is refused.
    pub queue_max: usize,
    /// Longest wait for a turn, in milliseconds.
    pub queue_wait_ms: u64,
    /// Largest request body, in bytes, after decompression.
    pub body_bytes_max: usize,
    /// Longest time for a client to send its body, in milliseconds.
    pub body_wait_ms: u64,
    /// Longest run of a statement that does not set `max_execution_time` itself, in seconds.
    pub statement_time_s: u64,
    /// Largest result of a statement that does not set `max_result_bytes` itself, in bytes.
    pub result_bytes_max: u64,
    /// Memory of a statement that does not set `max_memory_usage` itself, in bytes.
    pub memory_bytes_max: u64,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            statements_max: 4,
            queue_max: 64,
            queue_wait_ms: 30_000,
            body_bytes_max: 256 << 20,
            body_wait_ms: 60_000,
            statement_time_s: 300,
            result_bytes_max: 256 << 20,
            memory_bytes_max: 4 << 30,
        }
    }
}

/// What the engine's host is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// The engine's library (libchdb.so).
    pub library: PathBuf,
    /// Directory of the data; created if missing. One engine at a time.
    pub data_dir: PathBuf,
    /// Where to listen; loopback only. Port 0 lets the system choose: the address is told by one
    /// line on stdout, `{"petrel_clickhouse":{"address":"127.0.0.1:40123"}}`.
    pub listen: SocketAddr,
    /// Password that every request must bring (user `default`); none asks for no password.
    pub password: Option<String>,
    /// Whether to end with the parent process: when stdin ends, or when the parent dies.
    pub ends_with_parent: bool,
    /// Limits.
    pub limits: EngineLimits,
}

impl EngineOptions {
    /// Options with default limits, without a password; what [`super::EngineProcess`] put into the
    /// environment of this process is taken over.
    pub fn new(library: PathBuf, data_dir: PathBuf, listen: SocketAddr) -> Self {
        Self {
            library,
            data_dir,
            listen,
            password: std::env::var(PASSWORD_VARIABLE).ok().filter(|p| !p.is_empty()),
            ends_with_parent: std::env::var_os(PARENT_VARIABLE).is_some(),
            limits: EngineLimits::default(),
        }
    }
}

/// Why the engine's host could not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The library is missing, damaged, or too old.
    #[error("cannot load the ClickHouse engine {path}: {detail}")]
    Library {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        detail: String,
    },
    /// The engine does not start on its data.
    #[error("the ClickHouse engine does not start on {data_dir}: {detail}")]
    Data {
        /// Directory of the data.
        data_dir: PathBuf,
        /// What went wrong.
        detail: String,
    },
    /// The address is not of this machine alone.
    #[error("the ClickHouse engine listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The operating system refused something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}
