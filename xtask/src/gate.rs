//! `cargo xtask test`: the one command that decides whether a change is good.

use std::path::Path;

use anyhow::{Context, Result, bail};
use petrel_testkit::{KafkaBroker, dev_dir, engine_library, kafka_libs_dir};

use crate::cargo::{cargo, on_ci, run as run_command};
use crate::deps::{fetch_cel_spec, fetch_docker, fetch_engine, fetch_kafka, fetch_openssh, fetch_s3, fetch_smtp};
use crate::e2e::Load;
use crate::machine::{FOR_KAFKA, FOR_NPM, TO_BUILD, Tool, missing, require};
use crate::steps::Steps;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Crash and outage tests, the demos and the rule engine's properties at full counts and times, which takes about an hour
    #[arg(long)]
    full: bool,
    /// Passed on to every test binary, for example: -- crash --test-threads 1
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let skips = dev_dir().join("skipped-tests.txt");
    // Without these there is nothing to build or test with.
    let ready = steps.run("machine and downloads", prepare).is_some();
    steps.run("formatting", || run_command(cargo().args(["fmt", "--all", "--check"])));
    if ready {
        steps.run("lints", || {
            run_command(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
            // What `cargo xtask up` builds is without Kafka.
            run_command(cargo().args(["clippy", "--workspace", "--no-default-features", "--", "-D", "warnings"]))
        });
        // Tests and binaries in one go, so that both are built with the same features, once.
        let built = steps.run("build", || run_command(cargo().args(["build", "--workspace", "--all-targets"])));
        if built.is_some() {
            run_tests(&mut steps, options, &skips);
        }
    }
    steps.finish()
}

/// Checks the machine for everything at once, then fetches.
fn prepare() -> Result<()> {
    let mut needed: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).collect();
    if on_ci() {
        needed.extend(FOR_KAFKA);
    }
    require(&needed)?;
    if kafka_is_possible() {
        fetch_kafka()?;
    }
    fetch_engine()?;
    fetch_cel_spec()?;
    fetch_openssh()?;
    fetch_s3()?;
    fetch_smtp()?;
    fetch_docker()
}

/// Without Java or Maven the tests that need Kafka skip themselves, by name. Maven only fetches: jars
/// that are there already need none.
fn kafka_is_possible() -> bool {
    let [java, maven] = FOR_KAFKA;
    let jars = kafka_libs_dir().join(".stamp").is_file();
    missing(&[java]).is_empty() && (jars || missing(&[maven]).is_empty())
}

/// All tests, with one broker for those that can share one.
fn run_tests(steps: &mut Steps, options: &Options, skips: &Path) {
    let broker = if kafka_is_possible() {
        match steps.run("Kafka broker", KafkaBroker::start) {
            Some(broker) => Some(broker),
            // Never a skip: a broker that does not start fails the run.
            None => return,
        }
    } else {
        None
    };
    steps.run("tests", || {
        forget_skips(skips)?;
        let mut command = cargo();
        command.args(["test", "--workspace", "--no-fail-fast", "--"]).args(&options.arguments);
        command.env("PETREL_TEST_SKIPS", skips).env("PETREL_CHDB_LIB", engine_library()?);
        if let Some(broker) = &broker {
            command.env("PETREL_TEST_KAFKA", broker.bootstrap());
        }
        if options.full {
            Load::FULL.apply(&mut command);
        }
        run_command(&mut command)
    });
    if let Some(broker) = broker {
        steps.run("Kafka broker's end", || end(broker));
    }
    if let Ok(list) = std::fs::read_to_string(skips) {
        steps.run("skipped tests", || judge_skips(list.trim_end(), on_ci()));
    }
}

/// A broker that died during the tests is worth knowing about, whatever the tests said.
fn end(mut broker: KafkaBroker) -> Result<()> {
    if !broker.is_running() {
        bail!("the broker had died before the tests ended\n{}", broker.log_tail());
    }
    broker.stop()
}

fn forget_skips(skips: &Path) -> Result<()> {
    match std::fs::remove_file(skips) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", skips.display()))
        }
        _ => Ok(()),
    }
}

/// Skips are named at the end, where they are seen, and are a failure where nothing may be missing.
fn judge_skips(list: &str, on_ci: bool) -> Result<()> {
    if on_ci {
        bail!("with CI=true a skip is a failure:\n{list}");
    }
    println!("{list}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_a_failure_where_nothing_may_be_missing() {
        judge_skips("SKIPPED a", false).unwrap();
        assert!(judge_skips("SKIPPED a", true).unwrap_err().to_string().contains("SKIPPED a"));
    }
}
