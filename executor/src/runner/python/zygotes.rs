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
/// How long a file whose zygote could not be kept is called without one, in milliseconds.
const FAILED_MS: u64 = 60_000;

/// The zygotes of a worker.
#[derive(Debug)]
pub(super) struct Zygotes {
    idle_ms: u64,
    zygotes_max: usize,
    all: Arc<Mutex<HashMap<String, Entry>>>,
}

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
    /// It could not be kept, at that instant.
    Failed(u64),
}

#[derive(Debug)]
struct Zygote {
    stream: Stream,
    end: GuardEnd,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    calls: usize,
    /// When the last call began or ended, in milliseconds of `CLOCK_BOOTTIME`.
    at_ms: u64,
}

/// A zygote that is not ended while this lives.
pub(super) struct Forking(Arc<Zygote>);

impl Zygotes {
    pub(super) fn new(idle_ms: u64, zygotes_max: usize) -> Self {
        Self { idle_ms, zygotes_max, all: Arc::default() }
    }

    /// One that has imported what the key says.
    pub(super) fn get(&self, key: &str) -> Option<Forking> {
        let all = lock(&self.all);
        let Some(Entry::Ready(zygote)) = all.get(key) else { return None };
        let mut used = lock(&zygote.used);
        (used.calls, used.at_ms) = (used.calls + 1, boot_ms());
        Some(Forking(zygote.clone()))
    }

    /// Starts one, unless there is one or no room for it: then the one goes that was not called for longest, if it is not
    /// called now.
    pub(super) fn start(&self, new: NewZygote, supervisor: &Supervisor) {
        let mut all = lock(&self.all);
        let now_ms = boot_ms();
        all.retain(|_, entry| !matches!(entry, Entry::Failed(at_ms) if now_ms >= at_ms.saturating_add(FAILED_MS)));
        if all.contains_key(&new.key) {
            return;
        }
        let live = all.values().filter(|entry| !matches!(entry, Entry::Failed(_))).count();
        if live >= self.zygotes_max {
            let idle = |entry: &Entry| match entry {
                Entry::Ready(zygote) => Some(lock(&zygote.used)).filter(|used| used.calls == 0).map(|used| used.at_ms),
                _ => None,
            };
            let oldest = all.iter().filter_map(|(key, entry)| Some((idle(entry)?, key.clone()))).min();
            let Some((_, oldest)) = oldest else { return };
            // Whoever looks after it sees that it is not there any more.
            all.remove(&oldest);
        }
        all.insert(new.key.clone(), Entry::Starting);
        let (all, supervisor, idle_ms) = (self.all.clone(), supervisor.clone(), self.idle_ms);
        tokio::spawn(async move { look_after(new, &all, supervisor, idle_ms).await });
    }
}

/// Starts a zygote, and ends it when it is needed no more, or it goes with its supervisor.
async fn look_after(new: NewZygote, all: &Mutex<HashMap<String, Entry>>, supervisor: Supervisor, idle_ms: u64) {
    let limit = Duration::from_millis(new.import_ms_max.saturating_add(START_MS));
    let began = tokio::time::timeout(limit, begin(&new, supervisor)).await;
    let (zygote, mut lines) = match began {
        Ok(Ok(begun)) => begun,
        failed => {
            let why = failed.map_or_else(|_| "it takes too long".to_owned(), |why| why.err().unwrap_or_default());
            tracing::info!(program = ?new.job.argv.iter().rev().nth(1), why, "Python code is called without being kept imported");
            lock(all).insert(new.key, Entry::Failed(boot_ms()));
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
        let (calls, at_ms) = {
            let used = lock(&zygote.used);
            (used.calls, used.at_ms)
        };
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
async fn begin(new: &NewZygote, supervisor: Supervisor) -> Result<Begun, String> {
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
    let used = Mutex::new(Used { calls: 0, at_ms: boot_ms() });
    Ok((Arc::new(Zygote { stream, end, used }), lines))
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
        match supervised::run_over((ours, self.0.end.clone()), job, stdin, held, started, live).await {
            Err(Failed::NotBegun(why)) => {
                tracing::debug!(why, "a zygote did not fork, and the call is made without it");
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
