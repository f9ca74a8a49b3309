//! `petrel-bench actions`: from the claim of an action to its first own instruction, beside a process that is started
//! without Petrel; and how many executions of `true` a whole server carries, beside another release.
//!
//! The runners are called as a worker calls them, in this process, with the supervisor of the release that is measured.
//! What an action runs is `date`, which tells when it began; a request has begun when its server has read it.

mod attempt;
mod python;
mod servers;
mod starts;
mod table;
mod throughput;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use crate::pipeline::write_result;
use starts::Rig;
use table::Table;

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Starts of each runner
    #[arg(long, default_value_t = 300)]
    starts: usize,
    /// Executions of `true` from their events to their ends, on the local bus; 0 for none
    #[arg(long, default_value_t = 2_000)]
    count: u64,
    /// The program of another release: its executions of `true` are measured in the same run
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
}

/// Measures, prints and writes target/bench/actions.json.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { Rig::new()?.measure(options.starts, &mut table).await })?;
    drop(runtime);
    if options.count > 0 {
        throughput::measure(options.count, options.against.as_deref(), &mut table)?;
    }
    table.print();
    write_result("actions.json", &json!({ "actions": table.json() }))
}
