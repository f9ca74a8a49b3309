//! Plays seeds and mutations of them against a target, within a count or a time.
#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::mutate::mutate;
use crate::rng::Rng;

/// Inputs that each target gets without a time.
const INPUTS: u64 = 2_000;
/// Longest input, in bytes.
const INPUT_BYTES_MAX: usize = 4_096;
/// Inputs that are kept because they made a target answer in a new way.
const KEPT_MAX: usize = 5_000;
/// Attempts to make a failing input smaller.
const SHORTER_TRIES_MAX: usize = 5_000;

/// Something to fuzz.
pub struct Target {
    pub name: &'static str,
    /// One seed a line.
    pub seeds: &'static str,
    /// What mutations put in.
    pub words: &'static [&'static str],
    /// Panics where something is wrong; otherwise says in what way it answered.
    pub run: fn(&[u8]) -> String,
}

impl Target {
    /// How it answered, without what differs from input to input; nothing if it panicked.
    fn answer(&self, input: &[u8]) -> Option<u64> {
        let answer = catch_unwind(AssertUnwindSafe(|| (self.run)(input))).ok()?;
        let kind: String = answer.chars().filter(|c| !c.is_ascii_digit()).collect();
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        Some(hasher.finish())
    }
}

/// Runs a target; panics with the shortest input found that fails.
pub fn drive(target: &Target) {
    let seconds = number_from_env("PETREL_FUZZ_SECONDS");
    let seed = number_from_env("PETREL_FUZZ_SEED").unwrap_or(1);
    let (rng, started) = (&mut Rng::new(seed), Instant::now());
    let mut pool: Vec<Vec<u8>> = target.seeds.lines().map(|line| line.as_bytes().to_vec()).collect();
    let mut seen = HashSet::new();
    for input in &pool {
        seen.insert(try_input(target, seed, input));
    }
    let mut inputs = pool.len() as u64;
    let goes_on = |inputs: u64| match seconds {
        Some(seconds) => started.elapsed() < Duration::from_secs(seconds),
        None => inputs < INPUTS,
    };
    while goes_on(inputs) {
        let mut input = rng.pick(&pool).clone();
        let other = rng.pick(&pool).clone();
        for _ in 0..=rng.below(6) {
            mutate(&mut input, &other, target.words, rng);
        }
        input.truncate(INPUT_BYTES_MAX);
        if seen.insert(try_input(target, seed, &input)) && pool.len() < KEPT_MAX {
            pool.push(input);
        }
        inputs += 1;
    }
    println!("{}: {inputs} inputs, {} ways to answer, {:?}", target.name, seen.len(), started.elapsed());
}

fn try_input(target: &Target, seed: u64, input: &[u8]) -> u64 {
    // What ends the process, as an overflowing stack does, leaves its input behind.
    let last = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{}.last", target.name));
    fs::write(&last, input).unwrap();
    target.answer(input).unwrap_or_else(|| {
        let shortest = shortened(target, input.to_vec());
        panic!("{} fails (PETREL_FUZZ_SEED={seed}) on:\n{}", target.name, shortest.escape_ascii())
    })
}

/// Leaves out pieces as long as it still fails, without a message for each attempt.
fn shortened(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tries = 0;
    let mut piece = input.len() / 2;
    while piece > 0 && tries < SHORTER_TRIES_MAX {
        let mut at = 0;
        while at + piece <= input.len() {
            let shorter = [&input[..at], &input[at + piece..]].concat();
            tries += 1;
            if target.answer(&shorter).is_none() {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    std::panic::set_hook(hook);
    input
}

fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}
