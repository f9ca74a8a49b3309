//! `cargo xtask bench`: measurements on release builds and a broker of their own.

use anyhow::Result;
use petrel_testkit::KafkaBroker;

use crate::cargo::{cargo, run as run_command};
use crate::deps::{fetch_engine, fetch_kafka};
use crate::machine::{FOR_KAFKA, FOR_NPM, TO_BUILD, Tool, require};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// The match stage against plain consumers on real Kafka; writes target/bench/pipeline.json
    Pipeline {
        /// Passed on to the benchmark; --help lists what it takes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let Bench::Pipeline { arguments } = bench;
    let tools: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).chain(FOR_KAFKA).collect();
    require(&tools)?;
    fetch_kafka()?;
    fetch_engine()?;
    run_command(cargo().args(["build", "--release", "--package", "petrel-server", "--package", "petrel-bench"]))?;
    let mut broker = KafkaBroker::start()?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "petrel-bench", "--", "pipeline"]).args(arguments);
    command.env("PETREL_TEST_KAFKA", broker.bootstrap());
    command.env("PETREL_CHDB_LIB", petrel_testkit::engine_library()?);
    run_command(&mut command)?;
    broker.stop()
}
