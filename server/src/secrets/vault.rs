//! What stands on `petrel.secrets`, sealed as it is, and opened when an attempt needs it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use petrel_bus::{Record, Tail};
use petrel_executor::{NoSecret, Opening, SecretSource};
use petrel_schemas::{SecretSealed, Topics, decode};
use petrel_secrets::{MasterKeys, SecretValue};
use tokio::sync::watch;

use super::no_key;
use crate::follow::Follows;

/// Longest wait for the topic to be read to its end.
const READ_MAX: Duration = Duration::from_secs(10);

/// A record of the topic, or why it cannot be read.
pub type Kept = Result<Arc<SecretSealed>, String>;

/// The secrets, as their topic tells them, by key.
#[derive(Debug)]
pub struct Vault {
    keys: Option<MasterKeys>,
    kept: RwLock<BTreeMap<String, Kept>>,
    /// Readings of the topic to the end that it had when somebody asked, by number.
    asked: AtomicU64,
    /// The latest one that the end was noted for and not reached.
    reading: Mutex<Option<u64>>,
    done: watch::Sender<u64>,
}

impl Vault {
    /// Nothing is known yet.
    pub fn new(keys: Option<MasterKeys>) -> Arc<Self> {
        Arc::new(Self {
            keys,
            kept: RwLock::default(),
            asked: AtomicU64::new(0),
            reading: Mutex::default(),
            done: watch::Sender::new(0),
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
        let round = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.done.subscribe();
        // The sender lives as long as `self`.
        tokio::time::timeout(READ_MAX, done.wait_for(|done| *done >= round)).await.is_ok()
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
    fn look(&self, tail: &mut dyn Tail) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = *reading {
            if !tail.passed_mark() {
                return;
            }
            *reading = None;
            self.done.send_replace(round);
        }
        let asked = self.asked.load(Ordering::SeqCst);
        if asked > *self.done.borrow() {
            match tail.mark() {
                Ok(()) => *reading = Some(asked),
                Err(error) => tracing::warn!(%error, "the end of the topic of secrets is not known"),
            }
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

impl SecretSource for Vault {
    fn open<'s>(&'s self, key: &'s str, now_ms: i64) -> Opening<'s> {
        Box::pin(async move {
            if let Some(found) = self.opened(key, now_ms) {
                return found;
            }
            // It may have been set a moment ago.
            if !self.read_to_end().await {
                return Err(NoSecret::Unread(key.to_owned()));
            }
            self.opened(key, now_ms).unwrap_or_else(|| Err(NoSecret::Missing(key.to_owned())))
        })
    }
}
