//! Every limit of expressions, in one place.

/// Longest CEL expression, in bytes.
pub const CRITERIA_BYTES_MAX: usize = 8 * 1024;

/// Deepest nesting of brackets in a CEL expression, counted before it is parsed.
pub const CRITERIA_NESTING_MAX: usize = 64;

/// Deepest syntax tree of a CEL expression. Evaluation recurses over it on the caller's stack, which
/// may be a thread's default of 2 MiB.
pub const CRITERIA_DEPTH_MAX: usize = 200;

/// Most errors reported for one expression.
pub const CRITERIA_ERRORS_MAX: usize = 5;

/// Most steps of one evaluation. Every turn of a comprehension is one; a function that goes through a
/// list, a map or a text pays one per 64 elements or bytes beyond its first.
pub const STEPS_MAX: usize = 100_000;

/// Most bytes that one evaluation may build.
pub const EVAL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest compiled regular expression, in bytes.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Longest text of an evaluation error, in bytes.
pub const ERROR_TEXT_BYTES_MAX: usize = 512;

/// Stack of the thread that parses expressions, in bytes: address space, of which little is touched.
pub(crate) const PARSER_STACK_BYTES: usize = 64 << 20;
