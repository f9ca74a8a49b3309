//! Measurements of Petrel on real Kafka. `cargo xtask bench` builds and starts it; docs/BENCHMARKS.md
//! says what is measured and how to read it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

mod actions;
mod alerts;
mod alone;
mod cell;
mod clock;
mod cost;
mod executions;
mod gates;
mod kafka;
mod latency;
mod machine;
mod pipeline;
mod plain;
mod ratio;
mod segments;
mod settings;
mod stage;
mod timed;
mod view;
mod workflows;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use petrel_testkit::shared_kafka;

use crate::kafka::Kafka;

/// As in the product: what runs in this process costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure Petrel on real Kafka.
#[derive(Debug, Parser)]
#[command(name = "petrel-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The match stage against what the client alone can do; writes target/bench/pipeline.json
    Pipeline(pipeline::Options),
    /// From an event to the start of its action, on both buses; writes target/bench/latency.json
    Latency(latency::Options),
    /// What executions cost, how many one machine carries and how soon it is back; writes
    /// target/bench/executions.json
    Executions(executions::Options),
    /// From the claim of an action to its first own instruction, by runner; writes target/bench/actions.json
    Actions(actions::Options),
    /// What gates of policies grant in a second, on the local bus; writes target/bench/gates.json
    Gates(gates::Options),
    /// What workflows cost beside plain executions, how wide and how many they may be, and the conductor alone;
    /// writes target/bench/workflows.json
    Workflows(workflows::Options),
    /// What the match stage costs by itself, in memory
    Match,
    /// What the measured action runs: tells ADDRESS that NAME has started
    #[command(hide = true)]
    Started { address: String, name: String },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Pipeline(options) => broker().and_then(|kafka| pipeline::run(&options, &kafka)),
        Command::Latency(options) => broker().and_then(|kafka| latency::run(&options, &kafka)),
        Command::Executions(options) => executions::run(&options),
        Command::Actions(options) => actions::run(&options),
        Command::Gates(options) => gates::run(&options),
        Command::Workflows(options) => workflows::run(&options),
        Command::Match => alone::measure().map(|alone| alone.print()),
        Command::Started { address, name } => latency::tell(&address, &name),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The broker of `PETREL_TEST_KAFKA`, else one of this process's own.
fn broker() -> Result<Kafka> {
    let bootstrap = shared_kafka().context("the benchmark needs Java and Kafka's jars: cargo xtask deps --kafka")?;
    Ok(Kafka { bootstrap: bootstrap.to_owned() })
}
