//! `cargo xtask vectors`: recorded behaviour of Orquesta and YAQL against Petrel's.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::{cargo, run as run_command};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The folder of vectors; files in folders below it are run, too
    folder: PathBuf,
    /// Tell of each case that failed what was different
    #[arg(long)]
    why: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let folder = options.folder.canonicalize();
    let folder = folder.with_context(|| format!("cannot find {}", options.folder.display()))?;
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "petrel-vectors", "--"]).arg(folder);
    if options.why {
        command.arg("--why");
    }
    run_command(&mut command)
}
