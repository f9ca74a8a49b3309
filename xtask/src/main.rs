//! The commands of the work tree. `cargo xtask help` lists them.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]
#![allow(clippy::disallowed_methods, reason = "how long steps took is told")]

mod bench;
mod cargo;
mod deps;
mod e2e;
mod fetch;
mod fuzz;
mod gate;
mod machine;
mod sim;
mod steps;
mod up;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, try, test and measure Petrel from its work tree.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build Petrel and start it with everything embedded: `petrel up`
    Up(up::Options),
    /// The gate: formatting, lints, all tests on all buses, end to end
    Test(gate::Options),
    /// Fetch what the other commands need: Apache Kafka, the ClickHouse engine library, the CEL specification's tests
    Deps(deps::Options),
    /// Kill every process of Petrel again and again under load, at full counts
    Crash(e2e::CrashOptions),
    /// Take Kafka and ClickHouse away for minutes
    Outage(e2e::OutageOptions),
    /// Run the whole product on the simulated log, seed by seed
    Sim(sim::Options),
    /// Feed mutated rules and events to the rule engine, one target after the other
    Fuzz(fuzz::Options),
    /// Run recorded behaviour of Orquesta and YAQL against Petrel's: every file of vectors in a folder
    Vectors(vectors::Options),
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(options) => up::run(&options),
        Command::Test(options) => gate::run(&options),
        Command::Deps(options) => deps::run(&options),
        Command::Crash(options) => e2e::crash(&options),
        Command::Outage(options) => e2e::outage(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Vectors(options) => vectors::run(&options),
        Command::Bench(bench) => bench::run(&bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
