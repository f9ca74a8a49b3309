//! What a worker is told.

use std::path::PathBuf;
use std::sync::Arc;

use petrel_execution::worker::Reports;
use petrel_schemas::Topics;

use crate::runner::{HttpOptions, PythonOptions, RunnerOptions};

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
    /// How long a task stands before a full worker until it is sent elsewhere, in milliseconds.
    pub decline_ms: i64,
    /// Folder for the packs that it lays out as files.
    pub packs_directory: PathBuf,
    /// Folder for the work directories of its attempts.
    pub work_directory: PathBuf,
    /// How commands are run.
    pub runner: RunnerOptions,
    /// How requests over HTTP are sent.
    pub http: HttpOptions,
    /// How Python code is run.
    pub python: PythonOptions,
    /// How long a stop waits for running attempts before it ends them, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// How long a stop then waits for their ends to be reported, in milliseconds, beside the runner's
    /// grace.
    pub shutdown_report_ms: u64,
}

impl WorkerOptions {
    /// The defaults: twice as many slots as cores, at least two; work directories and Python environments stand
    /// beside the packs.
    pub fn new(topics: Topics, instance: Arc<str>, packs_directory: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            topics,
            pool: "default".into(),
            instance,
            slots: (2 * cores).max(2),
            decline_ms: 2_000,
            work_directory: packs_directory.with_file_name("work"),
            python: PythonOptions::new(packs_directory.with_file_name("python")),
            packs_directory,
            runner: RunnerOptions::default(),
            http: HttpOptions::default(),
            shutdown_grace_ms: 10_000,
            shutdown_report_ms: 5_000,
        }
    }

    /// Writes what this worker reports.
    pub fn reports(&self) -> Reports {
        Reports { worker: self.instance.clone(), pool: self.pool.clone() }
    }
}
