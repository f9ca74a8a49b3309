//! The globals of all stages, and what each kind of stage sees of them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use petrel_catalog::{BindingMissing, CatalogState, CompiledRevision};
use petrel_executor::{ExecutorView, Resolution, resolve_in};
use petrel_rules::{Kv, MatchPlan, MatchView};
use serde_json::Value;

/// Everything that stages may know beside their inputs and state; fixed for the length of a step.
///
/// Revisions other than the head are looked up in the catalog's log as it is now. That does not make
/// a stage less deterministic: a revision is its hash, so it is either the same or not there yet, and
/// then the stage waits.
#[derive(Debug)]
pub struct Globals {
    catalog: Arc<RwLock<CatalogState>>,
    head: Option<Arc<CompiledRevision>>,
    plan: MatchPlan,
    kv: Kv,
    kv_version: i64,
    paused: bool,
}

impl Globals {
    /// Globals before anything is known.
    pub(super) fn empty(catalog: Arc<RwLock<CatalogState>>) -> Self {
        Self { catalog, head: None, plan: MatchPlan::default(), kv: Kv::empty(), kv_version: 0, paused: false }
    }

    /// Globals of a revision and a version of the key-value store.
    ///
    /// # Errors
    /// If a bound trigger has no binding, which an apply never writes.
    pub(super) fn new(
        shared: Arc<RwLock<CatalogState>>,
        head: Option<Arc<CompiledRevision>>,
        catalog: &CatalogState,
        entries: &BTreeMap<String, Value>,
        kv_version: i64,
        paused: bool,
    ) -> Result<Self, BindingMissing> {
        let plan = head.as_ref().map(|head| head.match_plan(catalog.bindings())).transpose()?.unwrap_or_default();
        let kv = Kv::new(entries.iter().map(|(key, value)| (key.clone(), value.to_string()))).unwrap_or_else(|error| {
            // The values were JSON when they were read.
            tracing::error!(%error, "the key-value store cannot be shown to rules");
            Kv::empty()
        });
        Ok(Self { catalog: shared, head, plan, kv, kv_version, paused })
    }

    /// The revision in force.
    pub fn head(&self) -> Option<&Arc<CompiledRevision>> {
        self.head.as_ref()
    }

    /// Whether dispatch is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    fn catalog(&self) -> RwLockReadGuard<'_, CatalogState> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MatchView for Globals {
    fn plan(&self) -> &MatchPlan {
        &self.plan
    }

    fn revision(&self) -> &str {
        self.head.as_ref().map_or("", |head| head.hash())
    }

    fn kv(&self) -> &Kv {
        &self.kv
    }

    fn kv_version(&self) -> i64 {
        self.kv_version
    }
}

impl ExecutorView for Globals {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        resolve_in(&self.catalog(), revision, action)
    }
}
