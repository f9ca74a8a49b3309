//! Containers of a daemon that speaks Docker's API: Docker itself, or Podman.
//!
//! A container is no process of this machine's worker: the daemon has it, and it goes on whatever becomes of the worker. So
//! each has a *holder*, a process of this program under a guard, which makes it, passes on what it writes, and ends it as
//! the guard says; and once the holder is gone, however that was, the guard itself ends the container by its name, before it
//! reports. For what nobody could end, because all of Petrel's processes were killed at once, containers carry labels: the
//! next attempt ends what earlier ones left before it begins, and a worker that starts what its earlier life left.
//!
//! All calls block and use the standard library alone: guards have one thread and no runtime. Reading order: `http`,
//! `api`, `end`, `hold`.

mod api;
mod end;
mod hold;
mod http;

pub use api::{ApiError, Daemon, Listed, Registry};
pub use end::Left;
pub use hold::{HOLDER, NOTHING_MADE, TOLD_FD, Told, Wanted, main};

/// Label with the execution's id.
pub const EXECUTION_LABEL: &str = "io.petrel.execution";
/// Label with the number of the attempt.
pub const ATTEMPT_LABEL: &str = "io.petrel.attempt";
/// Label with the attempt's fencing token.
pub const TOKEN_LABEL: &str = "io.petrel.token";
/// Label with the name of the worker's instance, which is the same after a restart.
pub const WORKER_LABEL: &str = "io.petrel.worker";
/// Label with the folder that the worker has locked for as long as it lives.
pub const LIFE_LABEL: &str = "io.petrel.life";
