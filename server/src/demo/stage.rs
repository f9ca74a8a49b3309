//! Where a demo plays: a folder, and a Petrel of its own in it. All of it goes when the demo ends.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::narrator::Narrator;

/// Longest wait for the server to be ready.
const READY_MS: i64 = 120_000;
/// What runs the server, and ends it with the demo, whatever ends that.
const KEEP: &str = include_str!("keep.sh");
/// Pause before something is looked at again.
const PAUSE: Duration = Duration::from_millis(100);
/// Variables of Petrel's that the server of a demo is given: the others are about another one.
const KEPT: [&str; 2] = ["PETREL_KAFKA__", "PETREL_CHDB_LIB"];

/// The folder of a demo.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_kept: bool,
}

impl Folder {
    /// The folder that was asked for, which must not be there yet or be empty; else one in the system's folder for what is
    /// temporary, that goes in the end.
    ///
    /// # Errors
    /// If it cannot be made, or something is in it.
    pub fn make(asked_for: Option<PathBuf>, name: &str) -> anyhow::Result<Self> {
        let is_kept = asked_for.is_some();
        let path = asked_for.unwrap_or_else(|| std::env::temp_dir().join(name));
        let path = std::path::absolute(&path)?;
        // Keys are in it.
        std::fs::DirBuilder::new()
            .recursive(is_kept)
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        let is_empty = std::fs::read_dir(&path)?.next().is_none();
        ensure!(is_empty, "{} is not empty: name a folder that is not there yet", path.display());
        Ok(Self { path, is_kept })
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is in the system's folder for what is temporary.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Whether somebody has asked the demo to end.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// Listens for SIGINT and SIGTERM. The second one ends the demo at once.
    ///
    /// # Errors
    /// If signals cannot be watched.
    pub fn listen(runtime: &tokio::runtime::Runtime) -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let asked = Self::default();
        let told = asked.clone();
        let _inside = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch signals")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot watch signals")?;
        runtime.spawn(async move {
            loop {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                if told.0.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
            }
        });
        Ok(asked)
    }
}

/// A Petrel of the demo's own.
pub struct Petrel {
    child: Child,
    api: String,
    token: String,
    log: PathBuf,
    narrator: Arc<Narrator>,
    asked: Asked,
}

impl Petrel {
    /// Starts it with what stands in `config` beside its address and its token, and waits until it is ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time.
    pub fn start(
        folder: &Folder,
        config: &Value,
        library: Option<&Path>,
        narrator: &Arc<Narrator>,
        asked: &Asked,
    ) -> anyhow::Result<Self> {
        let token = super::random_text()?;
        // Free now; whoever takes it before Petrel does makes it end, which is told.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let (file, log) = (folder.at("petrel.yaml"), folder.at("petrel.log"));
        super::files::write(&file, &serde_json::to_string_pretty(config)?, 0o600)?;
        let mut command = without_others(Command::new("/bin/sh"));
        command.args(["-c", KEEP, "sh"]).arg(this()?).arg("up").arg("--config").arg(&file);
        command.args(["--listen", &listen.to_string(), "--quiet"]);
        if let Some(library) = library {
            command.arg("--clickhouse-library").arg(library);
        }
        command.env("PETREL_TOKEN", &token).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(File::create(&log)?);
        let child = command.spawn().context("petrel cannot be started")?;
        let (narrator, asked) = (narrator.clone(), asked.clone());
        let mut petrel = Self { child, api: format!("http://{listen}"), token, log, narrator, asked };
        petrel.wait_ready()?;
        Ok(petrel)
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
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn pause(&self) -> anyhow::Result<()> {
        ensure!(!self.asked.0.load(Ordering::SeqCst), "somebody has asked the demo to end");
        std::thread::sleep(PAUSE);
        Ok(())
    }

    /// Runs a command against it, and answers with its standard output.
    ///
    /// # Errors
    /// If it does not succeed; with what it says.
    pub fn ask(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
        let mut command = without_others(Command::new(this()?));
        command.args(arguments).args(["--api", &self.api]).env("PETREL_API_TOKEN", &self.token);
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
    fn a_folder_goes_unless_it_was_asked_for_and_none_is_taken_that_holds_something() {
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("kept");
        let kept = Folder::make(Some(path.clone()), "x").unwrap();
        std::fs::write(kept.at("a"), "").unwrap();
        drop(kept);
        assert!(path.join("a").is_file());
        assert!(Folder::make(Some(path), "x").is_err());
        let name = format!("petrel-test-{}", crate::demo::random_text().unwrap());
        let gone = Folder::make(None, &name).unwrap();
        std::fs::write(gone.at("a"), "").unwrap();
        let path = gone.path().to_owned();
        assert!(path.is_dir());
        drop(gone);
        assert!(!path.exists());
    }

    #[test]
    fn arguments_are_shown_as_a_shell_takes_them() {
        assert_eq!(quoted("pack"), "pack");
        assert_eq!(quoted("SELECT 'a'"), r"'SELECT '\''a'\'''");
        assert_eq!(quoted(""), "''");
    }
}
