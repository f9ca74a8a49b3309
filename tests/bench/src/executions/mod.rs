//! `petrel-bench executions`: how many executions one machine carries, and how soon it is back after `kill -9`.
//!
//! Every number is of the whole product as `petrel up` runs it, with the audit trail on: events come in over
//! HTTP, a rule asks for an action of the runner `noop`, an owner dispatches it, a worker carries it out, and the
//! audit trail has every change of it.

pub(crate) mod feed;
mod meters;
mod phases;
pub(crate) mod rig;
pub(crate) mod server;
pub(crate) mod table;

use anyhow::{Context, Result};
use clap::ValueEnum;
use petrel_testkit::shared_kafka;
use serde_json::json;

use crate::executions::phases::Run;
pub(crate) use crate::executions::rig::SUCCEEDED;
use crate::executions::table::Table;
use crate::kafka::Kafka;
use crate::machine;
use crate::pipeline::write_result;

/// Executions that wait, and that are remembered.
const COUNT: u64 = 1_000_000;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Executions that wait while dispatch is paused, and that are remembered afterwards
    #[arg(long, default_value_t = COUNT)]
    count: u64,
    /// Executions while the rate is measured [default: a fifth of --count]
    #[arg(long)]
    rate_count: Option<u64>,
    /// Only on this bus; otherwise on both
    #[arg(long, value_enum)]
    bus: Option<On>,
    /// Only the rate
    #[arg(long)]
    rate_only: bool,
}

impl Options {
    fn rate_count(&self) -> u64 {
        self.rate_count.unwrap_or(self.count / 5).max(1)
    }
}

/// A bus to measure on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum On {
    /// The log in the process
    Local,
    /// Apache Kafka, its broker on the same machine
    Kafka,
}

impl On {
    /// What is run on it: the broker, of one that needs it.
    pub(crate) fn broker(self) -> Result<Option<Kafka>> {
        if self == Self::Local {
            return Ok(None);
        }
        let bootstrap = shared_kafka().context("Kafka's jars are missing: cargo xtask deps --kafka")?;
        Ok(Some(Kafka { bootstrap: bootstrap.to_owned() }))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kafka => "kafka",
        }
    }

    /// This one, else all of them.
    pub(crate) fn only(bus: Option<On>) -> Vec<On> {
        bus.map_or_else(|| vec![On::Local, On::Kafka], |bus| vec![bus])
    }

    /// Executions per second that the project promises.
    fn rate_min(self) -> f64 {
        match self {
            Self::Local => 2_000.0,
            Self::Kafka => 1_000.0,
        }
    }
}

/// Measures, prints and writes target/bench/executions.json.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::default();
    let mut facts = None;
    for bus in On::only(options.bus) {
        let kafka = bus.broker()?;
        if let Some(kafka) = &kafka {
            facts = Some(machine::facts(kafka)?);
        }
        println!("\non the {} bus", bus.name());
        let mut run = Run::start(bus, kafka.as_ref(), &mut table)?;
        run.warm_up()?;
        run.rate(options.rate_count())?;
        if !options.rate_only {
            run.waiting(options.count)?;
            run.remembered(options.count)?;
        }
        run.verify()?;
    }
    table.print();
    write_result("executions.json", &json!({ "machine": facts, "executions": table.json() }))
}
