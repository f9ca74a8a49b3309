//! Counts per file, and what is wrong.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;

use crate::suite::Suite;

/// What became of a file's tests.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    passed: usize,
    skipped: usize,
    failed: usize,
    inapplicable: usize,
}

/// What became of all tests.
pub(crate) struct Report {
    files: BTreeMap<String, Counts>,
    problems: Vec<String>,
}

impl Report {
    /// Counts outcomes, which are in the order of the suite's tests.
    pub(crate) fn new(suite: &Suite, outcomes: &[Option<Result<()>>]) -> Report {
        let mut report = Report { files: BTreeMap::new(), problems: Vec::new() };
        for (case, outcome) in suite.cases.iter().zip(outcomes) {
            let counts = report.files.entry(case.file.clone()).or_default();
            let skipped = suite.skipped.get(case.id.as_str());
            match (outcome, skipped) {
                (None, None) => counts.inapplicable += 1,
                (None, Some(_)) => report.problems.push(format!("{}: skipped, but does not apply", case.id)),
                (Some(Ok(())), None) => counts.passed += 1,
                (Some(Ok(())), Some(_)) => report.problems.push(format!("{}: skipped, but passes", case.id)),
                (Some(Err(_)), Some(_)) => counts.skipped += 1,
                (Some(Err(error)), None) => {
                    counts.failed += 1;
                    report.problems.push(format!("{}: {error}\n    {}", case.id, case.expr.replace('\n', " ")));
                }
            }
        }
        for (id, reason) in &suite.skipped {
            if reason.is_empty() || !suite.cases.iter().any(|case| case.id == *id) {
                report.problems.push(format!("skipped.txt: `{id}` is no test's name, or has no reason"));
            }
        }
        report
    }

    /// One line per file, and the sum.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("\nCEL conformance   passed  skipped  failed  inapplicable\n");
        let lines = self.files.iter().map(|(file, counts)| (file.as_str(), *counts));
        for (file, Counts { passed, skipped, failed, inapplicable }) in lines.chain([("all", self.sum())]) {
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{file:<16} {passed:>7} {skipped:>8} {failed:>7} {inapplicable:>13}");
        }
        table
    }

    /// Tests that fail without being skipped, and lists that do not fit.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How many tests pass, and how many apply.
    pub(crate) fn passed_of_applicable(&self) -> (usize, usize) {
        let sum = self.sum();
        (sum.passed, sum.passed + sum.skipped + sum.failed)
    }

    fn sum(&self) -> Counts {
        self.files.values().fold(Counts::default(), |sum, one| Counts {
            passed: sum.passed + one.passed,
            skipped: sum.skipped + one.skipped,
            failed: sum.failed + one.failed,
            inapplicable: sum.inapplicable + one.inapplicable,
        })
    }
}
