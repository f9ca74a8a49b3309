//! The runner `echo`: its result is `{"message": …}`, of whatever type that is. Rules, workflows and outputs are tried out
//! with it, and it puts values together for what comes after.

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value, json};

use super::keys::Keys;
use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;

/// What it says, as a template.
#[derive(Debug)]
pub struct EchoSpec {
    message: Template,
    secrets: Vec<(String, SecretRef)>,
}

impl Spec for EchoSpec {
    const NAME: &'static str = "echo";
    const KEYS: &'static [&'static str] = &["message"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let message = keys.need("message").and_then(|message| keys.template_of(message, "/message"));
        let Keys { errors, secrets, .. } = keys;
        message.map(|message| Self { message, secrets }).ok_or(errors)
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

impl Ends for EchoSpec {
    /// It succeeds.
    fn end(&self, rendering: Rendering<'_>) -> Result<Outcome, RenderError> {
        let message = self.message.render(&rendering.scope()).map_err(|e| RenderError(format!("the message: {e}")))?;
        Ok(Outcome::succeeded(json!({ "message": message })))
    }
}
