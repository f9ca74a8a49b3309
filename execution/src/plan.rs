//! What a decision needs to know of the catalog.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use petrel_schemas::{Class, ExecutionId};
use serde_json::Value;

use crate::delivery::Delivery;
use crate::gate::GateId;
use crate::needs::Needs;
use crate::retry::Retry;
use crate::runner::RunnerSpec;
use crate::switch::SwitchedOff;
use crate::windows::Windows;

/// Labels of a pool, or those that are required of one: names and values.
pub type Labels = BTreeMap<String, String>;

/// The first pool that has all the labels that are required.
pub fn pool_with<'p>(
    mut pools: impl Iterator<Item = (&'p str, Option<&'p Labels>)>,
    requires: &Labels,
) -> Option<&'p str> {
    let label = |labels: Option<&'p Labels>, name: &String| labels.and_then(|labels| labels.get(name));
    let has_all = |labels: Option<&'p Labels>| requires.iter().all(|(name, value)| label(labels, name) == Some(value));
    pools.find(|(_, labels)| has_all(*labels)).map(|(pool, _)| pool)
}

/// Labels as people write them.
pub fn labels_text(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
}

/// Checks the parameters of a call against the action's schema.
pub trait CompleteParameters: Debug + Send + Sync {
    /// The parameters with defaults filled in, a JSON object.
    ///
    /// # Errors
    /// Every reason why they do not fit.
    fn complete(&self, given: &Value) -> Result<Value, ParameterError>;

    /// Names of the parameters that hold secrets. Once they are complete, each holds the text of a
    /// [`petrel_schemas::SecretRef`], if anything.
    fn secrets(&self) -> &[String] {
        &[]
    }

    /// The value of such a parameter, made of a secret's text.
    ///
    /// # Errors
    /// Why it does not fit, without the value.
    fn secret_value(&self, name: &str, text: &str) -> Result<Value, ParameterError> {
        let _ = name;
        Ok(Value::String(text.to_owned()))
    }

    /// The text that such a parameter's value is sealed as.
    ///
    /// # Errors
    /// Why it does not fit, without the value.
    fn secret_text(&self, name: &str, value: &Value) -> Result<String, ParameterError> {
        let _ = name;
        Ok(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// Names the gates of a call.
pub trait NameGates: Debug + Send + Sync {
    /// The gates that an execution has to pass with these parameters, defaults filled in; by the rule
    /// that asked for it, too, if one did.
    ///
    /// # Errors
    /// Why a policy's key has no value, for people.
    fn gates(&self, execution: &ExecutionId, rule: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String>;

    /// What they leave to its owner, by the rule that asked for it, too, if one did.
    fn own_terms(&self, rule: Option<&str>) -> OwnTerms {
        let _ = rule;
        OwnTerms::default()
    }
}

/// What the policies of an execution say that its owner decides by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnTerms {
    /// What is tried again, where its action does not say.
    pub retry: Option<Retry>,
    /// How long after its request it ends whatever it does, in milliseconds.
    pub deadline_ms: Option<i64>,
    /// When its attempts may begin; all of them hold.
    pub windows: Vec<Windows>,
}

/// Why parameters do not fit an action: one or more reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {}", reasons.join("; "))]
pub struct ParameterError {
    /// Reference of the action.
    pub action: String,
    /// Each a sentence for people.
    pub reasons: Vec<String>,
}

/// An action of a revision: all that owners and workers need of it.
#[derive(Debug, Clone)]
pub struct ActionPlan {
    /// Worker pool; of no meaning where labels are required.
    pub pool: String,
    /// Labels that its pool must have; where there are any, the first pool that has them all is meant.
    pub requires: Labels,
    /// What it takes of its worker while it runs, as far as it says.
    pub needs: Needs,
    /// Class of its executions, unless one is asked for.
    pub class: Class,
    /// How often it may run.
    pub delivery: Delivery,
    /// Longest run, in milliseconds.
    pub timeout_ms: i64,
    /// Captured output of each stream, in bytes.
    pub output_bytes_max: usize,
    /// Whether what ends badly is tried again.
    pub retry: Option<Retry>,
    /// The policies whose gates its executions have to pass.
    pub policies: Option<Arc<dyn NameGates>>,
    /// How it is carried out.
    pub runner: Arc<RunnerSpec>,
    /// Its parameters.
    pub parameters: Arc<dyn CompleteParameters>,
}

/// Answer to [`Actions::resolve`].
#[derive(Debug, Clone)]
pub enum Resolution {
    /// Here it is.
    Ready(Arc<ActionPlan>),
    /// This process has not got that revision yet, and it may come.
    NotYet,
    /// This process has read the catalog to its end: that revision was removed, or never there.
    Removed,
    /// That revision has no such action.
    NoSuchAction,
    /// This release cannot use the revision or the action, and the text says why. It was applied by a release
    /// that can: during an upgrade the process that takes this one's place may go on, so nothing is dropped.
    Broken(String),
}

/// The catalog and the switch that pauses dispatch, as one step sees them: the same question has the same
/// answer throughout.
pub trait Actions {
    /// Whether dispatch is paused for everybody.
    fn dispatch_paused(&self) -> bool;

    /// What the switch of a scope ([`crate::Switch::scope`]) says, if it is off at that time, in milliseconds since the
    /// epoch.
    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let _ = (scope, now_ms);
        None
    }

    /// Whether any switch may be off.
    fn has_switches(&self) -> bool {
        false
    }

    /// An action in a revision.
    fn resolve(&self, revision: &str, action: &str) -> Resolution;

    /// Whether rules of the revision in force react to how executions end.
    fn tells_ends(&self) -> bool {
        false
    }
}
