//! Every limit of this crate, in one place.

/// Deepest nesting of arrays and objects in a JSON document; a document with one more is malformed.
pub const JSON_DEPTH_MAX: usize = 128;

/// Longest CEL expression, in bytes.
pub const CRITERIA_BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting of brackets in a CEL expression, counted before it is parsed.
pub const CRITERIA_NESTING_MAX: usize = 64;

/// Deepest syntax tree of a CEL expression. Evaluation recurses over it on the caller's stack, which
/// may be a thread's default of 2 MiB.
pub const CRITERIA_DEPTH_MAX: usize = 200;

/// Most errors reported for one expression.
pub const CRITERIA_ERRORS_MAX: usize = 5;

/// Most steps of comprehensions (`all`, `exists`, `exists_one`, `map`, `filter`) in one evaluation. A
/// comprehension that ends early counts with the whole size of what it goes through.
pub const CRITERIA_STEPS_MAX: u64 = 100_000;

/// Largest compiled regular expression of a `matches`, in bytes.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Longest text of an evaluation error, in bytes.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;

/// Rows of the audit trail for the errors of one criterion per code, partition and minute; all of them
/// are counted.
pub const CRITERIA_ERROR_ROWS_MAX: u32 = 10;

/// How long an event of an unknown trigger waits for a revision that knows it, in milliseconds.
pub const TRIGGER_WAIT_MS: i64 = 10_000;

/// Largest payload of an event, in bytes. The audit trail keeps matched events whole, in records of their
/// own that must stay below the log's limit.
pub const PAYLOAD_BYTES_MAX: usize = 1_000_000;

/// Longest rendered parameters of one action request, in bytes of JSON text.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;

/// Most bytes of a record that a dead letter keeps.
pub const DEAD_LETTER_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Stack of the thread that parses expressions, in bytes: address space, of which little is touched.
pub(crate) const PARSER_STACK_BYTES: usize = 64 << 20;
