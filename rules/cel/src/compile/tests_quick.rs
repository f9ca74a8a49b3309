//! Both parsers say the same.

use super::render::{NAMES, render};
use super::{Compiled, Mistake, Parsed, on_parser_thread, parse, parse_quickly, quick};
use crate::paths::Paths;

type Parser = fn(&str) -> Result<Parsed, Vec<Mistake>>;

/// What comes of a text, with everything that is told of it and where.
fn outcome(parser: Parser, source: &str) -> String {
    let mut paths = Paths::new();
    match parser(source).and_then(|parsed| parsed.compile(NAMES, &mut paths, None)) {
        Ok(Compiled { expr, warnings, never_bool }) => {
            format!("{} {warnings:?} {never_bool:?} {:?}", render(&expr, &paths), paths.iter().collect::<Vec<_>>())
        }
        Err(mistakes) => format!("{mistakes:?}"),
    }
}

#[test]
fn quick_or_not_the_outcome_is_the_same() {
    let sources = [
        "trigger.host == 'a' && trigger.count >= -9223372036854775808 || !(trigger.`a-b` in [1u, 2.5e3, b'x'])",
        "a == 1",
        "1 + 'a'",
        "trigger.n",
        "'never' == trigger.x + 1 ? 1 : 2",
        "has(trigger.a.b) && !has(trigger.`c d`) && has(has(trigger.a).b)",
        "has(trigger)",
        "has(trigger.?a.b)",
        "has(trigger.a[0].b)",
        "(has(trigger.a)).b",
        "trigger.l.all(x, has(x.y) && x.y.exists(z, z == trigger.q))",
        "trigger.l.map(x, x > 1, x + 1) == [trigger.?a.orValue(3)]",
        "trigger.?a.optMap(x, x + 1).hasValue()",
        "cel.bind(x, trigger.a, x + x > 1)",
        "{'a': trigger.b, ?'c': trigger.?d}.a",
        "[?trigger.?a, 1, -1, - 1, 1 - 1, 1 -1]",
        "trigger.a - -1 == 0x1F - -0x1f",
        "-trigger.a == -1 && !!trigger.b && --1 == 1",
        r#"r'\d' == "\u00e9\n\x41\101\"" + '''a'b''' + """c"d""""#,
        "trigger.a ? trigger.b ? 1 : 2 : 3",
        "a.b.c",
        ".trigger.a == x.y.z",
        "trigger.a.matches('(')",
        "trigger.in",
        "trigger.if == 1",
        "if == 1",
        "while",
        "trigger.a == 18446744073709551616",
        "trigger.a == 9223372036854775808",
        "trigger.a == 1e999",
        "TestAllTypes{a: 1}.a == 1",
        "trigger.a[",
        "trigger.a ==",
        "'open",
        "1 = 2",
        "trigger.a @ 1",
        "trigger.a == 1 // comment",
        "// comment",
        "\u{feff}trigger.a",
        "trigger.\u{e9} == 1",
        "trigger.a in {}",
        "a && b || c && !d == e",
    ];
    let mut quicker = 0;
    on_parser_thread(|| {
        for source in sources {
            assert_eq!(outcome(parse_quickly, source), outcome(parse, source), "{source}");
            quicker += usize::from(quick::parse(source).is_some());
        }
    });
    assert!(quicker > sources.len() / 3, "{quicker} were parsed quickly");
}

#[test]
fn macros_are_left_to_the_other_parser() {
    on_parser_thread(|| {
        assert!(quick::parse("has(trigger.a) && trigger.b in [1]").is_some());
        for source in ["[1].all(x, x > 0)", "has(trigger.l.filter(x, x.y)[0].z)", "(", ""] {
            assert!(quick::parse(source).is_none(), "{source}");
        }
    });
}
