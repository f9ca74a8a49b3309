//! Events that executions cause: what an action injects, and that an execution has ended.
//!
//! Both are emitted by the owner, in the transaction that ends the execution: once, whatever became of its attempts. An
//! event carries how many executions stand in the chain that caused it, so that rules that cause each other come to an end
//! ([`cause_depth_max`](petrel_schemas::cause_depth_max)).

use petrel_schemas::{ENDS_TRIGGER, EventId, TriggerEvent, end_cause_depth};
use serde_json::{Map, Value, json};

use crate::execution::Execution;
use crate::subject::Subject;

/// `source` of the events that executions have ended.
const SOURCE_ENDS: &str = "executions";

/// An event that an attempt injects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injected {
    /// Reference of the trigger, `pack.name`.
    pub trigger: String,
    /// The payload, the text of a JSON object.
    pub payload: String,
}

impl Injected {
    /// As a result carries it.
    pub fn encode(&self) -> String {
        json!({ "trigger": self.trigger, "payload": self.payload }).to_string()
    }

    /// Reads it back.
    ///
    /// # Errors
    /// One sentence: it is none, or one that no action may inject.
    pub fn decode(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|e| format!("an injected event is no JSON: {e}"))?;
        let part = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (Some(trigger), Some(payload)) = (part("trigger"), part("payload")) else {
            return Err("an injected event has a trigger and a payload, both texts".to_owned());
        };
        check_trigger(&trigger)?;
        match serde_json::from_str::<Map<String, Value>>(&payload) {
            Ok(_) => Ok(Self { trigger, payload }),
            Err(e) => Err(format!("the payload of an injected event is no JSON object: {e}")),
        }
    }

    /// The event of that number, from 0, of an execution.
    pub(crate) fn event(self, subject: &Subject, number: u32, now_ms: i64) -> TriggerEvent {
        TriggerEvent {
            event_id: EventId::of_injected(&subject.id, number).into(),
            trigger: self.trigger,
            occurred_at_ms: now_ms,
            payload: self.payload,
            source: format!("action/{}", subject.action),
            cause_depth: subject.cause_depth.saturating_add(1),
        }
    }
}

/// Whether an action may inject events of that trigger.
///
/// # Errors
/// One sentence.
pub(crate) fn check_trigger(trigger: &str) -> Result<(), String> {
    let is_name =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    match trigger.split_once('.') {
        _ if trigger == ENDS_TRIGGER => {
            Err(format!("no action injects events of {ENDS_TRIGGER}: they are the ends of executions"))
        }
        Some((pack, name)) if trigger.len() <= 255 && is_name(pack) && is_name(name) => Ok(()),
        _ => {
            let trigger = crate::limits::quoted(trigger);
            Err(format!("{trigger} is no reference of a trigger, such as \"disk.alert\""))
        }
    }
}

/// That an execution has ended; nothing while it has not. Whatever there is not is null.
pub(crate) fn ended(execution: &Execution) -> Option<TriggerEvent> {
    let end = execution.end()?;
    let (core, holder) = (execution.core(), execution.holder());
    let (subject, id) = (&core.subject, core.id());
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let payload = json!({
        "execution_id": id.as_str(),
        "root_execution_id": id.root().as_str(),
        "parent_execution_id": id.parent().map(String::from),
        "action": subject.action,
        "parameters": value(&core.parameters),
        "rule": subject.rule,
        "trigger": subject.trigger,
        "event_id": subject.event_id,
        "requested_by": subject.requested_by,
        "revision": subject.revision,
        "status": execution.status().as_str(),
        "code": core.note.code,
        "error": core.note.error,
        "return_code": end.return_code,
        "result": end.result.as_deref().map(value),
        "extracted": end.extracted.as_deref().map(value),
        "attempt": core.attempt.number,
        "worker": holder.map(|h| h.worker.as_str()),
        "cause_depth": subject.cause_depth,
        "requested_at_ms": subject.requested_at_ms,
        "started_at_ms": holder.and_then(|h| h.started_at_ms),
        "ended_at_ms": end.at_ms,
    });
    let event_id = match u32::try_from(core.attempt.number) {
        // Each run of a workflow is one attempt, and each of them ends.
        Ok(run) if core.rerun_at_ms.is_some() => EventId::of_further_end(id, run),
        _ => EventId::of_end(id),
    };
    Some(TriggerEvent {
        event_id: event_id.into(),
        trigger: ENDS_TRIGGER.to_owned(),
        occurred_at_ms: end.at_ms,
        payload: payload.to_string(),
        source: SOURCE_ENDS.to_owned(),
        cause_depth: subject.cause_depth.saturating_add(end_cause_depth()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injected_event_is_read_back_or_refused() {
        let event = Injected { trigger: "disk.alert".to_owned(), payload: "{\"host\":\"db-1\"}".to_owned() };
        assert_eq!(Injected::decode(&event.encode()), Ok(event));
        for (trigger, payload, why) in [
            (ENDS_TRIGGER, "{}", "no action injects"),
            ("disk", "{}", "no reference of a trigger"),
            ("a.b.c", "{}", "no reference of a trigger"),
            ("a.b", "[]", "no JSON object"),
            ("a.b", "", "no JSON object"),
        ] {
            let event = Injected { trigger: trigger.to_owned(), payload: payload.to_owned() };
            assert!(Injected::decode(&event.encode()).unwrap_err().contains(why), "{trigger} {payload}");
        }
        let secret = "Zq7kV".repeat(60);
        assert_eq!(
            check_trigger(&secret).unwrap_err(),
            "a text of 300 bytes is no reference of a trigger, such as \"disk.alert\""
        );
        assert!(Injected::decode("{}").is_err() && Injected::decode("x").is_err());
    }
}
