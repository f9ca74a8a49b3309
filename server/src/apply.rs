//! Putting a revision of the catalog into force.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, Output, SoleWriteError, SoleWriter, To};
use petrel_catalog::{
    Application, CatalogState, CompiledRevision, Content, PackFile, PackSource, Problems, Publication, PublishError,
    Retention, Revision, config_file, given_config, needed_bindings, publish,
};
use petrel_execution::{Labels, Needs};
use petrel_ingest::bindings::{BindingError, MissingTopic, ensure_produced, start_offsets};
use petrel_ingest::timers::is_definition;
use petrel_schemas::{CatalogHead, Topics, encode};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::api::ApiError;
use crate::follow::read_whole;
use crate::format;
use crate::world::World;

/// What to apply.
#[derive(Debug)]
pub enum What {
    /// These packs, beside or instead of those in force.
    Packs {
        /// The packs.
        sources: Vec<PackSource>,
        /// Whether packs that are not among them go.
        prune: bool,
    },
    /// A revision that was in force before.
    Revision(String),
    /// What is in force, and a pack of it given something else.
    Config(ConfigChange),
}

/// A change of what a pack is given.
#[derive(Debug)]
pub struct ConfigChange {
    /// The pack.
    pub pack: String,
    /// Values that it gets.
    pub set: Map<String, Value>,
    /// Names that go.
    pub unset: Vec<String>,
    /// Whether everything goes that is not set.
    pub replace: bool,
}

impl ConfigChange {
    /// The pack with the change.
    fn source(self, base: Option<&Content>) -> Result<PackSource, ApiError> {
        let (mut files, mut given) = given(base, &self.pack)?;
        if self.replace {
            given.clear();
        }
        given.extend(self.set);
        self.unset.iter().for_each(|name| drop(given.shift_remove(name)));
        let file = config_file(&given);
        files.retain(|other| other.path != file.path);
        files.push(file);
        Ok(PackSource { label: self.pack, files, special: Vec::new() })
    }
}

/// The files of a pack, and what it was given.
fn given(base: Option<&Content>, pack: &str) -> Result<(Vec<PackFile>, Map<String, Value>), ApiError> {
    let unusable = |why: String| ApiError::unavailable("catalog_unavailable", why);
    let stored = base.and_then(|content| content.pack(pack)).ok_or_else(|| {
        ApiError::not_found("unknown_pack", format!("there is no pack {pack}; `petrel pack list` shows them"))
    })?;
    let files = stored.files().map_err(|error| unusable(error.to_string()))?;
    let given = given_config(&files).map_err(unusable)?;
    Ok((files, given))
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Hash of the revision in force.
    pub revision: String,
    /// `name version` of its packs.
    pub packs: Vec<String>,
    /// Whether anything changed.
    pub changed: bool,
    /// Revisions that went although they are young or among the last ones, for lack of room.
    pub removed_early: Vec<String>,
}

/// Longest wait for an apply that came first to have written.
const WINNER_WAIT: Duration = Duration::from_secs(5);
/// Name of the catalog's sole writer.
const WRITER: &str = "catalog";

/// What is in force when an apply begins.
struct Base {
    head: Option<CatalogHead>,
    content: Option<Content>,
    compiled: Option<Arc<CompiledRevision>>,
}

impl Base {
    /// The revision in force; empty if there is none.
    fn revision(&self) -> &str {
        self.head.as_ref().map_or("", |head| &head.revision)
    }
}

/// Applies one revision at a time.
pub struct Applier {
    bus: Arc<dyn Bus>,
    topics: Topics,
    clock: Arc<dyn Clock>,
    world: Arc<World>,
    retention: Retention,
    missing_topics: MissingTopic,
    /// The pools with their labels, which actions may require.
    pools: Vec<(String, Labels)>,
    /// What the largest worker of a pool has, where that is said.
    sizes: BTreeMap<String, Needs>,
    one_at_a_time: Mutex<()>,
}

impl Applier {
    /// An applier that writes to this log, keeps that much of earlier revisions, and does that about bound topics
    /// that do not exist.
    pub fn new(
        bus: Arc<dyn Bus>,
        topics: Topics,
        clock: Arc<dyn Clock>,
        world: Arc<World>,
        retention: Retention,
        missing_topics: MissingTopic,
    ) -> Self {
        let (pools, sizes, one_at_a_time) = (Vec::new(), BTreeMap::new(), Mutex::new(()));
        Self { bus, topics, clock, world, retention, missing_topics, pools, sizes, one_at_a_time }
    }

    /// With these pools, and the sizes of their largest workers as far as they are known.
    pub fn with_pools(self, pools: Vec<(String, Labels)>, sizes: BTreeMap<String, Needs>) -> Self {
        Self { pools, sizes, ..self }
    }

    /// Validates, compiles and publishes; returns once this process uses the revision.
    ///
    /// Two processes that apply at once: everything of an apply, also its timers and bindings, is one transaction
    /// of the catalog's sole writer, who has read the log to its end and found in force what it began with
    /// (docs/adr/0012). So the packs of nobody are dropped.
    ///
    /// # Errors
    /// Every problem of the packs; a bound topic that cannot be used; `catalog_moved` if another apply came first;
    /// a log that cannot be written.
    pub async fn apply(&self, what: What, applied_by: &str) -> Result<Applied, ApiError> {
        let _turn = self.one_at_a_time.lock().await;
        let base = self.base()?;
        let revision = self.load(what, &base).await?;
        let changed = base.revision() != revision.hash();
        let mut removed_early = Vec::new();
        if changed {
            let offsets = self.offsets(&revision).await?;
            removed_early = self.publish(&revision, &base, offsets, applied_by).await?;
        }
        if !removed_early.is_empty() {
            tracing::warn!(revisions = ?removed_early, "revisions were removed early, the catalog is at catalog_bytes_max");
        }
        let hash = revision.hash();
        self.wait_until_in_use(hash, &base).await?;
        Ok(Applied { revision: hash.to_owned(), packs: revision.pack_versions(), changed, removed_early })
    }

    /// What a pack in force was given; of secrets, the names.
    ///
    /// # Errors
    /// `unknown_pack`, or a catalog that cannot be used.
    pub fn given_config(&self, pack: &str) -> Result<Map<String, Value>, ApiError> {
        Ok(given(self.base()?.content.as_ref(), pack)?.1)
    }

    /// Waits until this process uses the revision, or another apply has replaced it already.
    async fn wait_until_in_use(&self, hash: &str, base: &Base) -> Result<(), ApiError> {
        let is_replaced = || {
            let state = self.world.catalog().state();
            state.head().is_some_and(|head| head.revision != hash && was_applied(head, hash, base))
        };
        let in_use = self.world.wait_until(|g| g.head().revision == hash || is_replaced()).await;
        in_use.map_err(|waited| {
            let message = format!(
                "revision {hash} was applied, and this process does not use it yet after {waited:?}; see its log"
            );
            ApiError::unavailable("catalog_behind", message)
        })
    }

    fn base(&self) -> Result<Base, ApiError> {
        let catalog = self.world.catalog().state();
        check_writable(&catalog)?;
        let content =
            catalog.head_content().map_err(|e| ApiError::unavailable("catalog_unavailable", e.to_string()))?;
        Ok(Base { head: catalog.head().cloned(), content, compiled: self.world.globals().head().compiled.clone() })
    }

    /// Compiling takes as long as there are rules, so it happens off the runtime.
    async fn load(&self, what: What, base: &Base) -> Result<Revision, ApiError> {
        let (content, before) = (base.content.clone(), base.compiled.clone());
        let what = match what {
            What::Config(change) => What::Packs { sources: vec![change.source(base.content.as_ref())?], prune: false },
            other => other,
        };
        let stored = match &what {
            What::Packs { .. } | What::Config(_) => None,
            What::Revision(hash) => {
                let stored = self.world.catalog().state().content(hash);
                Some(stored.map_err(|e| ApiError::not_found("unknown_revision", e.to_string()))?)
            }
        };
        let (pools, sizes) = (self.pools.clone(), self.sizes.clone());
        let compile = move || match (what, stored, content) {
            (What::Packs { sources, prune: false }, _, Some(content)) => {
                Revision::load_into(&content, before.as_deref(), sources)
            }
            (What::Packs { sources, .. }, _, Some(content)) => {
                Revision::load_instead(&content, before.as_deref(), sources)
            }
            (What::Packs { sources, .. }, ..) => Revision::load(sources),
            (What::Revision(_), Some(stored), _) => Revision::of_content(stored, before.as_deref()),
            (What::Revision(_), None, _) => unreachable!("its content was found above"),
            (What::Config(_), ..) => unreachable!("it is a pack since"),
        };
        let in_force = base.compiled.clone();
        let work = move || {
            let revision = compile()?;
            let known = revision.compiled().check_pools(&pools, in_force.as_deref())?;
            if !known.is_empty() {
                tracing::warn!(%known, "actions that were there before have no pool any more");
            }
            revision.compiled().check_sizes(&pools, &sizes).map(|()| revision)
        };
        blocking("packs could not be compiled", work).await?.map_err(|problems: Problems| {
            let lines: Vec<String> = problems.to_string().lines().map(str::to_owned).collect();
            let message = format!("the packs have {} problem(s); nothing was applied", problems.len());
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_packs", message).with_details(lines)
        })
    }

    /// Compares what is in force with what the revision was made from, and sets it. Answers with the revisions
    /// that had to go early.
    async fn publish(
        &self,
        revision: &Revision,
        base: &Base,
        offsets: BTreeMap<String, Vec<i64>>,
        applied_by: &str,
    ) -> Result<Vec<String>, ApiError> {
        let writer = self.sole_writer().await?;
        self.read_to_end()
            .await
            .map_err(|why| ApiError::unavailable("catalog_behind", format!("nothing was applied: {why}")))?;
        let publication = self.publication(revision, base, offsets, applied_by).await?;
        let removed_early = publication.removed_early.clone();
        let outputs = self.outputs(publication);
        let written = blocking("the catalog could not be written", move || writer.write(outputs)).await?;
        match written {
            Ok(()) => Ok(removed_early),
            Err(SoleWriteError::Superseded) => {
                // Who is told at once tries again at once, and cuts in on the one that is about to write.
                let begun_with = base.revision();
                let moves = self.world.wait_until(|g| g.head().revision != begun_with);
                let how = match tokio::time::timeout(WINNER_WAIT, moves).await {
                    Ok(_) => "another revision came into force meanwhile",
                    Err(_) => "another apply is on its way",
                };
                Err(moved(how))
            }
            Err(SoleWriteError::NotWritten(why)) => Err(ApiError::unavailable("log_unavailable", why)),
            Err(SoleWriteError::OutcomeUnknown(why)) => match self.settle(revision.hash(), base).await {
                Ok(true) => Ok(removed_early),
                Ok(false) => Err(ApiError::unavailable("log_unavailable", format!("nothing was applied: {why}"))),
                Err(still) => {
                    let message = format!(
                        "it is not known whether revision {} was applied: {why}, and then: {still}; `petrel pack list` \
                         tells once the log can be reached, and applying again does no harm",
                        revision.hash()
                    );
                    Err(ApiError::unavailable("apply_in_doubt", message))
                }
            },
        }
    }

    /// What an apply writes. It reads packs, which takes as long as there are any: off the runtime, and over a
    /// copy, so that nobody who reads the catalog waits for it.
    async fn publication(
        &self,
        revision: &Revision,
        base: &Base,
        offsets: BTreeMap<String, Vec<i64>>,
        applied_by: &str,
    ) -> Result<Publication, ApiError> {
        let state = self.world.catalog().state().clone();
        check_base(&state, base)?;
        check_writable(&state)?;
        let (now_ms, retention) = (self.clock.now_ms(), self.retention);
        let (revision, applied_by) = (revision.clone(), applied_by.to_owned());
        let (bus, timers) = (self.bus.clone(), self.topics.timers());
        let make = move || {
            let how = Application { now_ms, applied_by: &applied_by, retention, offsets };
            let mut publication = match publish(&state, &revision, &how) {
                Ok(publication) => publication,
                Err(error) => return Ok(Err(error)),
            };
            if publication.has_unknown_timers {
                publication.remove_timers(&revision, timers_of_the_log(&*bus, &timers)?);
            }
            Ok(Ok(publication))
        };
        let made: anyhow::Result<_> = blocking("the packs could not be read", make).await?;
        let made =
            made.map_err(|why| ApiError::unavailable("log_unavailable", format!("nothing was applied: {why:#}")))?;
        made.map_err(|error| match error {
            PublishError::OffsetsMissing { .. } => moved(&error.to_string()),
            PublishError::TooLarge { .. } => {
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "catalog_too_large", error.to_string())
            }
        })
    }

    /// Whether a transaction whose answer was lost was written. Whoever opens a writer ends the doubt; so that
    /// nothing is written twice, this one writes nothing.
    async fn settle(&self, revision: &str, base: &Base) -> Result<bool, String> {
        drop(self.sole_writer().await.map_err(|error| error.message)?);
        self.read_to_end().await?;
        Ok(self.world.catalog().state().head().is_some_and(|head| was_applied(head, revision, base)))
    }

    async fn sole_writer(&self) -> Result<Box<dyn SoleWriter>, ApiError> {
        let bus = self.bus.clone();
        let opened = blocking("the catalog could not be written", move || bus.sole_writer(WRITER)).await?;
        opened.map_err(|e| ApiError::unavailable("log_unavailable", e.to_string()))
    }

    async fn read_to_end(&self) -> Result<(), String> {
        let read = self.world.catalog().read_to_end().await;
        read.map_err(|waited| format!("the catalog could not be read to its end within {waited:?}"))
    }

    /// Where newly bound triggers begin. Asking the log blocks, so it happens off the runtime.
    async fn offsets(&self, revision: &Revision) -> Result<BTreeMap<String, Vec<i64>>, ApiError> {
        let needed = needed_bindings(&self.world.catalog().state(), revision.compiled());
        let produced: BTreeMap<String, String> = revision.compiled().produced().collect();
        if needed.is_empty() && produced.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (bus, topics, missing) = (self.bus.clone(), self.topics.clone(), self.missing_topics.clone());
        let ask = move || {
            ensure_produced(&produced, &*bus, &topics, &missing)?;
            start_offsets(&needed, &*bus, &topics, &missing)
        };
        let asked = tokio::task::spawn_blocking(ask).await;
        let offsets =
            asked.map_err(|e| ApiError::unavailable("internal", format!("bindings could not be activated: {e}")))?;
        offsets.map_err(|errors| {
            let unreachable = errors.iter().any(|e| matches!(e, BindingError::Bus { .. }));
            let status = if unreachable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
            let message = "topics that are bound or produced to cannot be used; nothing was applied";
            let details = errors.iter().map(ToString::to_string).collect();
            ApiError::new(status, "unusable_topic", message).with_details(details)
        })
    }

    fn outputs(&self, publication: Publication) -> Vec<Output> {
        let catalog = self.topics.catalog();
        let mut outputs: Vec<Output> = Vec::new();
        outputs.extend(publication.timers.into_iter().map(|(key, value)| Output {
            topic: self.topics.timers(),
            to: To::Key,
            key: Some(key.into_bytes()),
            value,
            timestamp_ms: None,
            headers: Vec::new(),
        }));
        outputs.extend(
            publication
                .catalog
                .into_iter()
                .map(|(key, value)| Output::to_partition(&catalog, 0, key.into_bytes(), value)),
        );
        if let Some(audit) = publication.audit {
            outputs.push(Output::keyed(&self.topics.audit(), audit.revision.clone(), encode(&audit)));
        }
        format::written(self.world.format(), outputs)
    }
}

/// References of the timers that are defined; blocks. Only an apply defines any, so that its sole writer knows them all.
fn timers_of_the_log(bus: &dyn Bus, topic: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    read_whole(bus, topic, |_, record| {
        let Some(key) = record.key.filter(|key| is_definition(key)).and_then(|key| std::str::from_utf8(key).ok())
        else {
            return;
        };
        match record.value {
            Some(_) => found.insert(key.to_owned()),
            None => found.remove(key),
        };
    })?;
    Ok(found)
}

/// Whether the log whose head this is holds an apply of that revision over that base: it is in force, or it was
/// until another instant than the base knew.
fn was_applied(head: &CatalogHead, revision: &str, base: &Base) -> bool {
    let until = |head: &CatalogHead| {
        let at = head.history.iter().position(|earlier| earlier == revision)?;
        head.history_until_ms.get(at).copied()
    };
    let before = base.head.as_ref().and_then(until);
    head.revision == revision || until(head).is_some_and(|now| Some(now) != before)
}

fn check_base(state: &CatalogState, base: &Base) -> Result<(), ApiError> {
    let head = state.head().map_or("", |head| &head.revision);
    if head == base.revision() {
        return Ok(());
    }
    Err(moved(&format!("revision {} came into force meanwhile", if head.is_empty() { "none" } else { head })))
}

/// What a newer release wrote would be removed or replaced unread.
fn check_writable(state: &CatalogState) -> Result<(), ApiError> {
    state.why_read_only().map_or(Ok(()), |why| {
        let message = format!("nothing was applied: {why}; apply with the release that wrote it");
        Err(ApiError::unavailable("catalog_unavailable", message))
    })
}

fn moved(how: &str) -> ApiError {
    let message =
        format!("another apply came first: {how}; nothing was applied, apply again to have the packs of both");
    ApiError::new(StatusCode::CONFLICT, "catalog_moved", message)
}

/// Calls that block or take long happen off the runtime.
async fn blocking<T: Send + 'static>(what: &str, call: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(call).await;
    done.map_err(|e| ApiError::unavailable("internal", format!("{what}: {e}")))
}

#[cfg(test)]
mod tests;
