//! Options of runners, of the worker that carries them out.

use std::path::PathBuf;

use petrel_executor::runner::{AddressGuard, GuardError};
use serde::{Deserialize, Serialize};

use super::Hidden;

/// What an action may reach of the files of its worker's machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAccess {
    /// What its user may.
    #[default]
    Unconfined,
    /// Its pack, the system's programs, and its work directory.
    Confined,
}

/// Options of the runner `python`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Python {
    /// Where packages come from; none for no index at all. It may hold a password.
    pub index_url: Option<Hidden>,
    /// Folders, or pages, with packages beside the index.
    pub find_links: Vec<String>,
    /// Days after which an environment that nobody used is removed.
    pub environment_days_max: u32,
    /// How long a process that has imported a file waits for the next call, in milliseconds.
    pub idle_ms: u64,
    /// Most processes that have imported a file and wait; 0 for none, so that every call begins with an import.
    pub zygotes_max: usize,
}

/// Options of the runner `container`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Container {
    /// Socket of the daemon; by default that of `DOCKER_HOST`, or the first usual one that is there.
    pub socket: Option<PathBuf>,
}

/// Options of the runner `ssh`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ssh {
    /// Files of known hosts, for actions that name none.
    pub known_hosts: Vec<PathBuf>,
    /// Socket of an agent.
    pub agent: Option<PathBuf>,
}

/// Options of the runner `http`. Ranges are CIDR, single addresses, or one of `loopback`, `link_local`, `metadata`,
/// `private` and `reserved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Ranges of addresses to which no request is sent.
    pub deny: Vec<String>,
    /// Ranges to which they are sent all the same.
    pub allow: Vec<String>,
}

impl Http {
    /// The guard with these ranges.
    ///
    /// # Errors
    /// The first text that is no range.
    pub fn guard(&self) -> Result<AddressGuard, GuardError> {
        AddressGuard::new(&self.deny, &self.allow)
    }
}

impl Default for Python {
    fn default() -> Self {
        Self { index_url: None, find_links: Vec::new(), environment_days_max: 30, idle_ms: 300_000, zygotes_max: 8 }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self { deny: AddressGuard::DENY_DEFAULT.map(str::to_owned).to_vec(), allow: Vec::new() }
    }
}

impl Default for Ssh {
    fn default() -> Self {
        Self { known_hosts: vec!["/etc/ssh/ssh_known_hosts".into()], agent: None }
    }
}
