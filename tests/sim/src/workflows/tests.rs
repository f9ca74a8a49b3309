//! Random workflows are what they are made for: they can be read, they end, and what ends first changes nothing.

use std::collections::BTreeSet;

use petrel_execution::Status;

use super::uninterrupted::{Call, Came, Host, Real};
use super::*;
use crate::pack::{plan_of, revisions};
use crate::rng::Rng;

/// Random workflows that are looked at: of as many seeds, so many each.
const SEEDS: u64 = 150;
const OF_SEED: u32 = 2;

/// Nothing interferes.
struct Nothing;

impl Real for Nothing {
    fn child(&self, _: &str, _: &str, _: usize) -> Option<&str> {
        None
    }

    fn ended_by_faults(&self, _: &str) -> Option<Status> {
        None
    }

    /// Each that may runs again once.
    fn reruns(&self, _: Option<&str>) -> usize {
        1
    }
}

fn run(action: &str, next: &mut dyn FnMut(usize) -> usize) -> Came {
    let compiled = &revisions()[0].compiled;
    let resolve = |action: &str| plan_of(compiled, action);
    let mut host = Host { resolve: &resolve, real: &Nothing, next };
    host.run(action, r#"{"n": 3}"#, None, 0).unwrap_or_else(|why| panic!("{why}\n{:?}", made(action)))
}

fn all() -> impl Iterator<Item = String> {
    let random = (0..SEEDS).flat_map(|seed| (0..OF_SEED).map(move |number| reference(seed, number)));
    fixed::NAMES.into_iter().map(str::to_owned).chain(random)
}

fn sorted(came: &Came) -> Vec<Call> {
    let mut calls = came.calls.clone();
    calls.sort();
    calls
}

fn same(one: &Came, other: &Came) {
    let text = || made(&one.action).map(|made| made.text).unwrap_or_default();
    assert_eq!(one.status, other.status, "{}\n{}", one.action, text());
    if is_exact(&one.action) {
        assert_eq!((&one.output, &one.calls), (&other.output, &other.calls), "{}\n{}", one.action, text());
    } else if one.status == Status::Succeeded {
        assert_eq!(one.output, other.output, "{}\n{}", one.action, text());
        // Which items have run when one fails depends on which of those that run beside each other ends first.
        if calls_vary(&one.action).is_empty() {
            assert_eq!(sorted(one), sorted(other), "{}\n{}", one.action, text());
        }
    }
}

#[test]
fn what_ends_first_changes_nothing() {
    for action in all() {
        let first = run(&action, &mut |_| 0);
        let last = run(&action, &mut |count| count - 1);
        same(&first, &last);
        for seed in 0..3 {
            let mut rng = Rng::new(seed);
            same(&first, &run(&action, &mut |count| rng.below(count)));
        }
    }
}

#[test]
fn workflows_succeed_or_fail_as_they_are_made() {
    let (mut succeeded, mut tasks) = (0, BTreeSet::new());
    for action in all() {
        let came = run(&action, &mut |_| 0);
        let fails = made(&action).map_or(action == fixed::ROLLOUT, |made| made.fails);
        assert_eq!(
            came.status,
            if fails { Status::Failed } else { Status::Succeeded },
            "{action}: {:?}",
            made(&action)
        );
        succeeded += usize::from(!fails);
        tasks.extend(came.calls.into_iter().map(|call| call.action));
        if !fails && !fixed::NAMES.contains(&action.as_str()) {
            assert!(came.output["out"].is_i64(), "{action}: {} {:?}", came.output, made(&action));
        }
    }
    let count = usize::try_from(SEEDS).unwrap_or(0) * OF_SEED as usize;
    assert!(succeeded > count / 2 && succeeded < count, "{succeeded} of {count} succeed");
    for action in outcome::STEPS.into_iter().chain([outcome::SAY, people::ASK, fixed::COUNT]) {
        assert!(tasks.contains(action), "{action} is never called");
    }
}

#[test]
fn the_cycle_and_the_patrol_come_to_what_their_texts_say() {
    assert_eq!(run(fixed::COUNT, &mut |_| 0).output, serde_json::json!({ "out": 6 }));
    // Items 4, 5 and 6; then 16, -1 and 6.
    assert_eq!(run(fixed::PATROL, &mut |_| 0).output, serde_json::json!({ "out": 36 }));
    let rollout = run(fixed::ROLLOUT, &mut |_| 0);
    assert_eq!(rollout.output, serde_json::json!({ "out": 4 }));
    let tasks: Vec<&str> = rollout.calls.iter().map(|call| call.task.as_str()).collect();
    assert_eq!(tasks.len(), 1 + 4 + 1 + 1 + 4 + 1 + 1, "{tasks:?}");
}
