//! The globals of all stages, and what each kind of stage sees of them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use petrel_catalog::{ActionDef, CatalogState, CompiledRevision, ExecutionFacts, PackFile};
use petrel_executor::{CommandPlan, Delivery, ExecutorView, PackContent, Plan, Prepared, Rendered};
use petrel_rules::{Kv, MatchPlan, MatchView};
use petrel_schemas::Task;
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
    pub(super) fn new(
        shared: Arc<RwLock<CatalogState>>,
        head: Option<Arc<CompiledRevision>>,
        catalog: &CatalogState,
        entries: &BTreeMap<String, Value>,
        kv_version: i64,
        paused: bool,
    ) -> Self {
        let plan = head.as_ref().map(|head| head.match_plan(catalog.bindings())).unwrap_or_default();
        let kv = Kv::new(entries.iter().map(|(key, value)| (key.clone(), value.to_string()))).unwrap_or_else(|error| {
            // The values were JSON when they were read.
            tracing::error!(%error, "the key-value store cannot be shown to rules");
            Kv::empty()
        });
        Self { catalog: shared, head, plan, kv, kv_version, paused }
    }

    /// The revision in force.
    pub fn head(&self) -> Option<&Arc<CompiledRevision>> {
        self.head.as_ref()
    }

    /// Whether dispatch is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Version of the key-value store.
    pub fn kv_version(&self) -> i64 {
        self.kv_version
    }

    fn revision(&self, hash: &str) -> Result<Arc<CompiledRevision>, Unresolved> {
        if let Some(head) = self.head.as_ref().filter(|head| head.hash() == hash) {
            return Ok(head.clone());
        }
        self.catalog().revision(hash).map_err(|error| match error.may_appear() {
            true => Unresolved::NotYet,
            false => Unresolved::Never(error.to_string()),
        })
    }

    fn catalog(&self) -> RwLockReadGuard<'_, CatalogState> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a revision is not there.
enum Unresolved {
    NotYet,
    Never(String),
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

    fn prepare(&self, revision: &str, action: &str, parameters: &str) -> Prepared {
        let revision = match self.revision(revision) {
            Ok(revision) => revision,
            Err(Unresolved::NotYet) => return Prepared::RevisionUnknown,
            Err(Unresolved::Never(why)) => return Prepared::Refused(why),
        };
        let Some(action) = revision.action(action) else { return Prepared::NoSuchAction };
        let resolved = parse(parameters).and_then(|given| action.resolve_parameters(&given).map_err(|e| e.to_string()));
        match resolved {
            Ok(parameters) => Prepared::Ready(Plan {
                parameters: parameters.to_string(),
                pool: action.pool.clone(),
                delivery: delivery(action),
                timeout_ms: action.timeout_ms,
            }),
            Err(why) => Prepared::Refused(why),
        }
    }

    fn command(&self, task: &Task) -> Rendered {
        let revision = match self.revision(&task.revision) {
            Ok(revision) => revision,
            Err(Unresolved::NotYet) => return Rendered::RevisionUnknown,
            Err(Unresolved::Never(why)) => return Rendered::Refused(why),
        };
        let Some(action) = revision.action(&task.action) else {
            return Rendered::Refused(format!("revision {} has no action {}", task.revision, task.action));
        };
        let facts = ExecutionFacts {
            id: task.execution_id.clone(),
            attempt: task.attempt,
            rule: task.rule.clone(),
            event_id: task.event_id.clone(),
        };
        let rendered = parse(&task.parameters)
            .and_then(|parameters| action.render(&parameters, &facts).map_err(|e| e.to_string()));
        match rendered {
            Ok(command) => Rendered::Command(CommandPlan {
                argv: command.argv,
                environment: command.env.into_iter().collect(),
                output_bytes_max: usize::try_from(action.output_bytes_max).unwrap_or(usize::MAX),
                pack: Arc::new(Files::new(&revision, &action.pack)),
            }),
            Err(why) => Rendered::Refused(why),
        }
    }
}

fn delivery(action: &ActionDef) -> Delivery {
    match action.delivery {
        petrel_catalog::Delivery::AtLeastOnce => Delivery::AtLeastOnce,
        petrel_catalog::Delivery::AtMostOnce => Delivery::AtMostOnce,
    }
}

fn parse(parameters: &str) -> Result<Value, String> {
    serde_json::from_str(parameters).map_err(|e| format!("the parameters are no JSON: {e}"))
}

/// A pack's files, for the worker to lay out.
struct Files {
    revision: Arc<CompiledRevision>,
    pack: String,
    hash: String,
}

impl Files {
    fn new(revision: &Arc<CompiledRevision>, pack: &str) -> Self {
        let hash = revision.pack_hash(pack).unwrap_or_default().to_owned();
        Self { revision: revision.clone(), pack: pack.to_owned(), hash }
    }
}

impl PackContent for Files {
    fn hash(&self) -> &str {
        &self.hash
    }

    fn files(&self, each: &mut dyn FnMut(&str, &[u8], bool) -> Result<(), String>) -> Result<(), String> {
        let file = |file: &PackFile| each(&file.path, &file.bytes, file.executable);
        self.revision.files(&self.pack).iter().try_for_each(file)
    }
}
