//! What random rules are made of.

use std::sync::LazyLock;

pub const NUMBER_PATHS: &[&str] = &["n", "m", "big", "price", "d.x", "d.y", "deep.er.x"];
pub const STRING_PATHS: &[&str] = &["s", "host", "a-b", "d.name", "labels.k", "deep.er.s"];
pub const BOOL_PATHS: &[&str] = &["b", "d.ok"];
pub const LIST_PATHS: &[&str] = &["tags", "nums", "items"];
pub const MAP_PATHS: &[&str] = &["d", "labels", "deep.er"];
pub const OTHER_PATHS: &[&str] = &["zzz", "d.zzz", "s.zzz", "deep", "deep.zzz.x", "labels.é", "at", "n.x"];

/// Numbers that events and rules write alike, so that they often meet.
pub const COMMON_NUMBERS: &[&str] = &["0", "1", "2", "3", "10", "-1", "1.0", "2.5"];
/// As rules write them, the common ones first.
pub static NUMBERS: LazyLock<Vec<&str>> = LazyLock::new(|| [COMMON_NUMBERS, RULE_NUMBERS].concat());
const RULE_NUMBERS: &[&str] = &[
    "90.0",
    "1u",
    "2u",
    "-0.0",
    "90",
    "9007199254740992",
    "9007199254740993",
    "9007199254740992.0",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808u",
    "18446744073709551615u",
    "9223372036854775807.0",
    "18446744073709551615.0",
    "0.1",
    "16777217",
    "1e39",
    "-1e39",
    "1e-46",
];
pub const SMALL_NUMBERS: usize = 13;
pub const NO_NUMBERS: &[&str] = &["(0.0 / 0.0)", "(1.0 / 0.0)", "(-1.0 / 0.0)"];
pub const STRINGS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"b\"",
    "'A'",
    "\"db-1\"",
    "\"db-2\"",
    "\"web-1\"",
    "\"db-\"",
    "\"-1\"",
    "\"é\"",
    "\"e\\u0301\"",
    "\"日本\"",
    "\"🐱\"",
    "\"a\\nb\"",
    "'a\"b'",
    "\"1\"",
    "\"true\"",
    "\"k\"",
    "\"db-1/sixty-four bytes and more of them: as many as make a comparison cost a step\"",
];
pub const PATTERNS: &[&str] = &[
    "\"^db-\"",
    "\"[0-9]+$\"",
    "\"a|b\"",
    "\"^$\"",
    "\"(?i)^a\"",
    "\".\"",
    "\"^(db|web)-1$\"",
    "\"é\"",
    "\"\"",
    "\"^\"",
    "\"^db|^da\"",
    "\"^db|b-1$\"",
    "\"(?m)^b$\"",
    "\"(?s)a.b\"",
    "\"(db-)+1\"",
    "\"(db-)?[0-9]\"",
    "\"x*\"",
    "\"d{1,2}b-{1}\"",
    "\"(?i:DB)-1\"",
    "\"^(?:^db)-\"",
    "\"(^|b)-?1\"",
    "\"🐱|日\"",
];
/// Patterns that mean something else, or nothing, in the syntax of the crate `regex`.
pub const RE2_PATTERNS: &[&str] =
    &[r"r'\bdb\b'", r"r'^\w+$'", r"r'^[\s-z]$'", r"r'^\B'", r"r'^[\w-]+$'", r"r'^\141$'", "'{'", r"r'\<db'"];
pub const TYPES: &[&str] = &["int", "uint", "double", "string", "bool", "list", "map", "null_type"];
pub const ORDERS: &[&str] = &["<", "<=", ">", ">="];

/// What stands in lists of constants beside numbers and strings.
pub const ODD_CONSTANTS: &[&str] =
    &["null", "true", "(0.0 / 0.0)", "[1]", "[]", "{}", "{\"a\": 1}", "b\"a\"", "int", "duration(\"1s\")"];

/// Conditions on times.
pub const OF_TIME: &[&str] = &[
    "(now > timestamp(\"2001-02-03T04:05:06Z\"))",
    "(timestamp(trigger.at) < now)",
    "(timestamp(trigger.at).getFullYear() == 2001)",
    "(timestamp(trigger.at) + duration(\"10s\") > now)",
];

/// Conditions on little or nothing of the event.
pub const OF_LITTLE: &[&str] = &[
    "true",
    "false",
    "(1 / 0 == 1)",
    "(kv.limit > 1)",
    "(trigger.n > kv.limit)",
    "kv.zzz",
    "(kv[\"a/b\"] == 1)",
    "([1][2] == 1)",
    "(trigger == trigger)",
    "(size(trigger) > 3)",
    "(trigger == null)",
];

/// Conditions on the event as a whole.
pub const OF_THE_EVENT: &[&str] = &[
    "(\"n\" in trigger)",
    "!(\"zzz\" in trigger)",
    "trigger.exists(k, k == \"s\")",
    "trigger.exists(k, k in [\"zzz\", \"big\"])",
    "trigger.all(k, k != \"zzz\")",
    "(trigger in [1, \"a\", null])",
    "(trigger >= 1)",
    "trigger.startsWith(\"d\")",
    "(trigger[0] == 1)",
    "!has(trigger.zzz)",
];
