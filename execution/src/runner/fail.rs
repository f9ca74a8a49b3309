//! The runner `fail`: it fails at once, and says what its action says. What reacts to failures is tried out with it.

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
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
    secrets: Vec<(String, SecretRef)>,
}

impl Spec for FailSpec {
    const NAME: &'static str = "fail";
    const KEYS: &'static [&'static str] = &["message"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let message = keys.get("message").and_then(|message| keys.text_template(message, "/message", "message"));
        let Keys { errors, secrets, .. } = keys;
        if errors.is_empty() { Ok(Self { message, secrets }) } else { Err(errors) }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

impl Ends for FailSpec {
    /// It fails, and the same action would fail again.
    fn end(&self, rendering: Rendering<'_>) -> Result<Outcome, RenderError> {
        let said = self.message.as_ref().map(|message| message.render_text(&rendering.scope())).transpose();
        let message = said.map_err(|e| RenderError(format!("the message: {e}")))?;
        let note = Note::new(code::TOLD_TO_FAIL, message.unwrap_or_else(|| MESSAGE.to_owned()));
        Ok(Outcome::bare(Status::Failed, note, false))
    }
}
