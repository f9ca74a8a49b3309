//! The named limits of a catalog. A limit that is hit is a located problem or a named error.

/// Largest compressed content of a pack, in bytes: with its envelope it fits a Kafka message of 1 MiB.
pub const BLOB_BYTES_MAX: usize = 900 * 1024;
/// Largest sum of a pack's file sizes, uncompressed, in bytes.
pub const PACK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most files in a pack.
pub const PACK_FILES_MAX: usize = 4096;
/// Most topics to which a pack may write.
pub const PRODUCES_MAX: usize = 256;
/// Longest path in a pack, in bytes.
pub const PATH_BYTES_MAX: usize = 255;
/// Most of a file's first line that is looked at for what runs it (`#!`), in bytes.
pub const INTERPRETER_LINE_BYTES_MAX: usize = 4096;
/// Largest YAML file, in bytes.
pub const YAML_BYTES_MAX: usize = 256 * 1024;
/// Most nodes of a YAML file once its aliases are expanded.
pub const YAML_NODES_MAX: usize = 50_000;
/// Deepest nesting of a YAML file.
pub const YAML_DEPTH_MAX: usize = 32;
/// Most problems that are told of one load; the others are counted.
pub const PROBLEMS_MAX: usize = 1_000;
/// Longest name of a pack, trigger, rule, action or parameter, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Most actions of a rule.
pub const RULE_ACTIONS_MAX: usize = 32;
/// Most actions that one policy names.
pub const POLICY_ACTIONS_MAX: usize = 100;
/// Most parameters that give the key of a policy of StackStorm's form.
pub const POLICY_ATTRIBUTES_MAX: usize = 16;
/// Longest name of a policy of StackStorm's form, in bytes.
pub const POLICY_NAME_BYTES_MAX: usize = 128;
/// Longest time that a policy names, in milliseconds.
pub const POLICY_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// Shortest deadline of executions, in milliseconds.
pub const DEADLINE_MS_MIN: i64 = 100;
/// Shortest interval of a timer or a polling sensor, in milliseconds.
pub const EVERY_MS_MIN: i64 = 1_000;
/// Longest interval of a timer or a polling sensor, in milliseconds: 366 days.
pub const EVERY_MS_MAX: i64 = 366 * 24 * 3_600_000;
/// Time that an action gets if it does not say, in milliseconds.
pub const TIMEOUT_MS_DEFAULT: i64 = 60_000;
/// Most time that an action may ask for, in milliseconds: 7 days.
pub const TIMEOUT_MS_MAX: i64 = 7 * 24 * 3_600_000;
/// Most repetitions of an execution by its action's `retry`.
pub const RETRIES_MAX: i64 = 100;
/// Longest expression of an action's `retry`, in bytes.
pub const RETRY_WHEN_BYTES_MAX: usize = 2_048;
/// Longest pause between two attempts, in milliseconds: one day.
pub const RETRY_DELAY_MS_MAX: i64 = 24 * 3_600_000;
/// Captured output of each stream of an attempt if the action does not say, in bytes.
pub const OUTPUT_BYTES_DEFAULT: u64 = 64 * 1024;
/// Most captured output of each stream that an action may ask for, in bytes.
pub const OUTPUT_BYTES_MAX: u64 = 512 * 1024;
/// Revisions that are kept by default, the one in force included.
pub const CATALOG_REVISIONS_DEFAULT: usize = 20;
/// Most revisions that are kept, so that the record of the one in force, which names them, fits a message.
pub const REVISIONS_KEPT_MAX: usize = 4_096;
/// How long a revision stays by default after it was replaced, in milliseconds: 30 days, above every time-out and
/// whatever else lasts and names a revision.
pub const REVISION_KEEP_MS_DEFAULT: i64 = 30 * 24 * 3_600_000;
/// Most bytes of all packs of all revisions that are kept, by default, as they are stored: 256 MiB.
pub const CATALOG_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// Actions that a process keeps resolved; one more is resolved again when it is needed.
pub const ACTIONS_CACHED_MAX: usize = 8_192;
/// Packs whose list of files a process keeps, to resolve more of their actions.
pub const LISTINGS_CACHED_MAX: usize = 32;
