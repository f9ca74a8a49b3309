//! What a worker says of the files and networks that an action may reach.

use std::path::PathBuf;

use petrel_execution::runner::Guarantee;
use serde::{Deserialize, Serialize};

/// What an action may reach; by default what its user may.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The files that it may reach, beside those of the system that programs need; none for all of its user's.
    pub files: Option<Reach>,
    /// It makes no sockets for services of this machine that have a name among the files.
    pub no_unix_sockets: bool,
    /// It has no network.
    pub no_network: bool,
    /// What it is not started without.
    pub required: Vec<Guarantee>,
}

/// Files that an action may reach, each with all that is beneath it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// What it may read and execute.
    pub reads: Vec<PathBuf>,
    /// What it may write as well.
    pub writes: Vec<PathBuf>,
}
