//! What a topic that carries several kinds of record holds: one enum for each such topic.

use crate::codec::{DecodeError, Stored, decode, kind_of};
use crate::records::{
    ActionRequest, CancelRequest, Claim, CriteriaFailed, Declined, EventAudited, ExecutionChanged, ExecutionEnded,
    ExecutionState, GateAnswer, GateBehind, GateDecided, GateOrder, HandedOver, Heartbeat, OutputCaptured,
    RevisionApplied, RuleMatched, SecretChanged, TaskResult, WorkflowMoved, WorkflowOrder, WorkflowPage, WorkflowPiece,
};

macro_rules! stream {
    ($(#[$doc:meta])* $name:ident { $($kind:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        // A decoded record is short-lived: a box for the larger ones would cost more than it saves.
        #[allow(clippy::large_enum_variant)]
        pub enum $name {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)+
        }

        impl $name {
            /// Reads a record of any of these kinds.
            ///
            /// # Errors
            /// See [`DecodeError`]; a kind that does not belong here is `OtherKind`.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                match kind_of(bytes)? {
                    $(kind if kind == $kind::NAME => Ok(Self::$kind(decode(bytes)?)),)+
                    found => Err(DecodeError::OtherKind { expected: stringify!($name), found }),
                }
            }
        }
    };
}

stream! {
    /// `petrel.requests`.
    RequestsRecord { ActionRequest, CancelRequest, GateAnswer, GateBehind, GateOrder, WorkflowOrder }
}
stream! {
    /// `petrel.results`.
    ResultsRecord { Claim, Heartbeat, TaskResult, Declined, HandedOver }
}
stream! {
    /// `petrel.executions`.
    ExecutionsRecord { ExecutionState, ExecutionEnded, WorkflowPiece, WorkflowPage }
}
stream! {
    /// `petrel.audit`.
    AuditRecord { EventAudited, RuleMatched, CriteriaFailed, ExecutionChanged, OutputCaptured, RevisionApplied, SecretChanged, GateDecided, WorkflowMoved }
}
