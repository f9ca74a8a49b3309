//! Which processes run, of which release, and what they can write.
//!
//! Every process says every few seconds on `petrel.processes` that it runs, and once that it ends. Whoever wants to
//! know reads the last seconds of the topic. A process that died, or cannot reach the log, counts for
//! [`ALIVE_MS`] more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use petrel_bus::{Bus, Clock, Output, Publisher, Record};
use petrel_executor::worker::Slots;
use petrel_schemas::{Format, ProcessAlive, Topics, decode, encode};

use tokio::task::JoinHandle;

use crate::format::InForce;
use crate::stop::Stop;

/// How often a process says that it runs.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How often it looks whether its worker stands otherwise.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long ago a process that runs may have said so, in milliseconds.
pub const ALIVE_MS: i64 = 20_000;
/// Longest wait for the last word of a process.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// Longest wait for the log while it is read who runs.
const READ_MAX: Duration = Duration::from_secs(20);
/// Longest wait for records of one call.
const READ_WAIT: Duration = Duration::from_millis(50);

/// Version of this release, as people know it.
pub fn release() -> String {
    // The release that tests pretend has the same version in its manifest and more formats.
    let version = env!("CARGO_PKG_VERSION");
    if crate::cli::is_next_release() { format!("{version}-next") } else { version.to_owned() }
}

/// Says that this process runs.
pub struct Presence {
    /// Name of the process.
    pub instance: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Its worker's pool and slots, if it has one.
    pub worker: Option<(String, Slots)>,
    /// The format that it writes.
    pub format: InForce,
    /// The topic.
    pub topic: Arc<str>,
    /// Writes.
    pub publisher: Arc<dyn Publisher>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// A process that says that it runs.
#[derive(Debug)]
pub struct Present {
    stop: Stop,
    telling: JoinHandle<()>,
}

impl Present {
    /// Every role has ended: says so, and waits a moment until that is written.
    pub async fn ended(self) {
        self.stop.set();
        if tokio::time::timeout(FAREWELL_MAX, self.telling).await.is_err() {
            tracing::warn!("this process could not say that it has ended");
        }
    }
}

impl Presence {
    /// Says so on the runtime, until it is told that all has ended.
    pub fn spawn(self) -> Present {
        let stop = Stop::default();
        let told = stop.clone();
        let telling = tokio::spawn(async move {
            while !told.is_set() {
                let stands = self.stands();
                self.tell(false).await;
                let due = tokio::time::sleep(TELL_EVERY);
                tokio::select! { () = due => {}, () = self.stands_otherwise(stands) => {}, () = told.wait() => {} }
            }
            self.tell(true).await;
        });
        Present { stop, telling }
    }

    /// By which order its worker is drained, and whether it runs nothing then.
    fn stands(&self) -> Option<(Option<i64>, bool)> {
        let (_, slots) = self.worker.as_ref()?;
        let drained_by_ms = slots.drained_by_ms();
        Some((drained_by_ms, drained_by_ms.is_some() && slots.busy() == 0))
    }

    /// Resolves when that has changed: somebody may wait for it to be told.
    async fn stands_otherwise(&self, before: Option<(Option<i64>, bool)>) {
        if before.is_none() {
            return std::future::pending().await;
        }
        while self.stands() == before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn tell(&self, ended: bool) {
        let number = |format: Format| i32::try_from(format.number()).unwrap_or(i32::MAX);
        let count = |slots: usize| i32::try_from(slots).unwrap_or(i32::MAX);
        // Read before the slots that are taken: what was claimed after the order is given back, and may be counted.
        let drained_by_ms = self.worker.as_ref().and_then(|(_, slots)| slots.drained_by_ms());
        let alive = ProcessAlive {
            instance: self.instance.clone(),
            release: release(),
            roles: self.roles.clone(),
            format_oldest: number(Format::oldest()),
            format_newest: number(Format::newest()),
            format: number(self.format.get()),
            ended,
            told_at_ms: self.clock.now_ms(),
            pool: self.worker.as_ref().map(|(pool, _)| pool.clone()),
            slots: self.worker.as_ref().map_or(0, |(_, slots)| count(slots.total())),
            slots_busy: self.worker.as_ref().map_or(0, |(_, slots)| count(slots.busy())),
            drained_by_ms,
        };
        let record = Output::keyed(&self.topic, self.instance.as_str(), encode(&alive));
        if let Err(error) = self.publisher.publish(vec![record]).await {
            tracing::warn!(%error, "this process cannot say that it runs");
        }
    }
}

/// The processes that run, by name; blocks. One whose record this release cannot read is of a newer one, and is not
/// among them.
///
/// # Errors
/// If the log cannot be read.
pub fn running(bus: &dyn Bus, topics: &Topics, now_ms: i64) -> anyhow::Result<Vec<ProcessAlive>> {
    let topic = topics.processes();
    let offsets = bus.offsets_at(&topic, now_ms - ALIVE_MS)?;
    let mut tail = bus.tail_from(&topic, &offsets)?;
    let mut last: BTreeMap<String, ProcessAlive> = BTreeMap::new();
    let mut take = |_, record: Record<'_>| {
        // A log that cannot begin in the middle hands out older ones, too.
        let alive = decode::<ProcessAlive>(record.value.unwrap_or_default()).ok();
        let alive = alive.filter(|_| record.timestamp_ms >= now_ms - ALIVE_MS);
        // The last word of an earlier process of that name may come behind the first of the next one.
        let is_news = |alive: &ProcessAlive| {
            last.get(&alive.instance).is_none_or(|before| before.told_at_ms <= alive.told_at_ms || !alive.ended)
        };
        if let Some(alive) = alive.filter(is_news) {
            last.insert(alive.instance.clone(), alive);
        }
    };
    let (looks_max, mut looks) = (READ_MAX.as_millis() / READ_WAIT.as_millis(), 0);
    while !tail.caught_up() {
        ensure!(looks < looks_max, "{topic} was not read to its end within {READ_MAX:?}");
        looks += 1;
        tail.next(READ_WAIT, &mut take).context("which processes run is not known")?;
    }
    Ok(last.into_values().filter(|alive| !alive.ended).collect())
}
