//! Connections that nobody uses at the moment, for whoever asks for the same way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::connect::{Connection, Way};
use crate::supervise::boot_ms;

/// Most connections that are kept while nobody uses them.
const IDLE_MAX: usize = 128;
/// How long one is kept while nobody uses it, in milliseconds.
const IDLE_MS: u64 = 60_000;
/// How old one may be that is used again, in milliseconds: whoever is let in no longer notices then.
const AGE_MS_MAX: u64 = 600_000;

/// A connection that somebody uses.
pub(super) struct Used {
    pub(super) way: Way,
    pub(super) connection: Connection,
    /// When it was made.
    made_ms: u64,
    /// Whether it was used before.
    pub(super) is_old: bool,
}

impl Used {
    pub(super) fn new(way: Way, connection: Connection) -> Self {
        Self { way, connection, made_ms: boot_ms(), is_old: false }
    }
}

/// Connections that nobody uses: the last one is the one that was used last.
#[derive(Default)]
pub(super) struct Pool(Mutex<Vec<Kept>>);

struct Kept {
    used: Used,
    until_ms: u64,
}

impl Pool {
    /// Nobody else gets it until it is given back: what one execution does to it concerns no other one.
    pub(super) fn take(&self, way: &Way) -> Option<Used> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sweep(&mut kept, boot_ms());
        let at = kept.iter().rposition(|kept| kept.used.way == *way)?;
        Some(kept.remove(at).used)
    }

    /// Keeps one on which nothing is going on.
    pub(super) fn give_back(self: &Arc<Self>, mut used: Used) {
        let now_ms = boot_ms();
        if used.connection.is_closed() || now_ms >= used.made_ms.saturating_add(AGE_MS_MAX) {
            return;
        }
        used.is_old = true;
        let until_ms = now_ms.saturating_add(IDLE_MS).min(used.made_ms.saturating_add(AGE_MS_MAX));
        {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            sweep(&mut kept, now_ms);
            if kept.len() == IDLE_MAX {
                kept.remove(0);
            }
            kept.push(Kept { used, until_ms });
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(until_ms.saturating_sub(now_ms) + 1)).await;
            if let Some(pool) = pool.upgrade() {
                sweep(&mut pool.0.lock().unwrap_or_else(PoisonError::into_inner), boot_ms());
            }
        });
    }

    /// How many are kept.
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Dropping a connection closes it.
fn sweep(kept: &mut Vec<Kept>, now_ms: u64) {
    kept.retain(|kept| now_ms < kept.until_ms && !kept.used.connection.is_closed());
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("kept", &self.len()).finish()
    }
}
