//! One criterion, from an event that has been read: what deciding alone costs, with everything around it
//! prepared.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::corpus;
use crate::engines::prepared;
use crate::rule::{Literal, Rule, Test};
use crate::schema::{Corpus, ops};
use crate::truth;

/// Events that are decided in turn: few enough to stay in the cache, enough that branches vary.
const EVENTS: usize = 64;
const ROUND_NS: u128 = 100_000_000;

/// Decides all prepared events once; the number of matches.
pub(crate) type Decide<'a> = &'a mut dyn FnMut() -> Result<usize>;

/// Measures the typical criteria: an object for each criterion and engine.
pub(crate) fn measure(rounds: usize) -> Result<Vec<Value>> {
    let lines = corpus::lines(Corpus::Ops, EVENTS);
    let events: Vec<&[u8]> = lines.lines().map(str::as_bytes).collect();
    let mut results = Vec::new();
    for rule in criteria() {
        let mut expected = 0;
        for line in lines.lines() {
            expected += usize::from(truth::matches(&rule, Corpus::Ops.fields(), &serde_json::from_str(line)?));
        }
        let text = crate::render::cel(&rule, Corpus::Ops.fields());
        prepared::with_all(&rule, &events, &mut |engines| {
            for (name, decide) in &mut *engines {
                let matches = decide()?;
                ensure!(matches == expected, "{name}: {matches} matches of {text} instead of {expected}");
            }
            let mut taken: Vec<Vec<f64>> = engines.iter().map(|_| Vec::new()).collect();
            for _ in 0..rounds {
                for ((_, decide), taken) in engines.iter_mut().zip(&mut taken) {
                    taken.push(round(*decide)?);
                }
            }
            for ((name, _), mut taken) in engines.iter().zip(taken) {
                taken.sort_by(f64::total_cmp);
                let (median, min, max) = (taken[taken.len() / 2], taken[0], taken[taken.len() - 1]);
                let object = json!({"criterion": text, "engine": name, "ns": median, "ns_min": min, "ns_max": max});
                results.push(object);
            }
            Ok(())
        })?;
    }
    Ok(results)
}

/// Nanoseconds of one decision.
fn round(decide: Decide<'_>) -> Result<f64> {
    let started = Instant::now();
    let mut passes = 0;
    while started.elapsed().as_nanos() < ROUND_NS {
        for _ in 0..16 {
            black_box(decide()?);
        }
        passes += 16;
    }
    Ok(started.elapsed().as_nanos() as f64 / (passes * EVENTS) as f64)
}

/// An exact value; a conjunction of three; a disjunction over a number, a label and a prefix.
fn criteria() -> [Rule; 3] {
    let text = |field, value: &str| Literal::new(field, Test::Eq(value.to_owned()));
    let range = |field, from| Literal::new(field, Test::Range { from: Some(from), below: None });
    let severities = vec!["error".to_owned(), "critical".to_owned(), "fatal".to_owned()];
    [
        Rule { any: vec![vec![text(ops::SEVERITY, "critical")]] },
        Rule {
            any: vec![vec![
                Literal::new(ops::SEVERITY, Test::In(severities)),
                range(ops::CPU, 90.0),
                text(ops::ENV, "prod"),
            ]],
        },
        Rule {
            any: vec![
                vec![range(ops::COUNT, 50.0)],
                vec![text(ops::DC, "eu1"), Literal::new(ops::CLUSTER, Test::Has(true))],
            ],
        },
    ]
}
