//! Edges and refusals of functions. What is more instructive stands in docs/RULES.md, which has a test of its own.

use petrel_cel::compile::{Names, on_parser_thread, parse};
use petrel_cel::{Arena, Cx, Paths, equal};

const VECTORS: &str = include_str!("vectors.txt");

/// What an expression comes to: whether it equals another one, or the code of its fault.
fn outcome(expression: &str, expected: &str) -> Result<(), String> {
    let arena = Arena::new();
    let mut paths = Paths::new();
    let names = Names { event: None, vars: &[] };
    let mut compile = |text: &str| {
        let parsed = on_parser_thread(|| parse(text)).map_err(|m| format!("{m:?}"))?;
        parsed.compile(names, &mut paths, None).map(|compiled| compiled.expr).map_err(|m| format!("{m:?}"))
    };
    let expr = compile(expression)?;
    if let Some(code) = expected.strip_prefix("error ") {
        return match Cx::new(&arena, &paths, &[], &[]).eval(&expr) {
            Err(fault) if fault.code() == code => Ok(()),
            other => Err(format!("{other:?}")),
        };
    }
    let expected = compile(expected)?;
    let found = Cx::new(&arena, &paths, &[], &[]).eval(&expr).map_err(|fault| fault.to_string())?;
    let expected = Cx::new(&arena, &paths, &[], &[]).eval(&expected).map_err(|fault| fault.to_string())?;
    let same = equal(&found, &expected) && found.type_of() == expected.type_of();
    if same { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
}

/// Lines that are no headings and no comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn check<'t>(cases: impl Iterator<Item = &'t str>) {
    let mut wrong = Vec::new();
    for case in cases {
        let (expression, expected) = case.split_once(" => ").unwrap_or_else(|| panic!("no result: {case}"));
        if let Err(found) = outcome(expression.trim(), expected.trim()) {
            wrong.push(format!("{case}: {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn edges_and_refusals() {
    check(lines(VECTORS));
}
