//! What an apply writes: one transaction over `petrel.catalog` and `petrel.timers`.

use std::collections::{BTreeMap, BTreeSet};

use petrel_schemas::{CatalogHead, CatalogRevision, RevisionApplied, TimerDefinition, TriggerBinding, encode};

use crate::pack::{CatchUp, Start, TriggerSource};
use crate::retention::{Kept, Retention, bytes_of};
use crate::revision::{CompiledRevision, Revision};
use crate::state::{CatalogState, HEAD_KEY, binding_key, blob_key, revision_key};
use crate::triggers::Triggers;

/// A record to write: its key, and its value or a tombstone.
pub type Entry = (String, Option<Vec<u8>>);

/// A bound trigger that has no binding yet: ask the bus for the offsets of its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededBinding {
    /// Reference of the trigger.
    pub trigger: String,
    /// Topic to ask about.
    pub topic: String,
    /// Which offsets.
    pub start: Start,
}

/// The circumstances of an apply.
#[derive(Debug, Clone)]
pub struct Application<'a> {
    /// When, in milliseconds since the epoch.
    pub now_ms: i64,
    /// Who.
    pub applied_by: &'a str,
    /// What stays of earlier revisions.
    pub retention: Retention,
    /// Offsets of each partition, from 0, for every [`NeededBinding`], by reference of the trigger.
    pub offsets: BTreeMap<String, Vec<i64>>,
}

/// The records of an apply. All of them go into one transaction, or none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Publication {
    /// Records for `petrel.catalog`, partition 0, in this order.
    pub catalog: Vec<Entry>,
    /// Records for `petrel.timers`, keyed by the timer's reference.
    pub timers: Vec<Entry>,
    /// Whether `petrel.timers` may have more than this knows of: the revision in force has triggers that this release
    /// cannot read. See [`Publication::remove_timers`].
    pub has_unknown_timers: bool,
    /// The audit record; none where nothing is to be done.
    pub audit: Option<RevisionApplied>,
    /// Revisions that go although they are young or among the last ones, latest first: the limit of bytes is
    /// reached. What still waits in them will fail.
    pub removed_early: Vec<String>,
}

impl Publication {
    /// Whether there is nothing to write: the revision is in force already.
    pub fn is_empty(&self) -> bool {
        self.catalog.is_empty() && self.timers.is_empty()
    }

    /// Removes what `petrel.timers` has, by reference, and the revision that is published has not. Otherwise it
    /// would fire for ever.
    pub fn remove_timers(&mut self, revision: &Revision, found: impl IntoIterator<Item = String>) {
        let wanted = revision.compiled().all_triggers().timers();
        let written: BTreeSet<String> = self.timers.iter().map(|(timer, _)| timer.clone()).collect();
        let gone = found.into_iter().filter(|timer| !wanted.contains_key(timer) && !written.contains(timer));
        self.timers.extend(gone.collect::<BTreeSet<_>>().into_iter().map(|timer| (timer, None)));
    }
}

/// Why a publication cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The caller did not ask for [`needed_bindings`], or the log moved on meanwhile: ask again.
    #[error("no offsets were given for the bound trigger {trigger}")]
    OffsetsMissing {
        /// Reference of the trigger.
        trigger: String,
    },
    /// The revision alone is over the limit of the catalog.
    #[error("the packs have {bytes} bytes together, more than the limit of {bytes_max} bytes (catalog_bytes_max)")]
    TooLarge {
        /// Bytes of its packs, as they are stored.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
}

/// Bound triggers of a revision whose offsets must be found before it is published: those that are
/// new, or whose topic or start changed. A binding that stands is kept, whatever the revision.
pub fn needed_bindings(state: &CatalogState, revision: &CompiledRevision) -> Vec<NeededBinding> {
    let mut needed = Vec::new();
    for trigger in revision.triggers() {
        let TriggerSource::Kafka(source) = &trigger.source else { continue };
        let stands = state
            .bindings()
            .get(&trigger.reference)
            .is_some_and(|binding| binding.topic == source.topic && binding.start == source.start.to_text());
        if !stands {
            let (trigger, topic) = (trigger.reference.clone(), source.topic.clone());
            needed.push(NeededBinding { trigger, topic, start: source.start });
        }
    }
    needed
}

/// The records that put a revision into force, with tombstones for whatever no kept revision uses.
/// Applying an older revision again is the same call. The state must be the whole log, and nobody else may
/// publish until these are written: see `Bus::sole_writer`.
///
/// # Errors
/// [`PublishError`].
pub fn publish(state: &CatalogState, revision: &Revision, how: &Application<'_>) -> Result<Publication, PublishError> {
    if state.head().is_some_and(|head| head.revision == revision.hash()) {
        return Ok(Publication::default());
    }
    let (bytes, bytes_max) = (bytes_of(revision), how.retention.bytes_max);
    if bytes > bytes_max {
        return Err(PublishError::TooLarge { bytes, bytes_max });
    }
    let packs = revision.pack_versions();
    // Each revision is in force after the one before, whatever clock it is applied by: gates compare these instants, and
    // would wait for one that was in force at none.
    let applied_at_ms = state.head().map_or(how.now_ms, |head| how.now_ms.max(head.applied_at_ms.saturating_add(1)));
    let Kept { history, removed_early } = how.retention.keep(state, revision, applied_at_ms);
    let (history, history_until_ms) = history.into_iter().unzip();
    let head = CatalogHead {
        revision: revision.hash().to_owned(),
        history,
        history_until_ms,
        applied_at_ms,
        applied_by: how.applied_by.to_owned(),
    };
    // A reader of the log has all that a head needs when it meets the head, and all that the earlier one
    // needs until then.
    let mut catalog = new_content(state, revision, &packs, how.now_ms);
    catalog.extend(new_bindings(state, revision.compiled(), how)?);
    catalog.push((HEAD_KEY.to_owned(), Some(encode(&head))));
    catalog.extend(tombstones(state, revision, &head.history));
    let audit = RevisionApplied {
        revision: revision.hash().to_owned(),
        packs,
        applied_at_ms,
        applied_by: how.applied_by.to_owned(),
    };
    let (old, has_unknown_timers) = timers_in_force(state);
    let timers = timers_of(&old, revision, how.now_ms);
    Ok(Publication { catalog, timers, has_unknown_timers, audit: Some(audit), removed_early })
}

/// Blobs and the revision, as far as the log does not have them.
fn new_content(state: &CatalogState, revision: &Revision, packs: &[String], now_ms: i64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for pack in revision.content().packs().iter().filter(|pack| !state.blobs().contains_key(&**pack.hash())) {
        entries.push((blob_key(pack.hash()), Some(encode(pack.blob()))));
    }
    if !state.revisions().contains_key(revision.hash()) {
        let record = CatalogRevision {
            revision: revision.hash().to_owned(),
            blobs: revision.content().packs().iter().map(|pack| pack.hash().to_string()).collect(),
            packs: packs.to_vec(),
            created_at_ms: now_ms,
        };
        entries.push((revision_key(revision.hash()), Some(encode(&record))));
    }
    entries
}

/// Bindings that are new or changed.
fn new_bindings(
    state: &CatalogState,
    revision: &CompiledRevision,
    how: &Application<'_>,
) -> Result<Vec<Entry>, PublishError> {
    let mut entries = Vec::new();
    for needed in needed_bindings(state, revision) {
        let Some(offsets) = how.offsets.get(&needed.trigger) else {
            return Err(PublishError::OffsetsMissing { trigger: needed.trigger });
        };
        let key = binding_key(&needed.trigger);
        let binding = TriggerBinding {
            trigger: needed.trigger,
            topic: needed.topic,
            start: needed.start.to_text(),
            offsets: offsets.clone(),
            bound_at_ms: how.now_ms,
        };
        entries.push((key, Some(encode(&binding))));
    }
    Ok(entries)
}

/// Tombstones for bindings of triggers that are bound no more, for revisions that are not kept, and for
/// blobs that no kept revision uses.
fn tombstones(state: &CatalogState, revision: &Revision, history: &[String]) -> Vec<Entry> {
    let kept = |hash: &str| hash == revision.hash() || history.iter().any(|h| h == hash);
    let mut used: BTreeSet<&str> = revision.content().packs().iter().map(|pack| &**pack.hash()).collect();
    let bound: BTreeSet<&str> =
        revision.compiled().all_triggers().bound().map(|(trigger, _)| trigger.reference.as_str()).collect();
    let unbound = state.bindings().keys().filter(|trigger| !bound.contains(trigger.as_str()));
    let mut entries: Vec<Entry> = unbound.map(|trigger| (binding_key(trigger), None)).collect();
    for (hash, record) in state.revisions() {
        if kept(hash) {
            used.extend(record.blobs.iter().map(String::as_str));
        } else {
            entries.push((revision_key(hash), None));
        }
    }
    let unused = state.blobs().keys().filter(|hash| !used.contains(hash.as_str()));
    entries.extend(unused.map(|hash| (blob_key(hash), None)));
    entries
}

/// Timers that are new or changed, and tombstones for those that are gone. One that did not change
/// keeps its record, and with it the instants at which it fires.
fn timers_of(old: &BTreeMap<String, (i64, CatchUp)>, revision: &Revision, now_ms: i64) -> Vec<Entry> {
    let new = revision.compiled().all_triggers().timers();
    let mut entries = Vec::new();
    for (timer, (every_ms, catch_up)) in &new {
        if old.get(timer) == Some(&(*every_ms, *catch_up)) {
            continue;
        }
        let definition = TimerDefinition {
            timer: timer.clone(),
            every_ms: *every_ms,
            catch_up: catch_up.as_str().to_owned(),
            // Whole multiples of the interval since the epoch: "every minute" is on the minute, and
            // applying twice does not shift it.
            anchor_ms: now_ms - now_ms.rem_euclid(*every_ms),
            revision: revision.hash().to_owned(),
        };
        entries.push((timer.clone(), Some(encode(&definition))));
    }
    entries.extend(old.keys().filter(|timer| !new.contains_key(*timer)).map(|timer| (timer.clone(), None)));
    entries
}

/// Timers of the revision in force, and whether there may be more. Its trigger files are read even if this release
/// cannot compile its rules.
fn timers_in_force(state: &CatalogState) -> (BTreeMap<String, (i64, CatchUp)>, bool) {
    match state.head_content() {
        Ok(Some(content)) => {
            let triggers = Triggers::read(&content);
            (triggers.timers(), triggers.why_incomplete().is_some())
        }
        Ok(None) => (BTreeMap::new(), false),
        Err(_) => (BTreeMap::new(), true),
    }
}

#[cfg(test)]
mod races;
#[cfg(test)]
mod tests;
