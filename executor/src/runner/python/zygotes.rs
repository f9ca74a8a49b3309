//! Processes that have imported a file, and fork for each call of it.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as Stream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use petrel_execution::worker::Holding;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::sync::watch;

use super::super::supervised::{self, Ended, Failed};
use crate::live::Live;
use crate::supervise::{GuardEnd, Job, READY, STARTED, STARTING, Supervisor, boot_ms, give};

/// How often it is looked whether a zygote is still needed; its supervisor ends one of which nobody has said that for as
/// long as [`KEPT_MS`].
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// See above, in milliseconds.
const KEPT_MS: u64 = 30_000;
/// How much longer than an import the start of a zygote may take, in milliseconds.
const START_MS: u64 = 10_000;
/// How long a file whose zygote could not be kept is called without one, in milliseconds: at first, and at most, when it
/// has failed again and again.
const FAILED_MS: (u64, u64) = (60_000, 3_600_000);
/// The part of the time for which a zygote may wait that it is left alone, though another one could have its place.
const LEFT_ALONE: u64 = 30;
/// Most files of which it is known when they were called last.
const CALLED_MAX: usize = 4_096;

/// The zygotes of a worker.
#[derive(Debug)]
pub(super) struct Zygotes {
    idle_ms: u64,
    zygotes_max: usize,
    all: Entries,
    /// When what has no zygote was called last, in milliseconds of `CLOCK_BOOTTIME`.
    called: Mutex<HashMap<String, u64>>,
}

type Entries = Arc<Mutex<HashMap<String, Entry>>>;

/// What is started for calls of one file.
pub(super) struct NewZygote {
    /// All that decides whether a call can be a fork of it.
    pub(super) key: String,
    /// Its process.
    pub(super) job: Job,
    /// Longest import, in milliseconds.
    pub(super) import_ms_max: u64,
}

#[derive(Debug)]
enum Entry {
    Starting,
    Ready(Arc<Zygote>),
    Failed(Failures),
}

/// How often in a row a file could not be kept imported, and since when.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// In milliseconds of `CLOCK_BOOTTIME`.
    at_ms: u64,
}

impl Failures {
    fn after(before: u32) -> Self {
        Self { count: before.saturating_add(1), at_ms: boot_ms() }
    }

    /// For how long it is not tried again, in milliseconds.
    fn pause_ms(self) -> u64 {
        FAILED_MS.0.saturating_mul(2_u64.saturating_pow(self.count.saturating_sub(1))).min(FAILED_MS.1)
    }
}

#[derive(Debug)]
struct Zygote {
    stream: Stream,
    end: GuardEnd,
    used: Mutex<Used>,
    /// How often the file could not be kept before.
    failures: u32,
}

#[derive(Debug)]
struct Used {
    calls: usize,
    /// When the last call began or ended, in milliseconds of `CLOCK_BOOTTIME`.
    at_ms: u64,
    /// It did not fork for an attempt that could have begun.
    does_not_fork: bool,
}

/// A zygote that is not ended while this lives.
pub(super) struct Forking(Arc<Zygote>);

impl Zygotes {
    pub(super) fn new(idle_ms: u64, zygotes_max: usize) -> Self {
        Self { idle_ms, zygotes_max, all: Arc::default(), called: Mutex::default() }
    }

    /// One that has imported what the key says.
    pub(super) fn get(&self, key: &str) -> Option<Forking> {
        let all = lock(&self.all);
        let Some(Entry::Ready(zygote)) = all.get(key) else { return None };
        let mut used = lock(&zygote.used);
        if used.does_not_fork {
            return None;
        }
        (used.calls, used.at_ms) = (used.calls + 1, boot_ms());
        Some(Forking(zygote.clone()))
    }

    /// Starts one for what is called again, unless there is one or no room for it: then the one goes that was not called for
    /// longest, if it was not called for a while.
    pub(super) fn start(&self, new: NewZygote, supervisor: &Supervisor) {
        let mut all = lock(&self.all);
        let now_ms = boot_ms();
        // What has not failed for twice the longest pause begins anew.
        let is_known = |failures: &Failures| now_ms < failures.at_ms.saturating_add(2 * FAILED_MS.1);
        all.retain(|_, entry| !matches!(entry, Entry::Failed(failures) if !is_known(failures)));
        let failures = match all.get(&new.key) {
            None => 0,
            Some(Entry::Failed(failures)) if now_ms >= failures.at_ms.saturating_add(failures.pause_ms()) => {
                failures.count
            }
            Some(_) => return,
        };
        if !self.is_called_again(&new.key, now_ms) {
            return;
        }
        let live = all.values().filter(|entry| !matches!(entry, Entry::Failed(_))).count();
        if live >= self.zygotes_max {
            let idle = |entry: &Entry| match entry {
                Entry::Ready(zygote) => Some(lock(&zygote.used)).filter(|used| used.calls == 0).map(|used| used.at_ms),
                _ => None,
            };
            let idle =
                |entry: &Entry| idle(entry).filter(|at_ms| now_ms >= at_ms.saturating_add(self.idle_ms / LEFT_ALONE));
            let oldest = all.iter().filter_map(|(key, entry)| Some((idle(entry)?, key.clone()))).min();
            let Some((_, oldest)) = oldest else { return };
            // Whoever looks after it sees that it is not there any more.
            all.remove(&oldest);
        }
        all.insert(new.key.clone(), Entry::Starting);
        let (all, supervisor, idle_ms) = (self.all.clone(), supervisor.clone(), self.idle_ms);
        tokio::spawn(async move { look_after((new, failures), &all, supervisor, idle_ms).await });
    }

    /// Whether it was called before, not longer ago than a zygote waits for a call: what is called once a day is imported
    /// once for that.
    fn is_called_again(&self, key: &str, now_ms: u64) -> bool {
        let mut called = lock(&self.called);
        called.retain(|_, at_ms| now_ms < at_ms.saturating_add(self.idle_ms));
        if called.len() >= CALLED_MAX {
            called.clear();
        }
        called.insert(key.to_owned(), now_ms).is_some()
    }
}

/// Starts a zygote, and ends it when it is needed no more, or it goes with its supervisor.
async fn look_after((new, failures): (NewZygote, u32), all: &Entries, supervisor: Supervisor, idle_ms: u64) {
    let limit = Duration::from_millis(new.import_ms_max.saturating_add(START_MS));
    let began = tokio::time::timeout(limit, begin(&new, failures, supervisor)).await;
    let (zygote, mut lines) = match began {
        Ok(Ok(begun)) => begun,
        failed => {
            let why = failed.map_or_else(|_| "it takes too long".to_owned(), |why| why.err().unwrap_or_default());
            tracing::info!(program = ?new.job.argv.iter().rev().nth(1), why, "Python code is called without being kept imported");
            lock(all).insert(new.key, Entry::Failed(Failures::after(failures)));
            return;
        }
    };
    lock(all).insert(new.key.clone(), Entry::Ready(zygote.clone()));
    loop {
        // Whatever it tells now is its end.
        if tokio::time::timeout(LOOK_EVERY, lines.next_line()).await.is_ok() {
            break;
        }
        zygote.end.extend(boot_ms().saturating_add(KEPT_MS));
        let mut all = lock(all);
        let is_wanted = matches!(all.get(&new.key), Some(Entry::Ready(there)) if Arc::ptr_eq(there, &zygote));
        let (calls, at_ms, does_not_fork) = {
            let used = lock(&zygote.used);
            (used.calls, used.at_ms, used.does_not_fork)
        };
        if is_wanted && does_not_fork {
            tracing::info!(program = ?new.job.argv.iter().rev().nth(1), "Python code that is kept imported does not fork");
            all.insert(new.key.clone(), Entry::Failed(Failures::after(zygote.failures)));
            continue;
        }
        let is_idle = calls == 0 && boot_ms() >= at_ms.saturating_add(idle_ms);
        if is_wanted && is_idle {
            all.remove(&new.key);
        }
        if calls == 0 && (is_idle || !is_wanted) {
            return;
        }
    }
    let mut all = lock(all);
    if matches!(all.get(&new.key), Some(Entry::Ready(there)) if Arc::ptr_eq(there, &zygote)) {
        all.remove(&new.key);
    }
}

type Begun = (Arc<Zygote>, Lines<BufReader<OwnedReadHalf>>);

/// Starts a process, and waits until it has imported its file.
async fn begin(new: &NewZygote, failures: u32, supervisor: Supervisor) -> Result<Begun, String> {
    let text = |error: std::io::Error| error.to_string();
    let end_at_ms = boot_ms().saturating_add(new.import_ms_max).saturating_add(START_MS + KEPT_MS);
    let (stream, end) = supervisor.nursery(end_at_ms).await.map_err(text)?.into_parts();
    // With the last of them goes all that runs under it.
    drop(supervisor);
    stream.set_nonblocking(true).map_err(text)?;
    let (read, mut write) = UnixStream::from_std(stream.try_clone().map_err(text)?).map_err(text)?.into_split();
    // Its lease is that its supervisor hears of it.
    let job = Job { lease_deadline_ms: u64::MAX, timeout_ms: u64::MAX, ..new.job.clone() };
    let mut line = serde_json::to_vec(&job).map_err(|error| error.to_string())?;
    line.push(b'\n');
    write.write_all(&line).await.map_err(text)?;
    // The socket is still open for what is given over it.
    write.forget();
    let mut lines = BufReader::new(read).lines();
    loop {
        match lines.next_line().await.map_err(text)?.as_deref() {
            Some(STARTING | STARTED) => {}
            Some(READY) => break,
            Some(_) => return Err("it cannot be imported to be kept".to_owned()),
            None => return Err("its guard has ended".to_owned()),
        }
    }
    let used = Mutex::new(Used { calls: 0, at_ms: boot_ms(), does_not_fork: false });
    Ok((Arc::new(Zygote { stream, end, used, failures }), lines))
}

impl Forking {
    /// Makes a call in a fork, to its end; nothing if it has not begun.
    pub(super) async fn run(
        &self,
        job: &Job,
        stdin: &[u8],
        held: watch::Receiver<Holding>,
        started: impl FnOnce() + Send,
        live: &Live,
    ) -> Option<Result<Ended, Failed>> {
        let (ours, theirs) = Stream::pair().ok()?;
        give(self.0.stream.as_fd(), theirs.as_fd()).ok()?;
        drop(theirs);
        let attempt = held.clone();
        match supervised::run_over((ours, self.0.end.clone()), job, stdin, held, started, live).await {
            Err(Failed::NotBegun(why)) => {
                tracing::debug!(why, "a zygote did not fork, and the call is made without it");
                let attempt = attempt.borrow();
                // If it is not for the attempt's own sake, the next ones would wait for it as well.
                lock(&self.0.used).does_not_fork |= attempt.stop().is_none() && boot_ms() < attempt.lease_deadline_ms();
                None
            }
            ended => Some(ended),
        }
    }
}

impl Drop for Forking {
    fn drop(&mut self) {
        let mut used = lock(&self.0.used);
        (used.calls, used.at_ms) = (used.calls.saturating_sub(1), boot_ms());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left half done is a number.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
