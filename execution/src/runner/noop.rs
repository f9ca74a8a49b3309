//! The runner `noop`: it does nothing, and succeeds at once. Its result are its parameters, so that what asks
//! for it can be tested without doing harm, and so that what executions cost can be measured without processes.

use petrel_schemas::SecretRef;
use serde_json::{Map, Value, json};

use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;

/// There is nothing to say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoopSpec;

impl Spec for NoopSpec {
    const NAME: &'static str = "noop";
    const KEYS: &'static [&'static str] = &[];

    fn parse(_: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        Ok(Self)
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &[]
    }
}

impl Ends for NoopSpec {
    const IN_CLAIM: bool = true;

    /// It succeeds.
    fn end(&self, rendering: Rendering<'_>) -> Result<Outcome, RenderError> {
        Ok(Outcome::succeeded(json!({ "parameters": rendering.parameters })))
    }
}
