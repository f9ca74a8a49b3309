//! Supervision of actions: processes between a worker and what it runs, which outlive a worker's death.
//!
//! ```text
//! worker ──control──► supervisor ──fork──► guard ──exec──► action and whatever that starts
//!    └────────────── a stream for each ─────┘
//! ```
//!
//! The *supervisor* is the own binary, executed once (`petrel supervise`) with an empty environment, and again if it
//! ends. It forks *guards*, each for one action at a time: no `exec`, so that it costs little, and a process of its own, so
//! that every orphan of an action has one place to go to. A guard whose action could not change it, and left nothing, may
//! have another one (`idle`). The guard talks to the worker over a stream of its own, which no action
//! ever gets. Everybody watches everybody else:
//!
//! - A guard ends its action at its time-out, at the end of its lease, when the worker says so, and when worker or
//!   supervisor are gone.
//! - The worker has the supervisor end a guard that did not do what was due (it was stopped, say), and the supervisor
//!   ends what a guard left that was killed.
//! - A supervisor that does not answer is killed by the worker, with all that is under it.
//!
//! Code that is to be imported once and called often has a *nursery* in the place of a guard (`nursery`, `kept`).
//!
//! An action is kept from all of them by the kernel, where it can (`bounds`: `confine`, `filter`, `network`, `group`).
//! Processes here have one thread and no
//! async runtime; only `client` belongs to the worker.

mod ability;
mod action;
mod bounds;
mod capture;
mod client;
mod clock;
mod confine;
mod confinement;
mod feed;
mod filter;
mod fork;
mod group;
mod guard;
mod idle;
mod kept;
mod launch;
mod line;
mod message;
mod network;
mod nursery;
mod outbox;
mod pidfd;
mod protocol;
mod reach;
mod rights;
mod score;
mod sockets;
mod spawn;
mod supervisor;
mod timer;
mod tree;
mod wait;

use std::process::ExitCode;

use crate::containers;

pub use ability::{Ability, Finding};
pub use client::{GuardEnd, Guarded, Supervisor, give};
pub use clock::boot_ms;
pub use confine::{ABI_SCOPES as LANDLOCK_SCOPES, landlock_abi};
pub use confinement::{Confinement, Reach};
pub use protocol::{
    Control, JOB_BYTES_MAX, Job, Piece, READY, Report, STARTED, STARTING, STDIN_BYTES_MAX, StreamReport, StreamSpec,
    Telling, User, Why,
};
pub(crate) use timer::pause;

/// What the sub-command `supervise` does, and with one argument more a holder of a container. To be called before anything
/// else of the program, with no other thread running: it hears the worker over what it got as standard input.
pub fn main() -> ExitCode {
    if std::env::args_os().next_back().is_some_and(|last| last == containers::HOLDER) {
        return containers::main();
    }
    match supervisor::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Keeps other processes of the same user from looking into this one's memory and environment; there is no core dump
/// of it either.
///
/// # Errors
/// What the system says.
pub fn keep_secrets() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}
