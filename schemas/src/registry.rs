//! Every schema version that was ever shipped, oldest first. A line is added, never changed or removed.

/// (schema name, version, `.avsc` text).
pub(crate) const SCHEMAS: &[(&str, u32, &str)] = &[
    ("TriggerEvent", 1, include_str!("../avsc/TriggerEvent.v1.avsc")),
    ("ActionRequest", 1, include_str!("../avsc/ActionRequest.v1.avsc")),
    ("CancelRequest", 1, include_str!("../avsc/CancelRequest.v1.avsc")),
    ("Task", 1, include_str!("../avsc/Task.v1.avsc")),
    ("TaskCancel", 1, include_str!("../avsc/TaskCancel.v1.avsc")),
    ("Claim", 1, include_str!("../avsc/Claim.v1.avsc")),
    ("Heartbeat", 1, include_str!("../avsc/Heartbeat.v1.avsc")),
    ("TaskResult", 1, include_str!("../avsc/TaskResult.v1.avsc")),
    ("ExecutionState", 1, include_str!("../avsc/ExecutionState.v1.avsc")),
    ("TimerDefinition", 1, include_str!("../avsc/TimerDefinition.v1.avsc")),
    ("TimerState", 1, include_str!("../avsc/TimerState.v1.avsc")),
    ("CatalogBlob", 1, include_str!("../avsc/CatalogBlob.v1.avsc")),
    ("CatalogRevision", 1, include_str!("../avsc/CatalogRevision.v1.avsc")),
    ("CatalogHead", 1, include_str!("../avsc/CatalogHead.v1.avsc")),
    ("TriggerBinding", 1, include_str!("../avsc/TriggerBinding.v1.avsc")),
    ("KvEntry", 1, include_str!("../avsc/KvEntry.v1.avsc")),
    ("DeadLetter", 1, include_str!("../avsc/DeadLetter.v1.avsc")),
    ("EventAudited", 1, include_str!("../avsc/EventAudited.v1.avsc")),
    ("RuleMatched", 1, include_str!("../avsc/RuleMatched.v1.avsc")),
    ("CriteriaFailed", 1, include_str!("../avsc/CriteriaFailed.v1.avsc")),
    ("ExecutionChanged", 1, include_str!("../avsc/ExecutionChanged.v1.avsc")),
    ("OutputCaptured", 1, include_str!("../avsc/OutputCaptured.v1.avsc")),
    ("RevisionApplied", 1, include_str!("../avsc/RevisionApplied.v1.avsc")),
];
