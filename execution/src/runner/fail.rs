//! The runner `fail`: it fails at once, and says what its action says. What reacts to failures is tried out with it.

use petrel_cel::Template;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::code;
use crate::outcome::Outcome;
use crate::status::Status;
use crate::subject::Note;

/// What is told where the action says nothing.
const MESSAGE: &str = "failed, as its action says";

/// What it says, as a template.
#[derive(Debug)]
pub struct FailSpec {
    message: Option<Template>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailCall {
    /// For people.
    pub message: String,
}

impl Spec for FailSpec {
    const NAME: &'static str = "fail";
    const KEYS: &'static [&'static str] = &["message"];
    type Call = FailCall;

    fn parse(keys: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys);
        let message = keys.get("message").and_then(|message| keys.text_template(message, "/message", "message"));
        if keys.errors.is_empty() { Ok(Self { message }) } else { Err(keys.errors) }
    }

    fn render(&self, rendering: Rendering<'_>) -> Result<FailCall, RenderError> {
        let Some(message) = &self.message else { return Ok(FailCall { message: MESSAGE.to_owned() }) };
        let message = message.render_text(&rendering.scope()).map_err(|e| RenderError(format!("the message: {e}")))?;
        Ok(FailCall { message })
    }
}

impl Call for FailCall {
    /// It fails, and the same action would fail again.
    fn at_once(&self) -> Option<Outcome> {
        Some(Outcome::bare(Status::Failed, Note::new(code::TOLD_TO_FAIL, self.message.clone()), false))
    }
}
