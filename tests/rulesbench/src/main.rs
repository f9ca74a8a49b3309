//! The rule engine side by side with engines that others wrote: from the raw bytes of an event to the ids
//! of the rules that match it, on one core. `cargo xtask bench rules` builds and starts it;
//! docs/BENCHMARKS.md says what is measured and how to read it.
//!
//! Reading order: `schema` and `corpus` (events), `rule` and `families` (rules in a neutral form),
//! `choose` (rule sets of a known number of matches), `hits` and `oracle` (what must come out), `render`
//! (rules in the engines' languages), `engines`, `worker` and `process` (an engine in a process of its
//! own), `measure` (a cell), `result`, `bars` and `report`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark talks to its terminal")]
#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

mod bars;
mod building;
mod cell;
mod choose;
mod corpus;
mod data;
mod engines;
mod extras;
mod families;
mod hits;
mod machine;
mod measure;
mod memory;
mod oracle;
mod process;
mod random;
mod render;
mod report;
mod result;
mod rule;
mod run;
mod schema;
mod single;
mod table;
mod truth;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use petrel_testkit::workspace_root;

use crate::cell::Cell;
use crate::data::Data;
use crate::engines::{Engine, Input};

/// Measure the rule engine against others.
#[derive(Debug, Parser)]
#[command(name = "petrel-rulesbench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure; writes target/bench/rules.json
    Run(run::Options),
    /// Print the table and the bars of the last run again
    Report(run::ReportOptions),
    /// Print a cell's rules in an engine's language
    Render { engine: String, cell: String },
    /// One engine with one cell, asked over standard input
    #[command(hide = true)]
    Serve { engine: String, cell: String, events: usize },
    /// Measure single criteria on prepared contexts
    #[command(hide = true)]
    Single { rounds: usize },
    /// Measure the making of a set of rules
    #[command(hide = true)]
    Building { cell: String },
    /// Count the memory that a set of rules holds
    #[command(hide = true)]
    Resident { cell: String },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Report(options) => run::report(&options),
        Command::Render { engine, cell } => print_rules(&engine, &cell),
        Command::Serve { engine, cell, events } => serve(&engine, &cell, events),
        Command::Single { rounds } => single::measure(rounds).map(|results| println!("{}", serde_json::json!(results))),
        Command::Building { cell } => print_of(&cell, building::measure),
        Command::Resident { cell } => print_of(&cell, building::resident),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where results and data lie.
fn bench_dir() -> PathBuf {
    workspace_root().join("target/bench")
}

fn data() -> Result<Data> {
    Data::in_dir(&bench_dir().join("rules-data"))
}

fn engine(name: &str) -> Result<Engine> {
    let names: Vec<&str> = Engine::ALL.into_iter().map(Engine::name).collect();
    Engine::named(name).with_context(|| format!("no engine is named {name}; there are {}", names.join(", ")))
}

fn serve(engine: &str, cell: &str, events: usize) -> Result<()> {
    worker::serve(&data()?, self::engine(engine)?, Cell::named(cell)?, events)
}

fn print_of(cell: &str, measure: fn(&Data, Cell) -> Result<serde_json::Value>) -> Result<()> {
    println!("{}", measure(&data()?, Cell::named(cell)?)?);
    Ok(())
}

fn print_rules(engine: &str, cell: &str) -> Result<()> {
    let (engine, cell, data) = (self::engine(engine)?, Cell::named(cell)?, data()?);
    data.prepare(cell)?;
    let rules = engine.part(data.rules(cell)?);
    match engines::render(engine, rules, cell.corpus.fields())? {
        Input::Texts(texts) => texts.iter().for_each(|(id, text)| println!("{id}\t{text}")),
        Input::Rules(rules) => rules.iter().for_each(|(id, rule)| println!("{id}\t{rule:?}")),
    }
    Ok(())
}
