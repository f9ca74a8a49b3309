//! `petrel-bench workflows`: what a task of a workflow costs beside an execution without one, how wide and how many
//! workflows may be, how many sleep on one machine, and what the conductor does alone.
//!
//! But for the conductor every number is of the whole product as `petrel up` runs it, with the audit trail on: events
//! come in over HTTP, a rule asks for a workflow for each, its owner conducts it, a worker carries out its tasks.

mod conductor;
mod pack;
mod run;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use crate::executions::On;
use crate::executions::table::Table;
use crate::machine;
use crate::pipeline::write_result;
use run::Run;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Plain executions of a round, and as many tasks of workflows
    #[arg(long, default_value_t = 50_000)]
    count: u64,
    /// How often plain executions and tasks of workflows are measured in turn
    #[arg(long, default_value_t = 3)]
    rounds: u64,
    /// Workflows that are under way at the same time
    #[arg(long, default_value_t = 10_000)]
    parallel: u64,
    /// Workflows that sleep; the bar is for a million
    #[arg(long, default_value_t = 50_000)]
    asleep: u64,
    /// Seconds of CPU time for each shape and size of the conductor's workflows, in a round
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Only on this bus; otherwise on both
    #[arg(long, value_enum)]
    bus: Option<On>,
    /// Only this; may be given more than once
    #[arg(long, value_enum)]
    only: Vec<Part>,
}

/// A part of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The conductor alone, in memory
    Conductor,
    /// Tasks a second, beside plain executions
    Rate,
    /// One workflow, one task after the other
    Sequence,
    /// One task for each of 101 and of 10,000 items
    Items,
    /// Many workflows at the same time
    Parallel,
    /// Workflows that wait for a day
    Asleep,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn wants_server(&self) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| *part != Part::Conductor)
    }
}

/// Measures, prints and writes target/bench/workflows.json.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::default();
    let mut facts = None;
    if options.wants(Part::Conductor) {
        println!("\nthe conductor alone, on one thread");
        conductor::measure(options.seconds, &mut table)?;
    }
    let buses = if options.wants_server() { On::only(options.bus) } else { Vec::new() };
    for bus in buses {
        let kafka = bus.broker()?;
        if let Some(kafka) = &kafka {
            facts = Some(machine::facts(kafka)?);
        }
        println!("\non the {} bus", bus.name());
        let mut run = Run::start(bus, kafka.as_ref(), options.parallel, &mut table)?;
        run.warm_up()?;
        if options.wants(Part::Rate) {
            run.rate(options.rounds, options.count)?;
        }
        if options.wants(Part::Sequence) {
            run.sequence()?;
        }
        if options.wants(Part::Items) {
            run.items()?;
        }
        if options.wants(Part::Parallel) {
            run.parallel(options.parallel)?;
        }
        if options.wants(Part::Asleep) {
            run.asleep(options.asleep)?;
        }
        run.verify()?;
    }
    table.print();
    write_result("workflows.json", &json!({ "machine": facts, "workflows": table.json() }))
}
