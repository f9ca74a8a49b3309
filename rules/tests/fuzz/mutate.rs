//! Changes of bytes that keep some of their sense.

use crate::rng::Rng;

/// What expressions are made of.
pub const CEL_WORDS: &[&str] = &[
    "trigger",
    ".a",
    ".b.c",
    "[0]",
    "[\"é\"]",
    "?",
    ".?a",
    "[?0]",
    " : ",
    " && ",
    " || ",
    "!",
    "-",
    " == ",
    " != ",
    " < ",
    " >= ",
    " in ",
    " + ",
    " % ",
    " / ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    "true",
    "null",
    "1",
    "1u",
    "-1",
    "0x1F",
    "1.5e3",
    ".5",
    "9223372036854775807",
    "9223372036854775808u",
    "'a'",
    "\"\"",
    "b'\\xff'",
    "r'\\d'",
    "'''x'''",
    "\"\\u00e9\"",
    "\"\\U0001F431\"",
    ".all(x, x)",
    ".exists(i, v, v == i)",
    ".map(x, x > 1, x)",
    ".filter(x, x)",
    ".exists_one(x, x)",
    "has(trigger.a)",
    "size(",
    ".matches('(a|b)*')",
    ".startsWith('a')",
    "int(",
    "string(",
    "type(",
    "timestamp('2001-02-03T04:05:06Z')",
    "duration('1h')",
    ".getHours('Europe/Paris')",
    "now",
    "kv",
    "optional.of(1)",
    ".orValue(1)",
    "cel.bind(x, 1, x)",
    ".split(',')",
    "math.greatest(1, 2)",
    "sets.contains([1], [1])",
    "`a-b`",
    "// c",
    "\n",
    "\t",
    ".",
];

/// What documents are made of.
pub const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"a\"",
    "\"b\":",
    "\"\"",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.5",
    "1e5",
    "1E-5",
    "-",
    ".",
    "e",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e309",
    "\\u0041",
    "\\u0061",
    "\\u0000",
    "\\ud83d\\udc31",
    "\\ud800",
    "\\udc31",
    "\\\"",
    "\\\\",
    "\\n",
    "\\x",
    "é",
    "🐱",
    " ",
    "\n",
    "\r",
    "\t",
    "\u{0}",
    "\u{feff}",
    "{\"a\":",
    "[[",
    "]]",
    "//",
];

const BYTES: [u8; 12] = [0, 1, 9, b'\n', b'"', b'\\', 0x7f, 0x80, 0xc3, 0xed, 0xf0, 0xff];

/// Changes one thing.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], words: &[&str], rng: &mut Rng) {
    let at = rng.below(input.len() + 1);
    let end = (at + 1 + rng.below(12)).min(input.len());
    match rng.below(9) {
        0..3 => insert(input, at, rng.word(words).as_bytes()),
        3 => replace(input, at..end, rng.word(words).as_bytes()),
        4 => replace(input, at..end, b""),
        5 => {
            let again = input[at..end].to_vec();
            let most = if rng.chance(5) { 300 } else { 3 };
            let times = 1 + rng.below(most);
            insert(input, at, &again.repeat(times));
        }
        6 if !other.is_empty() => {
            let from = rng.below(other.len());
            let to = (from + 1 + rng.below(40)).min(other.len());
            insert(input, at, &other[from..to]);
        }
        7 if at < input.len() => input[at] ^= 1 << rng.below(8),
        _ => insert(input, at, &[*rng.pick(&BYTES)]),
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    replace(input, at..at, bytes);
}

fn replace(input: &mut Vec<u8>, range: std::ops::Range<usize>, bytes: &[u8]) {
    input.splice(range, bytes.iter().copied());
}
