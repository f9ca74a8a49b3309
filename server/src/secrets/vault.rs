//! What stands on `petrel.secrets`, sealed as it is, and opened when an attempt needs it.
//!
//! What is known is only as good as the end that was read to: before the first reading, or while the topic is not
//! followed, an old version, or a secret that was deleted since, would pass for what there is. So whoever opens waits
//! until the topic was read to an end that is at most [`KNOWN_MS_MAX`] old.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use petrel_bus::{Clock, Record, Tail};
use petrel_executor::{NoSecret, Opening, SecretSource};
use petrel_schemas::{SecretSealed, Topics, decode};
use petrel_secrets::{MasterKeys, SecretValue};
use tokio::sync::watch;

use super::no_key;
use crate::follow::Follows;

/// Longest wait for the topic to be read to its end.
const READ_MAX: Duration = Duration::from_secs(10);
/// How long after the topic's end was noted what was read up to it is taken for all that there is, in milliseconds.
const KNOWN_MS_MAX: i64 = 3_000;
/// After how many milliseconds whoever opens a secret has the end read again without waiting for it, so that a busy
/// worker never waits.
const KNOWN_MS_AHEAD: i64 = 1_000;

/// A record of the topic, or why it cannot be read.
pub type Kept = Result<Arc<SecretSealed>, String>;

/// The secrets, as their topic tells them, by key.
pub struct Vault {
    keys: Option<MasterKeys>,
    clock: Arc<dyn Clock>,
    kept: RwLock<BTreeMap<String, Kept>>,
    /// Readings of the topic to the end that it had when somebody asked, by number.
    asked: AtomicU64,
    /// The latest one that the end was noted for and not reached.
    reading: Mutex<Option<Reading>>,
    done: watch::Sender<Option<Reading>>,
}

/// A reading of the topic to its end.
#[derive(Debug, Clone, Copy)]
struct Reading {
    round: u64,
    /// When the end was noted, in milliseconds since the epoch.
    noted_at_ms: i64,
}

impl Vault {
    /// Nothing is known yet.
    pub fn new(keys: Option<MasterKeys>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            keys,
            clock,
            kept: RwLock::default(),
            asked: AtomicU64::new(0),
            reading: Mutex::default(),
            done: watch::Sender::new(None),
        })
    }

    /// Follows the topic on a thread of its own.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topics: &Topics) {
        let (vault, looking) = (self.clone(), self.clone());
        let each = move |_, record: Record<'_>| vault.take(&record);
        follows.follow_and_look("secrets", topics.secrets(), each, move |tail| looking.look(tail));
    }

    /// The master keys, if this process has any.
    pub fn keys(&self) -> Option<&MasterKeys> {
        self.keys.as_ref()
    }

    /// All that is kept, by key.
    pub fn kept(&self) -> RwLockReadGuard<'_, BTreeMap<String, Kept>> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves once the topic was read to the end that it has now; whether that was in time.
    pub async fn read_to_end(&self) -> bool {
        let round = self.ask();
        let mut done = self.done.subscribe();
        // The sender lives as long as `self`.
        tokio::time::timeout(READ_MAX, done.wait_for(|done| round_of(*done) >= round)).await.is_ok()
    }

    /// Has the topic read to the end that it has now.
    fn ask(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How old the end is that was read to, in milliseconds; nothing if none was yet, or the clock was set back since.
    fn age_ms(&self) -> Option<i64> {
        let noted_at_ms = (*self.done.borrow())?.noted_at_ms;
        Some(self.clock.now_ms() - noted_at_ms).filter(|age_ms| *age_ms >= 0)
    }

    /// Waits until what is known is recent enough to be used.
    async fn recent(&self) -> Recent {
        match self.age_ms() {
            Some(age_ms) if age_ms <= KNOWN_MS_MAX => {
                if age_ms > KNOWN_MS_AHEAD {
                    self.ask();
                }
                Recent::Before
            }
            _ if self.read_to_end().await => Recent::Now,
            _ => Recent::Never,
        }
    }

    /// Folds a record in.
    pub(super) fn take(&self, record: &Record<'_>) {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        match record.value.map(decode::<SecretSealed>) {
            None => drop(kept.remove(&key)),
            Some(Ok(sealed)) => drop(kept.insert(key, Ok(Arc::new(sealed)))),
            Some(Err(error)) => {
                tracing::error!(key, %error, offset = record.offset, "the record of a secret cannot be read");
                kept.insert(key, Err(error.to_string()));
            }
        }
    }

    /// Looks after those who wait for the end; one thread calls this, the one that reads the topic.
    pub(super) fn look(&self, tail: &mut dyn Tail) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if reading.is_some() && !tail.passed_mark() {
            return;
        }
        self.end(&mut reading);
        let (round, noted_at_ms) = (self.asked.load(Ordering::SeqCst), self.clock.now_ms());
        if round <= round_of(*self.done.borrow()) {
            return;
        }
        match tail.mark() {
            Ok(()) => *reading = Some(Reading { round, noted_at_ms }),
            Err(error) => tracing::warn!(%error, "the end of the topic of secrets is not known"),
        }
        // Mostly there is nothing new.
        if tail.passed_mark() {
            self.end(&mut reading);
        }
    }

    fn end(&self, reading: &mut Option<Reading>) {
        if let Some(reached) = reading.take() {
            self.done.send_replace(Some(reached));
        }
    }

    /// Opens what is kept under a key; nothing if nothing is.
    pub(super) fn opened(&self, key: &str, now_ms: i64) -> Option<Result<SecretValue, NoSecret>> {
        let unusable = |why: String| Err(NoSecret::Unusable(why));
        let sealed = match self.kept().get(key)? {
            Ok(sealed) => sealed.clone(),
            Err(why) => return Some(unusable(format!("the record of secret {key} cannot be read: {why}"))),
        };
        if sealed.expires_at_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
            return Some(Err(NoSecret::Missing(key.to_owned())));
        }
        let Some(keys) = &self.keys else { return Some(unusable(no_key().message)) };
        Some(petrel_secrets::open(&sealed, key, keys).map_err(|error| NoSecret::Unusable(error.to_string())))
    }
}

/// Whether what is known can be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recent {
    /// It was read a moment ago.
    Before,
    /// It was read to the end that there was when it was asked for.
    Now,
    /// It could not be read in time.
    Never,
}

fn round_of(reading: Option<Reading>) -> u64 {
    reading.map_or(0, |reading| reading.round)
}

impl SecretSource for Vault {
    fn open<'s>(&'s self, keys: &'s [String], now_ms: i64) -> Opening<'s> {
        let open =
            move |key: &String| self.opened(key, now_ms).unwrap_or_else(|| Err(NoSecret::Missing(key.to_owned())));
        let all = move || keys.iter().map(open).collect::<Result<Vec<_>, _>>();
        Box::pin(async move {
            match (self.recent().await, all()) {
                (Recent::Never, _) => Err(NoSecret::Unread),
                // It may have been set, or sealed under another master key, a moment ago.
                (Recent::Before, Err(_)) if self.read_to_end().await => all(),
                (Recent::Before, Err(_)) => Err(NoSecret::Unread),
                (Recent::Before | Recent::Now, found) => found,
            }
        })
    }
}

#[cfg(test)]
mod tests;
