//! A guard: the process between a supervisor and one action.
//!
//! It ends the action with *everything that it started*, daemons included, when the action itself ends, when its time
//! is up, when the worker says so, when worker or supervisor are gone, or when the lease has passed. The last it
//! measures by itself, so that a worker that hangs or is stopped cannot keep an action alive that somebody else may have
//! begun again by then.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig, set_timerslack};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::WaitStatus;
use nix::unistd::setsid;
use petrel_execution::runner::May;

use super::action::Action;
use super::bounds::Bounds;
use super::capture::{Capture, Kept};
use super::clock::boot_ms;
use super::confine::Domains;
use super::feed::Feed;
use super::group::Group;
use super::launch::Launcher;
use super::line::Line;
use super::outbox::Outbox;
use super::protocol::{Control, Job, Report, STARTED, STARTING, TAKEN_MS_MAX, Why};
use super::timer::Timer;
use super::wait::wait;
use super::{kept, spawn};

/// Between two rounds of SIGKILL: first and longest, in milliseconds. Only a process that cannot be killed
/// (it sleeps in the kernel, or belongs to somebody else) sees more than a few.
pub const KILL_ROUND_MS: (u64, u64) = (10, 1_000);
/// Read at once from a stream.
const BUFFER_BYTES: usize = 64 << 10;
/// Read of a stream once no process is left: the most that a pipe holds, unless root has said otherwise.
pub const DRAINED_BYTES_MAX: usize = 1 << 20;

/// How long a guard waits for another job, in milliseconds: longer than a worker takes it for.
const IDLE_MS_MAX: u64 = 2 * TAKEN_MS_MAX;
/// Most actions of one guard.
const ACTIONS_MAX: u32 = 1_000;

/// What a guard does from its fork to its end. `supervisor` is readable, at its end, once the supervisor is gone.
///
/// An action that could do nothing to it and has left nothing is followed by another one, if the worker sends it soon:
/// a guard that waits has nothing of the action before but memory, which no action sees.
///
/// # Errors
/// What the system says, or what is wrong with the job: the worker sees that no report comes.
pub fn run(stream: UnixStream, supervisor: OwnedFd) -> io::Result<()> {
    // A session of its own: process groups that hold nothing but descendants.
    setsid()?;
    set_child_subreaper(true)?;
    // Should it be stopped when the supervisor ends, it goes on, to see that.
    set_pdeathsig(Signal::SIGCONT)?;
    let mut heard = (Line::new(stream), supervisor, ends_of_children()?, Timer::new()?);
    let mut tools = Tools { launcher: Launcher::new()?, domains: Domains::default() };
    for left in (0..ACTIONS_MAX).rev() {
        match serve(heard, &mut tools, left > 0)? {
            Some(again) => heard = again,
            None => return Ok(()),
        }
        let (worker, supervisor, _, timer) = &mut heard;
        if !worker.await_job(boot_ms().saturating_add(IDLE_MS_MAX), supervisor.as_fd(), timer) {
            return Ok(());
        }
    }
    Ok(())
}

/// How late the kernel may wake a guard and its action, in nanoseconds: what it is for whoever does not say otherwise.
const TIMER_SLACK_NS: u64 = 50_000;

/// What a guard keeps from action to action.
struct Tools {
    launcher: Launcher,
    domains: Domains,
}

fn ends_of_children() -> io::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// Guards one action to its end; whom to hear for another one, if there may be any.
fn serve(heard: Heard, tools: &mut Tools, may_wait: bool) -> io::Result<Option<Heard>> {
    let (mut worker, supervisor, signals, timer) = heard;
    let Some((mut job, stdin)) = worker.read_job()? else { return Ok(None) };
    // Children inherit it, and with the rights of root the action before could set it over `/proc`.
    set_timerslack(TIMER_SLACK_NS)?;
    let controls = worker.hear_at_once();
    let started_ms = boot_ms();
    if let Some(why) = why_not(&mut job, &controls, worker.closed, started_ms) {
        return refuse(&mut worker, Why::NotBegun, why.to_owned()).map(|()| None);
    }
    let bounds = match Bounds::new(&job, &mut tools.domains) {
        Ok(bounds) => bounds,
        Err(refused) => return refuse(&mut worker, refused.why, refused.error).map(|()| None),
    };
    worker.tell(format!("{STARTING}\n").as_bytes());
    match spawn::spawn(&mut tools.launcher, &job, &bounds.cell, None) {
        Ok(spawn::Started { main, streams, stdin: pipe }) => {
            worker.tell(format!("{STARTED}\n").as_bytes());
            let may_wait = may_wait && leaves_as_it_was(&job, &bounds);
            let (action, stdin) = (Action::Child { main, end: None }, Some((pipe, stdin)));
            let heard = (worker, supervisor, signals, timer);
            let mut guard = Guard::new(job, action, (streams, stdin), heard, started_ms)?;
            (guard.group, guard.may_wait) = (bounds.group, may_wait);
            guard.run()
        }
        Err(e) => {
            let why = if spawn::is_its_own(&e) { Why::NotStarted } else { Why::NotBegun };
            let program = job.argv.first().map_or("", String::as_str);
            let error = format!("cannot start {program:?} in {}: {e}", job.directory.display());
            refuse(&mut worker, why, error).map(|()| None)
        }
    }
}

/// Whether an action can change nothing of its guard, and nothing was changed of that for it. What it may not signal, it
/// does not stop or kill; what holds calls back keeps it from limits, priorities and processors of others; and it cannot
/// gain rights with which it could.
fn leaves_as_it_was(job: &Job, bounds: &Bounds) -> bool {
    job.may == May::default()
        && bounds.cell.keeps_from_guard()
        && !job.confinement.no_network
        && bounds.group.is_none()
        && job.user.is_none()
        && job.container.is_none()
}

/// The same for an attempt that a zygote forks: `connection` leads to its fork, and `nursery` is readable, at its end, once
/// the nursery is gone.
///
/// # Errors
/// As above, or that something of the attempt may be left.
pub fn run_kept(stream: UnixStream, nursery: OwnedFd, connection: OwnedFd, zygote: i32) -> io::Result<()> {
    setsid()?;
    set_pdeathsig(Signal::SIGCONT)?;
    let (signals, timer, mut worker) = (ends_of_children()?, Timer::new()?, Line::new(stream));
    let Some((mut job, stdin)) = worker.read_job()? else { return Ok(()) };
    let started_ms = boot_ms();
    let kept = kept::Kept::meet(connection, zygote, &job, &timer).and_then(|kept| Ok((kept.open(&job)?, kept)));
    let (pipes, kept) = match kept {
        Ok(kept) => kept,
        Err(e) => return refuse(&mut worker, Why::NotBegun, e.to_string()),
    };
    let controls = worker.hear_at_once();
    // Without its job nothing of it begins: the keeper ends by itself.
    if let Some(why) = why_not(&mut job, &controls, worker.closed, boot_ms()) {
        return refuse(&mut worker, Why::NotBegun, why.to_owned());
    }
    worker.tell(format!("{STARTING}\n{STARTED}\n").as_bytes());
    let (action, stdin) = (Action::Kept(kept), Some((Some(pipes.stdin), stdin)));
    let heard = (worker, nursery, signals, timer);
    Guard::new(job, action, (pipes.streams, stdin), heard, started_ms)?.run().map(drop)
}

/// Why a job must not begin any more, after what the worker has said behind it: a supervisor that was stopped may bring it
/// to a guard long after the worker has given it up.
fn why_not(job: &mut Job, controls: &[Control], is_worker_gone: bool, now_ms: u64) -> Option<&'static str> {
    for control in controls {
        match control {
            Control::Lease(deadline_ms) => job.lease_deadline_ms = job.lease_deadline_ms.max(*deadline_ms),
            Control::Cancel => return Some("it was canceled before it could start"),
        }
    }
    if is_worker_gone {
        return Some("it was given up before it could start");
    }
    (now_ms >= job.lease_deadline_ms).then_some("its lease passed before it could start")
}

fn refuse(worker: &mut Line, why: Why, error: String) -> io::Result<()> {
    report(
        worker,
        &Report {
            why,
            return_code: None,
            signal: None,
            left_others: false,
            is_held: false,
            error: Some(error),
            waits: false,
            streams: vec![],
        },
        &[],
    )
}

pub fn report(worker: &mut Line, report: &Report, captured: &[Kept]) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(report)?;
    bytes.push(b'\n');
    worker.tell(&bytes);
    captured.iter().flat_map(|kept| [&kept.head, &kept.lead, &kept.tail]).for_each(|bytes| worker.tell(bytes));
    Ok(())
}

/// Exit code or signal with which a process has ended.
pub fn code_and_signal(end: Option<WaitStatus>) -> (Option<i32>, Option<i32>) {
    match end {
        Some(WaitStatus::Exited(_, code)) => (Some(code), None),
        Some(WaitStatus::Signaled(_, signal, _)) => (None, Some(signal as i32)),
        _ => (None, None),
    }
}

/// The action is being ended.
struct Ending {
    why: Why,
    /// SIGTERM was sent; from then on SIGKILL, at this instant or when the lease passes.
    kill_at_ms: u64,
}

/// The guard's ends of an action's pipes, and what is written to its standard input.
type Pipes = (Vec<OwnedFd>, Option<(Option<OwnedFd>, Vec<u8>)>);
/// What a guard hears: its worker, whoever it is a child of, the ends of its children, and the time.
type Heard = (Line, OwnedFd, SignalFd, Timer);

struct Guard {
    job: Job,
    action: Action,
    ending: Option<Ending>,
    kill_round_ms: u64,
    /// How many processes the last round has found.
    left: Option<usize>,
    timeout_at_ms: u64,
    /// When it ends for its lease's sake: what is left by then needs its time, too.
    lease_deadline_ms: u64,
    reserve_ms: u64,
    cancel_wanted: bool,
    supervisor_gone: bool,
    worker: Line,
    supervisor: OwnedFd,
    signals: SignalFd,
    timer: Timer,
    stdin: Option<Feed>,
    streams: Vec<Capture<File>>,
    outbox: Outbox,
    /// Its control group, if it asks for one.
    group: Option<Group>,
    /// It may have another action behind this one.
    may_wait: bool,
}

/// Whether what an action writes there is told while it runs.
fn is_told(fd: i32) -> bool {
    matches!(fd, 1 | 2)
}

impl Guard {
    fn new(job: Job, action: Action, pipes: Pipes, heard: Heard, started_ms: u64) -> io::Result<Self> {
        let ((streams, stdin), (worker, supervisor, signals, timer)) = (pipes, heard);
        let stdin = stdin.and_then(|(pipe, bytes)| Some((pipe?, bytes)));
        let streams = streams.into_iter().zip(&job.streams);
        let streams =
            streams.map(|(pipe, spec)| Capture::new(File::from(pipe), spec.bytes_max, job.telling.lead_bytes));
        let reserve_ms = job.container.as_ref().map_or(0, |left| left.reserve_ms);
        Ok(Self {
            action,
            ending: None,
            kill_round_ms: KILL_ROUND_MS.0,
            left: None,
            timeout_at_ms: started_ms.saturating_add(job.timeout_ms),
            lease_deadline_ms: job.lease_deadline_ms.saturating_sub(reserve_ms),
            reserve_ms,
            cancel_wanted: false,
            supervisor_gone: false,
            worker,
            supervisor,
            signals,
            timer,
            stdin: stdin.map(|(pipe, bytes)| Feed::new(pipe, bytes)).transpose()?,
            streams: streams.collect::<io::Result<_>>()?,
            outbox: Outbox::new(job.telling.live_bytes_max),
            group: None,
            may_wait: false,
            job,
        })
    }

    /// Until no process is left; then reports. Whom to hear for another action, if it waits for one.
    fn run(mut self) -> io::Result<Option<Heard>> {
        let mut buffer = vec![0; BUFFER_BYTES];
        while self.action.reap()? {
            let at_ms = self.act(boot_ms());
            self.wait(at_ms);
            while matches!(self.signals.read_signal(), Ok(Some(_))) {}
            self.read(|stream, told| _ = stream.pump(&mut buffer, told));
            self.outbox.pump(&mut self.worker);
            if self.stdin.as_mut().is_some_and(|feed| !feed.pump()) {
                self.stdin = None;
            }
        }
        // What is still in the pipes; an end that escaped through a socket may keep them open.
        self.read(|stream, told| stream.drain(&mut buffer, DRAINED_BYTES_MAX, told));
        self.outbox.finish(&mut self.worker);
        self.report()
    }

    /// Reads all streams in some way, and takes what is read along for the worker.
    fn read(&mut self, mut read: impl FnMut(&mut Capture<File>, &mut dyn FnMut(u64, &[u8]))) {
        let Self { streams, job, outbox, .. } = self;
        for (stream, fd) in streams.iter_mut().zip(job.streams.iter().map(|spec| spec.fd)) {
            read(stream, &mut |offset, bytes| {
                if is_told(fd) {
                    outbox.take(fd, offset, bytes);
                }
            });
        }
    }

    /// Does what the time asks for; until when there is nothing else to do, in milliseconds of `CLOCK_BOOTTIME`.
    fn act(&mut self, now_ms: u64) -> u64 {
        if self.ending.is_none() {
            let Some(why) = self.reason_to_end(now_ms) else {
                return self.timeout_at_ms.min(self.lease_deadline_ms);
            };
            self.ending = Some(Ending { why, kill_at_ms: now_ms.saturating_add(self.job.kill_grace_ms) });
            self.action.signal(Signal::SIGTERM);
            // A stopped process gets its SIGTERM only once it goes on.
            self.action.signal(Signal::SIGCONT);
        }
        let kill_at_ms = self.ending.as_ref().map_or(now_ms, |e| e.kill_at_ms).min(self.lease_deadline_ms);
        if now_ms < kill_at_ms { kill_at_ms } else { self.kill_round() }
    }

    /// Kills what there is; when the next round is due, in milliseconds of `CLOCK_BOOTTIME`.
    fn kill_round(&mut self) -> u64 {
        self.group.iter().for_each(Group::kill);
        let left = self.action.kill();
        // As long as there are fewer each time, the rounds get through.
        if left.zip(self.left).is_some_and(|(now, before)| now < before) {
            self.kill_round_ms = KILL_ROUND_MS.0;
        }
        self.left = left;
        let wait_ms = self.kill_round_ms;
        self.kill_round_ms = (wait_ms * 2).min(KILL_ROUND_MS.1);
        boot_ms().saturating_add(wait_ms)
    }

    fn reason_to_end(&self, now_ms: u64) -> Option<Why> {
        if self.action.is_over() {
            return Some(Why::Exited);
        }
        if now_ms >= self.lease_deadline_ms {
            return Some(Why::LeaseLost);
        }
        if self.worker.closed {
            return Some(Why::WorkerGone);
        }
        if self.supervisor_gone {
            return Some(Why::SupervisorGone);
        }
        if self.cancel_wanted {
            return Some(Why::Canceled);
        }
        (now_ms >= self.timeout_at_ms).then_some(Why::Timeout)
    }

    /// Until something comes, or until that instant of `CLOCK_BOOTTIME`, in milliseconds.
    fn wait(&mut self, at_ms: u64) {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let polled = (!self.worker.closed, !self.supervisor_gone);
        if polled.0 {
            let more = if self.outbox.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
            fds.push(PollFd::new(self.worker.as_fd(), PollFlags::POLLIN | more));
        }
        if polled.1 {
            fds.push(PollFd::new(self.supervisor.as_fd(), PollFlags::POLLIN));
        }
        fds.extend(self.streams.iter().filter_map(Capture::fd).map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if let Action::Kept(kept) = &self.action {
            fds.extend(kept.fds().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        }
        fds.extend(self.stdin.iter().map(|feed| PollFd::new(feed.as_fd(), PollFlags::POLLOUT)));
        wait(&mut fds, &self.timer, Some(at_ms));
        let is_ready = |at: usize| fds.get(at).and_then(PollFd::revents).is_some_and(|events| !events.is_empty());
        // That it takes more says nothing of what it says.
        let says = |events: PollFlags| !events.difference(PollFlags::POLLOUT).is_empty();
        let worker_ready = polled.0 && fds.get(1).and_then(PollFd::revents).is_some_and(says);
        self.supervisor_gone |= polled.1 && is_ready(1 + usize::from(polled.0));
        if worker_ready {
            self.hear();
        }
    }

    fn hear(&mut self) {
        self.worker.fill();
        while let Some(control) = self.worker.next() {
            match control {
                Control::Lease(deadline_ms) => {
                    let deadline_ms = deadline_ms.saturating_sub(self.reserve_ms);
                    self.lease_deadline_ms = self.lease_deadline_ms.max(deadline_ms);
                }
                Control::Cancel => self.cancel_wanted = true,
            }
        }
    }

    fn report(mut self) -> io::Result<Option<Heard>> {
        let (return_code, signal) = code_and_signal(self.action.end());
        // Of what is gone by itself with the action, nothing has to be ended.
        let left_others = self.ending.is_some();
        let is_heard = !self.worker.closed && !self.supervisor_gone && !self.cancel_wanted;
        let is_held = !self.streams.iter().all(Capture::has_ended);
        let waits = self.may_wait && is_heard && !left_others && !is_held;
        let captured: Vec<Kept> = self.streams.into_iter().map(Capture::finish).collect();
        let streams = self.job.streams.iter().zip(&captured).map(|(spec, kept)| kept.report(spec.fd));
        let why = self.ending.map_or(Why::Exited, |e| e.why);
        let is_over = self.group.as_ref().is_some_and(Group::was_out_of_memory);
        let over = is_over.then(|| "ended by the kernel: it was over tree_memory_bytes_max".to_owned());
        let error = self.job.container.as_ref().and_then(|left| left.end_behind(return_code).err()).or(over);
        // Whoever hears of the end finds nothing of it.
        drop(self.group.take());
        let record =
            Report { why, return_code, signal, left_others, is_held, error, waits, streams: streams.collect() };
        report(&mut self.worker, &record, &captured)?;
        Ok(waits.then_some((self.worker, self.supervisor, self.signals, self.timer)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use petrel_execution::runner::Limits;

    use super::super::confinement::Confinement;
    use super::super::protocol::Telling;
    use super::*;

    #[test]
    fn what_was_given_up_canceled_or_has_lost_its_lease_does_not_begin() {
        let mut job = Job {
            argv: vec!["true".to_owned()],
            environment: BTreeMap::new(),
            directory: "/".into(),
            stdin_bytes: 0,
            streams: Vec::new(),
            telling: Telling::default(),
            timeout_ms: 1_000,
            lease_deadline_ms: 100,
            kill_grace_ms: 0,
            user: None,
            limits: Limits::default(),
            may: May::default(),
            container: None,
            confinement: Confinement::default(),
        };
        let mut may_begin =
            |controls: &[Control], is_gone, now_ms| why_not(&mut job, controls, is_gone, now_ms).is_none();
        assert!(may_begin(&[], false, 99));
        assert!(!may_begin(&[], false, 100));
        assert!(!may_begin(&[], true, 99));
        assert!(!may_begin(&[Control::Cancel], false, 99));
        assert!(!may_begin(&[Control::Lease(200), Control::Cancel], false, 99));
        assert!(may_begin(&[], false, 199));
        assert!(!may_begin(&[Control::Lease(150)], false, 200));
    }
}
