//! The typed states of an execution, one file each, and which of them lead to which.
//!
//! A transition that is not among the edges below does not compile:
//!
//! ```compile_fail,E0277
//! use petrel_execution::state::{LeadsTo, Scheduled, State, Succeeded};
//! fn leads<From: LeadsTo<To>, To: State>() {}
//! leads::<Succeeded, Scheduled>();
//! ```
//!
//! ```
//! use petrel_execution::state::{LeadsTo, Scheduled, State, Running};
//! fn leads<From: LeadsTo<To>, To: State>() {}
//! leads::<Scheduled, Running>();
//! ```

mod abandoned;
mod canceled;
mod canceling;
mod delayed;
mod end;
mod failed;
mod paused;
mod pausing;
mod pending;
mod requested;
mod resuming;
mod running;
mod scheduled;
mod succeeded;
#[cfg(test)]
mod tests;
mod timeout;

use crate::status::Status;
use crate::subject::{Core, Note};
use crate::timer::TimerKind;

pub use abandoned::Abandoned;
pub use canceled::Canceled;
pub use canceling::Canceling;
pub use delayed::{DelayReason, Delayed};
pub use end::End;
pub use failed::Failed;
pub use paused::Paused;
pub use pausing::Pausing;
pub use pending::Pending;
pub use requested::Requested;
pub use resuming::Resuming;
pub use running::{Holder, Running};
pub use scheduled::Scheduled;
pub use succeeded::Succeeded;
pub use timeout::Timeout;

/// A state: what an execution has beside its [`Core`] while it is in it.
pub trait State: Sized {
    /// Its name.
    const STATUS: Status;

    /// The timer that it keeps running.
    fn timer(&self) -> Option<TimerKind> {
        None
    }

    /// What it waits for, if its owner keeps an index of what waits for that.
    fn awaits(&self) -> Option<DelayReason> {
        None
    }

    /// Whether workers that declined its task may keep room for it.
    fn may_have_places(&self) -> bool {
        false
    }
}

/// Implemented where an execution may go from one state to another.
pub trait LeadsTo<Next: State>: State {}

/// An execution in a state.
#[derive(Debug, Clone, PartialEq)]
pub struct In<S> {
    /// What every state has.
    pub(crate) core: Core,
    /// What this one has.
    pub(crate) state: S,
}

impl<S: State> In<S> {
    /// The next state, and why.
    pub(crate) fn to<Next: State>(self, state: Next, note: Note) -> In<Next>
    where
        S: LeadsTo<Next>,
    {
        let mut core = self.core;
        core.sequence += 1;
        core.note = note;
        In { core, state }
    }
}

macro_rules! edges {
    ($($from:ident => $($to:ident)|+;)+) => {
        $($(impl LeadsTo<$to> for $from {})+)+

        /// Every transition that compiles, in the order of the states.
        pub const EDGES: &[(Status, Status)] = &[$($(($from::STATUS, $to::STATUS),)+)+];
    };
}

edges! {
    Requested => Delayed | Scheduled | Failed | Timeout;
    Delayed => Delayed | Scheduled | Paused | Failed | Timeout | Canceled;
    Scheduled => Delayed | Running | Pausing | Canceling | Failed | Timeout;
    Running => Delayed | Scheduled | Pausing | Pending | Canceling | Succeeded | Failed | Timeout | Canceled | Abandoned;
    Pausing => Running | Paused | Pending | Canceling | Succeeded | Failed | Timeout | Canceled | Abandoned;
    Paused => Paused | Resuming | Canceling | Failed | Timeout | Canceled;
    Resuming => Resuming | Scheduled | Running | Paused | Canceling | Failed | Timeout | Canceled;
    Pending => Running | Pausing | Paused | Resuming | Canceling | Succeeded | Failed | Timeout | Canceled;
    Canceling => Canceling | Succeeded | Failed | Timeout | Canceled;
    Succeeded => Resuming;
    Failed => Resuming;
    Timeout => Resuming;
    Canceled => Resuming;
}
