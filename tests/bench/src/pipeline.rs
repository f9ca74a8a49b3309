//! `petrel-bench pipeline`: the match stage against what the client alone can do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_bus::Clock;
use petrel_schemas::Topics;
use petrel_testkit::{poll_until, workspace_root};
use serde_json::{Map, Value, json};

use crate::alerts::{MANY_RULES, ONE_IN, RULES};
use crate::cell::{Cell, Way, Written, rounded};
use crate::clock::SystemClock;
use crate::cost::Meters;
use crate::kafka::{Kafka, PARTITIONS};
use crate::ratio::{Ratio, ratio, spread};
use crate::stage::Rig;
use crate::{alone, latency, machine, plain, settings};

/// Processors that may be busy before the start without a warning: an idle broker needs a little.
const BUSY_CORES_MAX: f64 = 0.2;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds; each measures every way once, one after the other
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Events of each measurement [default: 1000000, with --quick 200000]
    #[arg(long)]
    events: Option<u64>,
    /// Fewer events and two rounds: to see that it works, not to publish
    #[arg(long)]
    quick: bool,
    /// Leave out the driver without rules (D)
    #[arg(long)]
    no_driver: bool,
    /// Leave out the time from event to action start
    #[arg(long)]
    no_latency: bool,
    /// Events per second while that time is measured
    #[arg(long, default_value_t = latency::RATE)]
    rate: u32,
}

impl Options {
    fn rounds(&self) -> usize {
        if self.quick { self.rounds.min(2) } else { self.rounds }
    }

    /// A multiple of 100, for exactly one in a hundred matches.
    fn events(&self) -> u64 {
        let events = self.events.unwrap_or(if self.quick { 200_000 } else { 1_000_000 });
        events.max(ONE_IN) / ONE_IN * ONE_IN
    }

    fn latency(&self) -> latency::Options {
        latency::Options { quick: self.quick, rate: self.rate, against: None }
    }

    fn ways(&self) -> Vec<Way> {
        Way::ALL.into_iter().filter(|way| *way != Way::Driver || !self.no_driver).collect()
    }
}

/// Measures, prints and writes target/bench/pipeline.json.
pub(crate) fn run(options: &Options, kafka: &Kafka) -> Result<()> {
    let facts = machine::facts(kafka)?;
    let busy = busy_before()?;
    let run = format!("bench{}", SystemClock.now_ms());
    let mut bench = Bench::prepare(kafka, &run, options.events())?;
    println!(
        "{} events of about 300 bytes, {PARTITIONS} partitions, {RULES} rules (E: {MANY_RULES}), {} matches; {} rounds",
        bench.rig.events,
        bench.rig.matches,
        options.rounds()
    );
    bench.measure(options)?;
    bench.verify()?;
    let ratios = bench.ratios();
    bench.print_summary(&ratios);
    bench.clean_up()?;
    let alone = alone::measure()?;
    alone.print();
    let mut result = bench.json(&ratios);
    (result["machine"], result["stage_alone"]) = (facts, alone.json());
    result["machine"]["busy_cores_before"] = json!(rounded(busy));
    write_result("pipeline.json", &result)?;
    if options.no_latency {
        return Ok(());
    }
    // What is measured above is kept whatever comes of this.
    result["latency"] = latency::both(kafka, &options.latency())?;
    write_result("pipeline.json", &result)
}

/// How many processors were busy with other work just before the start. Other work makes all rates
/// smaller and their ratios uncertain.
fn busy_before() -> Result<f64> {
    let began = Meters::read()?;
    poll_until(Duration::from_secs(2), || None::<()>);
    let cost = began.until(&Meters::read()?);
    let busy = cost.others_s / cost.wall_s;
    if busy > BUSY_CORES_MAX {
        println!("warning: {busy:.1} processors are busy with other work: the numbers will be worth little");
    }
    Ok(busy)
}

struct Bench<'a> {
    kafka: &'a Kafka,
    rig: Rig,
    run: String,
    /// What the match stage writes, and where B and D write as much, by its topics.
    like: Written,
    to: BTreeMap<String, String>,
    cells: Vec<Cell>,
    /// Runs of the match stage, all rounds and the one before them.
    match_runs: u64,
}

impl<'a> Bench<'a> {
    /// Fills the input and measures once what the match stage writes.
    fn prepare(kafka: &'a Kafka, run: &str, events: u64) -> Result<Self> {
        let topic = format!("{run}.alerts");
        kafka.create_topics(std::slice::from_ref(&topic))?;
        let matches = kafka.fill(&topic, events)?;
        let topics = Topics::new(&format!("{run}.petrel."), PARTITIONS as u32, PARTITIONS as u32);
        let rig = Rig { bus: settings::bus(kafka)?, topic, events, matches, topics };
        rig.ensure_topics()?;
        let first =
            rig.match_events(Way::Match, &format!("{run}.first"), 0).context("the match stage, before the rounds")?;
        kafka.check_committed(&format!("{run}.first"), &rig.topic)?;
        let to: BTreeMap<String, String> =
            first.written.keys().map(|like| (like.clone(), format!("{run}.echo.{like}"))).collect();
        kafka.create_topics(&to.values().cloned().collect::<Vec<_>>())?;
        println!("the match stage writes {} records, {} bytes", first.records_written(), first.bytes_written());
        Ok(Self { kafka, rig, run: run.to_owned(), like: first.written, to, cells: Vec::new(), match_runs: 1 })
    }

    /// All rounds: A B C D A B C D …, a new consumer group for each.
    fn measure(&mut self, options: &Options) -> Result<()> {
        println!("{}", heading());
        for round in 1..=options.rounds() {
            for way in options.ways() {
                let group = format!("{}.{}{round}", self.run, way.letter());
                let cell = self.cell(way, round, &group).with_context(|| format!("{way:?} in round {round}"))?;
                if way != Way::Consume {
                    self.kafka.check_committed(&group, &self.rig.topic)?;
                    ensure!(
                        (cell.records_written(), cell.bytes_written()) == self.wanted(),
                        "{way:?} wrote {} records and {} bytes instead of {:?}",
                        cell.records_written(),
                        cell.bytes_written(),
                        self.wanted()
                    );
                }
                println!("{}", line(&cell));
                self.cells.push(cell);
            }
        }
        Ok(())
    }

    fn cell(&mut self, way: Way, round: usize, group: &str) -> Result<Cell> {
        let (topic, events) = (&self.rig.topic, self.rig.events);
        match way {
            Way::Consume => plain::consume(self.kafka, topic, group, events, round),
            Way::Pass => plain::pass(self.kafka, topic, group, events, round, &self.like, &self.to),
            Way::Match | Way::Many => {
                self.match_runs += 1;
                self.rig.match_events(way, group, round)
            }
            Way::Driver => self.rig.drive(group, round, &self.like, &self.to),
        }
    }

    fn wanted(&self) -> (u64, u64) {
        self.like.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// An independent read_committed consumer must find exactly the requests of all runs.
    fn verify(&self) -> Result<()> {
        let requests = self.kafka.count_committed(&self.rig.topics.requests())?;
        let wanted = self.match_runs * self.rig.matches;
        ensure!(requests == wanted, "{requests} requests are committed, {wanted} are right: no ratio is reported");
        println!("verified: {requests} requests committed by {} runs of the match stage", self.match_runs);
        Ok(())
    }

    fn ratios(&self) -> Vec<Ratio> {
        let pairs = [
            (Way::Match, Way::Pass),
            (Way::Match, Way::Consume),
            (Way::Driver, Way::Pass),
            (Way::Match, Way::Driver),
            (Way::Pass, Way::Consume),
            (Way::Many, Way::Match),
        ];
        pairs.into_iter().filter_map(|(over, under)| ratio(&self.cells, over, under)).collect()
    }

    fn print_summary(&self, ratios: &[Ratio]) {
        println!("\nratios of events/s, round by round");
        for one in ratios {
            let pairs: Vec<String> = one.pairs.iter().map(|r| format!("{r:.3}")).collect();
            println!(
                "  {}  median {:.3}  min {:.3}  max {:.3}   ({})",
                one.name,
                one.median,
                one.min,
                one.max,
                pairs.join(" ")
            );
        }
        for way in [Way::Match, Way::Driver, Way::Many] {
            let cells: Vec<&Cell> = self.cells.iter().filter(|cell| cell.way == way).collect();
            print_split(way, &cells);
        }
    }

    fn json(&self, ratios: &[Ratio]) -> Value {
        let medians: Map<String, Value> = Way::ALL
            .iter()
            .filter_map(|way| {
                let of = |value: fn(&Cell) -> Option<f64>| -> Option<f64> {
                    let values: Vec<f64> = self.cells.iter().filter(|c| c.way == *way).filter_map(value).collect();
                    spread(&values).map(|(_, median, _)| rounded(median))
                };
                let value = json!({
                    "events_per_s": of(|cell| Some(cell.events_per_s()))?.round(),
                    "client_cpu_us_per_event": of(|cell| Some(cell.cpu_us_per_event())),
                    "commits": of(|cell| Some(cell.commits as f64)),
                    "ms_per_commit": of(Cell::commit_ms),
                });
                Some((way.letter().to_string(), value))
            })
            .collect();
        let ratios: Map<String, Value> = ratios.iter().map(|one| (one.name.clone(), one.json())).collect();
        json!({
            "machine": null,
            "input": {
                "events": self.rig.events, "matches": self.rig.matches, "rules": RULES, "many_rules": MANY_RULES,
                "partitions": PARTITIONS, "compression": "lz4",
            },
            "cells": self.cells.iter().map(Cell::json).collect::<Vec<_>>(),
            "medians": medians,
            "ratios": ratios,
        })
    }

    fn clean_up(&self) -> Result<()> {
        let topics = &self.rig.topics;
        let own = [topics.triggers(), topics.requests(), topics.audit(), topics.dead_letters()];
        let own = own.iter().map(|name| name.to_string());
        self.kafka
            .delete_topics(&own.chain(self.to.values().cloned()).chain([self.rig.topic.clone()]).collect::<Vec<_>>())
    }
}

fn heading() -> String {
    format!(
        "{:<14} {:>5} {:>10} {:>8} {:>12} {:>10} {:>8} {:>10} {:>9}",
        "way", "round", "events/s", "seconds", "CPU us/event", "others s", "commits", "ms/commit", "records"
    )
}

fn line(cell: &Cell) -> String {
    let way = format!("{} {}", cell.way.letter(), cell.way.name());
    let commit_ms = cell.commit_ms().map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    format!(
        "{way:<14} {:>5} {:>10.0} {:>8.2} {:>12.2} {:>10.2} {:>8} {commit_ms:>10} {:>9}",
        cell.round,
        cell.events_per_s(),
        cell.cost.wall_s,
        cell.cpu_us_per_event(),
        cell.cost.others_s,
        cell.commits,
        cell.records_written(),
    )
}

/// Where the stage's thread spends its time, medians over the rounds.
fn print_split(way: Way, cells: &[&Cell]) {
    let Some(first) = cells.first() else { return };
    println!("\nthe thread of {} {}, microseconds per event (medians): wall, CPU", way.letter(), way.name());
    let per_event = |values: Vec<f64>| spread(&values).map_or(0.0, |(_, median, _)| median) / first.events as f64 * 1e6;
    for (at, (name, _, _)) in first.split.iter().enumerate() {
        let wall = per_event(cells.iter().map(|cell| cell.split[at].1).collect());
        let cpu = per_event(cells.iter().map(|cell| cell.split[at].2).collect());
        println!("  {name:<8} {wall:>8.3} {cpu:>8.3}");
    }
}

/// Writes a result to target/bench.
pub(crate) fn write_result(name: &str, result: &Value) -> Result<()> {
    let dir: PathBuf = workspace_root().join("target/bench");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let file = dir.join(name);
    std::fs::write(&file, format!("{result:#}\n")).with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwrote target/bench/{name}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_run_is_right_in_every_cell_and_verified() {
        let Some(bootstrap) = petrel_testkit::shared_kafka() else { return };
        let kafka = Kafka { bootstrap: bootstrap.to_owned() };
        let options =
            Options { rounds: 1, events: Some(3_050), quick: false, no_driver: false, no_latency: true, rate: 1 };
        let mut bench = Bench::prepare(&kafka, "bench-small", options.events()).unwrap();
        assert_eq!((bench.rig.events, bench.rig.matches), (3_000, 30));
        bench.measure(&options).unwrap();
        bench.verify().unwrap();
        assert_eq!(bench.ratios().len(), 6);
        let result = bench.json(&bench.ratios());
        assert_eq!(result["cells"].as_array().map(Vec::len), Some(5));
        assert!(result["ratios"]["C/B"]["median"].as_f64().is_some_and(|ratio| ratio > 0.0));

        // With another number of matches than the oracle's nothing is reported.
        bench.rig.matches += 1;
        let error = bench.rig.match_events(Way::Match, "bench-small.wrong", 2).unwrap_err().to_string();
        assert!(error.contains("wrong matches"), "{error}");
        assert!(bench.verify().is_err());
        bench.clean_up().unwrap();
    }
}
