//! What a decision needs to know of the catalog.

use std::fmt::Debug;
use std::sync::Arc;

use petrel_schemas::ExecutionId;
use serde_json::Value;

use crate::delivery::Delivery;
use crate::gate::{Class, GateId};
use crate::retry::Retry;
use crate::runner::RunnerSpec;

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
    /// Its class, and the gates that an execution has to pass with these parameters, defaults filled in; by the rule
    /// that asked for it, too, if one did.
    ///
    /// # Errors
    /// Why a policy's key has no value, for people.
    fn gates(
        &self,
        execution: &ExecutionId,
        rule: Option<&str>,
        parameters: &Value,
    ) -> Result<(Class, Vec<GateId>), String>;
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
    /// Worker pool.
    pub pool: String,
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

    /// An action in a revision.
    fn resolve(&self, revision: &str, action: &str) -> Resolution;

    /// Whether rules of the revision in force react to how executions end.
    fn tells_ends(&self) -> bool {
        false
    }
}
