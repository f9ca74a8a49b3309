//! What the match stage costs by itself, in memory on one thread: where the time of a step goes.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use petrel_bus::{Batch, Context, Input, OwnedRecord, PartitionState, Record, Stage, Step};
use petrel_rules::{Kv, MatchCounters, MatchOptions, MatchStage, Matcher, ParsedEvent, RuleSet, Verdict};
use petrel_schemas::Topics;
use serde_json::{Value, json};

use crate::alerts::{Alerts, ONE_IN};
use crate::cell::rounded;
use crate::ratio::spread;
use crate::view::View;

/// Events of one pass: more than the caches of a processor hold, as they come from Kafka.
const EVENTS: u64 = 20_000;
const PASSES: usize = 7;
const TOPIC: &str = "alerts";

/// Microseconds per event, medians over the passes.
#[derive(Debug)]
pub(crate) struct Alone {
    parse: f64,
    check: f64,
    criteria: f64,
    step: f64,
}

/// Runs the parts of a step on the same events, one after the other.
pub(crate) fn measure() -> Result<Alone> {
    let (set, kv) = View::rule_set()?;
    let records = records();
    let payloads: Vec<&[u8]> = records.iter().filter_map(|r| r.value.as_deref()).collect();
    let parse = |payload| ParsedEvent::parse(payload, set.shape()).map_err(|e| anyhow!("an alert is no JSON: {e}"));

    let parsing = passes(|| {
        for payload in &payloads {
            black_box(parse(payload)?);
        }
        Ok(())
    })?;
    // Kept parsed, the events of one pass show what comes behind parsing.
    let parsed = payloads.iter().map(|payload| parse(payload)).collect::<Result<Vec<_>>>()?;
    let checking = passes(|| {
        for event in &parsed {
            set.check(black_box(event))?;
        }
        Ok(())
    })?;
    let mut matcher = Matcher::new();
    let criteria = passes(|| run_criteria(&mut matcher, &set, &kv, &parsed))?;
    let step = step(&records)?;
    Ok(Alone { parse: parsing, check: checking, criteria, step })
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

fn run_criteria(matcher: &mut Matcher, set: &RuleSet, kv: &Kv, events: &[ParsedEvent<'_>]) -> Result<()> {
    let mut matches = 0;
    for event in events {
        matcher.run_parsed(set, event, 0, kv, &mut |_, verdict| matches += u64::from(verdict == Verdict::True));
    }
    ensure!(matches == EVENTS / ONE_IN, "{matches} matches among {EVENTS} events");
    Ok(())
}

/// The whole step, with ids, requests and audit records.
fn step(records: &[OwnedRecord]) -> Result<f64> {
    let topic: Arc<str> = TOPIC.into();
    let globals = View::on(TOPIC)?;
    let counters = Arc::new(MatchCounters::default());
    let mut stage = MatchStage::<View>::new(
        MatchOptions::new("a-cluster-of-this-bench", Topics::new("petrel.", 8, 8)),
        counters.clone(),
    );
    let records: Vec<Record<'_>> = records.iter().map(OwnedRecord::as_record).collect();
    let (mut state, mut outputs) = (PartitionState::default(), Vec::new());
    let took = passes(|| {
        outputs.clear();
        let mut context = Context::new(0, 1_795_000_000_000, true, &*globals.value, &mut state, &mut outputs);
        let done = stage.step(Input::Records(Batch { topic: &topic, partition: 0, records: &records }), &mut context);
        ensure!(done == Step::Done, "the match stage never blocks");
        stage.committed();
        Ok(())
    })?;
    let wanted = PASSES as u64 * EVENTS / ONE_IN;
    ensure!(counters.totals().matches == wanted, "wrong matches: {} instead of {wanted}", counters.totals().matches);
    Ok(took)
}

/// Median time of a pass, in microseconds per event.
fn passes(mut pass: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(PASSES);
    for _ in 0..PASSES {
        let began = Instant::now();
        pass()?;
        times.push(per_event_us(began.elapsed()));
    }
    Ok(spread(&times).map_or(0.0, |(_, median, _)| median))
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
        println!("\nthe match stage alone, in memory, microseconds per event (medians)");
        let parts =
            [("parse", self.parse), ("check", self.check), ("criteria", self.criteria), ("rest", self.rest())];
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
