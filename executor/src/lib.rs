//! Owners of executions, and workers that run their actions (DESIGN §2.3, guarantees.md §2): stages and threads
//! around what `petrel-execution` decides.
//!
//! An *owner* has a partition's executions: it turns requests into tasks, fences what workers report by the
//! token of the current attempt, and decides what a lost lease means. A *worker* claims tasks when it has
//! a free slot, runs each under a *guard* process of its supervisor, and reports. They talk over the log alone:
//!
//! ```text
//! petrel.requests ──► owner ──► petrel.tasks.<pool> ──► worker ──► guard ──► command
//!                      ▲  └──► petrel.orders.<pool> ───────┘│
//!                      └──────── petrel.results ◄──────────┘ claim, heartbeats, result, …
//! ```
//!
//! Invariants:
//! - An execution takes one final status, and every status it takes is one audit row of the same transaction.
//! - A task runs only after its claim has committed, and at most where that claim was committed; an `at_most_once`
//!   one only once its owner has granted it.
//! - A command and everything that it started is dead before its lease passes for the owner: the worker's
//!   lease runs from the sending of what was acknowledged, the owner's from its receipt, and a guard
//!   watches it even if the worker is stopped or gone.
//! - Nothing here reads a time of day to decide about leases across machines.
//!
//! Reading order: `view`, `secrets`, `owner`, `gate`, `worker`, `runner`, `live`, `supervise`, `containers`, `objects`, `packs_cache`.

mod catalog_view;
pub mod containers;
pub mod gate;
pub mod live;
pub mod metrics;
pub mod objects;
pub mod owner;
pub mod packs_cache;
pub mod runner;
mod secrets;
pub mod supervise;
mod view;
pub mod worker;

pub use catalog_view::resolve_in;
pub use secrets::{NoSecret, Opening, SecretSource};
pub use view::{Drain, EachFile, ExecutorView, PackContent, Resolution, ResolvedAction};
