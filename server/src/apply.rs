//! Putting a revision of the catalog into force.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use petrel_bus::{Bus, Clock, Output, Publisher, To};
use petrel_catalog::{Application, PackSource, Publication, Revision, needed_bindings, publish};
use petrel_ingest::bindings::{BindingError, MissingTopic, start_offsets};
use petrel_schemas::{Topics, encode};
use tokio::sync::Mutex;

use crate::api::ApiError;
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
}

/// Applies one revision at a time.
pub struct Applier {
    bus: Arc<dyn Bus>,
    topics: Topics,
    clock: Arc<dyn Clock>,
    publisher: Arc<dyn Publisher>,
    world: Arc<World>,
    revisions_max: usize,
    missing_topics: MissingTopic,
    one_at_a_time: Mutex<()>,
}

impl Applier {
    /// An applier that writes to this log, keeps that many revisions, and does that about bound topics
    /// that do not exist.
    pub fn new(
        bus: Arc<dyn Bus>,
        topics: Topics,
        clock: Arc<dyn Clock>,
        publisher: Arc<dyn Publisher>,
        world: Arc<World>,
        revisions_max: usize,
        missing_topics: MissingTopic,
    ) -> Self {
        Self { bus, topics, clock, publisher, world, revisions_max, missing_topics, one_at_a_time: Mutex::new(()) }
    }

    /// Validates, compiles and publishes; returns once this process uses the revision.
    ///
    /// # Errors
    /// Every problem of the packs; a bound topic that cannot be used; a log that cannot be written.
    pub async fn apply(&self, what: What, applied_by: &str) -> Result<Applied, ApiError> {
        let _turn = self.one_at_a_time.lock().await;
        let revision = self.revision(what)?;
        let offsets = self.offsets(&revision).await?;
        let publication = {
            let how = Application {
                now_ms: self.clock.now_ms(),
                applied_by,
                catalog_revisions_max: self.revisions_max,
                offsets,
            };
            publish(&self.world.catalog().state(), &revision, &how)
                .map_err(|e| ApiError::unavailable("catalog_moved", format!("{e}; apply again")))?
        };
        let applied = Applied {
            revision: revision.hash().to_owned(),
            packs: revision.pack_versions(),
            changed: !publication.is_empty(),
        };
        if applied.changed {
            self.publisher.publish(self.outputs(publication)).await?;
        }
        let hash = applied.revision.clone();
        let in_force = self.world.wait_until(|g| g.head().revision == hash).await;
        in_force.map_err(|waited| {
            let message = format!("the revision was published and did not come back within {waited:?}; see the log");
            ApiError::unavailable("catalog_behind", message)
        })?;
        Ok(applied)
    }

    fn revision(&self, what: What) -> Result<Revision, ApiError> {
        let stored = |hash: &str| {
            let content = self.world.catalog().state().content(hash);
            content.map_err(|e| ApiError::not_found("unknown_revision", e.to_string()))
        };
        let before = self.world.globals().head().compiled.clone();
        let loaded = match what {
            What::Revision(hash) => Revision::of_content(stored(&hash)?, before.as_deref()),
            What::Packs { sources, prune } => {
                let head = self.world.catalog().state().head().map(|head| head.revision.clone());
                match head {
                    Some(head) if !prune => Revision::load_into(&stored(&head)?, before.as_deref(), sources),
                    _ => Revision::load(sources),
                }
            }
        };
        loaded.map_err(|problems| {
            let lines: Vec<String> = problems.to_string().lines().map(str::to_owned).collect();
            let message = format!("the packs have {} problem(s); nothing was applied", problems.len());
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_packs", message).with_details(lines)
        })
    }

    /// Where newly bound triggers begin. Asking the log blocks, so it happens off the runtime.
    async fn offsets(&self, revision: &Revision) -> Result<BTreeMap<String, Vec<i64>>, ApiError> {
        let needed = needed_bindings(&self.world.catalog().state(), revision.compiled());
        if needed.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (bus, topics, missing) = (self.bus.clone(), self.topics.clone(), self.missing_topics.clone());
        let asked = tokio::task::spawn_blocking(move || start_offsets(&needed, &*bus, &topics, &missing)).await;
        let offsets =
            asked.map_err(|e| ApiError::unavailable("internal", format!("bindings could not be activated: {e}")))?;
        offsets.map_err(|errors| {
            let unreachable = errors.iter().any(|e| matches!(e, BindingError::Bus { .. }));
            let status = if unreachable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
            let message = "bound topics cannot be used; nothing was applied";
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
        outputs
    }
}
