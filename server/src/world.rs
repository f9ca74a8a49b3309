//! What all of a process shares: the catalog and the key-value store, as their logs tell them.
//!
//! Two followers fold `petrel.catalog` and `petrel.kv`, and a third thread compiles the revision in force. Every
//! change makes a new [`Globals`], which drivers pick up between two batches; it shares with the one before all
//! that did not change, so that a write to the key-value store costs the same however many rules and keys there
//! are. The switch that pauses dispatch is a key of the store and depends on nothing of the catalog.

mod catalog;
mod drains;
mod head;
mod kv;
mod lookups;
mod switches;
#[cfg(test)]
pub(crate) mod tests;
mod views;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use petrel_bus::{GlobalsSource, Record, StageStats, Tail, Versioned};
use petrel_catalog::{Change, Triggers};
use petrel_execution::ActionPlan;
use petrel_executor::{ExecutorView as _, Resolution};
use petrel_rules::{Kv, MatchView as _, RuleSetStats};
use petrel_schemas::Topics;
use serde_json::Value;
use tokio::sync::watch;

use crate::api::ApiError;
use crate::follow::Follows;
use crate::format::{self, InForce, Told};

pub use catalog::Catalog;
pub use drains::{DrainOrder, Drained};
use head::Heads;
pub use head::{Head, Needs};
use kv::Entry;
pub use switches::{SwitchOrder, is_scope, switch_key};
pub use views::Globals;

/// Key of the entry that pauses dispatch. Keys that begin with `petrel/` are not visible to rules.
pub const DISPATCH_KEY: &str = "petrel/dispatch";
/// How often to ask whether the stages have seen a change.
const SEEN_POLL: Duration = Duration::from_millis(5);
/// Longest wait for the catalog at the start of a process.
const CATALOG_WAIT: Duration = Duration::from_secs(30);
/// Longest wait for a change of one's own to come back.
const ECHO_MAX: Duration = Duration::from_secs(30);

/// The followers' state.
#[derive(Debug)]
pub struct World {
    needs: Needs,
    catalog: Arc<Catalog>,
    heads: Heads,
    /// What the next globals are made of; their making takes moments.
    latest: Mutex<Globals>,
    /// Grows when stages have to look again: at their inputs, or at what waits.
    version: AtomicU64,
    current: ArcSwap<Globals>,
    /// Which of the two logs has been read to its end: (catalog, its head compiled, too; key-value store).
    caught_up: watch::Sender<(bool, bool)>,
    changed: watch::Sender<()>,
    /// The format in force, and what the log told about it last.
    format: InForce,
    format_told: watch::Sender<Option<Told>>,
}

/// Whether stages that wait for something have to look again after a change. They see it anyway, from their next
/// batch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tell {
    Stages,
    Nobody,
}

impl World {
    /// A world that knows nothing yet, for a process that needs that much of the revision in force.
    pub fn new(needs: Needs) -> Arc<Self> {
        let catalog = Arc::new(Catalog::default());
        let globals = Globals {
            catalog: catalog.clone(),
            head: Arc::new(Head::unread()),
            kv: Arc::new(Kv::empty()),
            kv_version: 0,
            drains: Arc::default(),
            switches: Arc::default(),
            paused: false,
            unusable: Arc::default(),
            problem: None,
            told: "".into(),
            told_since_ms: 0,
        };
        Arc::new(Self {
            needs,
            catalog,
            heads: Heads::default(),
            current: ArcSwap::from_pointee(globals.clone()),
            latest: Mutex::new(globals),
            version: AtomicU64::new(1),
            caught_up: watch::Sender::new((false, false)),
            changed: watch::Sender::new(()),
            format: InForce::default(),
            format_told: watch::Sender::new(None),
        })
    }

    /// Starts to follow both logs, and to compile what is in force.
    pub fn spawn(self: &Arc<Self>, follows: &Follows, topics: &Topics) {
        let (world, compiling) = (self.clone(), follows.stop.clone());
        let compile = move || world.heads.run(world.needs, &compiling, |head| world.put_in_force(head));
        if let Err(error) = std::thread::Builder::new().name("compiler".to_owned()).spawn(compile) {
            tracing::error!(%error, "no thread can be started");
        }
        let (world, looking) = (self.clone(), self.clone());
        let each = move |_, record: Record<'_>| world.take_catalog(&record);
        let mut read = false;
        let look = move |tail: &mut dyn Tail| {
            if !read && tail.caught_up() {
                read = true;
                looking.heads.read(&looking.catalog.state());
            }
            if looking.catalog.look(tail) {
                // Somebody waits for a revision that will not come.
                looking.change(Tell::Stages, |_| {});
            }
        };
        follows.follow_and_look("catalog", topics.catalog(), each, look);
        let (world, done) = (self.clone(), self.clone());
        let each = move |_, record: Record<'_>| world.take_kv(&record);
        let read = move || {
            done.change(Tell::Stages, |_| {});
            done.caught_up.send_modify(|(_, kv)| *kv = true);
        };
        follows.follow("kv", topics.kv(), each, read);
    }

    /// Resolves once the switch that pauses dispatch is known, and the catalog's log was read to the end that it
    /// had at the start and what is in force was compiled. If that takes longer than [`CATALOG_WAIT`], the
    /// process starts without: what needs the catalog waits and says so, everything else works.
    pub async fn ready(&self) {
        let mut caught_up = self.caught_up.subscribe();
        // The sender lives as long as `self`.
        let _ = caught_up.wait_for(|(_, kv)| *kv).await;
        let catalog = caught_up.wait_for(|(catalog, _)| *catalog);
        if tokio::time::timeout(CATALOG_WAIT, catalog).await.is_err() {
            tracing::warn!("the catalog cannot be used yet, what needs it waits");
        }
    }

    /// The globals in force now.
    pub fn globals(&self) -> Arc<Globals> {
        self.current.load_full()
    }

    /// What the rules in force are made of, and how long their revision took to compile.
    pub fn rules(&self) -> (RuleSetStats, Duration) {
        let globals = self.globals();
        (globals.plan().stats(), globals.head().took)
    }

    /// The catalog's log as far as it was read.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The triggers in force.
    pub fn triggers(&self) -> Arc<Triggers> {
        self.globals().head().triggers.clone()
    }

    /// What keeps this process from deciding: the revision in force, or the key-value store.
    pub fn problems(&self) -> Vec<String> {
        let globals = self.globals();
        let catalog = globals.head().problem().map(|problem| format!("catalog: {problem}"));
        catalog.into_iter().chain(globals.kv_problem().map(str::to_owned)).collect()
    }

    /// The format in force, in which this process writes.
    pub fn format(&self) -> &InForce {
        &self.format
    }

    /// What the log tells about the format; nothing as long as it was not read, or no installation has begun.
    pub fn format_told(&self) -> watch::Receiver<Option<Told>> {
        self.format_told.subscribe()
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
        match self.catalog.take(record) {
            Change::Head => {
                let state = self.catalog.state();
                let told: Arc<str> = state.head().map_or("", |head| &head.revision).into();
                let since_ms = state.head().map_or(0, |head| head.applied_at_ms);
                self.change(Tell::Nobody, |latest| (latest.told, latest.told_since_ms) = (told, since_ms));
                self.heads.tell(&state);
            }
            Change::Revision | Change::Blob => {
                self.heads.tell_if_incomplete(&self.catalog.state());
                // What waited for a revision may try again. One without its blobs is asked for again.
                if record.value.is_some() && *self.caught_up.borrow() == (true, true) {
                    self.change(Tell::Stages, |_| {});
                }
            }
            // It comes into force with a head.
            Change::Binding => {}
        }
    }

    fn take_kv(&self, record: &Record<'_>) {
        let entry = Entry::of(record);
        if entry.is_format() {
            self.take_format(&entry);
        }
        self.change_and_tell(|latest| if latest.take(entry) { Tell::Stages } else { Tell::Nobody });
    }

    fn take_format(&self, entry: &Entry) {
        let told = match &entry.value {
            Ok(Some(value)) => format::told(value),
            Ok(None) => Err(format!("{} was removed: the log does not say which format is in force", entry.key)),
            Err(why) => Err(format!("{} cannot be read: {why}", entry.key)),
        };
        if let Ok(format) = &told {
            self.format.set(*format);
        }
        self.format_told.send_replace(Some(told));
    }

    fn put_in_force(&self, head: Head) {
        self.change(Tell::Stages, |latest| latest.head = Arc::new(head));
        self.caught_up.send_modify(|(catalog, _)| *catalog = true);
    }

    /// Makes the next globals of the latest ones.
    fn change(&self, tell: Tell, change: impl FnOnce(&mut Globals)) {
        self.change_and_tell(|latest| {
            change(latest);
            tell
        });
    }

    /// The same; the change says whom it concerns.
    fn change_and_tell(&self, change: impl FnOnce(&mut Globals) -> Tell) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = change(&mut latest);
        self.current.store(Arc::new(latest.clone()));
        if tell == Tell::Stages {
            self.version.fetch_add(1, Ordering::SeqCst);
        }
        drop(latest);
        self.changed.send_replace(());
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
    /// An action of the revision in force.
    ///
    /// # Errors
    /// `unknown_action`, or a catalog that cannot be used.
    pub fn action_in_force(&self, action: &str) -> Result<ActionInForce, ApiError> {
        let globals = self.globals();
        let plan = plan_in(&globals, action)?;
        Ok(ActionInForce { plan, revision: globals.head().revision.clone(), kv_version: globals.kv_version() })
    }

    /// Waits until every stage of this process goes by a switch that was just set.
    ///
    /// # Errors
    /// If one does not within half a minute.
    pub async fn wait_for_stages(
        &self,
        is_set: impl Fn(&Globals) -> bool,
        stages: &[(String, Arc<StageStats>)],
    ) -> Result<(), ApiError> {
        let behind = |what: &str| {
            ApiError::unavailable("kv_behind", format!("the switch is set, and {what} has not seen it yet"))
        };
        self.wait_until(is_set).await.map_err(|_| behind("this process"))?;
        let wanted = {
            // Whoever made the change may not have told of it yet.
            let _whole = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            self.version.load(Ordering::SeqCst)
        };
        let is_behind = |stats: &StageStats| stats.globals_version.load(Ordering::Relaxed) < wanted;
        let all = async {
            while stages.iter().any(|(_, stats)| is_behind(stats)) {
                tokio::time::sleep(SEEN_POLL).await;
            }
        };
        tokio::time::timeout(ECHO_MAX, all).await.map_err(|_| behind("a stage of this process"))
    }
}

/// An action of the revision that was in force when somebody asked for it to be run: all that is done about the request
/// is done by this one.
pub struct ActionInForce {
    /// The action.
    pub plan: Arc<ActionPlan>,
    /// The revision.
    pub revision: String,
    /// Version of the key-value store.
    pub kv_version: i64,
}

impl ActionInForce {
    /// The parameters with their defaults; `action` is its name, for messages.
    ///
    /// # Errors
    /// `invalid_parameters` with every reason.
    pub fn check(&self, action: &str, parameters: &Value) -> Result<Value, ApiError> {
        self.plan.parameters.complete(parameters).map_err(|error| {
            let message = format!("the parameters do not fit {action}: {error}");
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", message).with_details(error.reasons)
        })
    }
}

/// An action of the revision in force of these globals.
fn plan_in(globals: &Globals, action: &str) -> Result<Arc<ActionPlan>, ApiError> {
    let revision = &globals.head().revision;
    let unavailable = |why: &str| Err(ApiError::unavailable("catalog_unavailable", why));
    match globals.resolve(revision, action) {
        Resolution::Ready(found) => Ok(found.plan),
        Resolution::Broken(why) => unavailable(&format!("{action} cannot be used by this release: {why}")),
        _ if revision.is_empty() && globals.head().problem().is_some() => {
            unavailable("the catalog's log has not been read to its end yet")
        }
        _ => {
            let message =
                format!("there is no action {action} in the revision in force; `petrel pack list` shows the packs");
            Err(ApiError::not_found("unknown_action", message))
        }
    }
}
