//! A process with its log in a file, that a test starts, kills and starts again.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guardian::Guardian;
use crate::wait::poll_until;

/// What a message shows of a log.
const TAIL_LINES: usize = 40;

/// A running child process. Its standard output and error are appended to a log file, and it is
/// killed when this value is dropped or when the test's process ends in any way.
#[derive(Debug)]
pub struct Proc {
    name: String,
    log: PathBuf,
    child: Child,
    ended: Option<ExitStatus>,
    // Dropped with the process, after it was killed.
    _guardian: Guardian,
}

impl Proc {
    /// Starts `command`; `name` is for messages. `log` is appended to, so that several lives of one
    /// server stand in one file.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Proc> {
        Proc::start_guarded(name, command, log, None)
    }

    /// Like [`Proc::start`]; `dir` is removed when this process ends without dropping its values.
    pub(crate) fn start_guarded(name: &str, command: &mut Command, log: &Path, dir: Option<&Path>) -> Result<Proc> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open the log {}", log.display()))?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().context("cannot share the log")?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {name}: {command:?}"))?;
        let guardian = match Guardian::watch(child.id(), dir) {
            Ok(guardian) => guardian,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error);
            }
        };
        Ok(Proc { name: name.to_owned(), log: log.to_owned(), child, ended: None, _guardian: guardian })
    }

    /// The operating system's number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds what the process writes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of the log, for a message.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
        format!("--- last lines of {} ---\n{}\n---", self.log.display(), tail.join("\n"))
    }

    /// The exit status if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// `kill -9` and wait until it is gone; nothing happens if it has ended already.
    pub fn kill9(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // Both can fail only if the process is gone or not our child, and it is our child.
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }

    /// Sends SIGTERM, by which a server is asked to end; see [`Proc::wait`].
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::SIGINT)
    }

    /// Sends SIGSTOP: it stands still, and knows nothing of it.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Sends SIGCONT: it goes on where it stood still.
    pub fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} has ended already, with {status}\n{}", self.name, self.log_tail());
        }
        let pid = i32::try_from(self.pid()).context("a process id beyond pid_t")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits for the end of the process; the error shows the end of its log.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        poll_until(timeout, || self.ended())
            .ok_or_else(|| anyhow!("{} did not end within {timeout:?}\n{}", self.name, self.log_tail()))
    }

    /// Waits until `probe` answers; fails as soon as the process ends, or after `timeout`, showing
    /// the end of its log.
    pub fn wait_until_ready<T>(&mut self, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> Result<T> {
        let name = self.name.clone();
        let answer = poll_until(timeout, || match self.ended() {
            Some(status) => Some(Err(anyhow!("{name} ended with {status} before it was ready"))),
            None => probe().map(Ok),
        });
        answer
            .unwrap_or_else(|| Err(anyhow!("{name} was not ready after {timeout:?}")))
            .with_context(|| self.log_tail())
    }

    /// Waits until `text` stands in the log.
    pub fn wait_for_log(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let log = self.log.clone();
        self.wait_until_ready(timeout, || {
            let bytes = std::fs::read(&log).ok()?;
            String::from_utf8_lossy(&bytes).contains(text).then_some(())
        })
        .with_context(|| format!("waited for {text:?} in the log"))
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.kill9();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> (tempfile::TempDir, Proc) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let proc = Proc::start("script", Command::new("sh").args(["-c", script]), &log).unwrap();
        (dir, proc)
    }

    /// Whether a process with this number exists and is no zombie.
    fn alive(pid: u32) -> bool {
        let state = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        !state.is_empty() && !state.starts_with('Z')
    }

    #[test]
    fn output_goes_to_the_log_and_the_status_comes_back() {
        let (_dir, mut proc) = shell("echo out; echo err >&2; exit 3");
        assert_eq!(proc.wait(LONG).unwrap().code(), Some(3));
        assert!(!proc.is_running());
        let tail = proc.log_tail();
        assert!(tail.contains("out") && tail.contains("err"), "{tail}");
    }

    #[test]
    fn an_early_end_is_reported_with_its_log() {
        let (_dir, mut proc) = shell("echo the reason; exit 1");
        let error = proc.wait_until_ready(LONG, || None::<()>).unwrap_err();
        let message = format!("{error:#}");
        assert!(message.contains("before it was ready") && message.contains("the reason"), "{message}");
    }

    #[test]
    fn kill9_needs_no_consent_and_terminate_does() {
        let (_dir, mut stubborn) = shell("trap '' TERM; echo ready; while :; do sleep 0.05; done");
        stubborn.wait_for_log("ready", LONG).unwrap();
        stubborn.terminate().unwrap();
        assert!(stubborn.wait(Duration::from_millis(200)).is_err());
        stubborn.kill9();
        assert!(!stubborn.is_running());
        assert!(stubborn.terminate().is_err(), "there is nobody to ask any more");

        // A gate that runs in the background ignores SIGINT, its children inherit that, and a shell cannot
        // trap what it was born ignoring.
        let script = "trap 'echo bye; exit 0' INT; echo ready; while :; do sleep 0.05; done";
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("env");
        command.args(["--default-signal=INT", "sh", "-c", script]);
        let mut polite = Proc::start("polite", &mut command, &dir.path().join("log")).unwrap();
        polite.wait_for_log("ready", LONG).unwrap();
        polite.interrupt().unwrap();
        assert_eq!(polite.wait(LONG).unwrap().code(), Some(0));
        assert!(polite.log_tail().contains("bye"));
    }

    #[test]
    fn a_child_dies_with_its_parent_however_that_ends() {
        // The guardian's shell stands in for the killed parent: closing its input is what a parent's
        // death does.
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = child.id();
        let dir = tempfile::tempdir().unwrap();
        let precious = dir.path().join("data");
        std::fs::create_dir(&precious).unwrap();
        let mut guardian = Guardian::watch(pid, Some(&precious)).unwrap();
        assert!(alive(pid));
        guardian.close_input();
        assert!(child.wait().unwrap().code().is_none(), "ended by a signal");
        crate::wait_until("the directory is removed", LONG, || !precious.exists());
    }

    #[test]
    fn dropping_kills() {
        let (_dir, proc) = shell("while :; do sleep 0.05; done");
        let pid = proc.pid();
        assert!(alive(pid));
        drop(proc);
        assert!(!alive(pid));
    }
}
