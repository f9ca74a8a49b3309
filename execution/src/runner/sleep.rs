//! The runner `sleep`: it waits, and succeeds. A cancel, its time-out and its lease end it at once.

use petrel_cel::Template;
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::duration::parse_ms;
use super::keys::{Keys, Mistake};
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

/// For how long, as a template.
#[derive(Debug)]
pub struct SleepSpec {
    duration: Template,
    secrets: Vec<(String, SecretRef)>,
}

/// For how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SleepCall {
    /// In milliseconds.
    pub duration_ms: u64,
}

impl Spec for SleepSpec {
    const NAME: &'static str = "sleep";
    const KEYS: &'static [&'static str] = &["duration"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let Some(duration) = keys.need("duration") else { return Err(keys.errors) };
        if let Value::String(text) = duration
            && !text.contains("${")
            && let Err(message) = parse_ms(text)
        {
            keys.error("/duration", Mistake::BadValue, message);
        }
        let duration = keys.text_template(duration, "/duration", "duration");
        let Keys { errors, secrets, .. } = keys;
        match duration {
            Some(duration) if errors.is_empty() => Ok(Self { duration, secrets }),
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

impl Works for SleepSpec {
    type Call = SleepCall;

    fn render(&self, rendering: Rendering<'_>) -> Result<SleepCall, RenderError> {
        let wrong = |why: String| RenderError(format!("the duration: {why}"));
        let duration = self.duration.render_text(&rendering.scope()).map_err(|e| wrong(e.to_string()))?;
        Ok(SleepCall { duration_ms: parse_ms(&duration).map_err(wrong)? })
    }
}

impl Call for SleepCall {}
