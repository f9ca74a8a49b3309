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
    /// Build the product itself (target/release/petrel), with Kafka, in twice the time, instead of what is enough for a
    /// first look (target/up/petrel). --kafka and PETREL_KAFKA__BOOTSTRAP do so, too
    #[arg(long)]
    release: bool,
    /// Passed on to `petrel up`, for example --listen 127.0.0.1:9000 or --kafka localhost:9092
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let tools: Vec<Tool> = TO_BUILD.into_iter().chain(FOR_NPM).collect();
    require(&tools)?;
    fetch_engine()?;
    let build = Build::of(options, std::env::var_os("PETREL_KAFKA__BOOTSTRAP").is_some());
    println!("{}", build.told());
    run_command(cargo().args(["build", "--package", "petrel-server"]).args(build.flags()))?;
    let program = workspace_root().join(build.program());
    let mut petrel = Command::new(&program);
    petrel.arg("up").args(arguments(&options.arguments)).current_dir(workspace_root());
    petrel.env("PETREL_CHDB_LIB", engine_library()?);
    // Petrel takes this process's place: Ctrl-C and every other signal reach it, and nothing else
    // stands between it and the terminal.
    Err(Error::from(petrel.exec()).context(format!("cannot start {}", program.display())))
}

/// Which Petrel is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// Without Kafka and less optimised, which is where half of the time would go: enough for a first look.
    Look,
    /// What is measured and shipped.
    Release,
}

impl Build {
    fn of(options: &Options, kafka_is_configured: bool) -> Self {
        let asks = |argument: &String| matches!(argument.split('=').next(), Some("--kafka" | RELEASE));
        let is_release = options.release || kafka_is_configured || options.arguments.iter().any(asks);
        if is_release { Self::Release } else { Self::Look }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Look => {
                "Building Petrel for a first look: without Kafka, and not as fast as it is. --release builds the product."
            }
            Self::Release => "Building Petrel as it is released.",
        }
    }

    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Look => &["--profile", "up", "--no-default-features"],
            Self::Release => &["--release"],
        }
    }

    fn program(self) -> &'static str {
        match self {
            Self::Look => "target/up/petrel",
            Self::Release => "target/release/petrel",
        }
    }
}

/// Also understood behind an argument of `petrel up`, where it is no longer an option of this command.
const RELEASE: &str = "--release";

/// The caller's arguments, and the defaults that they do not override.
fn arguments(given: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for (flag, value) in [("--data-dir", ".petrel"), ("--packs", "packs")] {
        let overridden = given.iter().any(|argument| argument.split('=').next() == Some(flag));
        if !overridden {
            all.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    all.extend(given.iter().filter(|&argument| argument != RELEASE).cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_is_built_for_who_wants_it() {
        let build = |release, configured, arguments: &[&str]| {
            let arguments = arguments.iter().map(|&argument| argument.into()).collect();
            Build::of(&Options { release, arguments }, configured)
        };
        assert_eq!(build(false, false, &[]), Build::Look);
        assert_eq!(build(false, false, &["--listen", "127.0.0.1:9000"]), Build::Look);
        assert_eq!(build(true, false, &[]), Build::Release);
        assert_eq!(build(false, true, &[]), Build::Release);
        assert_eq!(build(false, false, &["--kafka", "localhost:9092"]), Build::Release);
        assert_eq!(build(false, false, &["--kafka=localhost:9092"]), Build::Release);
        assert_eq!(build(false, false, &["--listen", "127.0.0.1:9000", "--release"]), Build::Release);
    }

    #[test]
    fn defaults_give_way_to_what_is_given() {
        for (given, expected) in [
            ("", "--data-dir .petrel --packs packs"),
            ("--kafka h:9092", "--data-dir .petrel --packs packs --kafka h:9092"),
            ("--data-dir d", "--packs packs --data-dir d"),
            ("--listen l:1 --release", "--data-dir .petrel --packs packs --listen l:1"),
            ("--packs=p --data-dir=d", "--packs=p --data-dir=d"),
        ] {
            let given: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
            assert_eq!(arguments(&given).join(" "), expected);
        }
    }
}
