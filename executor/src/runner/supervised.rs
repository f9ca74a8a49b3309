//! A program under a guard: what every runner that starts processes does in the same way.

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_execution::worker::Holding;
use petrel_execution::{Stream, StreamEnd};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use crate::live::Live;
use crate::supervise::{
    Control, GuardEnd, Job, Piece, Report, STARTED, STARTING, StreamReport, Supervisor, Why, boot_ms,
};

/// Longest line of a guard, in bytes; the captured output comes behind it.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Longest piece of output that a guard tells at once, in bytes: more than it reads at once.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// How much later than it should have, a guard may report the end of its action, in milliseconds; then the worker has it
/// ended from outside.
const OVERDUE_MS: u64 = 1_000;
/// The same behind a time-out or a cancel for the guard of a fork: with it all other forks of its nursery are ended.
const NURSERY_OVERDUE_MS: u64 = 10_000;
/// Behind the end of a lease it may be no more than one part of so many of the margin to the owner's: the rest is for the
/// end from outside.
const OVERDUE_OF_MARGIN: u64 = 3;
/// A last look for a report, where one may have come in the very moment in which it was overdue.
const LAST_LISTEN: Duration = Duration::from_millis(20);

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What its guard told.
    pub report: Report,
    /// What was captured of each of the job's streams, in their order, or the beginning of it; empty where the guard was
    /// ended.
    pub captured: Vec<Vec<u8>>,
    /// The ends of those streams; empty where all of it was captured.
    pub ends: Vec<CapturedEnd>,
}

impl Ended {
    /// What was captured of each of the job's streams, in their order.
    pub(super) fn into_streams(self) -> impl Iterator<Item = Stream> {
        let Self { report, captured, ends } = self;
        let ends = ends.into_iter().map(Some).chain(std::iter::repeat(None));
        report.streams.into_iter().zip(captured).zip(ends).map(|((told, bytes), end)| {
            let end = end.filter(|_| told.read_bytes > bytes.len() as u64).map(|end| StreamEnd {
                omitted_bytes: told.read_bytes - (bytes.len() + end.tail.len()) as u64,
                lead: end.lead,
                bytes: end.tail,
            });
            Stream { bytes, truncated: told.truncated, end }
        })
    }

    /// How much was read of standard output and error, in bytes.
    pub(super) fn read_bytes(&self) -> [u64; 2] {
        let of = |fd| self.report.streams.iter().find(|stream| stream.fd == fd).map_or(0, |stream| stream.read_bytes);
        [of(1), of(2)]
    }

    /// Whether all that it wrote was read to the end that it made itself.
    pub(super) fn is_whole(&self) -> bool {
        self.report.why == Why::Exited && !self.report.left_others
    }
}

/// The end of a stream whose middle was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CapturedEnd {
    /// What stood before it.
    pub lead: Vec<u8>,
    /// The last bytes.
    pub tail: Vec<u8>,
}

impl CapturedEnd {
    fn is_empty(&self) -> bool {
        self.lead.is_empty() && self.tail.is_empty()
    }
}

/// Nobody knows how a program ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It was never started, and not for a reason of its own.
    #[error("not begun: {0}")]
    NotBegun(String),
    /// It may have run; nothing of it does any more.
    #[error("lost: {0}")]
    Lost(String),
}

/// Runs a program until nothing of it is left. `started` is called once it runs. Dropping the future ends it.
///
/// # Errors
/// If it was not started, or nobody knows how it ended.
pub async fn run(
    supervisor: &Supervisor,
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Result<Ended, Failed> {
    run_told(supervisor, job, stdin, held, started, &Live::default()).await
}

/// The same, and what the program writes is told while it runs, as far as the job says.
///
/// # Errors
/// As [`run`].
pub async fn run_told(
    supervisor: &Supervisor,
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
    live: &Live,
) -> Result<Ended, Failed> {
    let lacking = |e: std::io::Error| Failed::NotBegun(format!("there is no guard for it: {e}"));
    let mut started = Some(started);
    let mut is_told = || started.take().into_iter().for_each(|started| started());
    // One that becomes another user, or leaves the network, begins as a copy of its guard's memory: of one that has had no
    // other action's secrets, and has no other action behind it.
    let mut wants_new = job.user.is_some() || job.confinement.no_network;
    let (timeout_at_ms, mut job) = (boot_ms().saturating_add(job.timeout_ms), Cow::Borrowed(job));
    loop {
        if boot_ms() >= held.borrow().lease_deadline_ms() {
            return Err(Failed::NotBegun("its lease passed before it could start".to_owned()));
        }
        let end_at_ms = lease_overdue_ms(&held.borrow());
        // What this worker lacks is no end of the action, which another one may start.
        let guarded = match wants_new {
            true => supervisor.new_guard(end_at_ms).await,
            false => supervisor.guard(end_at_ms).await,
        };
        let (stream, guard) = guarded.map_err(lacking)?.into_parts();
        let (ended, left) = guarded_by((stream, guard.clone()), &job, stdin, held.clone(), &mut is_told, live).await;
        if let Some(stream) = left {
            supervisor.take_back(stream, guard, end_at_ms);
        } else if matches!(ended, Err(Failed::NotBegun(_)))
            && guard.is_used()
            && held.borrow().stop().is_none()
            && let Some(again) = within(&job, timeout_at_ms, &held)
        {
            // It may have ended while it waited. What is the action's own, a new one will say, too.
            (wants_new, job) = (true, Cow::Owned(again));
            continue;
        }
        return ended;
    }
}

/// What is tried once more, for as long as the attempt may still take, until that instant of `CLOCK_BOOTTIME` in
/// milliseconds; nothing if what was tried first has taken half of it or more: what begins and is ended soon for that has
/// done a part of its work, and what has not begun may be begun elsewhere with all its time.
pub(super) fn within(job: &Job, timeout_at_ms: u64, held: &watch::Receiver<Holding>) -> Option<Job> {
    let timeout_ms = timeout_at_ms.saturating_sub(boot_ms());
    let lease_deadline_ms = held.borrow().lease_deadline_ms();
    (timeout_ms > job.timeout_ms / 2).then(|| Job { timeout_ms, lease_deadline_ms, ..job.clone() })
}

/// The same with a guard that waits for its job at the other end of this stream.
///
/// # Errors
/// As above.
pub async fn run_over(
    guarded: (std::os::unix::net::UnixStream, GuardEnd),
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
    live: &Live,
) -> Result<Ended, Failed> {
    let mut started = Some(started);
    let mut is_told = || started.take().into_iter().for_each(|started| started());
    guarded_by(guarded, job, stdin, held, &mut is_told, live).await.0
}

/// What became of it, and the stream if its guard waits for another job there.
async fn guarded_by(
    (stream, mut guard): (std::os::unix::net::UnixStream, GuardEnd),
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: &mut (dyn FnMut() + Send),
    live: &Live,
) -> (Result<Ended, Failed>, Option<std::os::unix::net::UnixStream>) {
    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
    let (output, mut control) = match stream {
        Ok(stream) => stream.into_split(),
        Err(e) => return (Err(Failed::NotBegun(format!("there is no guard for it: {e}"))), None),
    };
    let (mut output, is_cut_short) = (BufReader::new(output), AtomicBool::new(false));
    let ended = {
        let line = (&mut output, &mut control, &is_cut_short);
        directed(line, &mut guard, job, stdin, held, started, live).await
    };
    let waits = ended.as_ref().is_ok_and(|ended| ended.report.waits);
    // What it was told half, and what it has told beyond its report, nobody would understand.
    if !waits || is_cut_short.into_inner() || !output.buffer().is_empty() {
        return (ended, None);
    }
    let stream = output.into_inner().reunite(control).ok().and_then(|stream| stream.into_std().ok());
    (ended, stream)
}

/// Has a guard run it, and tells it what the worker wants. Beside both directions of the stream: whether what was said there
/// was not said to its end.
async fn directed(
    (output, control, is_cut_short): (&mut BufReader<OwnedReadHalf>, &mut OwnedWriteHalf, &AtomicBool),
    guard: &mut GuardEnd,
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: &mut (dyn FnMut() + Send),
    live: &Live,
) -> Result<Ended, Failed> {
    let has_begun = AtomicBool::new(false);
    let listen = listen(output, job, started, &has_begun, live);
    tokio::pin!(listen);
    let in_time = {
        let overdue = overdue(job, guard.is_nursery(), held.clone());
        let tell = tell(control, is_cut_short, guard, job, stdin, held.clone());
        tokio::pin!(tell, overdue);
        tokio::select! {
            // A worker that stood still finds a report and a deadline that has passed: the report is what happened.
            biased;
            answer = &mut listen => Ok(answer),
            why = &mut overdue => Err(why),
            never = &mut tell => match never {},
        }
    };
    let (mut answer, overdue) = match in_time {
        Ok(answer) => (Some(answer), None),
        Err(why) => {
            // Who has not begun now never will: it sees that nobody wants it any more.
            is_cut_short.store(true, Ordering::SeqCst);
            let _ = control.shutdown().await;
            (tokio::time::timeout(LAST_LISTEN, &mut listen).await.ok(), Some(why))
        }
    };
    // Where a nursery takes no attempt any more, there is nothing of it that others would have to end for.
    let is_untaken = guard.is_nursery() && matches!(answer, Some(Err(_))) && !has_begun.load(Ordering::SeqCst);
    if !matches!(answer, Some(Ok(_))) && !is_untaken {
        // A guard that did not report may have left something, which its supervisor ends.
        guard.end().await;
        if answer.is_none() {
            answer = tokio::time::timeout(LAST_LISTEN, &mut listen).await.ok();
        }
    }
    let error = match answer {
        Some(Ok(ended)) => return told(ended, overdue),
        Some(Err(e)) => format!("its guard failed: {e}"),
        None => "its guard told nothing".to_owned(),
    };
    // Then its supervisor may have ended it before the worker asked for it.
    let is_lease_over = boot_ms() >= held.borrow().lease_deadline_ms();
    match (has_begun.load(Ordering::SeqCst), overdue.or(is_lease_over.then_some(Why::LeaseLost))) {
        (false, _) => Err(Failed::NotBegun(error)),
        (true, None) => Err(Failed::Lost(error)),
        (true, Some(why)) => {
            let error = "its guard did not end it in time, and it was ended from outside".to_owned();
            let (return_code, signal, error) = (None, None, Some(error));
            let report = Report {
                why,
                return_code,
                signal,
                left_others: true,
                is_held: false,
                error,
                waits: false,
                streams: Vec::new(),
            };
            Ok(Ended { report, captured: Vec::new(), ends: Vec::new() })
        }
    }
}

/// What a guard's report means; `overdue` if it came too late.
fn told(mut ended: Ended, overdue: Option<Why>) -> Result<Ended, Failed> {
    match (ended.report.why, overdue) {
        (Why::NotBegun, _) => return Err(Failed::NotBegun(ended.report.error.unwrap_or_default())),
        // The worker went because it was overdue.
        (Why::WorkerGone, Some(why)) => ended.report.why = why,
        _ => {}
    }
    Ok(ended)
}

/// When a guard's lease is so long over that it is ended from outside, in milliseconds of `CLOCK_BOOTTIME`.
fn lease_overdue_ms(held: &Holding) -> u64 {
    held.lease_deadline_ms().saturating_add((held.margin_ms() / OVERDUE_OF_MARGIN).min(OVERDUE_MS))
}

/// Until the guard should have reported the end long ago; why the action had to end.
fn overdue(job: &Job, is_nursery: bool, mut held: watch::Receiver<Holding>) -> impl Future<Output = Why> + use<> {
    let (grace_ms, mut stop_at_ms) = (job.kill_grace_ms, None);
    let late_ms = grace_ms.saturating_add(if is_nursery { NURSERY_OVERDUE_MS } else { OVERDUE_MS });
    let timeout_at_ms = boot_ms().saturating_add(job.timeout_ms).saturating_add(late_ms);
    async move {
        loop {
            let now_ms = boot_ms();
            let (lease_at_ms, is_stopped) = {
                let held = held.borrow_and_update();
                (lease_overdue_ms(&held), held.stop().is_some())
            };
            if is_stopped {
                stop_at_ms.get_or_insert(now_ms.saturating_add(late_ms));
            }
            let limits =
                [(Some(lease_at_ms), Why::LeaseLost), (stop_at_ms, Why::Canceled), (Some(timeout_at_ms), Why::Timeout)];
            let limits = limits.into_iter().filter_map(|(at_ms, why)| Some((at_ms?, why)));
            let Some((at_ms, why)) = limits.min_by_key(|(at_ms, _)| *at_ms) else { continue };
            if now_ms >= at_ms {
                return why;
            }
            let left = Duration::from_millis(at_ms - now_ms);
            if let Ok(Err(_)) = tokio::time::timeout(left, held.changed()).await {
                // Nobody directs it any more; what was said last holds.
                tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(boot_ms()))).await;
            }
        }
    }
}

/// Sends the job and then what the worker wants of it, whenever that changes.
async fn tell(
    control: &mut OwnedWriteHalf,
    is_cut_short: &AtomicBool,
    guard: &GuardEnd,
    job: &Job,
    stdin: &[u8],
    mut held: watch::Receiver<Holding>,
) -> Infallible {
    // Strings and numbers always serialise; an empty line would make the guard give up.
    let mut line = serde_json::to_vec(job).unwrap_or_default();
    line.push(b'\n');
    line.extend_from_slice(stdin);
    is_cut_short.store(true, Ordering::SeqCst);
    let mut is_heard = control.write_all(&line).await.is_ok();
    is_cut_short.store(!is_heard, Ordering::SeqCst);
    let mut told = (job.lease_deadline_ms, false);
    if guard.is_nursery() {
        // It is there for as long as a worker says so every few seconds; the attempt's lease may last longer.
        guard.extend(lease_overdue_ms(&held.borrow()));
    }
    while is_heard {
        let (wanted, end_at_ms) = {
            let held = held.borrow_and_update();
            ((held.lease_deadline_ms(), held.stop().is_some()), lease_overdue_ms(&held))
        };
        let mut lines = String::new();
        if wanted.0 != told.0 {
            guard.extend(end_at_ms);
            lines.push_str(&Control::Lease(wanted.0).line());
        }
        if wanted.1 && !told.1 {
            lines.push_str(&Control::Cancel.line());
        }
        told = wanted;
        is_cut_short.store(true, Ordering::SeqCst);
        is_heard = control.write_all(lines.as_bytes()).await.is_ok();
        is_cut_short.store(!is_heard, Ordering::SeqCst);
        is_heard = is_heard && held.changed().await.is_ok();
    }
    // A guard that is gone shows at the other end; where nobody directs it any more, what was said last holds.
    std::future::pending().await
}

/// Hears the guard to its end.
async fn listen(
    output: &mut BufReader<OwnedReadHalf>,
    job: &Job,
    started: &mut (dyn FnMut() + Send),
    has_begun: &AtomicBool,
    live: &Live,
) -> std::io::Result<Ended> {
    let (mut line, mut piece_bytes) = (String::new(), Vec::new());
    loop {
        line.clear();
        output.take(LINE_BYTES_MAX).read_line(&mut line).await?;
        match line.trim_end() {
            "" => return Err(std::io::Error::other("it ended without a report")),
            STARTING => has_begun.store(true, Ordering::SeqCst),
            STARTED => started(),
            said => match Piece::parse(said) {
                Some(piece) => {
                    read(output, piece.bytes.min(PIECE_BYTES_MAX), &mut piece_bytes).await?;
                    live.tell(piece.fd, piece.offset, &piece_bytes);
                }
                None => break,
            },
        }
    }
    let report: Report = serde_json::from_str(&line)?;
    let (mut captured, mut ends) = (Vec::with_capacity(report.streams.len()), Vec::new());
    for (stream, spec) in report.streams.iter().zip(&job.streams) {
        let StreamReport { bytes, lead_bytes, tail_bytes, .. } = *stream;
        let (mut head, mut end) = (Vec::new(), CapturedEnd::default());
        read(output, bytes.min(spec.bytes_max), &mut head).await?;
        read(output, lead_bytes.min(job.telling.lead_bytes), &mut end.lead).await?;
        read(output, tail_bytes.min(spec.bytes_max), &mut end.tail).await?;
        captured.push(head);
        ends.push(end);
    }
    if ends.iter().all(CapturedEnd::is_empty) {
        ends.clear();
    }
    Ok(Ended { report, captured, ends })
}

async fn read(output: &mut BufReader<OwnedReadHalf>, count: usize, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    bytes.clear();
    bytes.resize(count, 0);
    output.read_exact(bytes).await.map(drop)
}
