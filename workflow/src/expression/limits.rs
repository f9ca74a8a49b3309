//! What an expression may cost. What would go over one of these fails, with an error that names it.

/// Steps of one Jinja or YAQL expression: calls, operations, turns of loops, and one for each 64 bytes of text that it
/// makes. CEL has its own budgets.
pub const EXPRESSION_STEPS_MAX: u64 = 500_000;

/// Bytes that a text with its expressions may have before it is evaluated.
pub const EXPRESSION_TEXT_BYTES_MAX: usize = 256 * 1024;

/// Bytes that the text may have which an evaluation yields.
pub const EXPRESSION_OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How deep calls of macros, loops and blocks of one Jinja text may nest while they run.
pub const JINJA_RECURSION_MAX: usize = 64;

/// How deep brackets and operators of a Jinja expression may nest.
pub const JINJA_NESTING_MAX: usize = 64;

/// Operators, filters, calls and subscripts of one Jinja expression.
pub const JINJA_OPERATORS_MAX: usize = 500;

/// How deep lists and maps of a result may nest.
pub const RESULT_NESTING_MAX: usize = 128;

/// Bytes of a compiled regular expression.
pub const REGEX_BYTES_MAX: usize = 256 * 1024;

/// How deep a YAQL expression may nest.
pub const YAQL_NESTING_MAX: usize = 100;

/// Bytes that all values together may take which one YAQL expression makes.
pub const YAQL_MEMORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
