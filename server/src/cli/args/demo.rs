//! The words of `petrel demo`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be shown.
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// An alert, what a person would look at first, and one message of it to Slack and Jira; takes a minute
    #[command(after_help = "Examples:\n  petrel demo troubleshooting\n  \
                            petrel demo troubleshooting --kafka localhost:9092 --keep troubleshooting")]
    Troubleshooting(TroubleshootingArgs),
}

/// Options of `petrel demo troubleshooting`.
#[derive(Debug, Args)]
pub struct TroubleshootingArgs {
    /// Use this Kafka instead of the local bus; topics of the demo's own are made there, and removed
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
    /// Folder that keeps the pack, the configuration, the logs and what the stand-ins got
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// How often the alert comes again
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Let Slack and Jira close the connection instead of answering to what they take first
    #[arg(long)]
    pub lose_answers: bool,
    /// Library of the embedded ClickHouse engine
    #[arg(long, env = "PETREL_CHDB_LIB", value_name = "FILE")]
    pub clickhouse_library: Option<PathBuf>,
}
