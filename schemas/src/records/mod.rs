//! One struct for each schema under `avsc/`, grouped by the topic family that carries it.

mod audit;
mod catalog;
mod dead_letter;
mod event;
mod execution;
mod gate;
mod kv;
mod output;
mod position;
mod process;
mod report;
mod request;
mod secret;
mod task;
mod timer;

pub use audit::{
    CriteriaFailed, EventAudited, ExecutionChanged, GateDecided, OutputCaptured, RevisionApplied, RuleMatched,
    SecretChanged, TaskMoved, WorkflowMoved,
};
pub use catalog::{CatalogBlob, CatalogHead, CatalogRevision, TriggerBinding};
pub use dead_letter::DeadLetter;
pub use event::{ENDS_TRIGGER, TriggerEvent};
pub use execution::{ExecutionEnded, ExecutionState, PagedPiece, WorkflowPage, WorkflowPiece};
pub use gate::{GateAnswer, GateBehind, GateCount, GateHead, GateMessage, GateOrder, GatePermit, GateSeat, GateSender};
pub use kv::KvEntry;
pub use output::OutputChunk;
pub use position::GroupPosition;
pub use process::ProcessAlive;
pub use report::{Claim, Declined, HandedOver, Heartbeat, TaskResult};
pub use request::{ActionRequest, CancelRequest, WorkflowOrder};
pub use secret::SecretSealed;
pub use task::{Order, Task};
pub use timer::{TimerDefinition, TimerState};
