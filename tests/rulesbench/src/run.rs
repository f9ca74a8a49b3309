//! A run: cells one after the other, results to a file after each, a table at the end.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::bars::Bar;
use crate::cell::{Cell, cells};
use crate::corpus::EVENTS;
use crate::engines::Engine;
use crate::measure::{self, Settings};
use crate::result::{Outcome, Outcomes};
use crate::{bars, bench_dir, data, engine, extras, machine, report};

/// Events of the corpora that take part in a quick run.
const QUICK_EVENTS: usize = 20_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A few minutes: fewer cells, events and seconds
    #[arg(long)]
    quick: bool,
    /// Only cells whose name contains one of these, such as ops-core-m1 or eq-m1-1000; extras are single
    /// criteria and the making of rule sets
    #[arg(long, value_delimiter = ',')]
    cells: Vec<String>,
    /// Only these engines
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Rounds of each engine in each cell
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds that a round takes at most
    #[arg(long)]
    round_s: Option<f64>,
    /// The core to measure on; without it the last one
    #[arg(long)]
    core: Option<usize>,
    /// Keep the results of the last run for cells that are not measured in this one
    #[arg(long)]
    keep: bool,
    /// Only make the events and rules
    #[arg(long)]
    only_data: bool,
    /// Class path of Event Ruler and its driver
    #[arg(long, env = "PETREL_BENCH_RULER", hide = true)]
    ruler: Option<PathBuf>,
    #[command(flatten)]
    report: ReportOptions,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|part| name.contains(part.as_str()))
    }
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReportOptions {
    /// Write the section of docs/BENCHMARKS.md, too
    #[arg(long)]
    write_docs: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let data = data()?;
    let settings = settings(options)?;
    let cells = wanted(options)?;
    let (mut outcomes, mut extras) = if options.keep { kept(&cells)? } else { Default::default() };
    let machine = machine::facts()?;
    let started = Instant::now();
    for (number, cell) in cells.iter().enumerate() {
        data.prepare(*cell)?;
        if options.only_data {
            continue;
        }
        eprint!("[{}/{} {:>4.0} s] {cell}:", number + 1, cells.len(), started.elapsed().as_secs_f64());
        let done = measure::cell(&data, *cell, &settings, &outcomes)?;
        eprintln!("{}", report::progress(&done));
        outcomes.0.extend(done);
        write(&machine, &settings, &outcomes, &extras)?;
    }
    if options.only_data {
        return Ok(());
    }
    if options.wants(extras::NAME) {
        extras = extras::measure(&data, settings.core, settings.rounds, options.quick)?;
        write(&machine, &settings, &outcomes, &extras)?;
    }
    eprintln!("{} cells in {:.0} s", cells.len(), started.elapsed().as_secs_f64());
    report(&options.report)
}

fn settings(options: &Options) -> Result<Settings> {
    let engines = if options.engines.is_empty() {
        Engine::ALL.into_iter().filter(|engine| engine.is_built_in()).collect()
    } else {
        options.engines.iter().map(|name| engine(name)).collect::<Result<Vec<_>>>()?
    };
    ensure!(options.rounds > 0, "--rounds must be 1 at least");
    let cores = std::thread::available_parallelism()?.get();
    Ok(Settings {
        events: if options.quick { QUICK_EVENTS } else { EVENTS },
        rounds: options.rounds,
        round_s: options.round_s.unwrap_or(if options.quick { 0.05 } else { 0.25 }),
        core: options.core.unwrap_or(cores - 1),
        engines,
        ruler: options.ruler.clone(),
    })
}

fn wanted(options: &Options) -> Result<Vec<Cell>> {
    let mut cells = cells(options.quick);
    cells.retain(|cell| options.wants(&cell.to_string()));
    ensure!(!cells.is_empty() || options.wants(extras::NAME), "no cell is named like that");
    Ok(cells)
}

fn results_file() -> PathBuf {
    bench_dir().join("rules.json")
}

/// Outcomes and extras of the last run, but for those that are measured again.
fn kept(measured_again: &[Cell]) -> Result<(Outcomes, Value)> {
    if !results_file().is_file() {
        return Ok(Default::default());
    }
    let (mut results, mut outcomes) = read()?;
    outcomes.0.retain(|outcome| !measured_again.contains(&outcome.cell));
    Ok((outcomes, results["extras"].take()))
}

fn write(machine: &Value, settings: &Settings, outcomes: &Outcomes, extras: &Value) -> Result<()> {
    let results = json!({
        "machine": machine,
        "settings": {
            "events": settings.events,
            "rounds": settings.rounds,
            "round_s": settings.round_s,
            "core": settings.core,
        },
        "cells": outcomes.0.iter().map(Outcome::json).collect::<Vec<_>>(),
        "extras": extras,
        "bars": all_bars(outcomes, extras).iter().map(Bar::json).collect::<Vec<_>>(),
    });
    let file = results_file();
    fs::write(&file, format!("{results:#}\n")).with_context(|| format!("cannot write {}", file.display()))
}

fn all_bars(outcomes: &Outcomes, extras: &Value) -> Vec<Bar> {
    let mut all = bars::verdicts(outcomes);
    all.extend(extras::bars(extras));
    all
}

/// The file as it is, and its outcomes.
fn read() -> Result<(Value, Outcomes)> {
    let file = results_file();
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let results: Value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let cells = results["cells"].as_array().context("no cells")?;
    let outcomes = Outcomes(cells.iter().filter_map(Outcome::from_json).collect());
    Ok((results, outcomes))
}

/// Prints tables and bars of the results' file; writes them to the documentation if that is wanted.
pub(crate) fn report(options: &ReportOptions) -> Result<()> {
    let (results, outcomes) = read()?;
    let bars = all_bars(&outcomes, &results["extras"]);
    let text = report::text(&results, &outcomes, &bars);
    println!("{text}");
    if options.write_docs {
        let file = petrel_testkit::workspace_root().join("docs/BENCHMARKS.md");
        let document = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        fs::write(&file, report::into_document(&document, &text)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        eprintln!("wrote {}", file.display());
    }
    Ok(())
}
