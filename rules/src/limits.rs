//! Every limit of this crate, in one place.

pub use petrel_cel::limits::*;

/// Deepest nesting of arrays and objects in a JSON document; a document with one more is malformed.
pub const JSON_DEPTH_MAX: usize = 128;

/// How often a rule may use up its budget before it is quarantined: not asked any more in this process
/// until a new revision compiles it again.
pub const BUDGET_FAULTS_MAX: u8 = 100;

/// Fewest rules whose parsing is worth a thread of its own.
pub(crate) const PARSE_RULES_MIN: usize = 64;

/// Most parts of a rule set that updates have left; each is searched for every event. A set with so many is
/// compiled anew.
pub const RULE_SET_PARTS_MAX: usize = 8;

/// Most rules of a rule set, in percent, that updates have removed and that still take memory. A set with more
/// of them is compiled anew.
pub const RULE_SET_REMOVED_PERCENT_MAX: usize = 25;

/// Rows of the audit trail for the errors of one criterion per code, partition and minute; all of them
/// are counted.
pub const CRITERIA_ERROR_ROWS_MAX: u32 = 10;

/// How long an event of an unknown trigger waits for a revision that knows it, in milliseconds.
pub const TRIGGER_WAIT_MS: i64 = 10_000;

/// How long such an event waits that an action has injected, whose name nobody has looked at, in milliseconds: one that
/// does not exist holds up all that stands behind it. So does the end of an execution that nobody asks for.
pub const INJECTED_WAIT_MS: i64 = 1_000;

/// Most executions in the chain that causes an event; one that more have caused is a dead letter.
pub const CAUSE_DEPTH_MAX: i32 = petrel_schemas::cause_depth_max();

/// Largest payload of an event, in bytes. The audit trail keeps matched events whole, in records of their
/// own that must stay below the log's limit.
pub const PAYLOAD_BYTES_MAX: usize = 1_000_000;

/// Longest rendered parameters of one action request, in bytes of JSON text.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
