//! Mistakes that are built in on purpose are found: the checkers see what they claim to see.
#![allow(clippy::print_stdout, reason = "a test tells what it has met")]

use petrel_sim_tests::planted::Planted;
use petrel_sim_tests::{Options, run};

/// Seeds within which each must be found.
const SEEDS: u64 = 1_000;

/// It is found by the checkers that are there for it, and it is the mistake that they find, not the seed.
fn check(planted: Planted, by: &[&str]) {
    let options = Options { planted: Some(planted), ..Options::default() };
    let is_expected = |violation: &&String| by.iter().any(|name| violation.starts_with(name));
    for seed in 0..SEEDS {
        let report = run(seed, &options);
        if let Some(first) = report.violations.iter().find(is_expected) {
            println!("{planted:?} is found by seed {seed}: {first}");
            assert_eq!(run(seed, &Options::default()).violations, Vec::<String>::new());
            return;
        }
    }
    panic!("{planted:?} is not found within {SEEDS} seeds");
}

#[test]
fn an_offset_that_is_committed_before_its_outputs() {
    check(Planted::OffsetBeforeOutputs, &["requests: "]);
}

#[test]
fn a_stale_result_that_is_accepted() {
    check(Planted::StaleResult, &["fencing: "]);
}

#[test]
fn a_gate_that_forgets_who_has_passed() {
    check(Planted::ForgottenPermits, &["gates: "]);
}

#[test]
fn a_gate_that_does_not_hear_what_comes_back() {
    check(Planted::LostRelease, &["executions: ", "gates: "]);
}

#[test]
fn a_duplicate_request_that_is_accepted() {
    check(Planted::DuplicateRequest, &["executions: "]);
}

#[test]
fn a_worker_that_does_not_hear_what_is_switched_off() {
    check(Planted::SwitchesUnheard, &["switches: "]);
}

#[test]
fn an_owner_that_keeps_its_workflows_over_an_aborted_transaction() {
    check(Planted::KeptConductors, &["workflows: "]);
}

#[test]
fn a_workflow_that_is_told_twice_of_the_end_of_a_child() {
    check(Planted::ToldTwice, &["workflows: "]);
}

#[test]
fn a_workflow_of_which_a_piece_is_lost() {
    check(Planted::LostPiece, &["workflows: "]);
}

#[test]
fn a_workflow_whose_pieces_are_not_forgotten() {
    check(Planted::ForgottenWithoutPieces, &["workflows: "]);
}
