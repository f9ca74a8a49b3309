//! The tests at full counts: the same ones as in the gate, with more of everything.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use petrel_testkit::{KafkaBroker, engine_library};

use crate::cargo::{cargo, run as run_command};
use crate::deps::{fetch_engine, fetch_kafka};
use crate::machine::{FOR_KAFKA, FOR_NPM, TO_BUILD, Tool, require};

/// Petrel's default; with the small counts leases are shorter, so that less is waited for.
const LEASE_MS: u64 = 20_000;

/// How much the tests do that can do more. What is not set here, they decide themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// Events that the independent client writes.
    events: Option<u64>,
    /// How often a process is killed.
    kills: Option<u64>,
    /// What decides when which process is killed.
    seed: Option<u64>,
    /// Slots of all workers together.
    slots: Option<u64>,
    /// How long one in twenty actions takes at most, in milliseconds.
    slow_ms: Option<u64>,
    /// Length of a lease, in milliseconds.
    lease_ms: Option<u64>,
    /// How long some workers are away after a kill.
    away_seconds: Option<u64>,
    /// Whether a process of every role is killed for good, 0 or 1.
    for_good: Option<u64>,
    /// Brokers of the test that kills them in turn, and how often it does.
    brokers: Option<u64>,
    broker_kills: Option<u64>,
    /// Workflows of the test that kills processes under them, and seconds from one kill to the next.
    workflows: Option<u64>,
    kill_every_seconds: Option<u64>,
    /// How long Kafka or ClickHouse is away.
    outage_seconds: Option<u64>,
    /// With how many of the things that may go wrong in it each demo is played.
    demo_faults: Option<u64>,
    /// Answers that each property of the rule engine compares.
    comparisons: Option<u64>,
}

impl Load {
    /// What the project promises.
    pub(crate) const FULL: Load = Load {
        events: Some(50_000),
        kills: Some(20),
        seed: None,
        slots: Some(32),
        slow_ms: Some(20_000),
        lease_ms: Some(LEASE_MS),
        away_seconds: Some(60),
        for_good: Some(1),
        brokers: Some(3),
        broker_kills: Some(20),
        workflows: Some(1_000),
        kill_every_seconds: Some(10),
        outage_seconds: Some(300),
        demo_faults: Some(5),
        comparisons: Some(1_000_000),
    };

    /// As the tests read it from their environment.
    pub(crate) fn apply(self, command: &mut Command) {
        let variables = [
            ("PETREL_E2E_EVENTS", self.events),
            ("PETREL_E2E_KILLS", self.kills),
            ("PETREL_E2E_SEED", self.seed),
            ("PETREL_E2E_SLOTS", self.slots),
            ("PETREL_E2E_SLOW_MS", self.slow_ms),
            ("PETREL_E2E_LEASE_MS", self.lease_ms),
            ("PETREL_E2E_AWAY_SECONDS", self.away_seconds),
            ("PETREL_E2E_FOR_GOOD", self.for_good),
            ("PETREL_E2E_BROKERS", self.brokers),
            ("PETREL_E2E_BROKER_KILLS", self.broker_kills),
            ("PETREL_E2E_WORKFLOWS", self.workflows),
            ("PETREL_E2E_KILL_EVERY_SECONDS", self.kill_every_seconds),
            ("PETREL_E2E_OUTAGE_SECONDS", self.outage_seconds),
            ("PETREL_E2E_DEMO_FAULTS", self.demo_faults),
            ("PETREL_RULES_COMPARISONS", self.comparisons),
        ];
        for (name, value) in variables {
            if let Some(value) = value {
                command.env(name, value.to_string());
            }
        }
    }
}

/// Which bus the tests run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bus {
    /// Real Apache Kafka, with processes of all roles
    Kafka,
    /// One process with everything embedded
    Local,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CrashOptions {
    /// Events to write; one in ten matches a rule
    #[arg(long, default_value_t = 50_000)]
    events: u64,
    /// How many times a process is killed with -9 and started again
    #[arg(long, default_value_t = 20)]
    kills: u64,
    /// What decides when which process is killed; a failed run names its own
    #[arg(long)]
    seed: Option<u64>,
    /// Only on this bus; otherwise on both
    #[arg(long, value_enum)]
    bus: Option<Bus>,
    /// Slots of all workers together
    #[arg(long, default_value_t = 32)]
    slots: u64,
    /// One in twenty actions takes up to that long, in milliseconds; the others take no time
    #[arg(long, default_value_t = 20_000)]
    slow_ms: u64,
    /// How long a killed worker is away, every other time, in seconds
    #[arg(long, default_value_t = 60)]
    away_seconds: u64,
    /// On Kafka: at the end a process of every role is killed for good, and the others take over
    #[arg(long)]
    for_good: bool,
    /// Kill brokers instead, one after the other, of so many (at least three)
    #[arg(long)]
    brokers: Option<u64>,
    /// Kill one process after the other under so many workflows of 20 tasks instead, on Kafka, until the last has ended
    #[arg(long, conflicts_with_all = ["events", "kills", "bus", "slow_ms", "away_seconds", "for_good", "brokers"])]
    workflows: Option<u64>,
    /// With --workflows: seconds from one kill to the next
    #[arg(long, default_value_t = 10, requires = "workflows")]
    every: u64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OutageOptions {
    /// How long Kafka, then ClickHouse, is away
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

pub(crate) fn crash(options: &CrashOptions) -> Result<()> {
    let (events, kills) = (Some(options.events), Some(options.kills));
    let load = Load {
        events,
        kills,
        seed: options.seed,
        slots: Some(options.slots),
        slow_ms: Some(options.slow_ms),
        lease_ms: Some(LEASE_MS),
        away_seconds: Some(options.away_seconds),
        for_good: Some(u64::from(options.for_good)),
        brokers: options.brokers,
        broker_kills: kills,
        workflows: options.workflows,
        kill_every_seconds: options.workflows.map(|_| options.every),
        ..Load::default()
    };
    let filters: &[&str] = match options.bus {
        _ if options.workflows.is_some() => &["crash::workflows"],
        _ if options.brokers.is_some() => &["crash::brokers"],
        None => &["crash::kafka", "crash::local"],
        Some(Bus::Kafka) => &["crash::kafka"],
        Some(Bus::Local) => &["crash::local"],
    };
    filters.iter().try_for_each(|filter| run_filtered(filter, load, *filter != "crash::local"))
}

pub(crate) fn outage(options: &OutageOptions) -> Result<()> {
    run_filtered("outage", Load { outage_seconds: Some(options.seconds), ..Load::default() }, true)
}

/// Runs the end-to-end tests whose name contains `filter`, one after the other, on release builds.
fn run_filtered(filter: &str, load: Load, with_kafka: bool) -> Result<()> {
    let mut tools: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).collect();
    if with_kafka {
        tools.extend(FOR_KAFKA);
    }
    require(&tools)?;
    fetch_engine()?;
    run_command(cargo().args(["build", "--release", "--package", "petrel-server"]))?;
    ensure_some_test(filter)?;
    let mut command = e2e_tests(filter);
    command.args(["--test-threads", "1", "--nocapture"]).env("PETREL_CHDB_LIB", engine_library()?);
    load.apply(&mut command);
    let mut broker = None;
    if with_kafka {
        fetch_kafka()?;
        let broker = broker.insert(KafkaBroker::start_with_defaults()?);
        command.env("PETREL_TEST_KAFKA", broker.bootstrap());
    }
    run_command(&mut command)?;
    broker.as_mut().map_or(Ok(()), KafkaBroker::stop)
}

fn e2e_tests(filter: &str) -> Command {
    let mut command = cargo();
    command.args(["test", "--release", "--package", "petrel-e2e-tests", "--", filter]);
    command
}

/// A filter that no test fits passes for a success; here it is a failure.
fn ensure_some_test(filter: &str) -> Result<()> {
    let output = e2e_tests(filter).arg("--list").stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cannot list the end-to-end tests");
    let list = String::from_utf8_lossy(&output.stdout);
    ensure!(list.lines().any(|line| line.ends_with(": test")), "no end-to-end test has {filter:?} in its name");
    Ok(())
}
