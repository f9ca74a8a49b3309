//! Every schema version that was ever shipped, oldest first. A line is added, never changed or removed.
//!
//! A new version appends fields with defaults to the one before and names the format (docs/adr/0014) that brings it:
//! the number behind the newest that was released, the same for all that one release changes. A schema of a new
//! kind of record does so too, and its stage writes none of them before that format is in force.

/// (schema name, version, number of the first format that writes it, `.avsc` text).
pub(crate) const SCHEMAS: &[(&str, u32, u32, &str)] = &[
    ("TriggerEvent", 1, 1, include_str!("../avsc/TriggerEvent.v1.avsc")),
    ("ActionRequest", 1, 1, include_str!("../avsc/ActionRequest.v1.avsc")),
    ("CancelRequest", 1, 1, include_str!("../avsc/CancelRequest.v1.avsc")),
    ("Task", 1, 1, include_str!("../avsc/Task.v1.avsc")),
    ("Order", 1, 1, include_str!("../avsc/Order.v1.avsc")),
    ("Claim", 1, 1, include_str!("../avsc/Claim.v1.avsc")),
    ("Heartbeat", 1, 1, include_str!("../avsc/Heartbeat.v1.avsc")),
    ("TaskResult", 1, 1, include_str!("../avsc/TaskResult.v1.avsc")),
    ("Declined", 1, 1, include_str!("../avsc/Declined.v1.avsc")),
    ("HandedOver", 1, 1, include_str!("../avsc/HandedOver.v1.avsc")),
    ("ExecutionState", 1, 1, include_str!("../avsc/ExecutionState.v1.avsc")),
    ("ExecutionEnded", 1, 1, include_str!("../avsc/ExecutionEnded.v1.avsc")),
    ("GateMessage", 1, 1, include_str!("../avsc/GateMessage.v1.avsc")),
    ("GateAnswer", 1, 1, include_str!("../avsc/GateAnswer.v1.avsc")),
    ("GateBehind", 1, 1, include_str!("../avsc/GateBehind.v1.avsc")),
    ("GateOrder", 1, 1, include_str!("../avsc/GateOrder.v1.avsc")),
    ("GateSender", 1, 1, include_str!("../avsc/GateSender.v1.avsc")),
    ("GateCount", 1, 1, include_str!("../avsc/GateCount.v1.avsc")),
    ("GatePermit", 1, 1, include_str!("../avsc/GatePermit.v1.avsc")),
    ("GateSeat", 1, 1, include_str!("../avsc/GateSeat.v1.avsc")),
    ("GateHead", 1, 1, include_str!("../avsc/GateHead.v1.avsc")),
    ("TimerDefinition", 1, 1, include_str!("../avsc/TimerDefinition.v1.avsc")),
    ("TimerState", 1, 1, include_str!("../avsc/TimerState.v1.avsc")),
    ("CatalogBlob", 1, 1, include_str!("../avsc/CatalogBlob.v1.avsc")),
    ("CatalogRevision", 1, 1, include_str!("../avsc/CatalogRevision.v1.avsc")),
    ("CatalogHead", 1, 1, include_str!("../avsc/CatalogHead.v1.avsc")),
    ("TriggerBinding", 1, 1, include_str!("../avsc/TriggerBinding.v1.avsc")),
    ("KvEntry", 1, 1, include_str!("../avsc/KvEntry.v1.avsc")),
    ("ProcessAlive", 1, 1, include_str!("../avsc/ProcessAlive.v1.avsc")),
    ("GroupPosition", 1, 1, include_str!("../avsc/GroupPosition.v1.avsc")),
    ("DeadLetter", 1, 1, include_str!("../avsc/DeadLetter.v1.avsc")),
    ("EventAudited", 1, 1, include_str!("../avsc/EventAudited.v1.avsc")),
    ("RuleMatched", 1, 1, include_str!("../avsc/RuleMatched.v1.avsc")),
    ("CriteriaFailed", 1, 1, include_str!("../avsc/CriteriaFailed.v1.avsc")),
    ("ExecutionChanged", 1, 1, include_str!("../avsc/ExecutionChanged.v1.avsc")),
    ("GateDecided", 1, 1, include_str!("../avsc/GateDecided.v1.avsc")),
    ("OutputCaptured", 1, 1, include_str!("../avsc/OutputCaptured.v1.avsc")),
    ("RevisionApplied", 1, 1, include_str!("../avsc/RevisionApplied.v1.avsc")),
    ("SecretChanged", 1, 1, include_str!("../avsc/SecretChanged.v1.avsc")),
    ("SecretSealed", 1, 1, include_str!("../avsc/SecretSealed.v1.avsc")),
];
