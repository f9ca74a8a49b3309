//! What a worker is told.

use std::path::PathBuf;
use std::sync::Arc;

use petrel_execution::Needs;
use petrel_execution::worker::Reports;
use petrel_schemas::Topics;

use crate::live::LiveOptions;
use crate::runner::{ContainerOptions, HttpOptions, PythonOptions, RunnerOptions, SshOptions};

/// Settings of a worker of one pool.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Names of the topics.
    pub topics: Topics,
    /// Its pool.
    pub pool: Arc<str>,
    /// Name of this process, stable over restarts.
    pub instance: Arc<str>,
    /// Attempts that it runs at once.
    pub slots: usize,
    /// Memory and processors for actions that say what they need.
    pub room: Needs,
    /// How long a task stands before a full worker until it is sent elsewhere, in milliseconds.
    pub decline_ms: i64,
    /// Folder for the packs that it lays out as files.
    pub packs_directory: PathBuf,
    /// Folder for the work directories of its attempts.
    pub work_directory: PathBuf,
    /// How commands are run.
    pub runner: RunnerOptions,
    /// How containers are run.
    pub container: ContainerOptions,
    /// How requests over HTTP are sent.
    pub http: HttpOptions,
    /// How Python code is run.
    pub python: PythonOptions,
    /// How hosts are spoken to.
    pub ssh: SshOptions,
    /// How what attempts write is told while they run.
    pub live: LiveOptions,
    /// How long a stop waits for running attempts before it ends them, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// How long a stop then waits for their ends to be reported, in milliseconds, beside the runner's
    /// grace.
    pub shutdown_report_ms: u64,
}

/// Slots for each core, unless somebody says how many: most actions wait for something else, a host or an answer, and what
/// they do between two waits is shared out by the system.
const SLOTS_PER_CORE: usize = 16;

impl WorkerOptions {
    /// The defaults: [`SLOTS_PER_CORE`] slots for each core, and the room of the machine; work directories and Python environments stand beside the
    /// packs.
    pub fn new(topics: Topics, instance: Arc<str>, packs_directory: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            topics,
            pool: "default".into(),
            instance,
            slots: SLOTS_PER_CORE * cores,
            room: super::size::machine(),
            decline_ms: 2_000,
            work_directory: packs_directory.with_file_name("work"),
            python: PythonOptions::new(packs_directory.with_file_name("python")),
            packs_directory,
            runner: RunnerOptions::default(),
            container: ContainerOptions::default(),
            http: HttpOptions::default(),
            ssh: SshOptions::default(),
            live: LiveOptions::default(),
            shutdown_grace_ms: 10_000,
            shutdown_report_ms: 5_000,
        }
    }

    /// Writes what this worker reports.
    pub fn reports(&self) -> Reports {
        Reports { worker: self.instance.clone(), pool: self.pool.clone() }
    }
}
