//! The runner `noop`: it does nothing, and succeeds at once. Its result are its parameters, so that what asks
//! for it can be tested without doing harm, and so that what executions cost can be measured without processes.

use serde_json::{Map, Value, json};

use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;

/// There is nothing to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoopSpec;

/// What it results in.
#[derive(Debug, Clone, PartialEq)]
pub struct NoopCall {
    /// The completed parameters.
    pub parameters: Value,
}

impl Spec for NoopSpec {
    const NAME: &'static str = "noop";
    const KEYS: &'static [&'static str] = &[];
    const IS_INSTANT: bool = true;
    type Call = NoopCall;

    fn parse(_: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        Ok(Self)
    }

    fn render(&self, rendering: Rendering<'_>) -> Result<NoopCall, RenderError> {
        Ok(NoopCall { parameters: rendering.parameters.clone() })
    }
}

impl Call for NoopCall {
    /// It succeeds.
    fn at_once(&self) -> Option<Outcome> {
        Some(Outcome::succeeded(json!({ "parameters": self.parameters })))
    }
}
