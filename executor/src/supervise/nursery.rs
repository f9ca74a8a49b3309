//! The guard of a zygote: a process that has imported an action's code, and forks for each attempt.
//!
//! ```text
//! supervisor ──fork──► nursery ──exec──► zygote ──fork──► keeper ──fork──► the action
//!                         └────fork──► guard of the attempt ┄┄┄┄┘
//! ```
//!
//! A fork of the zygote cannot have the guard of its attempt among its ancestors. So there is a *keeper* over each, a fork
//! of the zygote, too, which does nothing but hold together whatever the action starts, as its subreaper; a guard, a fork
//! of the nursery, ends what is below the keeper as every guard ends its action. The zygote is confined as an action is, and
//! the action enters a domain of its own behind its fork, so that it reaches neither zygote nor keeper nor another fork.
//! Whatever goes wrong here, a guard that ends without a report above all, ends the nursery, and then its supervisor ends all
//! that was below it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2, setsid};

use super::bounds::Bounds;
use super::capture::{Capture, Kept};
use super::clock::boot_ms;
use super::confine::Domains;
use super::fork::{self, Side};
use super::guard::{self, KILL_ROUND_MS};
use super::launch::Launcher;
use super::line::Line;
use super::protocol::{READY, Report, STARTED, STARTING, Why};
use super::timer::Timer;
use super::wait::wait;
use super::{message, spawn, tree};

/// How long guards may take to end their attempts once worker or supervisor are gone, in milliseconds.
const GONE_MS_MAX: u64 = 60_000;
/// What the zygote is told with the connection of a new attempt.
const FORK: &str = "fork";

struct Nursery {
    worker: Line,
    supervisor: OwnedFd,
    signals: SignalFd,
    timer: Timer,
    zygote: Pid,
    zygote_end: Option<WaitStatus>,
    /// To the zygote; none once it is to end.
    control: Option<OwnedFd>,
    streams: Vec<Capture<File>>,
    fds: Vec<i32>,
    /// Guards, with how often each was stopped.
    guards: HashMap<i32, u32>,
    /// Guards see by its end that this process is gone.
    life: OwnedFd,
    _alive: OwnedFd,
    /// Since when worker or supervisor are gone, in milliseconds of `CLOCK_BOOTTIME`.
    gone_ms: Option<u64>,
}

/// What a nursery does from its fork to its end.
///
/// # Errors
/// What the system says, or that something of an attempt may be left: the supervisor ends it.
pub fn run(stream: UnixStream, supervisor: OwnedFd) -> io::Result<()> {
    setsid()?;
    set_child_subreaper(true)?;
    // Should it be stopped when the supervisor ends, it goes on, to see that.
    set_pdeathsig(Signal::SIGCONT)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let (mut launcher, timer) = (Launcher::new()?, Timer::new()?);
    let mut worker = Line::new(stream);
    let Some((job, _)) = worker.read_job()? else { return Ok(()) };
    let (ours, theirs) = message::pair()?;
    let (life, alive) = pipe2(OFlag::O_CLOEXEC)?;
    worker.tell(format!("{STARTING}\n").as_bytes());
    let bounds = Bounds::new(&job, &mut Domains::default()).map_err(|refused| io::Error::other(refused.error))?;
    let started = spawn::spawn(&mut launcher, &job, &bounds.cell, Some(theirs))?;
    drop(bounds);
    worker.tell(format!("{STARTED}\n").as_bytes());
    let streams = started.streams.into_iter().zip(&job.streams);
    let streams = streams.map(|(pipe, spec)| Capture::new(File::from(pipe), spec.bytes_max, 0));
    let nursery = Nursery {
        zygote: started.main,
        zygote_end: None,
        control: Some(ours),
        streams: streams.collect::<io::Result<_>>()?,
        fds: job.streams.iter().map(|stream| stream.fd).collect(),
        guards: HashMap::new(),
        worker,
        supervisor,
        signals,
        timer,
        life,
        _alive: alive,
        gone_ms: None,
    };
    nursery.run()
}

impl Nursery {
    fn run(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            self.reap()?;
            if self.guards.is_empty() && (self.zygote_end.is_some() || self.gone_ms.is_some()) {
                return self.end(&mut buffer);
            }
            if self.gone_ms.is_some_and(|gone_ms| boot_ms() >= gone_ms.saturating_add(GONE_MS_MAX)) {
                return Err(io::Error::other("a guard does not end"));
            }
            self.wait()?;
            while matches!(self.signals.read_signal(), Ok(Some(_))) {}
            self.streams.iter_mut().for_each(|stream| _ = stream.pump(&mut buffer, &mut |_, _| ()));
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(WaitStatus::Stopped(pid, _)) => {
                    if let Some(stops) = self.guards.get_mut(&pid.as_raw()) {
                        *stops += 1;
                        if *stops > 1 {
                            return Err(io::Error::other("a guard is stopped again and again"));
                        }
                        let _ = kill(pid, Signal::SIGCONT);
                    }
                }
                Ok(status) => {
                    let Some(pid) = status.pid() else { continue };
                    if pid == self.zygote {
                        self.zygote_end = Some(status);
                        self.control = None;
                        // What it has forked goes on; the worker gives nothing more to be forked.
                        self.worker.tell(b"ended\n");
                    } else if self.guards.remove(&pid.as_raw()).is_some() && !matches!(status, WaitStatus::Exited(_, 0))
                    {
                        return Err(io::Error::other("a guard has ended, and may have left something"));
                    }
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn wait(&mut self) -> io::Result<()> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let is_open = self.gone_ms.is_none();
        if is_open {
            fds.push(PollFd::new(self.worker.as_fd(), PollFlags::POLLIN));
            fds.push(PollFd::new(self.supervisor.as_fd(), PollFlags::POLLIN));
        }
        let control_at = fds.len();
        fds.extend(self.control.as_ref().map(|control| PollFd::new(control.as_fd(), PollFlags::POLLIN)));
        fds.extend(self.streams.iter().filter_map(Capture::fd).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        wait(&mut fds, &self.timer, self.gone_ms.map(|gone_ms| gone_ms.saturating_add(GONE_MS_MAX)));
        let is_ready = |at: usize| fds.get(at).and_then(PollFd::revents).is_some_and(|events| !events.is_empty());
        let (worker, supervisor) = (is_open && is_ready(1), is_open && is_ready(2));
        let control = self.control.is_some() && is_ready(control_at);
        drop(fds);
        if supervisor {
            self.is_gone();
        }
        if control {
            self.hear_zygote();
        }
        if worker { self.hear_worker() } else { Ok(()) }
    }

    fn is_gone(&mut self) {
        self.gone_ms.get_or_insert_with(boot_ms);
        // The zygote ends when nothing more will come.
        self.control = None;
    }

    fn hear_zygote(&mut self) {
        let Some(control) = &self.control else { return };
        match message::receive(control.as_fd()) {
            Ok(Some((text, _))) if text == READY => self.worker.tell(format!("{READY}\n").as_bytes()),
            Ok(Some(_)) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Ok(None) | Err(_) => self.control = None,
        }
    }

    fn hear_worker(&mut self) -> io::Result<()> {
        match message::receive(self.worker.as_fd()) {
            Ok(Some((_, Some(attempt)))) => self.begin(&attempt),
            Ok(Some((_, None))) => Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Ok(None) | Err(_) => {
                self.is_gone();
                Ok(())
            }
        }
    }

    /// Forks the guard of an attempt, and has the zygote fork the attempt. Where there is no room for either, the other one
    /// sees the end of the connection between them, and the worker that of its own, where there is none for that.
    fn begin(&mut self, attempt: &OwnedFd) -> io::Result<()> {
        let Some(control) = &self.control else { return Ok(()) };
        let Ok((ours, theirs)) = message::pair() else { return Ok(()) };
        match fork::fork(&[attempt.as_fd(), self.life.as_fd(), ours.as_fd()]) {
            Ok(Side::Parent(pid)) => {
                self.guards.insert(pid, 0);
                let _ = message::send(control.as_fd(), FORK, Some(theirs.as_fd()));
                Ok(())
            }
            Ok(Side::Child(mut kept)) => {
                let zygote = self.zygote.as_raw();
                let (Some(connection), Some(life), Some(stream)) = (kept.pop(), kept.pop(), kept.pop()) else {
                    fork::exit(1)
                };
                let ended = guard::run_kept(UnixStream::from(stream), life, connection, zygote);
                fork::exit(i32::from(ended.is_err()));
            }
            Err(_) => Ok(()),
        }
    }

    /// Ends whatever is left, and reports how the zygote ended.
    fn end(mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.control = None;
        let mut round_ms = KILL_ROUND_MS.0;
        loop {
            self.reap()?;
            if matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(Errno::ECHILD)) {
                break;
            }
            let _ = tree::kill_below(getpid().as_raw());
            self.timer.pause(round_ms);
            round_ms = (round_ms * 2).min(KILL_ROUND_MS.1);
        }
        for stream in &mut self.streams {
            stream.drain(buffer, guard::DRAINED_BYTES_MAX, &mut |_, _| ());
        }
        let (return_code, signal) = guard::code_and_signal(self.zygote_end);
        let captured: Vec<Kept> = self.streams.into_iter().map(Capture::finish).collect();
        let streams = self.fds.iter().zip(&captured).map(|(fd, kept)| kept.report(*fd)).collect();
        let record = Report {
            why: Why::Exited,
            return_code,
            signal,
            left_others: false,
            is_held: false,
            error: None,
            waits: false,
            streams,
        };
        guard::report(&mut self.worker, &record, &captured)
    }
}
