//! Every function has an example, and every example is true. `examples.txt` is also what the reference of the
//! language shows; `vectors.txt` has what is less instructive: edges and refusals.

use std::collections::BTreeSet;

use petrel_cel::compile::{Names, on_parser_thread, parse};
use petrel_cel::{Arena, Cx, Paths, equal, functions};

const EXAMPLES: &str = include_str!("examples.txt");
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

/// An example's function, what it does, and the case.
fn parts(line: &str) -> [&str; 3] {
    let parts: Vec<&str> = line.splitn(3, " | ").map(str::trim).collect();
    parts.try_into().unwrap_or_else(|_| panic!("not `name | what it does | example => result`: {line}"))
}

#[test]
fn every_function_has_an_example() {
    let shown: BTreeSet<&str> = lines(EXAMPLES).map(|line| parts(line)[0]).collect();
    let known: BTreeSet<&str> = functions().map(|function| function.name).collect();
    assert_eq!(shown, known);
    for line in lines(EXAMPLES) {
        let [name, text, example] = parts(line);
        assert!(example.contains(name), "the example does not call it: {line}");
        assert!(!text.is_empty() && !text.ends_with('.'), "{line}");
    }
}

#[test]
fn the_examples_are_true() {
    check(lines(EXAMPLES).map(|line| parts(line)[2]));
}

#[test]
fn edges_and_refusals() {
    check(lines(VECTORS));
}
