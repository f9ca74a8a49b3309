//! The parent's side of a worker: a child process pinned to one core, asked and answered in lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::Value;

/// What is kept of a failed child's complaints.
const COMPLAINT_CHARS: usize = 200;

/// A child that answers.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
    complaints: Option<std::thread::JoinHandle<String>>,
}

impl Process {
    /// Starts a command, on one core or on all of them.
    pub(crate) fn start(mut command: Command, core: Option<usize>) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match core {
            Some(core) => pinned(core, || Ok(command.spawn()?))?,
            None => command.spawn()?,
        };
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no standard output")?;
        let mut stderr = child.stderr.take().context("no standard error")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let complaints = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, stdin, answers, complaints: Some(complaints) })
    }

    /// Asks and waits for the answer.
    pub(crate) fn ask(&mut self, question: &str, within: Duration) -> Result<Value> {
        let stdin = self.stdin.as_mut().context("no standard input")?;
        // If it has died, waiting for the answer tells why.
        let _ = writeln!(stdin, "{question}");
        let _ = stdin.flush();
        self.answer(within)
    }

    /// Waits for an answer. Errors are fit for a report: the process has no more to say then.
    pub(crate) fn answer(&mut self, within: Duration) -> Result<Value> {
        match self.answers.recv_timeout(within) {
            Ok(line) => serde_json::from_str(&line).with_context(|| format!("not understood: {line}")),
            Err(RecvTimeoutError::Timeout) => bail!("takes more than {} s", within.as_secs()),
            Err(RecvTimeoutError::Disconnected) => Err(self.why_it_died()),
        }
    }

    fn why_it_died(&mut self) -> anyhow::Error {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        // A panic names its file as it lay where the crate was built; the name is enough.
        let words = said.lines().filter(|line| !line.starts_with("note:")).flat_map(str::split_whitespace);
        let words: Vec<&str> = words.map(|word| word.rsplit('/').next().unwrap_or(word)).collect();
        let telling: String = words.join(" ").chars().take(COMPLAINT_CHARS).collect();
        if telling.is_empty() { anyhow!("died: {status}") } else { anyhow!("{telling}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs something with this thread pinned to a core, which its children inherit.
fn pinned<T>(core: usize, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).context("cannot read the affinity")?;
    let mut one = CpuSet::new();
    one.set(core).with_context(|| format!("no core {core}"))?;
    sched_setaffinity(this, &one).with_context(|| format!("cannot run on core {core}"))?;
    let done = run();
    sched_setaffinity(this, &before).context("cannot restore the affinity")?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(command, Some(0)).unwrap()
    }

    #[test]
    fn children_answer_on_the_core_that_they_are_given() {
        let mut child = shell("while read line; do echo \"{\\\"asked\\\":\\\"$line\\\"}\"; done");
        assert_eq!(child.ask("one", LONG).unwrap()["asked"], "one");
        assert_eq!(child.ask("two", LONG).unwrap()["asked"], "two");
        let mut child = shell("grep Cpus_allowed_list /proc/self/status | sed 's/.*\t\\(.*\\)/\"\\1\"/'");
        assert_eq!(child.answer(LONG).unwrap(), "0");
    }

    #[test]
    fn what_ails_a_child_is_told() {
        let mut child = shell("echo 'thread panicked at some/where/a.rs:7: no more room' >&2; exit 3");
        assert_eq!(child.answer(LONG).unwrap_err().to_string(), "thread panicked at a.rs:7: no more room");
        let mut child = shell("exit 3");
        assert!(child.ask("one", LONG).unwrap_err().to_string().contains('3'));
        let mut child = shell("read line");
        assert_eq!(child.answer(Duration::ZERO).unwrap_err().to_string(), "takes more than 0 s");
    }
}
