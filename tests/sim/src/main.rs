//! `petrel-sim`: many seeds, for longer than in the gate.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]
#![expect(clippy::disallowed_methods, reason = "how long the seeds took is told")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use petrel_sim_tests::checks::workflows::Seen;
use petrel_sim_tests::fault::Coverage;
use petrel_sim_tests::{Options, run};

/// As in the product; a sixth of a run is spent in it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How often it is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// Run the whole product on the simulated log, seed by seed.
#[derive(Debug, Parser)]
struct Cli {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print what happened in each run
    #[arg(long)]
    verbose: bool,
}

/// What seeds of a kind cost.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    seeds: u32,
    took: Duration,
}

impl Cost {
    fn add(&mut self, took: Duration) {
        self.seeds += 1;
        self.took += took;
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each_ms = self.took.as_secs_f64() * 1e3 / f64::from(self.seeds.max(1));
        write!(f, "{} seeds, {each_ms:.1} ms each", self.seeds)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let options = Options { keeps_lines: cli.verbose, ..Options::default() };
    let began = Instant::now();
    let (mut coverage, mut failed, mut told) = (Coverage::default(), 0_u64, began);
    let mut workflows = Seen::default();
    let mut costs = [Cost::default(); 2];
    for seed in cli.from..cli.from + cli.seeds {
        let run_at = Instant::now();
        let report = run(seed, &options);
        costs[usize::from(report.workflows.requested > 0)].add(run_at.elapsed());
        coverage.add(&report.coverage);
        workflows.add(&report.workflows);
        if cli.verbose {
            report.lines.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: hash {:016x}, {} ms of virtual time", report.hash, report.took_ms);
        }
        if !report.violations.is_empty() {
            failed += 1;
            let (first, count) = (&report.violations[0], report.violations.len());
            eprintln!("seed {seed} fails ({count} violations): {first}");
            if cli.verbose {
                report.violations[1..].iter().for_each(|violation| eprintln!("  {violation}"));
            }
            eprintln!("  replay: cargo xtask sim --seeds 1 --from {seed} --verbose");
        }
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            let (done, took) = (seed - cli.from + 1, began.elapsed().as_secs_f64());
            let left = took / done as f64 * (cli.seeds - done) as f64;
            eprintln!("{done} of {} seeds, {failed} failed; about {:.0} minutes left", cli.seeds, (left / 60.0).ceil());
        }
    }
    println!("{coverage}\n{workflows:?}");
    println!("without workflows {}, with some {}", costs[0], costs[1]);
    let took = began.elapsed();
    println!(
        "{} seeds in {:.1} s, {:.1} ms a seed, {failed} failed",
        cli.seeds,
        took.as_secs_f64(),
        took.as_secs_f64() * 1e3 / cli.seeds.max(1) as f64
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
