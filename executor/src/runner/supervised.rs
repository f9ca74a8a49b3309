//! A program under a guard: what every runner that starts processes does in the same way.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use petrel_execution::worker::Holding;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use crate::supervise::{Control, GuardEnd, Job, Report, STARTED, STARTING, Supervisor, Why, boot_ms};

/// Longest line of a guard, in bytes; the captured output comes behind it.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// How much later than it should have, a guard may report the end of its action, in milliseconds; then the worker has it
/// ended from outside.
const OVERDUE_MS: u64 = 1_000;
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
    /// What was captured of each of the job's streams, in their order; empty where the guard was ended.
    pub captured: Vec<Vec<u8>>,
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
    if boot_ms() >= held.borrow().lease_deadline_ms() {
        return Err(Failed::NotBegun("its lease passed before it could start".to_owned()));
    }
    // What this worker lacks is no end of the action, which another one may start.
    let lacking = |e: std::io::Error| Failed::NotBegun(format!("there is no guard for it: {e}"));
    let end_at_ms = lease_overdue_ms(&held.borrow());
    let (stream, guard) = supervisor.guard(end_at_ms).await.map_err(lacking)?.into_parts();
    run_over(stream, guard, job, stdin, held, started).await
}

/// The same with a guard that waits for its job at the other end of this stream.
///
/// # Errors
/// As above.
pub async fn run_over(
    stream: std::os::unix::net::UnixStream,
    mut guard: GuardEnd,
    job: &Job,
    stdin: &[u8],
    held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Result<Ended, Failed> {
    let lacking = |e: std::io::Error| Failed::NotBegun(format!("there is no guard for it: {e}"));
    stream.set_nonblocking(true).map_err(lacking)?;
    let (output, mut control) = UnixStream::from_std(stream).map_err(lacking)?.into_split();
    let has_begun = AtomicBool::new(false);
    let listen = listen(output, job, started, &has_begun);
    tokio::pin!(listen);
    let in_time = {
        let overdue = overdue(job, held.clone());
        let tell = tell(&mut control, &guard, job, stdin, held.clone());
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
            drop(control);
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
            let report = Report { why, return_code, signal, left_others: true, error, streams: Vec::new() };
            Ok(Ended { report, captured: Vec::new() })
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
fn overdue(job: &Job, mut held: watch::Receiver<Holding>) -> impl Future<Output = Why> + use<> {
    let (grace_ms, mut stop_at_ms) = (job.kill_grace_ms, None);
    let late_ms = grace_ms.saturating_add(OVERDUE_MS);
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
    guard: &GuardEnd,
    job: &Job,
    stdin: &[u8],
    mut held: watch::Receiver<Holding>,
) -> Infallible {
    // Strings and numbers always serialise; an empty line would make the guard give up.
    let mut line = serde_json::to_vec(job).unwrap_or_default();
    line.push(b'\n');
    line.extend_from_slice(stdin);
    let mut is_heard = control.write_all(&line).await.is_ok();
    let mut told = (job.lease_deadline_ms, false);
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
        is_heard = control.write_all(lines.as_bytes()).await.is_ok() && held.changed().await.is_ok();
    }
    // A guard that is gone shows at the other end; where nobody directs it any more, what was said last holds.
    std::future::pending().await
}

/// Hears the guard to its end.
async fn listen(
    output: OwnedReadHalf,
    job: &Job,
    started: impl FnOnce(),
    has_begun: &AtomicBool,
) -> std::io::Result<Ended> {
    let captured_max: u64 = job.streams.iter().map(|stream| stream.bytes_max as u64).sum();
    let mut output = BufReader::new(output.take(2 * LINE_BYTES_MAX + captured_max));
    let mut line = String::new();
    output.read_line(&mut line).await?;
    if line.trim_end() == STARTING {
        has_begun.store(true, Ordering::SeqCst);
        line.clear();
        output.read_line(&mut line).await?;
    }
    if line.trim_end() == STARTED {
        started();
        line.clear();
        output.read_line(&mut line).await?;
    }
    if line.is_empty() {
        return Err(std::io::Error::other("it ended without a report"));
    }
    let report: Report = serde_json::from_str(&line)?;
    let mut captured = Vec::with_capacity(report.streams.len());
    for (stream, spec) in report.streams.iter().zip(&job.streams) {
        let mut bytes = vec![0; stream.bytes.min(spec.bytes_max)];
        output.read_exact(&mut bytes).await?;
        captured.push(bytes);
    }
    Ok(Ended { report, captured })
}
