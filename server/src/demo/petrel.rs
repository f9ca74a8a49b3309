//! A Petrel of the demo's own, which is killed in the middle of things and started again, and ends with the demo.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::narrator::Narrator;
use super::stage::{Folder, Interrupt};

/// Longest wait for the server to be ready.
const READY_MS: i64 = 120_000;
/// What runs the server, and ends it with the demo, whatever ends that.
const KEEP: &str = include_str!("keep.sh");
/// Pause before something is looked at again.
const PAUSE: Duration = Duration::from_millis(100);
/// Variables of Petrel's that the server of a demo is given: the others are about another one.
const KEPT: [&str; 2] = ["PETREL_KAFKA__", "PETREL_CHDB_LIB"];

/// A Petrel of the demo's own.
pub struct Petrel {
    launch: Launch,
    child: Child,
    narrator: Arc<Narrator>,
    interrupt: Interrupt,
}

/// How it is started, the first time and each time after that.
struct Launch {
    folder: PathBuf,
    listen: SocketAddr,
    token: String,
    library: Option<PathBuf>,
}

impl Launch {
    fn config(&self) -> PathBuf {
        self.folder.join("petrel.yaml")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("petrel.log")
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let mut command = without_others(Command::new("/bin/sh"));
        command.args(["-c", KEEP, "sh"]).arg(this()?).arg("up").arg("--config").arg(self.config());
        command.args(["--listen", &self.listen.to_string(), "--quiet"]);
        if let Some(library) = &self.library {
            command.arg("--clickhouse-library").arg(library);
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        command.env("PETREL_TOKEN", &self.token).current_dir(&self.folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        command.spawn().context("petrel cannot be started")
    }
}

impl Petrel {
    /// Starts it with what stands in `config` beside its address and its token, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time.
    pub fn start(
        folder: &Folder,
        config: &Value,
        library: Option<PathBuf>,
        narrator: &Arc<Narrator>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        // Free now; whoever takes it before Petrel does makes it end, which is told.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let launch = Launch { folder: folder.path().to_owned(), listen, token: super::random_text()?, library };
        super::files::write(&launch.config(), &serde_json::to_string_pretty(config)?, 0o600)?;
        let child = launch.spawn()?;
        let mut petrel = Self { launch, child, narrator: narrator.clone(), interrupt: interrupt.clone() };
        petrel.wait_ready()?;
        Ok(petrel)
    }

    /// `kill -9`, and a new start on what is on the disk.
    ///
    /// # Errors
    /// If it does not start again.
    pub fn crash(&mut self) -> anyhow::Result<()> {
        let stdin = self.child.stdin.as_mut().context("it was ended already")?;
        stdin.write_all(b"kill\n").context("it has ended by itself")?;
        self.child.wait()?;
        self.child = self.launch.spawn()?;
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let until_ms = self.narrator.now_ms() + READY_MS;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("petrel has ended with {status}; its log ends so:\n{}", self.log_tail());
            }
            if self.ask(&["status"], None).is_ok() {
                return Ok(());
            }
            ensure!(self.narrator.now_ms() < until_ms, "petrel is not ready; its log ends so:\n{}", self.log_tail());
            self.pause()?;
        }
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(self.launch.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn pause(&self) -> anyhow::Result<()> {
        ensure!(!self.interrupt.was_asked(), "somebody has asked the demo to end");
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Runs a command against it, and answers with its standard output.
    ///
    /// # Errors
    /// If it does not succeed; with what it says.
    pub fn ask(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
        let mut command = without_others(Command::new(this()?));
        let api = format!("http://{}", self.launch.listen);
        command.args(arguments).args(["--api", &api]).env("PETREL_API_TOKEN", &self.launch.token);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("petrel cannot be started")?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that has ended says by itself why.
            let _ = stdin.write_all(input.unwrap_or_default().as_bytes());
        }
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "petrel {}: {}", arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The same, as somebody would type it, with what it answers.
    ///
    /// # Errors
    /// If it does not succeed.
    pub fn show(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<()> {
        let typed: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        self.narrator.say(&format!("$ petrel {}", typed.join(" ")));
        self.narrator.show(&self.ask(arguments, input)?);
        Ok(())
    }

    /// A query, as somebody would type it, with what it answers.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn show_query(&self, query: &str) -> anyhow::Result<()> {
        self.narrator.say("$ petrel sql - <<'SQL'");
        self.narrator.show(&format!("{query}\nSQL"));
        self.narrator.show(&self.ask(&["sql", "-"], Some(query))?);
        Ok(())
    }

    /// Rows of a query, one object each.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn rows(&self, query: &str) -> anyhow::Result<Vec<Value>> {
        let text = self.ask(&["sql", query, "--format", "json"], None)?;
        text.lines().filter(|line| !line.is_empty()).map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// What a command answers to programs.
    ///
    /// # Errors
    /// If it does not succeed, or answers with anything but JSON.
    pub fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.ask(&[arguments, &["-o", "json"]].concat(), None)?;
        serde_json::from_str(&text).with_context(|| format!("petrel {}: {text}", arguments.join(" ")))
    }

    /// Waits until something is so.
    ///
    /// # Errors
    /// If it is not in time, or cannot be looked at, or somebody has asked the demo to end.
    pub fn wait(
        &self,
        what: &str,
        longest: Duration,
        mut is_so: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let until_ms = self.narrator.now_ms().saturating_add_unsigned(longest.as_millis() as u64);
        while !is_so()? {
            ensure!(
                self.narrator.now_ms() < until_ms,
                "{what}: not within {longest:?}; petrel says\n{}",
                self.log_tail()
            );
            self.pause()?;
        }
        Ok(())
    }
}

impl Drop for Petrel {
    /// As a service manager ends it: what runs is ended, and so is its engine.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// This program's own file.
fn this() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

/// A command without what the environment says of another server.
fn without_others(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("PETREL_") && !KEPT.iter().any(|kept| name.starts_with(kept)) {
            command.env_remove(name);
        }
    }
    command
}

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,".contains(c);
    match argument.chars().all(is_plain) && !argument.is_empty() {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_as_a_shell_takes_them() {
        assert_eq!(quoted("pack"), "pack");
        assert_eq!(quoted("SELECT 'a'"), r"'SELECT '\''a'\'''");
        assert_eq!(quoted(""), "''");
    }
}
