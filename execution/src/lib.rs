//! An execution as one thing: what it is, how it moves, and what its owner and its workers decide about it.
//!
//! Owners, workers, workflows and the API are adapters over this crate: they read records, ask it, and write
//! what it says. Nothing about executions is a bare string outside [`codec`].
//!
//! Reading order: `status`, `subject` (what an execution is about), `attempt`, `state` (one file for each
//! typed state, and the transitions that compile), `execution` (any of them), `timer`, `family` (parents and
//! children), `inject` (events that executions cause), `plan`, `needs`, `retry`, `windows`, `switch` and `runner` (what its
//! action is, and what keeps it from starting), `outcome`,
//! `workflow` (what owners conduct), `codec` (from and to the records), then `owner` (what an owner decides), `worker` (what a worker decides) and
//! `gate` (who may start).
//!
//! Pure: no clock, no I/O, no random numbers; the time of a decision is an argument.

mod attempt;
pub mod code;
pub mod codec;
mod delivery;
mod execution;
mod family;
pub mod gate;
mod inject;
pub mod limits;
mod needs;
mod outcome;
pub mod owner;
mod plan;
mod retry;
pub mod runner;
pub mod state;
mod status;
mod subject;
mod switch;
mod timer;
pub mod windows;
pub mod worker;
pub mod workflow;

pub use attempt::{Attempt, Counts};
pub use delivery::Delivery;
pub use execution::{Ended, Execution, Known};
pub use family::{COMPUTED_KEY, Child, ChildEnded, Wrote};
pub use inject::Injected;
pub use needs::{Needs, cpu_milli, memory_bytes};
pub use outcome::{Outcome, Stream, StreamEnd};
pub use plan::{
    ActionPlan, Actions, CompleteParameters, Labels, NameGates, OwnTerms, ParameterError, Resolution, labels_text,
    pool_with,
};
pub use retry::{BackOff, Retry};
pub use status::Status;
pub use subject::{Core, Note, Subject, Terms};
pub use switch::{EVERYTHING, Switch, SwitchedOff};
pub use timer::{TimerKind, parse_timer_key, timer_key};
