//! What all of a process shares: the catalog and the key-value store, as their logs tell them.
//!
//! Two followers fold `petrel.catalog` and `petrel.kv`; every change makes a new [`Globals`], which
//! drivers pick up between two batches.

mod views;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, GlobalsSource, Record, StageStats, Versioned};
use petrel_catalog::{CatalogState, Change, CompiledRevision};
use petrel_rules::{MatchView, RuleSetStats};
use petrel_schemas::{KvEntry, Topics, decode};
use serde_json::Value;
use tokio::sync::watch;

use crate::api::ApiError;
use crate::follow::follow;
use crate::stop::Stop;

pub use views::Globals;

/// Key of the entry that pauses dispatch. Keys that begin with `petrel/` are not visible to rules.
pub const DISPATCH_KEY: &str = "petrel/dispatch";
/// Beginning of the keys that are Petrel's own.
const OWN_KEYS: &str = "petrel/";
/// How often to ask whether the stages have seen a change.
const SEEN_POLL: Duration = Duration::from_millis(5);
/// Longest wait for a change of one's own to come back.
const ECHO_MAX: Duration = Duration::from_secs(30);

/// The followers' state.
#[derive(Debug)]
pub struct World {
    catalog: Arc<RwLock<CatalogState>>,
    kv: Mutex<Kv>,
    version: AtomicU64,
    current: ArcSwap<Globals>,
    /// How long the revision in force took to compile, in microseconds.
    compile_us: AtomicU64,
    /// Which of the two logs has been read to its end: (catalog, key-value store).
    caught_up: watch::Sender<(bool, bool)>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Kv {
    entries: BTreeMap<String, Value>,
    /// Offset behind the last record: the version that audit rows name.
    version: i64,
    paused: bool,
}

impl World {
    /// A world that knows nothing yet.
    pub fn new() -> Arc<Self> {
        let catalog = Arc::new(RwLock::new(CatalogState::new()));
        Arc::new(Self {
            current: ArcSwap::from_pointee(Globals::empty(catalog.clone())),
            catalog,
            kv: Mutex::default(),
            version: AtomicU64::new(1),
            compile_us: AtomicU64::new(0),
            caught_up: watch::Sender::new((false, false)),
            changed: watch::Sender::new(0),
        })
    }

    /// Starts to follow both logs.
    pub fn spawn(self: &Arc<Self>, bus: &Arc<dyn Bus>, topics: &Topics, clock: &Arc<dyn Clock>, stop: &Stop) {
        let (world, done) = (self.clone(), self.clone());
        let each = move |_, record: Record<'_>| world.take_catalog(&record);
        follow("catalog", bus.clone(), topics.catalog(), clock.clone(), stop.clone(), each, move || {
            done.read_to_end(true)
        });
        let (world, done) = (self.clone(), self.clone());
        let each = move |_, record: Record<'_>| world.take_kv(&record);
        follow("kv", bus.clone(), topics.kv(), clock.clone(), stop.clone(), each, move || done.read_to_end(false));
    }

    /// Resolves once both logs were read to the end that they had at the start.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.caught_up.subscribe().wait_for(|(catalog, kv)| *catalog && *kv).await;
    }

    /// The globals in force now.
    pub fn globals(&self) -> Arc<Globals> {
        self.current.load_full()
    }

    /// What the rules in force are made of, and how long their revision took to compile.
    pub fn rules(&self) -> (RuleSetStats, Duration) {
        (self.globals().plan().stats(), Duration::from_micros(self.compile_us.load(Ordering::Relaxed)))
    }

    /// The catalog's log as far as it was read.
    pub fn catalog(&self) -> RwLockReadGuard<'_, CatalogState> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The revision in force.
    pub fn head(&self) -> Option<Arc<CompiledRevision>> {
        self.globals().head().cloned()
    }

    /// Waits until the globals are as they should be after a write of one's own.
    ///
    /// # Errors
    /// If they are not within half a minute.
    pub async fn wait_until(&self, holds: impl Fn(&Globals) -> bool) -> Result<(), Duration> {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !holds(&self.globals()) {
                // The sender lives as long as `self`.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(ECHO_MAX, wait).await.map_err(|_| ECHO_MAX)
    }

    fn take_catalog(&self, record: &Record<'_>) {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let change = self.catalog.write().unwrap_or_else(PoisonError::into_inner).apply(&key, record.value);
        match change {
            // What a blob means is known once a head names it.
            Ok(Change::Blob) => {}
            Ok(Change::Revision | Change::Head | Change::Binding) => self.refresh(),
            Err(error) => tracing::error!(%error, offset = record.offset, "catalog record cannot be used"),
        }
    }

    fn take_kv(&self, record: &Record<'_>) {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        let value = match record.value.map(decode::<KvEntry>).transpose() {
            Ok(entry) => entry.and_then(|e| serde_json::from_str::<Value>(&e.value).ok()),
            Err(error) => {
                tracing::error!(%error, %key, "key-value record cannot be used");
                return;
            }
        };
        let mut kv = self.kv();
        kv.version = record.offset + 1;
        if key == DISPATCH_KEY {
            kv.paused = value.as_ref().is_some_and(|v| v["paused"] == Value::Bool(true));
        } else if !key.starts_with(OWN_KEYS) {
            match value {
                Some(value) => kv.entries.insert(key, value),
                None => kv.entries.remove(&key),
            };
        }
        drop(kv);
        self.refresh();
    }

    fn read_to_end(&self, catalog: bool) {
        self.caught_up.send_modify(|(c, k)| if catalog { *c = true } else { *k = true });
        self.refresh();
    }

    /// Makes new globals, once there is something whole to make them of.
    fn refresh(&self) {
        if *self.caught_up.borrow() != (true, true) {
            return;
        }
        let kv = self.kv();
        // One guard: a second read lock on this thread could wait for a writer that waits for the first.
        let catalog = self.catalog();
        let began = Instant::now();
        let head = catalog.head_revision();
        let took = began.elapsed();
        let made = head.map_err(anyhow::Error::from).and_then(|head| {
            Ok(Globals::new(self.catalog.clone(), head, &catalog, &kv.entries, kv.version, kv.paused)?)
        });
        let globals = match made {
            Ok(globals) => globals,
            // The revision that was in force stays in force here: nothing is decided by half a catalog.
            Err(error) => {
                tracing::error!(%error, "the catalog's head cannot be used");
                return;
            }
        };
        drop(catalog);
        if globals.revision() != self.globals().revision() {
            self.compile_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        self.current.store(Arc::new(globals));
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        drop(kv);
        self.changed.send_replace(version);
    }

    fn kv(&self) -> MutexGuard<'_, Kv> {
        self.kv.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GlobalsSource<Globals> for World {
    fn current(&self) -> Versioned<Globals> {
        // Version first: at worst a driver looks once more at the globals that it already has.
        let version = self.version.load(Ordering::SeqCst);
        Versioned { version, value: self.globals() }
    }
}

/// An instant in milliseconds since the epoch, as people and JSON write it.
pub fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string())
}

/// Checks of what clients ask, against the revision in force.
impl World {
    /// The revision and the version of the key-value store for a manual run of that action.
    ///
    /// # Errors
    /// `unknown_action`, or `invalid_parameters` with every reason.
    pub fn check_action(&self, action: &str, parameters: &Value) -> Result<(String, i64), ApiError> {
        let globals = self.globals();
        let found = globals.head().and_then(|head| head.action(action).map(|found| (head, found)));
        let Some((head, found)) = found else {
            let message =
                format!("there is no action {action} in the revision in force; `petrel pack list` shows the packs");
            return Err(ApiError::not_found("unknown_action", message));
        };
        match found.resolve_parameters(parameters) {
            Ok(_) => Ok((head.hash().to_owned(), MatchView::kv_version(&*globals))),
            Err(error) => {
                let message = format!("the parameters do not fit {action}: {error}");
                Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", message)
                    .with_details(error.reasons))
            }
        }
    }

    /// Waits until every stage of this process sees the switch as it was just set.
    ///
    /// # Errors
    /// If one does not within half a minute.
    pub async fn wait_for_dispatch(&self, paused: bool, stages: &[(String, Arc<StageStats>)]) -> Result<(), ApiError> {
        let behind = |what: &str| {
            ApiError::unavailable("kv_behind", format!("the switch is set, and {what} has not seen it yet"))
        };
        self.wait_until(|g| g.is_paused() == paused).await.map_err(|_| behind("this process"))?;
        let wanted = self.current().version;
        let is_behind = |stats: &StageStats| stats.globals_version.load(Ordering::Relaxed) < wanted;
        let all = async {
            while stages.iter().any(|(_, stats)| is_behind(stats)) {
                tokio::time::sleep(SEEN_POLL).await;
            }
        };
        tokio::time::timeout(ECHO_MAX, all).await.map_err(|_| behind("a stage of this process"))
    }
}
