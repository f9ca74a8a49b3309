//! `cargo xtask sim`: the whole product on the simulated log, for more seeds than in the gate.

use anyhow::Result;

use crate::cargo::{cargo, run as run_command};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one; a failed run names its own
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Print what happens in each run
    #[arg(long)]
    verbose: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--release", "--package", "petrel-sim-tests", "--bin", "petrel-sim", "--"]);
    command.args(["--seeds", &options.seeds.to_string(), "--from", &options.from.to_string()]);
    if options.verbose {
        command.arg("--verbose");
    }
    run_command(&mut command)
}
