//! `cargo xtask fuzz`: the fuzz targets of the rule engine, for longer than in the gate.

use anyhow::Result;
use clap::ValueEnum;

use crate::cargo::{cargo, run as run_command};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Text as a criterion
    Compile,
    /// Bytes as an event
    Extract,
    /// Rules and an event
    Matching,
}

impl Target {
    /// Name of its test.
    fn test(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Extract => "extract",
            Self::Matching => "matching",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each target is fed
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// What decides the inputs; a failed run names its own
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--release", "--package", "petrel-rules", "--test", "fuzz", "--"]);
    command.args(["--nocapture", "--test-threads", "1"]);
    if let Some(target) = options.target {
        command.args(["--exact", target.test()]);
    }
    command.env("PETREL_FUZZ_SECONDS", options.seconds.to_string());
    if let Some(seed) = options.seed {
        command.env("PETREL_FUZZ_SEED", seed.to_string());
    }
    run_command(&mut command)
}
