//! What an expression may cost.

/// The limits of one evaluation of a template. An expression that would go over one fails with an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Steps of one expression: calls, operations, turns of loops.
    pub expression_steps_max: u64,
    /// Bytes that the result of one expression, or a text that it makes on the way, may have.
    pub expression_output_bytes_max: usize,
    /// How deep brackets, lists and calls of one expression may nest.
    pub expression_nesting_max: usize,
    /// Bytes of one text with its expressions.
    pub expression_text_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            expression_steps_max: 1_000_000,
            expression_output_bytes_max: 16 * 1024 * 1024,
            expression_nesting_max: 100,
            expression_text_bytes_max: 256 * 1024,
        }
    }
}
