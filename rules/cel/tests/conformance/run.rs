//! Compiles and evaluates the tests.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, bail, ensure};
use petrel_cel::compile::{Mistake, Names, Parsed, on_parser_thread};
use petrel_cel::{Arena, Cx, OwnedValue, Paths, Value};

use crate::json;
use crate::suite::{Case, Expected, Suite};

/// One of the two parsers.
pub(crate) type Parser = fn(&str) -> Result<Parsed, Vec<Mistake>>;

/// The outcome of every test that applies, in order: passed, or why not.
pub(crate) fn run(suite: &Suite, parser: Parser) -> Vec<Option<Result<()>>> {
    let parsed: Vec<Result<Parsed, Vec<Mistake>>> =
        on_parser_thread(|| suite.cases.iter().map(|case| parser(&case.expr)).collect());
    let outcome = |(case, parsed): (&Case, &Result<Parsed, Vec<Mistake>>)| {
        let run = || run_case(case, parsed.as_ref());
        case.applies.then(|| catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| bail!("panicked")))
    };
    suite.cases.iter().zip(&parsed).map(outcome).collect()
}

fn run_case(case: &Case, parsed: Result<&Parsed, &Vec<Mistake>>) -> Result<()> {
    let bindings = bindings(case)?;
    let vars: Vec<&str> = bindings.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<Value<'_>> = bindings.iter().map(|(_, value)| value.value()).collect();
    let mut paths = Paths::new();
    let names = Names { event: None, vars: &vars };
    let compiled = match parsed {
        Err(mistakes) => return judge_mistakes(case, mistakes),
        Ok(parsed) if case.unchecked => parsed.compile_unchecked(names, &mut paths),
        Ok(parsed) => parsed.compile(names, &mut paths, None),
    };
    let compiled = match compiled {
        Err(mistakes) => return judge_mistakes(case, &mistakes),
        Ok(compiled) => compiled,
    };
    let arena = Arena::new();
    let found = Cx::new(&arena, &paths, &[], &values).eval(&compiled.expr);
    match (&case.expected, found) {
        (Expected::CheckOnly, _) => bail!("asks for a static type"),
        (Expected::Value(expected), Ok(found)) => {
            ensure!(json::is(found, expected)?, "expected {expected}, found {found:?}");
            Ok(())
        }
        (Expected::Value(expected), Err(fault)) => bail!("expected {expected}, found the error: {fault}"),
        (Expected::Error(_), Err(_)) => Ok(()),
        (Expected::Error(expected), Ok(found)) => bail!("expected the error `{expected}`, found {found:?}"),
    }
}

/// An expression that is refused when it is compiled has no value either.
fn judge_mistakes(case: &Case, mistakes: &[Mistake]) -> Result<()> {
    let messages = mistakes.iter().map(|mistake| mistake.message.as_str()).collect::<Vec<_>>().join("; ");
    match &case.expected {
        Expected::Error(_) => Ok(()),
        Expected::CheckOnly => bail!("asks for a static type; refused: {messages}"),
        Expected::Value(expected) => bail!("expected {expected}, refused: {messages}"),
    }
}

/// The variables. What is in the test's container is found by its short name too, and before others of
/// that name.
fn bindings(case: &Case) -> Result<Vec<(String, OwnedValue)>> {
    let mut bindings = Vec::new();
    for (name, json) in &case.bindings {
        bindings.push((name.clone(), json::to_value(json)?));
    }
    let Some(container) = &case.container else { return Ok(bindings) };
    let prefix = format!("{container}.");
    let contained = bindings.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?, value)));
    let contained: Vec<(String, OwnedValue)> =
        contained.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    bindings.retain(|(name, _)| contained.iter().all(|(short, _)| short != name));
    bindings.extend(contained);
    Ok(bindings)
}
