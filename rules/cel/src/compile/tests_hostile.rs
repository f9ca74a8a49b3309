//! Rows 19, 20 and 22 of the attacks, and their like: an error or an expression, quickly, on small stacks.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::time::{Duration, Instant};

use super::render::NAMES;
use super::*;
use crate::limits::{CRITERIA_BYTES_MAX, CRITERIA_DEPTH_MAX, CRITERIA_NESTING_MAX};

/// Parses, and compiles on a thread with a stack of 1 MiB.
fn outcome(source: &str) -> Result<Compiled, Vec<Mistake>> {
    let parsed = on_parser_thread(|| parse(source))?;
    let compile = || parsed.compile(NAMES, &mut Paths::new(), None);
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    std::thread::scope(|s| thread.spawn_scoped(s, compile).unwrap().join().unwrap())
}

fn nest(open: &str, inner: &str, close: &str, n: usize) -> String {
    format!("{}{inner}{}", open.repeat(n), close.repeat(n))
}

#[test]
fn hostile_texts_are_mistakes() {
    let started = Instant::now();
    let hostile = [
        "!!(".repeat(31),
        nest("[", "1", "]", 200),
        nest("(", "true", ")", 200),
        nest("!(", "true", ")", 200),
        nest("{1:", "1", "}", 200),
        "(".repeat(8000),
        "{".repeat(8000),
        "1+".repeat(4000) + "1 == 1",
        "trigger".to_owned() + &".a".repeat(4000),
        "trigger.a[".repeat(800),
        "true ? ".repeat(1000),
        "[].map(x, ".repeat(700),
        "\\".repeat(8000),
        "'".repeat(7999),
        "x".repeat(CRITERIA_BYTES_MAX + 1),
        "true || ".repeat(100_000) + "true",
        "-".repeat(8000),
        "x".repeat(8000),
        "x".repeat(8000) + "()",
        "?".repeat(8000),
        "trigger.?".repeat(800),
        r"trigger.a.matches('(((a{100}){100}){100}){100}')".to_owned(),
        r"trigger.a.matches('\\w{1000}\\pL{1000}')".to_owned(),
        format!("trigger.a.matches('{}')", "(".repeat(5000)),
        format!("cel.block([{}1], 1)", "1,".repeat(3000)),
    ];
    for source in hostile {
        let short: String = source.chars().take(40).collect();
        let Err(found) = outcome(&source) else { panic!("{short} compiles") };
        assert!(!found.is_empty() && found.len() <= 5, "{short}: {found:?}");
        assert!(found.iter().all(|m| m.message.len() < 400), "{short}: {found:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
}

#[test]
fn what_is_deep_but_allowed_compiles_on_a_small_stack() {
    let allowed = [
        "!".repeat(8000) + "trigger.ok",
        "-".repeat(8000) + "1 == 1",
        "1+".repeat(CRITERIA_DEPTH_MAX - 5) + "trigger.a > 1",
        nest("!(", "trigger.ok", ")", CRITERIA_NESTING_MAX),
        nest("[1].all(x, ", "trigger.ok", ")", 30),
        nest("[", "trigger.ok", "]", CRITERIA_NESTING_MAX),
        nest("{1: ", "trigger.ok", "}", CRITERIA_NESTING_MAX),
        nest("cel.bind(x, 1, ", "trigger.ok", ")", CRITERIA_NESTING_MAX),
        "trigger.ok".to_owned() + &" && trigger.ok".repeat(500),
        "trigger.ok".to_owned() + &" || trigger.ok".repeat(500),
        "trigger".to_owned() + &".a".repeat(CRITERIA_DEPTH_MAX - 5),
        format!("cel.block([{}1], trigger.ok)", "1,".repeat(30)),
        format!("trigger.a in [{}1]", "1,".repeat(4000)),
    ];
    for source in allowed {
        let short: String = source.chars().take(40).collect();
        assert!(outcome(&source).is_ok(), "{short}: {:?}", outcome(&source));
    }
}

/// Whatever the bytes, compiling ends with an expression or with mistakes inside of the text.
#[test]
fn random_text_compiles_or_has_mistakes() {
    const PIECES: [&str; 34] = [
        "trigger", ".", "a", "(", ")", "[", "]", "{", "}", "'", "\"", "\\", "é", "\n", " ", "&&", "||", "!", "-", "1",
        ".5", "?", ":", ",", "in", "has", "r\"", "\u{0}", "`", "//", "cel", "bind", "map", "x",
    ];
    let mut random = 7_u64;
    let mut below = |n: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % n
    };
    let texts: Vec<String> =
        (0..3000).map(|i| (0..1 + i % 40).map(|_| PIECES[below(PIECES.len())]).collect::<String>()).collect();
    let mut compiled = 0;
    on_parser_thread(|| {
        for text in &texts {
            let found = parse(text).and_then(|p| p.compile(NAMES, &mut Paths::new(), None));
            compiled += u32::from(found.is_ok());
            if let Err(found) = found {
                assert!(!found.is_empty() && found.iter().all(|m| !m.message.is_empty()), "{text:?}");
                assert!(found.iter().all(|m| m.offset <= text.chars().count()), "{text:?}: {found:?}");
            }
        }
    });
    assert!(compiled > 0);
}
