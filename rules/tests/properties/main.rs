//! What must hold of the rule engine for every rule and every event, tried on generated ones.
//!
//! Reading order: `rng`, `node`, `words` and `rules` (random rules), `events` (random events), `constructs` (which
//! parts of the language are tried where, and why not all of them), `engines` (the ways to an answer that
//! are compared), `shrink` (small failures), then the properties: `indexed` (against every program run),
//! `evaluator` (programs against the plain evaluator), `reference` (against the crate `cel`), `updates`.
//!
//! Every run tries the same cases unless `PETREL_RULES_SEED` says otherwise. `PETREL_RULES_COMPARISONS` says
//! how many answers each property compares; `cargo xtask test --full` compares a million.

#![allow(clippy::print_stdout, reason = "a run tells how much it tried")]

mod constructs;
mod engines;
mod evaluator;
mod events;
mod indexed;
mod node;
mod reference;
mod rng;
mod rules;
mod shrink;
mod updates;
mod words;

/// A number from the environment.
fn number_from_env(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")),
        Err(_) => default,
    }
}

/// How many answers a property compares.
fn comparisons() -> u64 {
    number_from_env("PETREL_RULES_COMPARISONS", 60_000)
}

/// What decides which cases are tried.
fn seed() -> u64 {
    number_from_env("PETREL_RULES_SEED", 1)
}
