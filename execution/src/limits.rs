//! The named limits of executions.

/// Longest error text of an execution, in bytes.
pub const ERROR_BYTES_MAX: usize = 4 << 10;

/// Largest parameters of an execution, defaults filled in, in bytes of JSON text.
pub const PARAMETERS_BYTES_MAX: usize = 256 << 10;

/// Longest structured result of an attempt, and of a workflow in the rows that tell of it, in bytes of JSON text.
pub const RESULT_BYTES_MAX: usize = 64 << 10;

/// Longest text of what a person needs to decide about a frozen workflow with, in bytes of JSON text.
pub const FROZEN_BYTES_MAX: usize = 64 << 10;

/// Most of what people ask of a workflow that is kept until it can be told: its revision is not here, or it waits for its
/// permits.
pub const ASKED_LATER_MAX: usize = 100;

/// Most children that are ended in one step where their workflow cannot say which; the others follow in further steps.
pub const CHILDREN_ENDED_MAX: usize = 100;

/// How much of what a child writes to each of its streams its parent is told, in bytes.
pub const STREAM_FOR_PARENT_BYTES_MAX: usize = 32 << 10;

/// Longest standard output or body of an answer that becomes a result, in bytes.
pub const RESULT_SOURCE_BYTES_MAX: usize = 16 << 20;

/// Largest of the objects that an execution's parameters name, all together, in bytes.
pub const OBJECTS_BYTES_MAX: u64 = 32 << 20;

/// Most values that an action takes of its result.
pub const EXTRACTED_MAX: usize = 32;

/// Largest of them all together, in bytes of JSON text.
pub const EXTRACTED_BYTES_MAX: usize = 16 << 10;

/// Longest payload of an event that an action injects, in bytes of JSON text.
pub const EVENT_BYTES_MAX: usize = 256 << 10;

/// Longest text, and longest HTML, of a message by mail, in bytes.
pub const EMAIL_BODY_BYTES_MAX: usize = 512 << 10;

/// Longest subject of such a message, in bytes.
pub const EMAIL_SUBJECT_BYTES_MAX: usize = 1 << 10;

/// Most addresses that such a message is for.
pub const EMAIL_RECIPIENTS_MAX: usize = 100;

/// Longest key of a record that an action writes, in bytes.
pub const RECORD_KEY_BYTES_MAX: usize = 1 << 10;

/// Longest headers of such a record, names and values together, in bytes.
pub const RECORD_HEADERS_BYTES_MAX: usize = 16 << 10;

/// Longest value of such a record, in bytes.
pub const RECORD_VALUE_BYTES_MAX: usize = 768 << 10;

/// Longest pause that a server may ask for between two attempts, in milliseconds: one day.
pub const RETRY_AFTER_MS_MAX: i64 = 24 * 3_600_000;

/// Most arguments of a command.
pub const COMMAND_ARGS_MAX: usize = 256;

/// Most paths that an action lists to read, and to write, beside its own.
pub const CONFINE_PATHS_MAX: usize = 64;

/// Longest text of an action that a shell runs, in bytes: it is one argument, and longer ones are files of the pack.
pub const SHELL_SCRIPT_BYTES_MAX: usize = 64 << 10;

/// Most hosts of one execution.
pub const SSH_HOSTS_MAX: usize = 1_000;

/// Most hosts on the way to another one.
pub const SSH_HOPS_MAX: usize = 8;

/// Most files that are written to a host, and most that are read from it.
pub const SSH_FILES_MAX: usize = 64;

/// The longest time for which a question may wait for its answer, in minutes: 3,650 days.
pub const INQUIRY_TTL_MINUTES_MAX: u64 = 3_650 * 24 * 60;

/// Orders for attempts that a worker has not claimed (yet) that it remembers. What is over the limit is
/// forgotten, what ends first before the others: the owner answers the claim in its stead.
pub const ORDERS_MAX: usize = 100_000;

/// The longest head of a text that has at most `bytes_max` bytes and ends between two characters.
pub fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The longest end of a text that has at most `bytes_max` bytes and begins between two characters.
pub fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// A text in quotes, if it is short. Of a long one nothing is told: it may be a secret, of which a part in the middle of a
/// sentence would not be found by what masks it.
pub fn quoted(text: &str) -> String {
    const QUOTED_BYTES_MAX: usize = 255;
    if text.len() <= QUOTED_BYTES_MAX { format!("{text:?}") } else { format!("a text of {} bytes", text.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_between_characters() {
        for (text, bytes_max, expected) in [("abc", 3, "abc"), ("abc", 2, "ab"), ("aüb", 2, "a"), ("ü", 1, "")] {
            assert_eq!(head(text, bytes_max), expected);
        }
        for (text, bytes_max, expected) in [("abc", 3, "abc"), ("abc", 9, "abc"), ("aüb", 2, "b"), ("ü", 1, "")] {
            assert_eq!(tail(text, bytes_max), expected);
        }
    }
}
