//! The worker's end: it starts a supervisor, again if that ends, and asks it for guards.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use tokio::sync::watch;

use super::clock::boot_ms;
use super::idle::Idle;
use super::pidfd::PidFd;
use super::protocol::{Answer, Order};
use super::timer::Timer;
use super::wait::wait;
use super::{message, tree};

/// Between two questions to a supervisor whether it is there, in milliseconds.
const PING_MS: u64 = 1_000;
/// Questions without an answer until a supervisor is killed with all that is under it. They are counted, not timed: a
/// worker that was itself stopped for long has asked one.
const UNANSWERED_MAX: u32 = 10;
/// How long a supervisor may take to end a guard: longer than it tries to kill what cannot be killed.
const END_MAX: Duration = Duration::from_secs(15);
/// Before a supervisor is asked again that took no order.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Between two rounds of SIGKILL, in milliseconds.
const KILL_ROUND_MS: u64 = 20;
/// Most of them: what cannot be killed by then sleeps in the kernel.
const KILL_ROUNDS_MAX: u32 = 500;
/// How many of them guards have whose supervisor is gone, to end their actions by themselves.
const ROUNDS_ALONE: u32 = 100;

/// The supervisor of a worker. Dropping the last of its clones ends everything that runs under it.
#[derive(Debug, Clone)]
pub struct Supervisor(Arc<Starter>);

#[derive(Debug)]
struct Starter {
    program: Vec<OsString>,
    inner: Mutex<Inner>,
    /// Never locked while anything is waited for.
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Inner {
    last_id: u64,
    life: Option<Arc<Life>>,
}

/// One supervisor process.
#[derive(Debug)]
struct Life {
    pid: i32,
    control: OwnedFd,
    /// Attempts whose guard is not gone yet.
    running: Mutex<HashMap<u64, Running>>,
    /// It answers, but does not do what it is told: somebody stops it again and again.
    is_hindered: AtomicBool,
    is_over: AtomicBool,
}

/// An attempt whose guard is not gone yet.
#[derive(Debug)]
struct Running {
    gone: watch::Sender<bool>,
    /// The guard, once it was started.
    guard: Option<PidFd>,
}

/// A guard that waits for its job.
#[derive(Debug)]
pub struct Guarded {
    /// The worker's end of the stream to it.
    pub stream: UnixStream,
    end: GuardEnd,
    /// When its supervisor ends it at the earliest, in milliseconds of `CLOCK_BOOTTIME`.
    end_at_ms: u64,
}

/// Ends a guard from outside. Dropping it does not.
#[derive(Debug, Clone)]
pub struct GuardEnd {
    id: u64,
    life: Arc<Life>,
    gone: watch::Receiver<bool>,
    /// It is a nursery, in which other attempts may run.
    is_nursery: bool,
    /// It has had an action before this one.
    is_used: bool,
}

impl Guarded {
    /// The stream, and what ends the guard.
    pub fn into_parts(self) -> (UnixStream, GuardEnd) {
        (self.stream, self.end)
    }

    /// When its supervisor ends it at the earliest, in milliseconds of `CLOCK_BOOTTIME`; at once if it is gone.
    pub(super) fn lives_until_ms(&self) -> u64 {
        if self.end.life.is_over() || *self.end.gone.borrow() { 0 } else { self.end_at_ms }
    }

    /// The supervisor is to end it at that instant, for it has another action.
    fn begin_again(mut self, end_at_ms: u64) -> io::Result<Self> {
        message::send(self.end.life.control.as_fd(), &Order::Again(self.end.id, end_at_ms).message(), None)?;
        (self.end_at_ms, self.end.is_used) = (end_at_ms, true);
        Ok(self)
    }
}

impl GuardEnd {
    /// Whether other attempts may end with it.
    pub fn is_nursery(&self) -> bool {
        self.is_nursery
    }

    /// Whether it has had another action before.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// The supervisor ends the guard, should it still be there, at this instant of `CLOCK_BOOTTIME` and no sooner, in
    /// milliseconds. What a supervisor does not take for the moment, it gets with the next extension.
    pub fn extend(&self, end_at_ms: u64) {
        let _ = message::send(self.life.control.as_fd(), &Order::Until(self.id, end_at_ms).message(), None);
    }

    /// Ends the guard with all that it has, and waits until nothing of it runs.
    pub async fn end(&mut self) {
        let order = Order::End(self.id).message();
        // A supervisor that takes nothing for the moment is asked again; one that never does is found out by its silence.
        while message::send(self.life.control.as_fd(), &order, None).is_err_and(|e| e.kind() == ErrorKind::WouldBlock) {
            if tokio::time::timeout(ASK_AGAIN, self.gone.wait_for(|gone| *gone)).await.is_ok() {
                return;
            }
        }
        if tokio::time::timeout(END_MAX, self.gone.wait_for(|gone| *gone)).await.is_err() {
            self.life.is_hindered.store(true, Ordering::SeqCst);
            // The sender goes only when the supervisor's life is over, and with it everything under it.
            let _ = self.gone.wait_for(|gone| *gone).await;
        }
    }
}

impl Supervisor {
    /// Will run this program, with these first arguments, when it is needed.
    pub fn new(program: Vec<OsString>) -> Self {
        Self(Arc::new(Starter { program, inner: Mutex::default(), idle: Mutex::default() }))
    }

    /// Starts the process, unless it runs; blocks until it does.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&self) -> io::Result<()> {
        self.0.life(&mut self.0.lock()).map(drop)
    }

    /// A guard that waits, or else a new one.
    ///
    /// # Errors
    /// As [`Self::new_guard`].
    pub async fn guard(&self, end_at_ms: u64) -> io::Result<Guarded> {
        let idle = self.0.idle().take().and_then(|idle| idle.begin_again(end_at_ms).ok());
        match idle {
            Some(idle) => Ok(idle),
            None => self.new_guard(end_at_ms).await,
        }
    }

    /// Takes a guard back that waits for another action, until that instant of `CLOCK_BOOTTIME`, in milliseconds, at least.
    pub fn take_back(&self, stream: UnixStream, end: GuardEnd, end_at_ms: u64) {
        self.0.idle().keep(Guarded { stream, end, end_at_ms });
    }

    /// A new guard, which its supervisor ends at this instant of `CLOCK_BOOTTIME`, in milliseconds, should it still be
    /// there. If the supervisor has ended, another one is started first, off the runtime, whose threads keep the leases of
    /// other attempts.
    ///
    /// # Errors
    /// What the system says: most of all that this process has no descriptors left.
    pub async fn new_guard(&self, end_at_ms: u64) -> io::Result<Guarded> {
        self.ordered(end_at_ms, move |id| Order::Start(id, end_at_ms)).await
    }

    /// The same with a nursery.
    ///
    /// # Errors
    /// As above.
    pub async fn nursery(&self, end_at_ms: u64) -> io::Result<Guarded> {
        self.ordered(end_at_ms, move |id| Order::Nursery(id, end_at_ms)).await
    }

    async fn ordered(&self, end_at_ms: u64, order: impl Fn(u64) -> Order + Send + 'static) -> io::Result<Guarded> {
        if self.0.runs() {
            return self.0.guard(end_at_ms, order);
        }
        let starter = self.0.clone();
        let panicked = |_| io::Error::other("what starts the supervisor panicked");
        tokio::task::spawn_blocking(move || starter.guard(end_at_ms, order)).await.map_err(panicked)?
    }

    /// The process, while there is one.
    pub fn process(&self) -> Option<u32> {
        let life = self.0.lock().life.clone().filter(|life| !life.is_over())?;
        u32::try_from(life.pid).ok()
    }
}

impl Starter {
    /// Whether the process runs; not while somebody starts it.
    fn runs(&self) -> bool {
        let life = |inner: MutexGuard<'_, Inner>| inner.life.as_ref().is_some_and(|life| !life.is_over());
        self.inner.try_lock().is_ok_and(life)
    }

    fn guard(&self, end_at_ms: u64, order: impl Fn(u64) -> Order) -> io::Result<Guarded> {
        let mut inner = self.lock();
        inner.last_id += 1;
        let id = inner.last_id;
        let mut tries_left = 2;
        loop {
            let (ours, theirs) = UnixStream::pair()?;
            let life = self.life(&mut inner)?;
            let gone = life.expect(id);
            let is_nursery = matches!(order(id), Order::Nursery(..));
            tries_left -= 1;
            match message::send(life.control.as_fd(), &order(id).message(), Some(theirs.as_fd())) {
                Ok(()) => {
                    let end = GuardEnd { id, life, gone, is_nursery, is_used: false };
                    return Ok(Guarded { stream: ours, end, end_at_ms });
                }
                Err(e) => {
                    life.lock().remove(&id);
                    if tries_left == 0 || e.kind() == ErrorKind::WouldBlock {
                        return Err(e);
                    }
                    // It has just ended, and whoever listens to it does not know yet.
                    inner.life = None;
                }
            }
        }
    }

    fn life(&self, inner: &mut Inner) -> io::Result<Arc<Life>> {
        if let Some(life) = inner.life.as_ref().filter(|life| !life.is_over()) {
            return Ok(life.clone());
        }
        let life = Life::begin(&self.program)?;
        inner.life = Some(life.clone());
        Ok(life)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What a panic left half done is a number or a process that is started again.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        if let Some(life) = self.lock().life.take() {
            // It sees that nothing more will come: the worker is gone. The thread that listens to it ends with it.
            let control = life.control.try_clone().map(UnixStream::from);
            let _ = control.and_then(|control| control.shutdown(std::net::Shutdown::Write));
        }
    }
}

/// Gives a nursery one end of the stream of an attempt.
///
/// # Errors
/// It is gone, or takes nothing for the moment.
pub fn give(nursery: BorrowedFd<'_>, stream: BorrowedFd<'_>) -> io::Result<()> {
    message::send(nursery, "a", Some(stream))
}

impl Life {
    fn begin(program: &[OsString]) -> io::Result<Arc<Self>> {
        let (program, arguments) =
            program.split_first().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "no supervisor"))?;
        let ((ours, theirs), timer) = (message::pair()?, Timer::new()?);
        // Nothing of the worker's environment: there may be secrets in it.
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let life = Arc::new(Self {
            pid: i32::try_from(child.id()).map_err(io::Error::other)?,
            control: ours,
            running: Mutex::default(),
            is_hindered: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let listening = life.clone();
        let thread = std::thread::Builder::new().name("supervisor".to_owned());
        if let Err(e) = thread.spawn(move || listening.listen(child, &timer)) {
            // Nobody would listen to it, nor wait for its end.
            let pid = Pid::from_raw(life.pid);
            let _ = kill(pid, Signal::SIGKILL);
            let _ = waitpid(pid, None);
            return Err(e);
        }
        Ok(life)
    }

    fn expect(&self, id: u64) -> watch::Receiver<bool> {
        let (gone, receiver) = watch::channel(false);
        self.lock().insert(id, Running { gone, guard: None });
        receiver
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Hears the supervisor until it ends.
    fn listen(&self, mut child: Child, timer: &Timer) {
        let mut unanswered = 0;
        while unanswered <= UNANSWERED_MAX && !self.is_hindered.load(Ordering::SeqCst) {
            match message::receive(self.control.as_fd()) {
                Ok(Some((message, passed))) => {
                    unanswered = 0;
                    self.hear(&message, passed);
                }
                // A reset is told once, of what the supervisor had not read when it ended; what it had said comes behind it.
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionReset) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if !self.wait(timer) {
                        // Should it be stopped, this lets it go on: it then sees what became of its guards meanwhile.
                        if unanswered > 0 {
                            let _ = kill(Pid::from_raw(self.pid), Signal::SIGCONT);
                        }
                        let _ = message::send(self.control.as_fd(), &Order::Ping.message(), None);
                        unanswered += 1;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        self.is_over.store(true, Ordering::SeqCst);
        if unanswered > UNANSWERED_MAX || self.is_hindered.load(Ordering::SeqCst) {
            tracing::error!(
                pid = self.pid,
                "the supervisor of actions does not do what it is told and is killed with all that it has"
            );
        }
        self.kill(timer);
        let ended = child.wait();
        self.end_guards(timer);
        if !self.lock().is_empty() {
            tracing::error!(?ended, "the supervisor of actions has ended; what ran under it is reported as lost");
        }
        // Whoever waits for a guard to be gone is told by the end of its sender.
        self.lock().clear();
    }

    /// Whether something can be read before it is time to ask.
    fn wait(&self, timer: &Timer) -> bool {
        let mut fds = vec![PollFd::new(self.control.as_fd(), PollFlags::POLLIN)];
        wait(&mut fds, timer, Some(boot_ms().saturating_add(PING_MS)));
        fds.iter().any(|fd| fd.any() == Some(true))
    }

    fn hear(&self, message: &str, passed: Option<OwnedFd>) {
        let answer = Answer::parse(message);
        if matches!(answer, Some(Answer::Left(_))) {
            tracing::error!("processes of an action, or of one before it, cannot be killed");
        }
        match answer {
            Some(Answer::Started(id, pid)) => {
                if let Some(running) = self.lock().get_mut(&id) {
                    running.guard = passed.map(|fd| PidFd::new(pid, fd));
                }
            }
            Some(Answer::Gone(id) | Answer::Left(id)) => {
                if let Some(running) = self.lock().remove(&id) {
                    running.gone.send_replace(true);
                }
            }
            Some(Answer::Pong) | None => {}
        }
    }

    /// Ends the process and all that is under it, in an order in which nothing gets away: stopped, it still is the one
    /// to which orphans go.
    fn kill(&self, timer: &Timer) {
        let pid = Pid::from_raw(self.pid);
        let _ = kill(pid, Signal::SIGSTOP);
        for _ in 0..KILL_ROUNDS_MAX {
            if matches!(tree::kill_below(self.pid), Ok(0)) {
                break;
            }
            timer.pause(KILL_ROUND_MS);
        }
        let _ = kill(pid, Signal::SIGKILL);
    }

    /// Waits until no guard is left of a supervisor that is gone. They end by themselves, each with its action; what was
    /// stopped since, or is stuck, is ended from here.
    fn end_guards(&self, timer: &Timer) {
        let mut guards: Vec<PidFd> = self.lock().values_mut().filter_map(|running| running.guard.take()).collect();
        for round in 0..KILL_ROUNDS_MAX {
            guards.retain(|guard| !guard.has_ended());
            if guards.is_empty() {
                return;
            }
            if round >= ROUNDS_ALONE {
                guards.iter().for_each(end_guard);
            }
            timer.pause(KILL_ROUND_MS);
        }
        let left: Vec<i32> = guards.iter().map(|guard| guard.pid).collect();
        tracing::error!(?left, "guards of actions cannot be killed");
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One round of it. Stopped, a guard still is the one to which orphans go, and it goes last.
fn end_guard(guard: &PidFd) {
    guard.signal(Signal::SIGSTOP);
    if matches!(tree::kill_below(guard.pid), Ok(0)) {
        guard.signal(Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_order_that_finds_no_room_is_given_again() {
        let (control, theirs) = message::pair().unwrap();
        let life = Life {
            pid: 0,
            control,
            running: Mutex::default(),
            is_hindered: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        };
        let mut end = GuardEnd { id: 7, gone: life.expect(7), life: Arc::new(life), is_nursery: false, is_used: false };
        let life = end.life.clone();
        while message::send(life.control.as_fd(), &Order::Ping.message(), None).is_ok() {}
        let ending = tokio::spawn(async move { end.end().await });
        tokio::time::sleep(ASK_AGAIN / 2).await;
        let mut heard = Vec::new();
        while heard.last() != Some(&Order::End(7)) {
            match message::receive(theirs.as_fd()) {
                Ok(Some((message, _))) => heard.extend(Order::parse(&message)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => tokio::time::sleep(ASK_AGAIN / 2).await,
                other => panic!("{other:?}"),
            }
            assert!(!ending.is_finished());
        }
        life.hear(&Answer::Gone(7).message(), None);
        ending.await.unwrap();
        assert!(heard[..heard.len() - 1].iter().all(|order| *order == Order::Ping));
    }

    /// A runtime's thread that waits for another one to start the supervisor keeps no lease meanwhile.
    #[tokio::test]
    async fn no_thread_of_the_runtime_waits_while_a_supervisor_is_started() {
        let supervisor = Supervisor::new(vec!["/no/such/supervisor".into()]);
        let starter = supervisor.0.clone();
        let ((begins, begun), (end, ends)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
        let starts = std::thread::spawn(move || {
            let _inner = starter.lock();
            begins.send(()).unwrap();
            let _ = ends.recv_timeout(Duration::from_secs(10));
        });
        begun.recv().unwrap();
        let guard = supervisor.guard(0);
        tokio::pin!(guard);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut guard).await.is_err());
        drop(end);
        assert!(guard.await.is_err(), "there is no such program");
        starts.join().unwrap();
    }
}
