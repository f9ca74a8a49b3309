//! What the match stage costs by itself, in memory on one thread: where the time of a step goes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use petrel_bus::{Batch, Context, Facts, OwnedRecord, PartitionState, Record, Stage, Taken};
use petrel_rules::{
    Arena, Extractor, Kv, MatchCounters, MatchOptions, MatchStage, Matcher, ParsedEvent, RuleSet, Verdict,
};
use petrel_schemas::Topics;
use serde_json::{Value, json};

use crate::alerts::{Alerts, ONE_IN, RULES};
use crate::cell::rounded;
use crate::ratio::spread;
use crate::timed::thread_cpu;
use crate::view::View;

/// Events of one pass: more than the caches of a processor hold, as they come from Kafka.
const EVENTS: u64 = 20_000;
const PASSES: usize = 15;
/// Events that are parsed before the first of them is checked.
const BLOCK: usize = 64;
const TOPIC: &str = "alerts";

/// Microseconds per event, medians over the passes.
#[derive(Debug)]
pub(crate) struct Alone {
    parse: f64,
    check: f64,
    criteria: f64,
    step: f64,
}

/// Runs the parts of a step, then whole steps, on the same events.
pub(crate) fn measure() -> Result<Alone> {
    let (set, kv) = View::rule_set(RULES)?;
    let records = records();
    let payloads: Vec<&[u8]> = records.iter().filter_map(|r| r.value.as_deref()).collect();
    let mut matcher = Matcher::new();
    let passes: Vec<[f64; 3]> =
        (0..PASSES).map(|_| parts(&mut matcher, &set, &kv, &payloads)).collect::<Result<_>>()?;
    let median = |part: usize| middle(&passes.iter().map(|pass| pass[part]).collect::<Vec<_>>());
    Ok(Alone { parse: median(0), check: median(1), criteria: median(2), step: step(&records)? })
}

/// Parsing (and giving back), checking and criteria of one pass, in microseconds per event. Taken block by
/// block, so that what one part leaves in the processor's caches the next one finds, as in a step.
fn parts(matcher: &mut Matcher, set: &RuleSet, kv: &Kv, payloads: &[&[u8]]) -> Result<[f64; 3]> {
    let (mut spent, mut matches) = ([Duration::ZERO; 3], 0);
    let (mut arena, mut extractor) = (Arena::new(), Extractor::new());
    for block in payloads.chunks(BLOCK) {
        let began = thread_cpu();
        arena.reset();
        let mut events = Vec::with_capacity(BLOCK);
        for payload in block {
            let event = ParsedEvent::parse(payload, set.layout(), &mut extractor, &arena);
            events.push(event.map_err(|e| anyhow!("an alert is no JSON: {e}"))?);
        }
        let parsed = thread_cpu();
        for event in &events {
            set.check(black_box(event))?;
        }
        let checked = thread_cpu();
        for event in &events {
            matcher.run_parsed(set, event, 0, kv, &mut |_, verdict| matches += u64::from(verdict == Verdict::True));
        }
        let decided = thread_cpu();
        drop(events);
        spent[0] += (parsed - began) + (thread_cpu() - decided);
        spent[1] += checked - parsed;
        spent[2] += decided - checked;
    }
    ensure!(matches == EVENTS / ONE_IN, "{matches} matches among {EVENTS} events");
    Ok(spent.map(per_event_us))
}

fn records() -> Vec<OwnedRecord> {
    let mut alerts = Alerts::new();
    let (mut key, mut payload) = (String::new(), String::new());
    let mut record = |offset| {
        alerts.next(&mut key, &mut payload);
        let (key, value) = (Some(key.clone().into_bytes()), Some(payload.clone().into_bytes()));
        OwnedRecord { offset, timestamp_ms: 1_795_000_000_000, key, value }
    };
    (0..).take(EVENTS as usize).map(&mut record).collect()
}

/// The whole step, with ids, requests and audit records.
fn step(records: &[OwnedRecord]) -> Result<f64> {
    let topic: Arc<str> = TOPIC.into();
    let globals = View::on(TOPIC, RULES)?;
    let counters = Arc::new(MatchCounters::default());
    let mut stage = MatchStage::<View>::new(
        MatchOptions::new("a-cluster-of-this-bench", Topics::new("petrel.", 8, 8)),
        counters.clone(),
    );
    let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
    let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
    let mut pass = || -> Result<f64> {
        let began = thread_cpu();
        outputs.clear();
        let facts = Facts { partition: 0, now_ms: 1_795_000_000_000, blocked_ms: 0, is_careful: false };
        let mut context = Context::new(facts, &*globals.value, &mut state, &mut outputs);
        let taken = stage.records(Batch { topic: &topic, partition: 0, records: &records }, &mut context);
        ensure!(taken == Taken::All, "the match stage never blocks");
        stage.committed();
        Ok(per_event_us(thread_cpu() - began))
    };
    let took = (0..PASSES).map(|_| pass()).collect::<Result<Vec<_>>>()?;
    let wanted = PASSES as u64 * EVENTS / ONE_IN;
    ensure!(counters.totals().matches == wanted, "wrong matches: {} instead of {wanted}", counters.totals().matches);
    Ok(middle(&took))
}

fn middle(values: &[f64]) -> f64 {
    spread(values).map_or(0.0, |(_, median, _)| median)
}

fn per_event_us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / EVENTS as f64
}

impl Alone {
    /// Ids, rendering and encoding of what matched, and what holds the step together.
    fn rest(&self) -> f64 {
        self.step - self.parse - self.check - self.criteria
    }

    pub(crate) fn print(&self) {
        println!("\nthe match stage alone, in memory, CPU microseconds per event (medians)");
        let parts = [("parse", self.parse), ("check", self.check), ("criteria", self.criteria), ("rest", self.rest())];
        for (name, us) in parts {
            println!("  {name:<8} {us:>8.3}");
        }
        println!("  {:<8} {:>8.3}   {:.0} events/s on one core", "step", self.step, 1e6 / self.step);
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "unit": "us_per_event", "parse": rounded(self.parse), "check": rounded(self.check),
            "criteria": rounded(self.criteria), "rest": rounded(self.rest()), "step": rounded(self.step),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_costs_at_least_its_parts_and_matches_what_it_should() {
        let alone = measure().unwrap();
        assert!(alone.parse > 0.0 && alone.criteria > 0.0 && alone.step > alone.parse.min(alone.criteria));
    }
}
