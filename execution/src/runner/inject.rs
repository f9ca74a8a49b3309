//! The runner `inject_trigger`: an event of a trigger. Its owner emits it in the transaction that ends the execution, with
//! an id that follows from the execution's: once, however many attempts there were.

use petrel_cel::Template;
use serde_json::{Map, Value, json};

use super::keys::{Keys, Mistake, kind};
use super::{Ends, PackFiles, RenderError, Rendering, Spec, SpecError};
use crate::inject::{Injected, check_trigger};
use crate::limits::EVENT_BYTES_MAX;
use crate::outcome::Outcome;

/// The event, as templates.
#[derive(Debug)]
pub struct InjectSpec {
    trigger: Template,
    /// The trigger, where it is the same for every execution.
    constant: Option<String>,
    payload: Option<Template>,
}

impl InjectSpec {
    /// The trigger, where the action names it without an expression.
    pub fn trigger(&self) -> Option<&str> {
        self.constant.as_deref()
    }
}

impl Spec for InjectSpec {
    const NAME: &'static str = "inject_trigger";
    const KEYS: &'static [&'static str] = &["trigger", "payload"];

    fn parse(keys: &Map<String, Value>, _: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys);
        let written = keys.need("trigger");
        let constant = written.and_then(Value::as_str).filter(|text| !text.contains("${")).map(str::to_owned);
        if let Some(Err(message)) = constant.as_deref().map(check_trigger) {
            keys.error("/trigger", Mistake::BadValue, message);
        }
        let trigger = written.and_then(|trigger| keys.text_template(trigger, "/trigger", "trigger"));
        let payload = keys.get("payload");
        match payload {
            None | Some(Value::Object(_)) => {}
            Some(Value::String(text)) if text.contains("${") => {}
            Some(other) => {
                let message =
                    format!("\"payload\" must be a mapping, or an expression that gives one, found {}", kind(other));
                keys.error("/payload", Mistake::WrongType, message);
            }
        }
        let payload = payload.and_then(|payload| keys.template_of(payload, "/payload"));
        match trigger {
            Some(trigger) if keys.errors.is_empty() => Ok(Self { trigger, constant, payload }),
            _ => Err(keys.errors),
        }
    }
}

impl Ends for InjectSpec {
    /// It succeeds, and its result names the event's trigger and number.
    fn end(&self, rendering: Rendering<'_>) -> Result<Outcome, RenderError> {
        let scope = rendering.scope();
        let trigger = self.trigger.render_text(&scope).map_err(|e| RenderError(format!("the trigger: {e}")))?;
        check_trigger(&trigger).map_err(RenderError)?;
        let payload = match &self.payload {
            Some(payload) => payload.render(&scope).map_err(|e| RenderError(format!("the payload: {e}")))?,
            None => Value::Null,
        };
        let payload = match payload {
            Value::Object(_) => payload.to_string(),
            Value::Null => "{}".to_owned(),
            other => return Err(RenderError(format!("the payload must be a mapping, found {}", kind(&other)))),
        };
        if payload.len() > EVENT_BYTES_MAX {
            let bytes = payload.len();
            return Err(RenderError(format!("a payload of {bytes} bytes is over the limit of {EVENT_BYTES_MAX}")));
        }
        let event_id = rendering.event_id(0).map_err(|e| RenderError(e.to_string()))?;
        let result = json!({ "trigger": trigger, "event_id": event_id });
        Ok(Outcome { events: vec![Injected { trigger, payload }], ..Outcome::succeeded(result) })
    }
}
