//! Limits of secrets.

/// Shortest value, white space not counted, and shortest line that is found by itself, in bytes: to mask a shorter one
/// would eat what is no secret.
pub const VALUE_BYTES_MIN: usize = 8;
/// Fewest different characters of a value: eight spaces are no secret, and stand in many outputs.
pub const VALUE_DISTINCT_MIN: usize = 4;
/// Longest value, in bytes: a long private key with its certificates.
pub const VALUE_BYTES_MAX: usize = 16 << 10;
/// Most bytes of all secrets of one attempt together: what it writes is searched for all of them.
pub const ATTEMPT_BYTES_MAX: usize = 64 << 10;
/// Length of a master key and of a data key, in bytes.
pub const KEY_BYTES: usize = 32;
