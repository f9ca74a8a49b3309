//! Where bound topics begin: what an apply must ask the bus before it publishes a revision.
//!
//! The catalog says which bindings are new ([`petrel_catalog::needed_bindings`]: a binding whose topic
//! and start did not change stands) and writes their records; here their offsets are found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petrel_bus::{Bus, BusError, TopicSpec};
use petrel_catalog::{NeededBinding, Start};
use petrel_schemas::Topics;

/// What to do about a bound topic that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingTopic {
    /// Refuse the binding. Petrel never creates a user topic on Kafka.
    Refuse,
    /// Create it: on the `local` bus nobody else would.
    Create {
        /// Number of partitions.
        partitions: u32,
        /// How long records stay, in milliseconds; none for ever.
        retention_ms: Option<i64>,
    },
}

/// Why bound triggers cannot be activated; nothing was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// The topic is one of Petrel's own.
    #[error("trigger {trigger} is bound to {topic}, which is one of Petrel's own topics")]
    OwnTopic {
        /// Reference of the trigger.
        trigger: String,
        /// The topic.
        topic: String,
    },
    /// The topic does not exist.
    #[error("trigger {trigger} is bound to the topic {topic}, which does not exist: create it first")]
    NoSuchTopic {
        /// Reference of the trigger.
        trigger: String,
        /// The topic.
        topic: String,
    },
    /// A topic to which a pack writes is one of Petrel's own.
    #[error("pack {pack} produces to {topic}, which is one of Petrel's own topics")]
    OwnProduced {
        /// Name of the pack.
        pack: String,
        /// The topic.
        topic: String,
    },
    /// A topic to which a pack writes does not exist.
    #[error("pack {pack} produces to the topic {topic}, which does not exist: create it first")]
    NoSuchProduced {
        /// Name of the pack.
        pack: String,
        /// The topic.
        topic: String,
    },
    /// The bus could not answer.
    #[error("the offsets of the topic {topic} cannot be found")]
    Bus {
        /// The topic.
        topic: String,
        /// What the bus said.
        source: BusError,
    },
}

impl BindingError {
    /// Stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OwnTopic { .. } => "binding_own_topic",
            Self::NoSuchTopic { .. } => "binding_topic_missing",
            Self::OwnProduced { .. } => "produced_own_topic",
            Self::NoSuchProduced { .. } => "produced_topic_missing",
            Self::Bus { .. } => "binding_bus_failed",
        }
    }

    /// Whether trying again may help without anybody acting.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Bus { source: BusError::Unavailable(_), .. })
    }
}

/// Offsets to ask for once, for all triggers that want the same.
type Question = (String, Asked);

/// Which offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Beginning,
    End,
    At(i64),
}

impl Asked {
    fn of(start: Start) -> Self {
        match start {
            Start::Earliest => Self::Beginning,
            Start::Activation | Start::Latest => Self::End,
            Start::At(time_ms) => Self::At(time_ms),
        }
    }
}

/// What to ask the bus, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Plan {
    /// Topics with one of the triggers that need them.
    topics: BTreeMap<String, String>,
    questions: BTreeMap<Question, Vec<String>>,
}

fn plan(needed: &[NeededBinding], own: &Topics) -> Result<Plan, Vec<BindingError>> {
    let mut plan = Plan { topics: BTreeMap::new(), questions: BTreeMap::new() };
    let mut errors = Vec::new();
    for NeededBinding { trigger, topic, start } in needed {
        if own.is_own(topic) {
            errors.push(BindingError::OwnTopic { trigger: trigger.clone(), topic: topic.clone() });
            continue;
        }
        plan.topics.entry(topic.clone()).or_insert_with(|| trigger.clone());
        plan.questions.entry((topic.clone(), Asked::of(*start))).or_default().push(trigger.clone());
    }
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

/// Finds the start offsets of bindings: by reference of the trigger, the first offset of each partition.
/// Blocks on the bus.
///
/// # Errors
/// Everything that is wrong, not only the first; where the bus cannot be reached, that alone.
pub fn start_offsets(
    needed: &[NeededBinding],
    bus: &dyn Bus,
    own: &Topics,
    missing: &MissingTopic,
) -> Result<BTreeMap<String, Vec<i64>>, Vec<BindingError>> {
    let plan = plan(needed, own)?;
    ensure_topics(&plan, bus, missing)?;
    let mut offsets = BTreeMap::new();
    for ((topic, asked), triggers) in &plan.questions {
        let found = match asked {
            Asked::Beginning => bus.beginning_offsets(topic),
            Asked::End => bus.end_offsets(topic),
            Asked::At(time_ms) => bus.offsets_at(topic, *time_ms),
        };
        let found = found.map_err(|source| vec![BindingError::Bus { topic: topic.clone(), source }])?;
        offsets.extend(triggers.iter().map(|trigger| (trigger.clone(), found.clone())));
    }
    Ok(offsets)
}

/// Sees to it that the topics exist to which packs write: by topic, one of the packs that do. Blocks on the bus.
///
/// # Errors
/// Everything that is wrong, not only the first; where the bus cannot be reached, that alone.
pub fn ensure_produced(
    produced: &BTreeMap<String, String>,
    bus: &dyn Bus,
    own: &Topics,
    missing: &MissingTopic,
) -> Result<(), Vec<BindingError>> {
    let mut errors = Vec::new();
    let mut absent = BTreeSet::new();
    for (topic, pack) in produced {
        if own.is_own(topic) {
            errors.push(BindingError::OwnProduced { pack: pack.clone(), topic: topic.clone() });
        } else if !exists(topic, bus)? {
            if *missing == MissingTopic::Refuse {
                errors.push(BindingError::NoSuchProduced { pack: pack.clone(), topic: topic.clone() });
            }
            absent.insert(topic);
        }
    }
    if errors.is_empty() { create(&absent, bus, missing) } else { Err(errors) }
}

fn exists(topic: &str, bus: &dyn Bus) -> Result<bool, Vec<BindingError>> {
    let failed = |source| vec![BindingError::Bus { topic: topic.to_owned(), source }];
    Ok(bus.partitions(topic).map_err(failed)?.is_some())
}

fn ensure_topics(plan: &Plan, bus: &dyn Bus, missing: &MissingTopic) -> Result<(), Vec<BindingError>> {
    let mut absent = BTreeSet::new();
    for topic in plan.topics.keys() {
        if !exists(topic, bus)? {
            absent.insert(topic);
        }
    }
    if *missing == MissingTopic::Refuse && !absent.is_empty() {
        let error = |topic: &&String| BindingError::NoSuchTopic {
            trigger: plan.topics[*topic].clone(),
            topic: (*topic).clone(),
        };
        return Err(absent.iter().map(error).collect());
    }
    create(&absent, bus, missing)
}

/// Creates what is absent where nobody else would.
fn create(absent: &BTreeSet<&String>, bus: &dyn Bus, missing: &MissingTopic) -> Result<(), Vec<BindingError>> {
    let MissingTopic::Create { partitions, retention_ms } = *missing else { return Ok(()) };
    for topic in absent {
        let name: Arc<str> = topic.as_str().into();
        let spec = TopicSpec { name, partitions, compacted: false, retention_ms, delete_retention_ms: None };
        let created = bus.ensure_topics(std::slice::from_ref(&spec));
        created.map_err(|source| vec![BindingError::Bus { topic: (*topic).clone(), source }])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
