//! Long actions of all runners, on Kafka: nothing of an attempt goes on beside the next one, whatever becomes of workers,
//! owners and clocks.
//!
//! `pack` has the actions, `servers`, `sshd`, `topic` and `docker` what they use, `held` what is known of them.

mod clocks;
#[path = "../../../../executor/tests/support/docker.rs"]
mod docker;
mod held;
mod late;
mod lives;
mod pack;
mod servers;
mod sshd;
mod topic;

use std::time::Duration;

/// More than a lease, and a take-over on a busy machine.
const SOON: Duration = Duration::from_secs(120);
const RUNNERS: [&str; 9] = ["command", "shell", "script", "python", "ssh", "container", "http", "email", "kafka"];
