//! A program under a guard: what every runner that starts processes does in the same way.

use std::future::Future;
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
/// ended from outside. It is in the margin between the worker's lease and the owner's.
const OVERDUE_MS: u64 = 1_000;

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
    mut held: watch::Receiver<Holding>,
    started: impl FnOnce() + Send,
) -> Result<Ended, Failed> {
    if boot_ms() >= held.borrow().lease_deadline_ms() {
        return Err(Failed::NotBegun("its lease passed before it could start".to_owned()));
    }
    let lost = |e: std::io::Error| Failed::Lost(format!("its supervisor failed: {e}"));
    let (stream, mut guard) = supervisor.guard().map_err(lost)?.into_parts();
    stream.set_nonblocking(true).map_err(lost)?;
    let (output, control) = UnixStream::from_std(stream).map_err(lost)?.into_split();
    let overdue = overdue(job, held.clone());
    let answer = {
        let tell = tell(control, job, stdin, &mut held);
        let listen = listen(output, job, started);
        tokio::pin!(tell, listen, overdue);
        // What is told ends when the guard does or when nobody is left to direct it; then only listen.
        let told = tokio::select! {
            answer = &mut listen => return finish(answer, &mut guard).await,
            why = &mut overdue => Told::Overdue(why),
            control = &mut tell => Told::Everything(control),
        };
        match told {
            Told::Overdue(why) => Err(why),
            Told::Everything(control) => {
                let answer = tokio::select! {
                    answer = &mut listen => Ok(answer),
                    why = &mut overdue => Err(why),
                };
                drop(control);
                answer
            }
        }
    };
    match answer {
        Ok(answer) => finish(answer, &mut guard).await,
        Err(why) => {
            guard.end().await;
            let error = "its guard did not end it in time, and it was ended from outside".to_owned();
            let report = Report { why, return_code: None, signal: None, error: Some(error), streams: Vec::new() };
            Ok(Ended { report, captured: Vec::new() })
        }
    }
}

enum Told {
    Overdue(Why),
    Everything(OwnedWriteHalf),
}

/// A guard that did not report may have left something, which its supervisor ends.
async fn finish(answer: std::io::Result<Ended>, guard: &mut GuardEnd) -> Result<Ended, Failed> {
    match answer {
        Ok(Ended { report: Report { why: Why::NotBegun, error, .. }, .. }) => {
            Err(Failed::NotBegun(error.unwrap_or_default()))
        }
        Ok(ended) => Ok(ended),
        Err(e) => {
            guard.end().await;
            Err(Failed::Lost(format!("its guard failed: {e}")))
        }
    }
}

/// Until the guard should have reported the end long ago; why the action had to end.
fn overdue(job: &Job, mut held: watch::Receiver<Holding>) -> impl Future<Output = Why> + use<> {
    let (grace_ms, mut stop_at_ms) = (job.kill_grace_ms, None);
    let timeout_at_ms = boot_ms().saturating_add(job.timeout_ms).saturating_add(grace_ms);
    async move {
        loop {
            let now_ms = boot_ms();
            let (lease_deadline_ms, is_stopped) = {
                let held = held.borrow_and_update();
                (held.lease_deadline_ms(), held.stop().is_some())
            };
            if is_stopped {
                stop_at_ms.get_or_insert(now_ms.saturating_add(grace_ms));
            }
            let limits = [
                (Some(lease_deadline_ms), Why::LeaseLost),
                (stop_at_ms, Why::Canceled),
                (Some(timeout_at_ms), Why::Timeout),
            ];
            let limits = limits.into_iter().filter_map(|(at_ms, why)| Some((at_ms?.saturating_add(OVERDUE_MS), why)));
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

/// Sends the job and then what the worker wants of it, whenever that changes. Gives its half back, for its closing means
/// that the worker is gone.
async fn tell(
    mut control: OwnedWriteHalf,
    job: &Job,
    stdin: &[u8],
    held: &mut watch::Receiver<Holding>,
) -> OwnedWriteHalf {
    // Strings and numbers always serialise; an empty line would make the guard give up.
    let mut line = serde_json::to_vec(job).unwrap_or_default();
    line.push(b'\n');
    line.extend_from_slice(stdin);
    if control.write_all(&line).await.is_err() {
        return control;
    }
    let mut told = (job.lease_deadline_ms, false);
    loop {
        let wanted = {
            let held = held.borrow_and_update();
            (held.lease_deadline_ms(), held.stop().is_some())
        };
        let mut lines = String::new();
        if wanted.0 != told.0 {
            lines.push_str(&Control::Lease(wanted.0).line());
        }
        if wanted.1 && !told.1 {
            lines.push_str(&Control::Cancel.line());
        }
        told = wanted;
        // A guard that is gone shows at the other end.
        if control.write_all(lines.as_bytes()).await.is_err() || held.changed().await.is_err() {
            return control;
        }
    }
}

async fn listen(output: OwnedReadHalf, job: &Job, started: impl FnOnce()) -> std::io::Result<Ended> {
    let captured_max: u64 = job.streams.iter().map(|stream| stream.bytes_max as u64).sum();
    let mut output = BufReader::new(output.take(2 * LINE_BYTES_MAX + captured_max));
    let mut line = String::new();
    output.read_line(&mut line).await?;
    if line.trim_end() == STARTING {
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
