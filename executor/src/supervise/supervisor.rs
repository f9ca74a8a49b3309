//! The supervisor's own loop: it forks guards, and ends what a guard that failed has left.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::{set_child_subreaper, set_dumpable, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2, setsid};

use super::clock::boot_ms;
use super::fork::{self, Side};
use super::group::Delegated;
use super::guard::KILL_ROUND_MS;
use super::protocol::{Answer, Order};
use super::timer::Timer;
use super::wait::wait;
use super::{guard, message, nursery, pidfd, tree};

/// How long guards may take to end their actions once the worker is gone, in milliseconds: far longer than the grace of
/// one that works.
const WORKER_GONE_MS_MAX: u64 = 60_000;

/// How long something is killed until it is given up, in milliseconds: it sleeps in the kernel, on a network file system
/// that does not answer, say. First what is under a guard, and then what has become an orphan.
const UNKILLABLE_MS: u64 = 5_000;
/// Looks in a row that find no orphan, until there is none: one may become an orphan during a look.
const EMPTY_LOOKS: u32 = 2;

/// What a supervisor does until its worker is gone and nothing is left.
///
/// # Errors
/// What the system says.
pub fn run() -> io::Result<()> {
    let control = fork::take_stdin()?;
    // A session of its own: no terminal's Ctrl-C. It fails for the leader of a group, as when somebody starts the
    // sub-command by hand.
    let _ = setsid();
    set_dumpable(false)?;
    set_child_subreaper(true)?;
    // Should it be stopped when the worker ends, it goes on, to see that.
    set_pdeathsig(Signal::SIGCONT)?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    let mut blocked = signals;
    // Who stops a service signals all its processes. When to stop is for the worker to say, or its end.
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        blocked.add(signal);
    }
    blocked.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let (life, alive) = pipe2(OFlag::O_CLOEXEC)?;
    let mut supervisor = Supervisor {
        control,
        signals,
        timer: Timer::new()?,
        life,
        _alive: alive,
        guards: HashMap::new(),
        ended: Vec::new(),
        has_orphans: false,
        outbox: VecDeque::new(),
        worker_gone_ms: None,
        kill_round_ms: KILL_ROUND_MS.0,
    };
    supervisor.run()
}

/// What a child goes on with.
type Run = fn(UnixStream, OwnedFd) -> io::Result<()>;

struct Running {
    id: u64,
    /// When it is to be ended from here, in milliseconds of `CLOCK_BOOTTIME`: its lease has passed by then, and it had
    /// time to see that.
    end_at_ms: u64,
    /// How often somebody has stopped it.
    stops: u32,
    /// Since when it is being ended from here, in milliseconds of `CLOCK_BOOTTIME`.
    ending_ms: Option<u64>,
}

/// A guard that is gone, and has not said that nothing is left.
struct Ended {
    id: u64,
    /// Since when, in milliseconds of `CLOCK_BOOTTIME`.
    since_ms: u64,
    /// Looks in a row that have found no orphan.
    empty_looks: u32,
}

impl Running {
    fn end(&mut self) {
        self.ending_ms.get_or_insert_with(boot_ms);
    }

    /// Somebody, who may signal it, has stopped it; whether it is to go on. An oversight is forgiven, an attack goes on.
    fn stopped(&mut self) -> bool {
        self.stops += 1;
        if self.stops > 1 {
            self.end();
        }
        self.ending_ms.is_none()
    }
}

struct Supervisor {
    control: OwnedFd,
    signals: SignalFd,
    timer: Timer,
    /// Guards see by its end that the supervisor is gone, for nobody else holds the other one.
    life: OwnedFd,
    _alive: OwnedFd,
    /// By process.
    guards: HashMap<i32, Running>,
    /// Guards that are gone, of which something may be left.
    ended: Vec<Ended>,
    /// There was one at the last look.
    has_orphans: bool,
    /// What is to be told, each with a descriptor beside it or none.
    outbox: VecDeque<(Answer, Option<OwnedFd>)>,
    worker_gone_ms: Option<u64>,
    kill_round_ms: u64,
}

impl Supervisor {
    fn run(&mut self) -> io::Result<()> {
        loop {
            self.reap()?;
            let is_busy = self.clean();
            self.send();
            if !is_busy && self.worker_gone_ms.is_some() && self.guards.is_empty() {
                return Ok(());
            }
            let at_ms = self.next_ms(is_busy);
            self.wait(at_ms);
            while matches!(self.signals.read_signal(), Ok(Some(_))) {}
            self.hear()?;
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(WaitStatus::Stopped(pid, _)) => {
                    // One that is ending was stopped from here.
                    let guard = self.guards.get_mut(&pid.as_raw()).filter(|guard| guard.ending_ms.is_none());
                    if guard.is_some_and(Running::stopped) {
                        let _ = kill(pid, Signal::SIGCONT);
                    }
                }
                Ok(status) => {
                    let guard = status.pid().and_then(|pid| self.guards.remove(&pid.as_raw()));
                    match (guard, status) {
                        // It ends like this only once nothing is left.
                        (Some(guard), WaitStatus::Exited(_, 0)) => {
                            self.outbox.push_back((Answer::Gone(guard.id), None))
                        }
                        (Some(guard), _) => self.has_ended(guard.id),
                        (None, _) => {}
                    }
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The guard is gone, or there never was one; something of it may be left.
    fn has_ended(&mut self, id: u64) {
        self.ended.push(Ended { id, since_ms: boot_ms(), empty_looks: 0 });
    }

    /// Kills what has to go: guards that are to end with all that they have, and what guards left that were killed
    /// themselves. Whether anything of that is still to do.
    fn clean(&mut self) -> bool {
        let now_ms = boot_ms();
        let is_over = self.worker_gone_ms.is_some_and(|gone_ms| now_ms >= gone_ms.saturating_add(WORKER_GONE_MS_MAX));
        self.guards.values_mut().filter(|guard| is_over || now_ms >= guard.end_at_ms).for_each(Running::end);
        let is_late = |since_ms: u64| now_ms >= since_ms.saturating_add(UNKILLABLE_MS);
        let mut is_busy = false;
        for (pid, since_ms) in self.guards.iter().filter_map(|(pid, guard)| Some((*pid, guard.ending_ms?))) {
            is_busy = true;
            // Stopped, it still is the one to which orphans go, and it does nothing else meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGSTOP);
            let is_empty = matches!(tree::kill_below(pid), Ok(0));
            // What cannot be killed must not hold up what can be told: it comes here as an orphan.
            if is_empty || is_late(since_ms) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        is_busy | self.clean_orphans(now_ms)
    }

    /// Kills orphans, and says of guards that are gone whether any are left; whether any guard still waits for that.
    fn clean_orphans(&mut self, now_ms: u64) -> bool {
        // One comes here only when its guard is gone, before it could say that nothing is left.
        if self.ended.is_empty() && !self.has_orphans {
            return false;
        }
        let (orphans, are_all) = tree::children(getpid().as_raw(), |pid| self.guards.contains_key(&pid));
        let is_empty = are_all && orphans.is_empty();
        self.has_orphans = !is_empty;
        orphans.into_iter().for_each(tree::kill_with_descendants);
        for ended in &mut self.ended {
            ended.empty_looks = if is_empty { ended.empty_looks + 1 } else { 0 };
        }
        let is_late = |since_ms: u64| now_ms >= since_ms.saturating_add(UNKILLABLE_MS);
        let over: Vec<_> =
            self.ended.extract_if(.., |ended| ended.empty_looks >= EMPTY_LOOKS || is_late(ended.since_ms)).collect();
        if !over.is_empty() {
            // Their control groups, if they had any.
            Delegated::find().iter().for_each(Delegated::sweep);
        }
        self.outbox.extend(over.into_iter().map(|ended| match ended.empty_looks >= EMPTY_LOOKS {
            true => (Answer::Gone(ended.id), None),
            false => (Answer::Left(ended.id), None),
        }));
        !self.ended.is_empty()
    }

    /// When there is something to do, whatever comes, in milliseconds of `CLOCK_BOOTTIME`; nothing if never.
    fn next_ms(&mut self, is_busy: bool) -> Option<u64> {
        if !is_busy {
            self.kill_round_ms = KILL_ROUND_MS.0;
            // A worker that does not read is asked again later.
            let again_ms = (self.worker_gone_ms.is_some() || !self.outbox.is_empty())
                .then(|| boot_ms().saturating_add(KILL_ROUND_MS.1));
            return again_ms.into_iter().chain(self.guards.values().map(|guard| guard.end_at_ms)).min();
        }
        let wait_ms = self.kill_round_ms;
        self.kill_round_ms = (wait_ms * 2).min(KILL_ROUND_MS.1);
        Some(boot_ms().saturating_add(wait_ms))
    }

    fn wait(&self, at_ms: Option<u64>) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if self.worker_gone_ms.is_none() {
            fds.push(PollFd::new(self.control.as_fd(), PollFlags::POLLIN));
        }
        wait(&mut fds, &self.timer, at_ms);
    }

    fn send(&mut self) {
        while let Some((answer, passed)) = self.outbox.front() {
            match message::send(self.control.as_fd(), &answer.message(), passed.as_ref().map(AsFd::as_fd)) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                // A worker that is gone is noticed when it is read from.
                _ => _ = self.outbox.pop_front(),
            }
        }
    }

    fn hear(&mut self) -> io::Result<()> {
        while self.worker_gone_ms.is_none() {
            let (message, passed) = match message::receive(self.control.as_fd()) {
                Ok(Some(received)) => received,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Ok(None) | Err(_) => {
                    self.worker_gone_ms = Some(boot_ms());
                    return Ok(());
                }
            };
            match (Order::parse(&message), passed) {
                (Some(Order::Start(id, end_at_ms)), Some(stream)) => self.start(id, end_at_ms, &stream, guard::run),
                (Some(Order::Nursery(id, end_at_ms)), Some(stream)) => self.start(id, end_at_ms, &stream, nursery::run),
                (Some(Order::Until(id, end_at_ms)), _) => self.extend(id, end_at_ms),
                (Some(Order::Again(id, end_at_ms)), _) => self.begin_again(id, end_at_ms),
                (Some(Order::End(id)), _) => self.end(id),
                (Some(Order::Ping), _) => self.outbox.push_back((Answer::Pong, None)),
                // Without a descriptor, this process has none left: as if the guard had ended at once.
                (Some(Order::Start(id, _) | Order::Nursery(id, _)), None) => self.has_ended(id),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn start(&mut self, id: u64, end_at_ms: u64, stream: &OwnedFd, run: Run) {
        match fork::fork(&[stream.as_fd(), self.life.as_fd()]) {
            Ok(Side::Parent(pid)) => {
                self.outbox.push_back((Answer::Started(id, pid), pidfd::open(pid).ok()));
                self.guards.insert(pid, Running { id, end_at_ms, stops: 0, ending_ms: None });
            }
            Ok(Side::Child(mut kept)) => {
                let (Some(life), Some(stream)) = (kept.pop(), kept.pop()) else { fork::exit(1) };
                fork::exit(i32::from(run(UnixStream::from(stream), life).is_err()));
            }
            // The worker sees the stream's end.
            Err(_) => self.has_ended(id),
        }
    }

    fn extend(&mut self, id: u64, end_at_ms: u64) {
        if let Some(guard) = self.guards.values_mut().find(|guard| guard.id == id) {
            guard.end_at_ms = guard.end_at_ms.max(end_at_ms);
        }
    }

    /// A guard that has ended an action, and left nothing, has another one.
    fn begin_again(&mut self, id: u64, end_at_ms: u64) {
        if let Some(guard) = self.guards.values_mut().find(|guard| guard.id == id) {
            (guard.end_at_ms, guard.stops) = (end_at_ms, 0);
        }
    }

    fn end(&mut self, id: u64) {
        match self.guards.values_mut().find(|guard| guard.id == id) {
            Some(guard) => guard.end(),
            // It is gone, and if something of it is left, that goes now.
            None => self.has_ended(id),
        }
    }
}
