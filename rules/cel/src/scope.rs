//! The values that a template sees.

use serde_json::{Value as Json, json};

use crate::arena::Arena;
use crate::compile::Names;
use crate::names;
use crate::owned::OwnedValue;
use crate::paths::{Paths, SlotId};
use crate::render::from_json;
use crate::slot::Slot;
use crate::time::Timestamp;
use crate::value::Value;

/// What an expression of a template sees.
#[derive(Debug)]
pub struct Scope<'s>(Kind<'s>);

#[derive(Debug)]
enum Kind<'s> {
    Rule { event: Value<'s>, now: Timestamp, kv: Value<'s> },
    Action { parameters: OwnedValue, execution: OwnedValue, secrets: OwnedValue },
    Result(OwnedValue),
    Attempt { result: OwnedValue, attempt: OwnedValue, extracted: OwnedValue },
}

/// Of what kind a scope is, and which one a template was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sees {
    /// An event.
    Rule,
    /// The parameters of an action.
    Action,
    /// The result of an action.
    Result,
    /// How an attempt ended.
    Attempt,
}

impl Sees {
    /// What expressions may name there.
    pub(crate) fn names(self) -> Names<'static> {
        match self {
            Self::Rule => names::RULE,
            Self::Action => names::ACTION,
            Self::Result => names::RESULT,
            Self::Attempt => names::ATTEMPT,
        }
    }
}

impl<'s> Scope<'s> {
    /// What rules' parameters see: `trigger`, `now` (milliseconds since the epoch, the record's timestamp)
    /// and `kv`, the key-value store as a map.
    pub fn rule(event: Value<'s>, now_ms: i64, kv: impl Into<Value<'s>>) -> Self {
        Self(Kind::Rule { event, now: instant(now_ms), kv: kv.into() })
    }

    /// What an action's command sees: `parameters`, `execution` with its `id` and `attempt`, and `secret`, of which
    /// `secrets` has those that its templates name ([`crate::Template::secrets`]): name by name, space by space.
    pub fn action(parameters: &Json, secrets: &Json, execution_id: &str, attempt: u32) -> Self {
        let execution = from_json(&json!({"id": execution_id, "attempt": attempt}));
        Self(Kind::Action { parameters: from_json(parameters), execution, secrets: from_json(secrets) })
    }

    /// What is taken of an action's result sees that, as `result`.
    pub fn result(result: &Json) -> Self {
        Self(Kind::Result(from_json(result)))
    }

    /// What says whether another attempt follows sees the `result` of this one, the `attempt` itself, and what was
    /// `extracted` of the result.
    pub fn attempt(result: &Json, attempt: &Json, extracted: &Json) -> Self {
        let [result, attempt, extracted] = [result, attempt, extracted].map(from_json);
        Self(Kind::Attempt { result, attempt, extracted })
    }

    /// Of what kind it is.
    pub(crate) fn sees(&self) -> Sees {
        match self.0 {
            Kind::Rule { .. } => Sees::Rule,
            Kind::Action { .. } => Sees::Action,
            Kind::Result(_) => Sees::Result,
            Kind::Attempt { .. } => Sees::Attempt,
        }
    }

    /// The variables, by number.
    pub(crate) fn vars(&self) -> [Value<'_>; 3] {
        match &self.0 {
            Kind::Rule { now, kv, .. } => [Value::Timestamp(*now), *kv, Value::Null],
            Kind::Action { parameters, execution, secrets } => [parameters.value(), execution.value(), secrets.value()],
            Kind::Result(result) => [result.value(), Value::Null, Value::Null],
            Kind::Attempt { result, attempt, extracted } => [result.value(), attempt.value(), extracted.value()],
        }
    }

    /// The event's values at these paths.
    pub(crate) fn slots<'a>(&'a self, paths: &Paths, arena: &'a Arena) -> &'a [Slot<'a>] {
        let Kind::Rule { event, .. } = &self.0 else { return &[] };
        let mut slots = vec![Slot::Absent; paths.len()];
        for (id, path) in paths.iter() {
            slots[id.index()] = match (id, slots[path.parent.index()]) {
                (SlotId::ROOT, _) => Slot::Value(*event),
                (_, Slot::Value(Value::Map(map))) => {
                    map.get(&Value::String(&path.name)).map_or(Slot::Absent, Slot::Value)
                }
                _ => Slot::Absent,
            };
        }
        arena.slice(&slots)
    }
}

/// The nearest instant that an expression can hold: years 1 to 9999.
pub fn instant(ms: i64) -> Timestamp {
    const MIN_MS: i64 = -62_135_596_800_000;
    const MAX_MS: i64 = 253_402_300_799_999;
    // What is clamped is in range.
    Timestamp::from_millis(ms.clamp(MIN_MS, MAX_MS)).unwrap_or(Timestamp { seconds: 0, nanos: 0 })
}
