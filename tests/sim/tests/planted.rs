//! Mistakes that are built in on purpose are found: the checkers see what they claim to see.

use petrel_sim_tests::run::Planted;
use petrel_sim_tests::{Options, run};

/// Seeds within which each must be found.
const SEEDS: u64 = 1_000;

/// The first seed that finds it, and what it says.
fn found(planted: Planted) -> (u64, Vec<String>) {
    let options = Options { planted: Some(planted), ..Options::default() };
    for seed in 0..SEEDS {
        let report = run(seed, &options);
        if !report.violations.is_empty() {
            println!("{planted:?} is found by seed {seed}: {}", report.violations[0]);
            return (seed, report.violations);
        }
    }
    panic!("{planted:?} is not found within {SEEDS} seeds");
}

#[test]
fn an_offset_that_is_committed_before_its_outputs() {
    let (seed, violations) = found(Planted::OffsetBeforeOutputs);
    assert!(
        violations.iter().all(|v| v.starts_with("requests: ") || v.starts_with("dead letters: ")),
        "{violations:?}"
    );
    // It is the mistake that is found, not the seed.
    assert!(run(seed, &Options::default()).violations.is_empty());
}
