//! `cargo xtask up`: Petrel on this machine, with everything embedded.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Error, Result};
use petrel_testkit::{engine_library, workspace_root};

use crate::cargo::{cargo, run as run_command};
use crate::deps::fetch_engine;
use crate::machine::{FOR_NPM, TO_BUILD, Tool, require};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Passed on to `petrel up`, for example --listen 127.0.0.1:9000 or --kafka localhost:9092
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let tools: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).collect();
    require(&tools)?;
    fetch_engine()?;
    run_command(cargo().args(["build", "--release", "--package", "petrel-server"]))?;
    let mut petrel = Command::new(workspace_root().join("target/release/petrel"));
    petrel.arg("up").args(arguments(&options.arguments)).current_dir(workspace_root());
    petrel.env("PETREL_CHDB_LIB", engine_library()?);
    // Petrel takes this process's place: Ctrl-C and every other signal reach it, and nothing else
    // stands between it and the terminal.
    Err(Error::from(petrel.exec()).context("cannot start target/release/petrel"))
}

/// The caller's arguments, and the defaults that they do not override.
fn arguments(given: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for (flag, value) in [("--data-dir", ".petrel"), ("--packs", "packs")] {
        let overridden = given.iter().any(|argument| argument.split('=').next() == Some(flag));
        if !overridden {
            all.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    all.extend_from_slice(given);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_give_way_to_what_is_given() {
        for (given, expected) in [
            ("", "--data-dir .petrel --packs packs"),
            ("--kafka h:9092", "--data-dir .petrel --packs packs --kafka h:9092"),
            ("--data-dir d", "--packs packs --data-dir d"),
            ("--packs=p --data-dir=d", "--packs=p --data-dir=d"),
        ] {
            let given: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
            assert_eq!(arguments(&given).join(" "), expected);
        }
    }
}
