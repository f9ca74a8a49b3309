//! The runner `inject_trigger`: an event of a trigger. Its owner emits it in the transaction that ends the execution, with
//! an id that follows from the execution's: once, however many attempts there were.

use petrel_cel::Template;
use petrel_schemas::SecretRef;
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
    secrets: Vec<(String, SecretRef)>,
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

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
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
        let Keys { errors, secrets, .. } = keys;
        match trigger {
            Some(trigger) if errors.is_empty() => Ok(Self { trigger, constant, payload, secrets }),
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
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

#[cfg(test)]
mod tests {
    use petrel_schemas::{EventId, ExecutionId};

    use super::*;
    use crate::runner::RunnerSpec;

    struct NoFiles;

    impl PackFiles for NoFiles {
        fn executable(&self, _: &str) -> Option<bool> {
            None
        }

        fn hint(&self, _: &str) -> String {
            String::new()
        }
    }

    fn parse(keys: Value) -> Result<InjectSpec, Vec<String>> {
        let Value::Object(keys) = keys else { panic!("keys are a mapping") };
        InjectSpec::parse(&keys, &NoFiles).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    fn end(spec: &InjectSpec, parameters: &Value, attempt: u32) -> Result<Outcome, RenderError> {
        let execution = ExecutionId::of_manual("call-1");
        spec.end(Rendering { parameters, secrets: &Value::Null, execution_id: execution.as_str(), attempt })
    }

    #[test]
    fn an_event_is_the_same_in_every_attempt() {
        let keys = json!({"trigger": "disk.alert", "payload": {"host": "${parameters.host}", "n": "${parameters.n}"}});
        let spec = parse(keys).unwrap();
        assert_eq!(spec.trigger(), Some("disk.alert"));
        let parameters = json!({"host": "db \"1\"", "n": 3});
        let (first, second) = (end(&spec, &parameters, 1).unwrap(), end(&spec, &parameters, 2).unwrap());
        assert_eq!(first, second);
        let event = Injected { trigger: "disk.alert".to_owned(), payload: r#"{"host":"db \"1\"","n":3}"#.to_owned() };
        assert_eq!(first.events, [event]);
        let id = EventId::of_injected(&ExecutionId::of_manual("call-1"), 0);
        assert_eq!(first.result, Some(json!({"trigger": "disk.alert", "event_id": id.as_str()})));
    }

    #[test]
    fn a_trigger_and_a_payload_may_be_expressions() {
        let spec = parse(json!({"trigger": "${parameters.trigger}", "payload": "${parameters.payload}"})).unwrap();
        assert_eq!(spec.trigger(), None);
        let of = |trigger: &str, payload: Value| end(&spec, &json!({"trigger": trigger, "payload": payload}), 1);
        assert_eq!(of("a.b", json!({"x": [1]})).unwrap().events[0].payload, r#"{"x":[1]}"#);
        assert_eq!(of("a.b", Value::Null).unwrap().events[0].payload, "{}");
        for (trigger, payload, why) in [
            ("core.execution", json!({}), "no action injects events of core.execution"),
            ("x", json!({}), "\"x\" is no reference of a trigger"),
            ("a.b", json!([1]), "the payload must be a mapping, found a list"),
            ("a.b", json!({"x": "x".repeat(EVENT_BYTES_MAX)}), "over the limit of 262144"),
        ] {
            let error = of(trigger, payload).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(parse(json!({"trigger": "a.b"})).is_ok_and(|spec| end(&spec, &json!({}), 1).is_ok()));
    }

    #[test]
    fn every_mistake_is_told_where_it_is() {
        for (keys, expected) in [
            (json!({}), ": an action needs \"trigger\""),
            (
                json!({"trigger": 5}),
                "/trigger: \"trigger\" must be a string, found the number 5; write \"5\" in quotes",
            ),
            (
                json!({"trigger": "core.execution"}),
                "/trigger: no action injects events of core.execution: they are the ends of executions",
            ),
            (json!({"trigger": "disk"}), "/trigger: \"disk\" is no reference of a trigger, such as \"disk.alert\""),
            (
                json!({"trigger": "a.b", "payload": "x"}),
                "/payload: \"payload\" must be a mapping, or an expression that gives one, found a string",
            ),
        ] {
            assert_eq!(parse(keys).unwrap_err(), [expected]);
        }
        let errors = parse(json!({"trigger": "a.b", "payload": {"x": "${1 +}"}})).unwrap_err();
        assert!(errors[0].starts_with("/payload/x: "), "{errors:?}");
        assert_eq!(RunnerSpec::keys("inject_trigger"), Some(&["trigger", "payload"][..]));
    }
}
