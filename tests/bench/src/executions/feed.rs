//! Events, in batches over HTTP.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use petrel_testkit::poll_until;

use super::server::{Http, Server, TRIGGER};

/// Events of a batch: as many as the server takes by default.
const BATCH: u64 = 1_000;
/// Clients that send at the same time.
const CLIENTS: u64 = 2;
/// Silence after which is given up.
const STALL: Duration = Duration::from_secs(120);
/// How long a batch may be refused because the server has too much to do.
const REFUSED: Duration = Duration::from_secs(300);

/// Sends `count` events of the pack's first trigger whose ids are made of `name`: the same name, the same events.
pub(crate) fn send(http: &Http, name: &str, count: u64) -> Result<()> {
    send_to(http, TRIGGER, name, count)
}

/// The same for another trigger.
pub(crate) fn send_to(http: &Http, trigger: &str, name: &str, count: u64) -> Result<()> {
    let next = AtomicU64::new(0);
    let client = || -> Result<()> {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= count {
                return Ok(());
            }
            batch(http, trigger, name, first, (first + BATCH).min(count))?;
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
    })
}

fn batch(http: &Http, trigger: &str, name: &str, first: u64, end: u64) -> Result<()> {
    let mut body = String::new();
    for n in first..end {
        // Writing to a string cannot fail.
        let _ = writeln!(body, r#"{{"n":{n},"host":"web-{:03}"}}"#, n % 997);
    }
    // An id has no blanks.
    let id = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let headers = format!("Content-Type: application/x-ndjson\r\nEvent-Id: {id}-{first}\r\n");
    let path = format!("/v1/events/{trigger}");
    let began = Instant::now();
    loop {
        match http.post(&path, &headers, &body)? {
            (202, _) => return Ok(()),
            (429 | 503, _) if began.elapsed() < REFUSED => {
                poll_until(Duration::from_millis(50), || None::<()>);
            }
            (status, answer) => bail!("events were refused: {status} {answer}"),
        }
    }
}

/// Waits until a metric of a server has grown to that.
pub(crate) fn until_metric(server: &Server, what: &str, metric: &str, wanted: u64) -> Result<()> {
    wait(what, wanted, STALL, || server.metric(metric), String::new).map_err(|e| e.context(server.log_tail()))
}

/// Says how far something is, every few seconds, until it is done.
pub(crate) fn wait(
    what: &str,
    wanted: u64,
    stall: Duration,
    now: impl Fn() -> Result<u64>,
    note: impl Fn() -> String,
) -> Result<()> {
    const EVERY: Duration = Duration::from_secs(5);
    let (mut moved, mut told, mut last, mut last_told) = (Instant::now(), Instant::now(), 0, 0);
    loop {
        let found = now().with_context(|| format!("while {what} was waited for"))?;
        if found >= wanted {
            return Ok(());
        }
        if found > last {
            (last, moved) = (found, Instant::now());
        }
        if told.elapsed() >= EVERY {
            let per_s = (found.saturating_sub(last_told)) as f64 / told.elapsed().as_secs_f64();
            println!("  {what}: {found} of {wanted}, {per_s:.0}/s {}", note());
            (told, last_told) = (Instant::now(), found);
        }
        if moved.elapsed() > stall {
            bail!("{what} stand at {found} of {wanted} and do not move");
        }
        poll_until(Duration::from_millis(100), || None::<()>);
    }
}
