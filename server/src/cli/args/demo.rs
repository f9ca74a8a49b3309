//! The words of `petrel demo`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be shown.
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// An alert, what a person would look at first, and one message of it to Slack and Jira; takes a minute
    #[command(after_help = "Examples:\n  petrel demo troubleshooting\n  \
                            petrel demo troubleshooting --kafka localhost:9092 --keep troubleshooting")]
    Troubleshooting(TroubleshootingArgs),
    /// A compute host of OpenStack fails: its VMs are evacuated, and a person is called where that goes wrong; takes a minute
    #[command(after_help = "Examples:\n  petrel demo remediation\n  petrel demo remediation --fail vm-3\n  \
                            petrel demo remediation --hang vm-2 --ask")]
    Remediation(RemediationArgs),
    /// CI has released a service: it gets the traffic in steps, and goes forward or back by its figures; takes a minute
    #[command(after_help = "Examples:\n  petrel demo deploy\n  petrel demo deploy --bad-metrics\n  \
                            petrel demo deploy --no-metrics --ask")]
    Deploy(DeployArgs),
}

/// Options of all of them.
#[derive(Debug, Args)]
pub struct StageArgs {
    /// Use this Kafka instead of the local bus; topics of the demo's own are made there, and removed
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Folder that keeps the pack, the configuration, the logs and what the stand-ins got
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Library of the embedded ClickHouse engine
    #[arg(long, env = "PETREL_CHDB_LIB", value_name = "FILE")]
    pub clickhouse_library: Option<PathBuf>,
}

/// Options of `petrel demo troubleshooting`.
#[derive(Debug, Args)]
pub struct TroubleshootingArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    /// How often the alert comes again
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Let Slack and Jira close the connection instead of answering to what they take first
    #[arg(long)]
    pub lose_answers: bool,
}

/// Options of `petrel demo remediation`.
#[derive(Debug, Args)]
pub struct RemediationArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    /// A VM for which no other host has room; may be given several times
    #[arg(long, value_name = "VM", value_parser = VMS)]
    pub fail: Vec<String>,
    /// A VM whose evacuation never ends; may be given several times
    #[arg(long, value_name = "VM", value_parser = VMS)]
    pub hang: Vec<String>,
    /// Let the host be up, whatever Masakari says
    #[arg(long, conflicts_with_all = ["fail", "hang"])]
    pub false_alarm: bool,
    /// What the person who is called decides: to repair the cloud and retry, to go on without what failed, or to roll back
    #[arg(long, value_enum, default_value_t = RemediationDecision::Retry)]
    pub decide: RemediationDecision,
    /// Ask you instead of that person
    #[arg(long, conflicts_with = "decide")]
    pub ask: bool,
}

/// The VMs of the host.
const VMS: [&str; 6] = ["vm-1", "vm-2", "vm-3", "vm-4", "vm-5", "vm-6"];

/// What becomes of a frozen evacuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RemediationDecision {
    /// The cloud is repaired, and what failed is tried again.
    Retry,
    /// It goes on without what failed.
    Skip,
    /// What was done is undone.
    Rollback,
}

/// Options of `petrel demo deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    pub stage: StageArgs,
    /// Let requests to the new version fail once it has half of the traffic
    #[arg(long, group = "fault")]
    pub bad_metrics: bool,
    /// Let nothing be known of the new version once it has half of the traffic
    #[arg(long, group = "fault")]
    pub no_metrics: bool,
    /// Let the pods of the new version never be available
    #[arg(long, group = "fault")]
    pub crash_loop: bool,
    /// What the person who is asked answers
    #[arg(long, value_enum, default_value_t = DeployDecision::Back)]
    pub decide: DeployDecision,
    /// Ask you instead of that person
    #[arg(long, conflicts_with = "decide")]
    pub ask: bool,
}

/// Where a deployment goes of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeployDecision {
    /// On, to all of the traffic.
    Forward,
    /// Back, to what there was before.
    Back,
}
