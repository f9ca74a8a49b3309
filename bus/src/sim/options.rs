//! Settings of a simulated log, and the faults that a test can order.

/// Settings of a [`super::SimBus`]; the defaults are those of a production broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// How long a silent member keeps its partitions, in milliseconds of virtual time.
    pub session_timeout_ms: i64,
    /// After how long a commit in doubt settles by itself, in milliseconds of virtual time: longer than a
    /// session, so that another member meets it.
    pub in_doubt_ms: i64,
    /// How late an end of a transaction arrives that is delayed, in milliseconds of virtual time.
    pub end_delay_ms: i64,
    /// How long a transaction may be open, in milliseconds of virtual time.
    pub transaction_timeout_ms: i64,
    /// How often the broker looks for transactions that were open for too long, in milliseconds of
    /// virtual time.
    pub transaction_scan_ms: i64,
    /// How long a tombstone stays after the first compaction that met it, in milliseconds of virtual time.
    pub delete_retention_ms: i64,
    /// How often the broker removes records that are older than their topic's retention, in
    /// milliseconds of virtual time.
    pub retention_scan_ms: i64,
    /// How long the offsets of a group without members are remembered, in milliseconds of virtual time.
    pub offsets_retention_ms: i64,
    /// Largest record, key and value, in bytes.
    pub record_bytes_max: usize,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            session_timeout_ms: 10_000,
            in_doubt_ms: 12_000,
            end_delay_ms: 3_000,
            transaction_timeout_ms: 15_000,
            transaction_scan_ms: 10_000,
            delete_retention_ms: 24 * 3_600_000,
            retention_scan_ms: 300_000,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            record_bytes_max: 1_048_576,
        }
    }
}

/// What becomes of a session's commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CommitFault {
    /// Nothing: it succeeds.
    None,
    /// It is refused and may be tried again: the driver aborts.
    Abort,
    /// The connection is lost before the offsets were in the transaction: the driver must rebuild. The
    /// transaction stays open until its time is up or its producer initialises again.
    Lost,
    /// The connection is lost with the offsets in the transaction: the driver must rebuild. It stays
    /// open as above, and until then the group's offsets are not stable.
    EndLost,
    /// The end of the transaction arrives late, after the driver has given up and must rebuild; if the
    /// producer was initialised meanwhile, it is refused.
    EndDelayed,
    /// It is committed, but the answer is lost: the driver must rebuild.
    AnswerLost,
    /// It is decided, but its markers reach the partitions later, and the answer is lost: the driver
    /// must rebuild.
    InDoubt,
    /// It succeeds, and a copy of its end, sent again by the client after a silence, arrives late: it
    /// commits whatever the same producer has open by then, without its offsets. This is the hole of
    /// clients before KIP-890, which a transaction cannot close: whoever orders it checks that what
    /// comes behind the log is safe by other means.
    EndRepeated,
}

impl CommitFault {
    /// Every fault that leaves the log's promises whole.
    pub const HONEST: [Self; 6] =
        [Self::Abort, Self::Lost, Self::EndLost, Self::EndDelayed, Self::AnswerLost, Self::InDoubt];
}
