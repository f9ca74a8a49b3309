//! Records: what owners and gates tell each other, and what gates remember.

use serde::{Deserialize, Serialize};

use crate::codec::stored;

/// A message of an owner to a gate, on `petrel.gates`; keyed by the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateMessage {
    /// Partition of the owner.
    pub sender: i32,
    /// Epoch of its stamp.
    pub epoch: i64,
    /// Number of its stamp.
    pub number: i64,
    /// To which gate.
    pub gate: String,
    /// `acquire`, `release`, `close`, `shut` or `open`.
    pub what: String,
    /// Whom it is about, for an acquire or a release.
    pub execution_id: Option<String>,
    /// Which of its acquisitions.
    pub acquisition: Option<String>,
    /// How urgent it is, for an acquire.
    pub class: Option<String>,
    /// Whether an acquire may wait.
    pub may_wait: bool,
    /// The revision in force at the owner, for an acquire.
    pub revision: Option<String>,
    /// Since when it was, in milliseconds since the epoch.
    pub in_force_since_ms: Option<i64>,
    /// How the execution ended, for a release.
    pub outcome: Option<String>,
    /// Until when a close holds, in milliseconds since the epoch.
    pub until_ms: Option<i64>,
    /// Who opens or shuts, and why.
    pub by: Option<String>,
}

stored!(GateMessage, "GateMessage");

/// What a gate tells the owner of an execution, on `petrel.requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// Execution.
    pub execution_id: String,
    /// Its root execution; the record's key.
    pub root_execution_id: String,
    /// Which gate.
    pub gate: String,
    /// Which of the execution's acquisitions.
    pub acquisition: String,
    /// `granted`, `held` or `refused`.
    pub answer: String,
    /// Why it was refused.
    pub code: Option<String>,
    /// What was not to be had, where that is the reason.
    pub why: Option<String>,
}

stored!(GateAnswer, "GateAnswer");

/// What gates tell an owner whose numbers are older than what they have heard of it, on `petrel.requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateBehind {
    /// Partition of the owner, and of this record.
    pub sender: i32,
    /// The epoch that was heard.
    pub epoch: i64,
}

stored!(GateBehind, "GateBehind");

/// Somebody opens or shuts a gate, on `petrel.requests`; keyed by the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateOrder {
    /// Which gate.
    pub gate: String,
    /// `open` or `shut`.
    pub order: String,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub requested_by: String,
    /// When, in milliseconds since the epoch.
    pub requested_at_ms: i64,
}

stored!(GateOrder, "GateOrder");

/// The last stamp of a sender: as owners' partitions remember their own, and partitions of gates those of others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateSender {
    /// Epoch.
    pub epoch: i64,
    /// Number.
    pub number: i64,
}

stored!(GateSender, "GateSender");

/// How many gates of a partition have something to remember.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateCount {
    /// How many.
    pub gates: i64,
}

stored!(GateCount, "GateCount");

/// A permit that is out, on `petrel.gate_state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatePermit {
    /// Which acquisition it was given to.
    pub acquisition: String,
    /// What it took beside: `nothing`, `token`, `hit` or `probe`.
    pub charge: String,
    /// Until when its hit counts, or when its trial began, by the gate's clock.
    pub until_ms: Option<i64>,
    /// In which window its hit counts, or of which era its token is.
    pub window: Option<i64>,
}

stored!(GatePermit, "GatePermit");

/// The place of an execution that waits, on `petrel.gate_state`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateSeat {
    /// Who waits.
    pub execution_id: String,
    /// For which acquisition.
    pub acquisition: String,
    /// Its class.
    pub class: String,
    /// Its place in the queue of its class.
    pub ticket: i64,
}

stored!(GateSeat, "GateSeat");

/// What a gate remembers of itself, on `petrel.gate_state`. Instants are by the gate's clock where nothing else is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateHead {
    /// Which gate.
    pub gate: String,
    /// Its clock.
    pub time_ms: i64,
    /// What the partition's clock said then, in milliseconds since the epoch.
    pub wall_ms: i64,
    /// Permits that are out.
    pub permits: i64,
    /// Starts that count in the window.
    pub hits: i64,
    /// Starts that are remembered and count no more.
    pub void_hits: i64,
    /// Which window it is.
    pub window: i64,
    /// When the last start stops to count.
    pub last_hit_until_ms: i64,
    /// Who waits, by class: urgent, normal, bulk.
    pub waiting: Vec<i64>,
    /// The ticket of who comes next.
    pub ticket: i64,
    /// Whose turn it is among the classes.
    pub turn: i32,
    /// Parts of a token in its bucket; none where that is full.
    pub bucket_parts: Option<i64>,
    /// When that was.
    pub bucket_at_ms: Option<i64>,
    /// Parts of a whole token.
    pub bucket_per_ms: Option<i64>,
    /// How often time has replaced the tokens that were out.
    pub era: i64,
    /// Tokens that were taken since and may still come back.
    pub tokens_out: i64,
    /// How many parts of a token each of them is worth.
    pub token_worth: i64,
    /// `closed`, `open` or `half_open`.
    pub breaker: String,
    /// Failures in a row, where it is closed.
    pub breaker_failures: i64,
    /// When the last failure was, until when it is open, or since when it is half open.
    pub breaker_since_ms: i64,
    /// Probes that are under way.
    pub breaker_under_way: i64,
    /// Probes that have succeeded.
    pub breaker_succeeded: i64,
    /// Nothing passes until then.
    pub closed_until_ms: Option<i64>,
    /// Nothing passes until a person opens it.
    pub paused: bool,
    /// Revisions that it waits for.
    pub awaits: Vec<String>,
    /// Since when each of them was in force, in milliseconds since the epoch.
    pub awaits_since_ms: Vec<i64>,
    /// The latest revision that it knew and by which somebody has asked.
    pub asked_by: Option<String>,
    /// Since when that was in force, in milliseconds since the epoch.
    pub asked_by_since_ms: Option<i64>,
    /// When holders of permits are asked whether they still hold them.
    pub ask_at_ms: Option<i64>,
    /// Who was asked last.
    pub asked: Option<String>,
    /// When its timer is due, in milliseconds since the epoch.
    pub timer_ms: Option<i64>,
}

stored!(GateHead, "GateHead");
