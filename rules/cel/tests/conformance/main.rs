//! The CEL specification's own tests (`@bufbuild/cel-spec`; `cargo xtask deps --cel-spec` brings them).
//!
//! `inapplicable.txt` names the tests about Protocol Buffers messages and enums, as `tests.mjs` in
//! deploy/dev/cel-spec lists them. `skipped.txt` names, with a reason, every other test that does not pass.

mod json;
mod report;
mod run;
mod suite;

use std::io::Write;
use std::path::Path;

use petrel_cel::compile::{parse, parse_quickly};
use report::Report;
use run::Parser;
use suite::Suite;

/// How much of what applies has to pass.
const PASSED_PERCENT_MIN: usize = 98;

/// Of either parser: what it makes of the specification's expressions is not different.
fn report(suite: &Suite, parser: Parser) -> Report {
    Report::new(suite, &run::run(suite, parser))
}

#[test]
fn the_specification_s_tests_pass() {
    let suite = Suite::load().unwrap();
    let report = report(&suite, parse);
    // Past the capture: these numbers are to be seen when all is well, too.
    std::io::stderr().write_all(report.table().as_bytes()).unwrap();
    let problems = report.problems();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    let (passed, applicable) = report.passed_of_applicable();
    assert!(passed * 100 >= applicable * PASSED_PERCENT_MIN, "only {passed} of {applicable} pass");
}

#[test]
fn the_numbers_of_either_parser_are_those_of_the_rules_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RULES.md");
    let page = std::fs::read_to_string(page).unwrap();
    let suite = Suite::load().unwrap();
    let table = report(&suite, parse_quickly).table();
    // The first two lines are the heading.
    let rows =
        table.lines().skip(2).map(|line| format!("| {} |", line.split_whitespace().collect::<Vec<_>>().join(" | ")));
    let missing: Vec<_> = rows.filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "docs/RULES.md lacks {missing:#?}");
}

#[test]
fn the_committed_list_of_inapplicable_tests_is_what_the_script_finds() {
    let suite = Suite::load().unwrap();
    let found: Vec<&str> = suite.found_inapplicable.lines().collect();
    let committed: Vec<&str> = suite::INAPPLICABLE.lines().collect();
    let missing: Vec<_> = found.iter().filter(|line| !committed.contains(line)).collect();
    let stale: Vec<_> = committed.iter().filter(|line| !found.contains(line)).collect();
    assert!(missing.is_empty() && stale.is_empty(), "inapplicable.txt lacks {missing:#?} and must not have {stale:#?}");
    assert!(committed == found, "inapplicable.txt is in another order, or has a line twice");
}
