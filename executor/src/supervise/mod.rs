//! The supervisor: a small process between a worker and one command, which outlives a worker's death.
//!
//! It is the own binary, executed again (`petrel supervise`), and ends the command with *everything that it
//! started*, daemons included, when the command itself ends, when its time is up, when the worker says so,
//! when the worker is gone, or when the lease has passed. The last it measures by itself, so that a worker
//! that hangs or is stopped cannot keep an action alive that somebody else may have begun again by then.
//!
//! Single-threaded, without an async runtime: a start costs little more than `fork` and `exec`.

mod capture;
mod clock;
mod protocol;
mod spawn;
mod tree;

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdout, ExitCode};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, read, setsid};

use capture::Capture;
pub use clock::boot_ms;
pub use protocol::{Control, JOB_BYTES_MAX, Job, Report, STARTED, Why};

/// Longest wait for something to happen: bounds how late a deadline is seen after the machine slept.
const POLL_MS_MAX: u64 = 500;
/// Between two rounds of SIGKILL: first and longest, in milliseconds. Only a process that cannot be killed
/// (it sleeps in the kernel, or belongs to somebody else) sees more than a few.
const KILL_ROUND_MS: (u64, u64) = (10, 1_000);
/// Read at once from a stream.
const BUFFER_BYTES: usize = 64 << 10;

/// What the sub-command `supervise` does. To be called before anything else of the program, with no other
/// thread running: it reads the job from stdin.
pub fn main() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        // The worker sees that no report came.
        Err(_) => ExitCode::FAILURE,
    }
}

fn supervise() -> io::Result<()> {
    // A session of its own: no terminal's Ctrl-C, and process groups that hold nothing but descendants.
    // It fails for the leader of a group, as when somebody starts the sub-command by hand.
    let _ = setsid();
    set_child_subreaper(true)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    let mut blocked = signals;
    // Who stops a service signals all its processes. When to stop is for the worker to say, or its end.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        blocked.add(signal);
    }
    blocked.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;

    let mut control = ControlPipe::default();
    let Some(job) = control.read_job()? else { return Ok(()) };
    let started_ms = boot_ms();
    match spawn::spawn(&job) {
        Ok(child) => {
            // A worker that is gone is noticed by its end of stdin.
            let _ = io::stdout().write_all(format!("{STARTED}\n").as_bytes());
            let _ = io::stdout().flush();
            Supervision::new(job, child, control, signals, started_ms)?.run()
        }
        Err(e) => {
            let program = job.argv.first().map_or("", String::as_str);
            let error = format!("cannot start {program:?} in {}: {e}", job.directory.display());
            report(&Report::not_started(error), &[], &[])
        }
    }
}

impl Report {
    fn not_started(error: String) -> Self {
        Self {
            why: Why::NotStarted,
            return_code: None,
            signal: None,
            error: Some(error),
            stdout_bytes: 0,
            stderr_bytes: 0,
            stdout_truncated: false,
            stderr_truncated: false,
        }
    }
}

fn report(report: &Report, stdout: &[u8], stderr: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, report)?;
    out.write_all(b"\n")?;
    out.write_all(stdout)?;
    out.write_all(stderr)?;
    out.flush()
}

/// Lines from the worker.
#[derive(Default)]
struct ControlPipe {
    unread: Vec<u8>,
    closed: bool,
}

impl ControlPipe {
    /// Waits for the first line; nothing if the worker is gone before.
    fn read_job(&mut self) -> io::Result<Option<Job>> {
        loop {
            if let Some(line) = self.next_line() {
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            if self.closed {
                return Ok(None);
            }
            if self.unread.len() > JOB_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a job is over its limit"));
            }
            self.fill();
        }
    }

    /// Reads once; blocks only if there is nothing.
    fn fill(&mut self) {
        let mut buffer = [0; 16 << 10];
        // Not through `Stdin`, whose buffer would hide from `poll` what it has read ahead.
        match read(io::stdin().as_fd(), &mut buffer) {
            Ok(bytes) if bytes > 0 => self.unread.extend_from_slice(&buffer[..bytes]),
            Err(Errno::EINTR) => {}
            _ => self.closed = true,
        }
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let end = self.unread.iter().position(|b| *b == b'\n')?;
        let mut line: Vec<u8> = self.unread.drain(..=end).collect();
        line.pop();
        Some(line)
    }
}

/// The command is being ended.
struct Ending {
    why: Why,
    /// SIGTERM was sent; from then on SIGKILL, at this instant or when the lease passes.
    kill_at_ms: u64,
}

struct Supervision {
    job: Job,
    main: Pid,
    /// How the command itself ended.
    main_end: Option<WaitStatus>,
    ending: Option<Ending>,
    kill_round_ms: u64,
    timeout_at_ms: u64,
    lease_deadline_ms: u64,
    cancel_wanted: bool,
    control: ControlPipe,
    signals: SignalFd,
    stdout: Capture<ChildStdout>,
    stderr: Capture<ChildStderr>,
}

impl Supervision {
    fn new(job: Job, mut child: Child, control: ControlPipe, signals: SignalFd, started_ms: u64) -> io::Result<Self> {
        let piped = || io::Error::other("the command has no pipes");
        let stdout = Capture::new(child.stdout.take().ok_or_else(piped)?, job.output_bytes_max)?;
        let stderr = Capture::new(child.stderr.take().ok_or_else(piped)?, job.output_bytes_max)?;
        let main = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        Ok(Self {
            main,
            main_end: None,
            ending: None,
            kill_round_ms: KILL_ROUND_MS.0,
            timeout_at_ms: started_ms.saturating_add(job.timeout_ms),
            lease_deadline_ms: job.lease_deadline_ms,
            cancel_wanted: false,
            control,
            signals,
            stdout,
            stderr,
            job,
        })
    }

    /// Until no process is left; then reports.
    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER_BYTES];
        while self.reap()? {
            let wait_ms = self.act(boot_ms());
            self.wait(wait_ms)?;
            while matches!(self.signals.read_signal(), Ok(Some(_))) {}
            self.stdout.pump(&mut buffer);
            self.stderr.pump(&mut buffer);
        }
        // What is still in the pipes; an end that escaped through a socket may keep them open.
        while self.stdout.pump(&mut buffer) {}
        while self.stderr.pump(&mut buffer) {}
        self.report()
    }

    /// Takes leave of every child that ended; whether any is left.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Ok(true),
                Ok(status) => {
                    if status.pid() == Some(self.main) {
                        self.main_end = Some(status);
                    }
                }
                Err(Errno::ECHILD) => return Ok(false),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Does what the time asks for; how long there is nothing else to do, in milliseconds.
    fn act(&mut self, now_ms: u64) -> u64 {
        if self.ending.is_none() {
            let Some(why) = self.reason_to_end(now_ms) else {
                let deadline_ms = self.timeout_at_ms.min(self.lease_deadline_ms);
                return deadline_ms.saturating_sub(now_ms).clamp(1, POLL_MS_MAX);
            };
            self.ending = Some(Ending { why, kill_at_ms: now_ms.saturating_add(self.job.kill_grace_ms) });
            tree::signal_descendants(Signal::SIGTERM);
            // A stopped process gets its SIGTERM only once it goes on.
            tree::signal_descendants(Signal::SIGCONT);
        }
        let kill_at_ms = self.ending.as_ref().map_or(now_ms, |e| e.kill_at_ms).min(self.lease_deadline_ms);
        if now_ms < kill_at_ms {
            return (kill_at_ms - now_ms).clamp(1, POLL_MS_MAX);
        }
        tree::signal_descendants(Signal::SIGKILL);
        let wait_ms = self.kill_round_ms;
        self.kill_round_ms = (wait_ms * 2).min(KILL_ROUND_MS.1);
        wait_ms
    }

    fn reason_to_end(&self, now_ms: u64) -> Option<Why> {
        if self.main_end.is_some() {
            return Some(Why::Exited);
        }
        if now_ms >= self.lease_deadline_ms {
            return Some(Why::LeaseLost);
        }
        if self.control.closed {
            return Some(Why::WorkerGone);
        }
        if self.cancel_wanted {
            return Some(Why::Canceled);
        }
        (now_ms >= self.timeout_at_ms).then_some(Why::Timeout)
    }

    /// Until something comes or the time is up.
    fn wait(&mut self, wait_ms: u64) -> io::Result<()> {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.stdout.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        fds.extend(self.stderr.fd().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if !self.control.closed {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        let timeout = PollTimeout::try_from(wait_ms).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
        let readable = |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
        let control_ready = !self.control.closed && fds.last().is_some_and(readable);
        if control_ready {
            self.read_control();
        }
        Ok(())
    }

    fn read_control(&mut self) {
        self.control.fill();
        while let Some(line) = self.control.next_line() {
            match std::str::from_utf8(&line).ok().and_then(Control::parse) {
                Some(Control::Lease(deadline_ms)) => {
                    self.lease_deadline_ms = self.lease_deadline_ms.max(deadline_ms);
                }
                Some(Control::Cancel) => self.cancel_wanted = true,
                None => {}
            }
        }
    }

    fn report(self) -> io::Result<()> {
        let (stdout, stdout_truncated) = self.stdout.finish();
        let (stderr, stderr_truncated) = self.stderr.finish();
        let (return_code, signal) = match self.main_end {
            Some(WaitStatus::Exited(_, code)) => (Some(code), None),
            Some(WaitStatus::Signaled(_, signal, _)) => (None, Some(signal as i32)),
            _ => (None, None),
        };
        let record = Report {
            why: self.ending.map_or(Why::Exited, |e| e.why),
            return_code,
            signal,
            error: None,
            stdout_bytes: stdout.len(),
            stderr_bytes: stderr.len(),
            stdout_truncated,
            stderr_truncated,
        };
        report(&record, &stdout, &stderr)
    }
}
