//! The runner `noop`: it does nothing, and succeeds at once. Its result are its parameters, so that what asks
//! for it can be tested without doing harm, and so that what executions cost can be measured without processes.

use serde_json::{Value, json};

use super::Rendering;
use crate::outcome::Outcome;

pub(super) const NAME: &str = "noop";
pub(super) const KEYS: &[&str] = &[];

/// There is nothing to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoopSpec;

/// What it results in.
#[derive(Debug, Clone, PartialEq)]
pub struct NoopCall {
    /// The completed parameters.
    pub parameters: Value,
}

impl NoopSpec {
    pub(super) fn render(self, rendering: Rendering<'_>) -> NoopCall {
        NoopCall { parameters: rendering.parameters.clone() }
    }
}

impl NoopCall {
    /// It succeeds.
    pub fn outcome(self) -> Outcome {
        Outcome::succeeded(json!({ "parameters": self.parameters }))
    }
}
