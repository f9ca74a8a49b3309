//! An execution in any of its states.

use petrel_schemas::ExecutionId;

use crate::state::{
    Abandoned, Canceled, Canceling, Delayed, End, Failed, Holder, In, Paused, Pausing, Pending, Requested, Resuming,
    Running, Scheduled, State, Succeeded, Timeout,
};
use crate::status::Status;
use crate::subject::Core;
use crate::timer::TimerKind;

macro_rules! execution {
    ($($state:ident),+) => {
        /// An execution, in one of its states.
        #[derive(Debug, Clone, PartialEq)]
        // It is short-lived: read, decided about and written.
        #[allow(clippy::large_enum_variant)]
        pub enum Execution {
            $(#[doc = concat!("See [`", stringify!($state), "`].")] $state(In<$state>),)+
        }

        $(impl From<In<$state>> for Execution {
            fn from(execution: In<$state>) -> Self {
                Self::$state(execution)
            }
        })+

        impl Execution {
            /// What every state has.
            pub fn core(&self) -> &Core {
                match self { $(Self::$state(execution) => &execution.core,)+ }
            }

            /// What every state has.
            pub fn core_mut(&mut self) -> &mut Core {
                match self { $(Self::$state(execution) => &mut execution.core,)+ }
            }

            /// Its status.
            pub fn status(&self) -> Status {
                match self { $(Self::$state(_) => $state::STATUS,)+ }
            }

            /// The timer that its state keeps running.
            pub fn timer(&self) -> Option<TimerKind> {
                match self { $(Self::$state(execution) => execution.state.timer(),)+ }
            }
        }
    };
}

execution!(
    Requested, Delayed, Scheduled, Running, Pausing, Paused, Resuming, Pending, Canceling, Succeeded, Failed, Timeout,
    Canceled, Abandoned
);

impl Execution {
    /// Its id.
    pub fn id(&self) -> &ExecutionId {
        self.core().id()
    }

    /// Who has its current attempt, or had the last.
    pub fn holder(&self) -> Option<&Holder> {
        match self {
            Self::Running(running) => running.state.holder.as_ref(),
            Self::Pausing(pausing) => pausing.state.holder.as_ref(),
            Self::Canceling(canceling) => canceling.state.holder.as_ref(),
            _ => self.end().and_then(|end| end.holder.as_ref()),
        }
    }

    /// Whether its owner conducts it: it is a workflow.
    pub fn is_conducted(&self) -> bool {
        self.core().is_conducted()
    }

    /// What a person needs to decide with, a JSON object, if it is a workflow that rests because something failed.
    pub fn frozen(&self) -> Option<&str> {
        match self {
            Self::Paused(paused) => paused.state.frozen.as_deref(),
            _ => None,
        }
    }

    /// What it waits for, if its owner can name that: it is delayed, or resuming.
    pub fn waits_for(&self) -> Option<&Delayed> {
        match self {
            Self::Delayed(delayed) => Some(&delayed.state),
            Self::Resuming(resuming) => resuming.state.awaits.as_ref(),
            _ => None,
        }
    }

    /// What it waits for, as [`Self::waits_for`].
    pub(crate) fn waits_for_mut(&mut self) -> Option<&mut Delayed> {
        match self {
            Self::Delayed(delayed) => Some(&mut delayed.state),
            Self::Resuming(resuming) => resuming.state.awaits.as_mut(),
            _ => None,
        }
    }

    /// How it ended, if it is over.
    pub fn end(&self) -> Option<&End> {
        match self {
            Self::Succeeded(over) => Some(&over.state.0),
            Self::Failed(over) => Some(&over.state.0),
            Self::Timeout(over) => Some(&over.state.0),
            Self::Canceled(over) => Some(&over.state.0),
            Self::Abandoned(over) => Some(&over.state.0),
            _ => None,
        }
    }

    /// What is remembered of it, if it is over.
    pub fn ended(&self) -> Option<Ended> {
        let end = self.end()?;
        Some(Ended {
            id: self.id().clone(),
            sequence: self.core().sequence,
            status: self.status(),
            code: self.core().note.code.clone(),
            return_code: end.return_code,
            ended_at_ms: end.at_ms,
            conducted: self.is_conducted(),
        })
    }
}

/// What is remembered of an execution that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Its id.
    pub id: ExecutionId,
    /// Number of its last change.
    pub sequence: i64,
    /// Its final status.
    pub status: Status,
    /// Why it did not succeed.
    pub code: Option<String>,
    /// Exit code of the last attempt.
    pub return_code: Option<i32>,
    /// When it ended, in milliseconds since the epoch.
    pub ended_at_ms: i64,
    /// Whether it was a workflow.
    pub conducted: bool,
}

/// What an owner knows of an id.
#[derive(Debug, Clone, PartialEq)]
// As the execution in it.
#[allow(clippy::large_enum_variant)]
pub enum Known {
    /// It is not over.
    Live(Execution),
    /// It is over.
    Over(Ended),
}
