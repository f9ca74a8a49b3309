//! `cargo xtask bench`: measurements on release builds.

use std::process::Command;

use anyhow::Result;
use petrel_testkit::{KafkaBroker, workspace_root};

use crate::cargo::{cargo, release_binary, run as run_command};
use crate::deps::{fetch_engine, fetch_kafka, fetch_openssh, fetch_ruler};
use crate::machine::{FOR_KAFKA, FOR_NPM, TO_BUILD, Tool, require};

/// How the rule engine and those that it is compared with are compiled.
const RUSTFLAGS: &str = "-C target-cpu=native";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// The match stage against plain consumers on real Kafka; writes target/bench/pipeline.json
    Pipeline {
        /// Passed on to the benchmark; --help lists what it takes
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What executions cost, how many one machine carries and how soon it is back after a kill, on both buses;
    /// writes target/bench/executions.json
    Executions {
        /// Passed on to the benchmark: --bus local or kafka, --count for fewer than a million
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// From the claim of an action to its first own instruction, by runner, and executions of `true` a second;
    /// writes target/bench/actions.json
    Actions {
        /// Passed on to the benchmark: --against PROGRAM for another release, --starts, --count
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// What gates of policies grant in a second, at one hot key and at 100,000 keys; writes target/bench/gates.json
    Gates {
        /// Passed on to the benchmark: --hot, --permits, --keys
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Tasks of workflows beside plain executions, wide ones, many at once, many asleep, on both buses, and the conductor
    /// alone; writes target/bench/workflows.json
    Workflows {
        /// Passed on to the benchmark: --bus local or kafka, --asleep 1000000, --only for a part; --help lists the rest
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// The rule engine against engines that others wrote; writes target/bench/rules.json
    Rules {
        /// Passed on to the benchmark: --quick takes a few minutes, --help lists the rest
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Pipeline { arguments } => pipeline(arguments),
        Bench::Executions { arguments } => executions(arguments),
        Bench::Actions { arguments } => actions(arguments),
        Bench::Gates { arguments } => gates(arguments),
        Bench::Workflows { arguments } => workflows(arguments),
        Bench::Rules { arguments } => rules(arguments),
    }
}

/// With a broker of its own.
fn pipeline(arguments: &[String]) -> Result<()> {
    prepare()?;
    let mut broker = KafkaBroker::start()?;
    let mut command = benchmark("pipeline", arguments)?;
    command.env("PETREL_TEST_KAFKA", broker.bootstrap());
    run_command(&mut command)?;
    broker.stop()
}

/// It starts a broker itself, once it needs one: on the local bus an idle one would be measured, too.
fn executions(arguments: &[String]) -> Result<()> {
    prepare()?;
    run_command(&mut benchmark("executions", arguments)?)
}

/// It starts a broker itself, once it needs one, as `executions` does.
fn workflows(arguments: &[String]) -> Result<()> {
    prepare()?;
    run_command(&mut benchmark("workflows", arguments)?)
}

/// With OpenSSH's server, for the runner `ssh`.
fn actions(arguments: &[String]) -> Result<()> {
    prepare()?;
    fetch_openssh()?;
    run_command(&mut benchmark("actions", arguments)?)
}

/// On the local bus, and without a server.
fn gates(arguments: &[String]) -> Result<()> {
    require(&TO_BUILD)?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "petrel-bench", "--", "gates"]).args(arguments);
    run_command(&mut command)
}

/// What the program `petrel-bench` needs.
fn prepare() -> Result<()> {
    let tools: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).chain(FOR_KAFKA).collect();
    require(&tools)?;
    fetch_kafka()?;
    fetch_engine()?;
    run_command(cargo().args(["build", "--release", "--package", "petrel-server", "--package", "petrel-bench"]))
}

fn benchmark(what: &str, arguments: &[String]) -> Result<Command> {
    // What was built, as it was built: `cargo run` of one package would compile much of it again, with other features.
    let mut command = Command::new(release_binary("petrel-bench")?);
    command.current_dir(workspace_root()).arg(what).args(arguments);
    command.env("PETREL_CHDB_LIB", petrel_testkit::engine_library()?);
    Ok(command)
}

/// From a workspace and in a target folder of its own: with the engines that others wrote, and compiled for
/// this machine's processor.
fn rules(arguments: &[String]) -> Result<()> {
    let ruler = fetch_ruler()?;
    let mut command = cargo();
    command.args(["run", "--release", "--manifest-path", "tests/rulesbench/rivals/Cargo.toml", "--", "run"]);
    command.args(arguments);
    command.env("CARGO_TARGET_DIR", workspace_root().join("target/bench-native"));
    command.env("RUSTFLAGS", RUSTFLAGS);
    command.env("PETREL_BENCH_RUSTFLAGS", format!("{RUSTFLAGS}, thin LTO"));
    if let Some(class_path) = ruler {
        command.env("PETREL_BENCH_RULER", class_path);
    }
    run_command(&mut command)
}
