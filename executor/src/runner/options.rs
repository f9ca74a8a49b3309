//! How runners run what they start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// How actions are run.
#[derive(Debug, Clone)]
pub struct RunnerOptions {
    /// Program and first arguments of the supervisor. The default is this program itself with the
    /// sub-command `supervise`, by a path that still works after an upgrade replaced the file.
    pub supervisor: Vec<OsString>,
    /// Variables that an action inherits from this process, where they are set.
    pub inherited_variables: Vec<String>,
    /// Variables set for every action.
    pub environment: BTreeMap<String, String>,
    /// Bytes kept of stdout, and of stderr.
    pub output_bytes_max: usize,
    /// Bytes kept of stdout beyond that, where a result is made of it.
    pub result_bytes_max: usize,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub kill_grace_ms: u64,
    /// Whether actions that do not say otherwise are held to their pack and their work directory.
    pub confines_files: bool,
    /// Folders and files of Petrel's own: no action that is held to files can be given what is in or over them.
    pub kept: Vec<PathBuf>,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            supervisor: vec!["/proc/self/exe".into(), "supervise".into()],
            inherited_variables: ["PATH", "HOME", "LANG"].map(str::to_owned).to_vec(),
            environment: BTreeMap::new(),
            output_bytes_max: 64 << 10,
            result_bytes_max: 0,
            kill_grace_ms: 5_000,
            confines_files: false,
            kept: Vec::new(),
        }
    }
}
