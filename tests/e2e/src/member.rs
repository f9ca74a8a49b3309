//! One process of an installation, that can be killed and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_testkit::{Proc, petrel_binary};

/// How to start a `petrel` process, and the process if it runs.
#[derive(Debug)]
pub struct Member {
    name: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    dir: PathBuf,
    log: PathBuf,
    process: Option<Proc>,
}

impl Member {
    /// A process that does not run yet; it will run in `dir`, and its log goes to `dir/<name>.log`.
    pub fn new(dir: &Path, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            dir: dir.to_owned(),
            log: dir.join(format!("{name}.log")),
            process: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was started once.
    pub fn was_started(&self) -> bool {
        self.process.is_some()
    }

    /// Starts it, if it does not run.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(petrel_binary()?);
        command.current_dir(&self.dir).args(&self.arguments).envs(self.environment.iter().map(|(k, v)| (k, v)));
        self.process = Some(Proc::start(&self.name, &mut command, &self.log)?);
        Ok(())
    }

    /// The running process.
    pub fn process(&mut self) -> &mut Proc {
        self.process.as_mut().unwrap_or_else(|| panic!("{} was not started", self.name))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill9();
        }
    }

    /// Its next start has this variable in its environment, or has it not.
    pub fn set_environment(&mut self, name: &str, value: Option<&str>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub fn end(&mut self, timeout: Duration) -> Result<()> {
        let process = self.process();
        process.terminate()?;
        let status = process.wait(timeout)?;
        ensure!(status.success(), "{} ended with {status}\n{}", self.name, self.log_tail());
        Ok(())
    }

    /// `kill -9`, and a new start.
    pub fn crash(&mut self) -> Result<()> {
        self.process().kill9();
        self.start()
    }

    /// Fails if it ended by itself.
    pub fn check_running(&mut self) -> Result<()> {
        let name = self.name.clone();
        let process = self.process();
        match process.ended() {
            None => Ok(()),
            Some(status) => anyhow::bail!("{name} ended by itself, with {status}\n{}", process.log_tail()),
        }
    }

    /// The last lines of its log, for a message.
    pub fn log_tail(&self) -> String {
        self.process.as_ref().map_or_else(|| format!("{} was not started", self.name), Proc::log_tail)
    }

    /// The file that holds its log.
    pub fn log(&self) -> &Path {
        &self.log
    }
}
