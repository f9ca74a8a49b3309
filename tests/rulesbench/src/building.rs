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
/// For the environment of a process whose memory is counted. The allocator never gives back the end of the
/// arena of a thread that has ended, such as a parsing one: with it, what was freed would count as held.
pub(crate) const ONE_ARENA: (&str, &str) = ("MALLOC_ARENA_MAX", "1");
/// Rules that are added, each to the same set.
const ADDED: usize = 21;

/// The criteria of a set, ready to be parsed.
struct Sources {
    texts: Vec<String>,
    schema: TriggerSchema,
}

impl Sources {
    fn of(data: &Data, cell: Cell) -> Result<Self> {
        let fields = cell.corpus.fields();
        let texts = data.rules(cell)?.iter().map(|rule| render::cel(rule, fields)).collect();
        Ok(Self { texts, schema: TriggerSchema::compile(&json!({"type": "object"})) })
    }

    fn iter(&self) -> impl Iterator<Item = RuleSource> {
        let source = |(id, text): (usize, &String)| RuleSource {
            rule: format!("bench.rule_{id}").into(),
            criteria: Some(text.clone()),
        };
        self.texts.iter().enumerate().map(source)
    }

    fn build(&self, parsed: ParsedRules) -> Result<RuleSet> {
        RuleSet::build(&self.schema, parsed).map_err(|errors| anyhow!("{:?}", errors.first()))
    }
}

/// How long one set takes to make and to change.
pub(crate) fn measure(data: &Data, cell: Cell) -> Result<Value> {
    let sources = Sources::of(data, cell)?;
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut set: Option<RuleSet> = None;
    for _ in 0..TIMES {
        drop(set.take());
        let started = Instant::now();
        let parsed = ParsedRules::parse(sources.iter());
        best.0 = best.0.min(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let built = sources.build(parsed)?;
        best.1 = best.1.min(started.elapsed().as_secs_f64());
        set = Some(built);
    }
    let set = set.context("no set was built")?;
    let mut added_ms = Vec::new();
    for source in sources.iter().take(ADDED) {
        let started = Instant::now();
        let updated = set.update(&[], [source]).map_err(|errors| anyhow!("{:?}", errors.first()))?;
        added_ms.push(started.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(updated.len() == set.len() + 1, "the rule was not added");
    }
    added_ms.sort_by(f64::total_cmp);
    Ok(json!({
        "cell": cell.to_string(),
        "rules": sources.texts.len(),
        "parse_s": best.0,
        "build_s": best.1,
        "add_ms": added_ms[ADDED / 2],
        "add_ms_max": added_ms[ADDED - 1],
    }))
}

/// What one set holds in memory, in a process that has done nothing else; see [`ONE_ARENA`].
pub(crate) fn resident(data: &Data, cell: Cell) -> Result<Value> {
    let sources = Sources::of(data, cell)?;
    let before = resident_bytes()?;
    let set = sources.build(ParsedRules::parse(sources.iter()))?;
    let bytes = resident_bytes()?.saturating_sub(before);
    let (rules, stats) = (set.len() as f64, set.stats());
    Ok(json!({
        "bytes_per_rule": bytes as f64 / rules,
        "index_bytes_per_rule": stats.index_bytes as f64 / rules,
        "program_bytes_per_rule": stats.program_bytes as f64 / rules,
        "always": stats.always,
    }))
}
