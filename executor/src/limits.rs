//! Limits that are not for users to set.

/// Head of a record that its dead letter holds, in bytes (DESIGN §4).
pub(crate) const DEAD_LETTER_HEAD_BYTES_MAX: usize = 64 << 10;
