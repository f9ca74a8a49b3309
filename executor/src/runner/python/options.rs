//! How Python code is run.

use std::path::PathBuf;

/// Settings of the runner `python`.
#[derive(Clone)]
pub struct PythonOptions {
    /// Folder for environments.
    pub directory: PathBuf,
    /// Where packages come from; none for no index at all.
    pub index_url: Option<String>,
    /// Folders, or pages, with packages beside the index.
    pub find_links: Vec<String>,
    /// Longest time to make an environment, in milliseconds.
    pub build_ms_max: u64,
    /// How long an environment that could not be made is not tried again, in milliseconds.
    pub build_retry_ms: u64,
    /// Days after which an environment that nobody used is removed.
    pub environment_days_max: u32,
    /// Longest import of an action's file, in milliseconds.
    pub import_ms_max: u64,
    /// How long a process that has imported a file waits for the next call, in milliseconds.
    pub idle_ms: u64,
    /// Most processes that have imported a file; none if every call is to begin with the start of an interpreter.
    pub zygotes_max: usize,
}

impl PythonOptions {
    /// The defaults with that folder: no index.
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            index_url: None,
            find_links: Vec::new(),
            build_ms_max: 600_000,
            build_retry_ms: 30_000,
            environment_days_max: 30,
            import_ms_max: 60_000,
            idle_ms: 300_000,
            zygotes_max: 8,
        }
    }
}

/// Without the index, whose address may hold a password.
impl std::fmt::Debug for PythonOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PythonOptions").field("directory", &self.directory).finish_non_exhaustive()
    }
}
