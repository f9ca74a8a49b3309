//! What rule sets cost to make and to hold: parsing and building apart, one rule added to a live set,
//! resident memory.

use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use petrel_rules::{ParsedRules, RuleSet, RuleSource, TriggerSchema};
use serde_json::{Value, json};

use crate::cell::Cell;
use crate::data::Data;
use crate::memory::resident_bytes;
use crate::render;

/// Sets whose making is measured: rules of one or two literals, of three, and mixed ones.
pub(crate) const CELLS: [&str; 6] = [
    "city-eq-m1-100000",
    "ops-eq-m1-100000",
    "city-and3-100000",
    "ops-and3-100000",
    "city-core-m1-100000",
    "ops-core-m1-100000",
];
const TIMES: usize = 3;
/// Rules that are added, each to the same set.
const ADDED: usize = 21;

/// Measures one set, in a process that has done nothing else.
pub(crate) fn measure(data: &Data, cell: Cell) -> Result<Value> {
    let fields = cell.corpus.fields();
    let texts: Vec<String> = data.rules(cell)?.iter().map(|rule| render::cel(rule, fields)).collect();
    let schema = TriggerSchema::compile(&json!({"type": "object"}));
    let sources = || {
        let source = |(id, text): (usize, &String)| RuleSource {
            rule: format!("bench.rule_{id}").into(),
            criteria: Some(text.clone()),
        };
        texts.iter().enumerate().map(source)
    };
    let before = resident_bytes()?;
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut set: Option<RuleSet> = None;
    for _ in 0..TIMES {
        drop(set.take());
        let started = Instant::now();
        let parsed = ParsedRules::parse(sources());
        best.0 = best.0.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let built = RuleSet::build(&schema, parsed).map_err(|errors| anyhow!("{:?}", errors.first()))?;
        best.1 = best.1.min(started.elapsed().as_secs_f64());
        set = Some(built);
    }
    let set = set.context("no set was built")?;
    let bytes = resident_bytes()?.saturating_sub(before);
    let stats = set.stats();
    let mut added_ms = Vec::new();
    for source in sources().take(ADDED) {
        let started = Instant::now();
        let updated = set.update(&[], [source]).map_err(|errors| anyhow!("{:?}", errors.first()))?;
        added_ms.push(started.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(updated.len() == set.len() + 1, "the rule was not added");
    }
    added_ms.sort_by(f64::total_cmp);
    Ok(json!({
        "cell": cell.to_string(),
        "rules": texts.len(),
        "parse_s": best.0,
        "build_s": best.1,
        "add_ms": added_ms[ADDED / 2],
        "add_ms_max": added_ms[ADDED - 1],
        "bytes_per_rule": bytes as f64 / texts.len() as f64,
        "index_bytes_per_rule": stats.index_bytes as f64 / texts.len() as f64,
        "program_bytes_per_rule": stats.program_bytes as f64 / texts.len() as f64,
        "always": stats.always,
    }))
}
