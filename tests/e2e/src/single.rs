//! `petrel up`: one process with everything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_testkit::{engine_library, free_port};

use crate::cli::Cli;
use crate::member::Member;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);

/// One process with all roles.
#[derive(Debug)]
pub struct Single {
    process: Member,
    cli: Cli,
    data: PathBuf,
}

impl Single {
    /// Starts it on the local bus, in `dir/data`, and waits until it is ready.
    pub fn start(dir: &Path, environment: &[(&str, &str)]) -> Result<Self> {
        let mut single = Self::prepare(dir, &[], environment)?;
        single.up()?;
        Ok(single)
    }

    /// The same for a server whose API asks for a token.
    pub fn start_with_token(dir: &Path, token: &str) -> Result<Self> {
        let mut single = Self::prepare(dir, &[], &[("PETREL_TOKEN", token)])?;
        single.cli = single.cli.with_token(token);
        single.up()?;
        Ok(single)
    }

    /// A process that does not run yet; `flags` go to `petrel up`.
    pub fn prepare(dir: &Path, flags: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let (port, data) = (free_port(), dir.join("data"));
        let library = engine_library()?.display().to_string();
        let listen = format!("127.0.0.1:{port}");
        // Relative, as `cargo xtask up` and people give it: the process runs in `dir`.
        let mut arguments = vec!["up", "--data-dir", "data", "--listen", &listen, "--quiet"];
        arguments.extend(flags);
        let mut all = vec![("PETREL_CHDB_LIB", library.as_str())];
        all.extend(environment);
        let process = Member::new(dir, "petrel", &arguments, &all);
        Ok(Self { process, cli: Cli::new(format!("http://127.0.0.1:{port}")), data })
    }

    /// Starts the process and waits until it is ready.
    pub fn up(&mut self) -> Result<()> {
        self.process.start()?;
        ensure!(self.cli.wait_ready(START), "not ready: {}", self.process.process().log_tail());
        Ok(())
    }

    /// Ends it as Ctrl-C does and checks that it ends in order.
    pub fn down(&mut self) -> Result<()> {
        let process = self.process.process();
        process.interrupt()?;
        let status = process.wait(Duration::from_secs(60))?;
        ensure!(status.success(), "ended with {status}: {}", process.log_tail());
        Ok(())
    }

    /// The command line against it.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Member {
        &mut self.process
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
}
