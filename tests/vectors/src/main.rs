//! `cargo xtask vectors`: runs every file of vectors in a folder and tells how they went.
#![allow(clippy::print_stdout, reason = "a command line tool talks to its terminal")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Run recorded behaviour of Orquesta and YAQL against Petrel's
#[derive(Debug, Parser)]
#[command(name = "petrel-vectors")]
struct Cli {
    /// The folder; files in folders below it are run, too
    folder: PathBuf,
    /// Tell of each case that failed what was different
    #[arg(long)]
    why: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let reports = petrel_vectors::run_folder(&cli.folder)?;
    let mut failed = 0;
    for report in &reports {
        let skipped: usize = report.skipped.values().sum();
        println!(
            "{}: {} passed, {} failed, {skipped} skipped",
            report.file.display(),
            report.passed,
            report.failed.len()
        );
        for (reason, cases) in &report.skipped {
            println!("  skipped {cases}: {reason}");
        }
        for (name, why) in &report.failed {
            if cli.why { println!("  failed {name}: {why}") } else { println!("  failed {name}") }
        }
        failed += report.failed.len();
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
