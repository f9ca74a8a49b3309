//! The triggers of a revision: all that admission, sensors and timers need of it. No rule and no action is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_schemas::ENDS_TRIGGER;

use crate::content::{Content, tell};
use crate::engine::KeyExpression;
use crate::model::TriggerDef;
use crate::pack::{self, CatchUp, KafkaSource, TriggerDraft, TriggerSource, compile_schema};
use crate::problems::{Code, Problems};

/// The triggers of a revision, their schemas and keys compiled.
#[derive(Debug, Default)]
pub struct Triggers {
    revision: String,
    by_reference: BTreeMap<String, TriggerDef>,
    incomplete: Option<String>,
}

impl Triggers {
    pub(crate) fn new(revision: String, by_reference: BTreeMap<String, TriggerDef>) -> Self {
        Self { revision, by_reference, incomplete: None }
    }

    /// None are known, for this reason.
    pub fn unknown(why: String) -> Self {
        Self { incomplete: Some(why), ..Self::default() }
    }

    /// Reads those of stored packs. What this release cannot read is left out, and
    /// [`Self::why_incomplete`] tells of it.
    pub fn read(content: &Content) -> Self {
        let mut problems = Problems::new();
        let mut by_reference = BTreeMap::new();
        for pack in content.packs() {
            let files = match pack.files() {
                Ok(files) => files,
                Err(error) => {
                    tell(&error, pack, &mut problems);
                    continue;
                }
            };
            for draft in pack::read_triggers(pack.name(), files, &mut problems) {
                let trigger = compile_trigger(pack.name(), draft, &mut problems);
                by_reference.insert(trigger.reference.clone(), trigger);
            }
        }
        let incomplete = (!problems.is_empty()).then(|| problems.to_string());
        Self { revision: content.hash().to_owned(), by_reference, incomplete }
    }

    /// Hash of the revision that they are of.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Why there may be more of them than are known, if so: this release cannot read them all.
    pub fn why_incomplete(&self) -> Option<&str> {
        self.incomplete.as_deref()
    }

    /// A trigger by its reference.
    pub fn get(&self, reference: &str) -> Option<&TriggerDef> {
        self.by_reference.get(reference)
    }

    /// All of them, by reference.
    pub fn iter(&self) -> impl Iterator<Item = &TriggerDef> {
        self.by_reference.values()
    }

    pub(crate) fn by_reference(&self) -> &BTreeMap<String, TriggerDef> {
        &self.by_reference
    }

    /// Interval triggers: milliseconds and catch-up, by reference.
    pub fn timers(&self) -> BTreeMap<String, (i64, CatchUp)> {
        let timer = |trigger: &TriggerDef| match trigger.source {
            TriggerSource::Interval { every_ms, catch_up } => Some((trigger.reference.clone(), (every_ms, catch_up))),
            _ => None,
        };
        self.iter().filter_map(timer).collect()
    }

    /// Triggers of built-in sensors: the trigger, the sensor's name and milliseconds between samples.
    pub fn sensors(&self) -> impl Iterator<Item = (&TriggerDef, &str, i64)> {
        self.iter().filter_map(|trigger| match &trigger.source {
            TriggerSource::Sensor { sensor, every_ms } => Some((trigger, sensor.as_str(), *every_ms)),
            _ => None,
        })
    }

    /// Triggers that are bound to a topic.
    pub fn bound(&self) -> impl Iterator<Item = (&TriggerDef, &KafkaSource)> {
        self.iter().filter_map(|trigger| match &trigger.source {
            TriggerSource::Kafka(source) => Some((trigger, source)),
            _ => None,
        })
    }
}

pub(crate) fn compile_trigger(pack: &str, draft: TriggerDraft, problems: &mut Problems) -> TriggerDef {
    let reference = format!("{pack}.{}", draft.name.value);
    if (draft.source == TriggerSource::Executions) != (reference == ENDS_TRIGGER) {
        let message = format!("the trigger {ENDS_TRIGGER}, and no other, has the source \"executions\"");
        problems.add(&draft.name.place, Code::BadValue, message);
    }
    let key_expression = draft.key.as_ref().and_then(|key| KeyExpression::compile(key, problems));
    // A schema of the pack compiled when its file was read; one of Petrel's own compiles in a test.
    let validator = draft.schema.as_ref().and_then(|schema| compile_schema(schema).ok()).map(Arc::new);
    TriggerDef {
        reference,
        description: draft.description,
        source: draft.source,
        schema: draft.schema,
        validate: draft.validate,
        key: draft.key.map(|key| key.value),
        key_expression,
        validator,
    }
}
