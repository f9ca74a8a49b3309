//! What an owner wants done.

use petrel_schemas::{Class, ExecutionId, Order, OutputCaptured, Task, TriggerEvent, WorkflowMoved};

use crate::execution::Execution;
use crate::family::{Child, ChildEnded};
use crate::gate::{GateMessage, Stamp};
use crate::timer::TimerKind;
use crate::workflow::{Asked, Changed};

/// One thing to do, all of it in the transaction of the step.
#[derive(Debug, Clone, PartialEq)]
// It is short-lived: made, looked at once and written.
#[allow(clippy::large_enum_variant)]
pub enum Effect {
    /// Write the execution, and one audit row of its new status ([`super::changed`]).
    Save(Execution),
    /// Write the execution; its status is the same.
    Update(Execution),
    /// Forget the execution.
    Forget {
        /// Which.
        id: ExecutionId,
        /// Whether it was a workflow, of which pieces are stored, too.
        conducted: bool,
    },
    /// Write, or remove, a piece of a workflow.
    Piece {
        /// Whose.
        id: ExecutionId,
        /// Which, and what it is now.
        changed: Changed,
    },
    /// Take a child's request, in this step.
    Child(Child),
    /// Ask something of a child, in this step, if it is a workflow.
    AskChild {
        /// Which.
        id: ExecutionId,
        /// What.
        asked: Asked,
        /// Who asks.
        by: String,
    },
    /// Tell the parent of a child that has not ended, in this step, that it rests, or goes on, or wants to.
    Rests {
        /// Which child.
        child: ExecutionId,
        /// Whether it rests.
        rests: bool,
    },
    /// End a child, in this step.
    StopChild {
        /// Which.
        id: ExecutionId,
        /// Who wants it to end.
        by: String,
    },
    /// Set a timer; a silence timer where its kind is one ([`TimerKind::is_silence`]).
    SetTimer {
        /// Whose.
        id: ExecutionId,
        /// What for.
        kind: TimerKind,
        /// When, in milliseconds since the epoch.
        due_ms: i64,
    },
    /// Remove a timer.
    CancelTimer {
        /// Whose.
        id: ExecutionId,
        /// What for.
        kind: TimerKind,
    },
    /// Remember that something waits, under this key.
    Wait(Vec<u8>),
    /// It waits no more.
    Unwait(Vec<u8>),
    /// Hand a task to the workers of a pool.
    Dispatch {
        /// Worker pool.
        pool: String,
        /// Class.
        class: Class,
        /// Partition of their topic.
        partition: u32,
        /// The task.
        task: Task,
    },
    /// Let the worker beside this owner start it, once the step has committed: it is claimed already, and granted.
    Start(Task),
    /// Tell the workers of a pool.
    Order {
        /// Worker pool.
        pool: String,
        /// What they are told.
        order: Order,
    },
    /// Tell a gate; the stamp is the last of this sender from now on.
    ToGate(GateMessage),
    /// The next stamp of this sender follows that one.
    Number(Stamp),
    /// Write down which tasks of a workflow have come to other statuses.
    Moved(WorkflowMoved),
    /// Write down what an attempt wrote.
    Output(OutputCaptured),
    /// Emit an event: the execution injects it, or has ended.
    Event(TriggerEvent),
    /// Tell a parent, in this step.
    Parent(ChildEnded),
    /// What it was asked for, or told, is of no use: a dead letter.
    GiveUp {
        /// Whom it was about.
        id: ExecutionId,
        /// Stable code.
        code: &'static str,
        /// What is wrong, for people.
        detail: String,
    },
    /// Something happened that is worth counting.
    Count(Counted),
}

/// What is counted, once the step has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// A request whose execution was known already.
    Duplicate,
    /// A report about an attempt that is not the current one.
    Stale,
    /// A lease that passed.
    LeaseLost,
    /// A task that a worker declined.
    Declined,
    /// An attempt that a worker handed over.
    HandedOver,
    /// A wish to cancel an execution that is not known, or that is over.
    CancelInVain,
    /// Something that was asked of a workflow that cannot do it as it stands, or of what is none.
    AskedInVain,
    /// An answer of a gate that nobody waited for.
    StaleGrant,
    /// An order to a gate that was read too late.
    LateOrder,
    /// A child that ended without a parent that waits for it.
    Orphan,
}
