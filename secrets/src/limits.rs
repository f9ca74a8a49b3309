//! Limits of secrets.

/// Shortest value, line ends not counted, in bytes: to mask a shorter one would eat what is no secret.
pub const VALUE_BYTES_MIN: usize = 8;
/// Fewest different characters of a value: eight spaces are no secret, and stand in many outputs.
pub const VALUE_DISTINCT_MIN: usize = 4;
/// Longest value, in bytes: a long private key with its certificates.
pub const VALUE_BYTES_MAX: usize = 16 << 10;
/// Length of a master key and of a data key, in bytes.
pub const KEY_BYTES: usize = 32;
