//! The runner `echo`: its result is its `message`, of whatever type that is. Rules, workflows and outputs are tried out
//! with it, and it puts values together for what comes after.

use petrel_cel::Template;
use serde_json::{Map, Value, json};

use super::keys::Keys;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::outcome::Outcome;

/// What it says, as a template.
#[derive(Debug)]
pub struct EchoSpec {
    message: Template,
}

/// What it says.
#[derive(Debug, Clone, PartialEq)]
pub struct EchoCall {
    /// Any value.
    pub message: Value,
}

impl Spec for EchoSpec {
    const NAME: &'static str = "echo";
    const KEYS: &'static [&'static str] = &["message"];
    type Call = EchoCall;

    fn parse(keys: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys);
        let message = keys.need("message").and_then(|message| keys.template_of(message, "/message"));
        message.map(|message| Self { message }).ok_or(keys.errors)
    }

    fn render(&self, rendering: Rendering<'_>) -> Result<EchoCall, RenderError> {
        let message = self.message.render(&rendering.scope()).map_err(|e| RenderError(format!("the message: {e}")))?;
        Ok(EchoCall { message })
    }
}

impl Call for EchoCall {
    /// It succeeds.
    fn at_once(&self) -> Option<Outcome> {
        Some(Outcome::succeeded(json!({ "message": self.message })))
    }
}
