//! The catalog that the model's owner sees: actions by name, and what is switched off.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_schemas::{Class, ExecutionId};
use serde_json::{Value, json};

use super::family::{self, Shape};
use crate::delivery::Delivery;
use crate::gate::{GateId, Kind};
use crate::needs::Needs;
use crate::plan::{ActionPlan, Actions, CompleteParameters, NameGates, OwnTerms, ParameterError, Resolution};
use crate::retry::{BackOff, Retry};
use crate::runner::{NoopSpec, PackFiles, RunnerSpec};
use crate::switch::SwitchedOff;
use crate::windows::{Span, Windows};
use crate::workflow::UNTIL_KEY;

/// Two repetitions, after a second and after two.
const AGAIN: Retry = Retry {
    on_failure: true,
    on_timeout: true,
    on_lost_worker: false,
    when: None,
    heeds_server: true,
    retries_max: 2,
    delay_ms: 1_000,
    back_off: BackOff::Exponential,
    delay_ms_max: 10_000,
    jitter_percent: 0,
    total_ms_max: None,
};

#[derive(Debug, Default, Clone)]
pub struct Catalog {
    pub tells_ends: bool,
    pub paused: bool,
    pub later: Option<bool>,
    /// Whether what is gated is tried again.
    pub retries: bool,
    /// Scopes that are switched off, until when, and whether what comes is dropped.
    pub off: BTreeMap<&'static str, (Option<i64>, bool)>,
}

#[derive(Debug)]
struct Filled(usize);

impl CompleteParameters for Filled {
    fn complete(&self, given: &Value) -> Result<Value, ParameterError> {
        let required = "parameter \"host\" is required".to_owned();
        match given["host"] {
            Value::Null => Err(ParameterError { action: "demo.bad".to_owned(), reasons: vec![required] }),
            _ => {
                let mut completed = json!({ "host": given["host"], "filled": "x".repeat(self.0) });
                if let Some(until) = given.get(UNTIL_KEY) {
                    completed[UNTIL_KEY] = until.clone();
                }
                Ok(completed)
            }
        }
    }
}

/// Terms that owners decide by themselves, of the actions of those names. Model time is a thousand seconds after the epoch,
/// which was a Thursday, and executions are requested at half of that.
#[derive(Debug)]
struct Own(String);

impl NameGates for Own {
    fn gates(&self, id: &ExecutionId, rule: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String> {
        match &*self.0 {
            "demo.careful" => TwoGates("host").gates(id, rule, parameters),
            _ => Ok(Vec::new()),
        }
    }

    fn own_terms(&self, _: Option<&str>) -> OwnTerms {
        let thursday = |from_minute, to_minute| Span::Weekly { days: vec![4], from_minute, to_minute };
        let windows = |open, drops| Windows {
            policy: "demo.hours".to_owned(),
            time_zone: "UTC".to_owned(),
            open: vec![open],
            closed: Vec::new(),
            drops,
        };
        match &*self.0 {
            "demo.late" | "demo.late_chain" => OwnTerms { deadline_ms: Some(510_000), ..OwnTerms::default() },
            // From 00:20 on, which is 1,200 s.
            "demo.strict" => OwnTerms { windows: vec![windows(thursday(20, 30), true)], ..OwnTerms::default() },
            _ => OwnTerms { windows: vec![windows(thursday(20, 30), false)], ..OwnTerms::default() },
        }
    }
}

impl Actions for Catalog {
    fn dispatch_paused(&self) -> bool {
        self.paused
    }

    fn tells_ends(&self) -> bool {
        self.tells_ends
    }

    fn has_switches(&self) -> bool {
        !self.off.is_empty()
    }

    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let (until_ms, drops) = *self.off.get(scope)?;
        let off = || SwitchedOff { by: "eve".to_owned(), reason: "it burns".to_owned(), until_ms, drops };
        until_ms.is_none_or(|until_ms| now_ms < until_ms).then(off)
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        match (revision, self.later) {
            ("later", None) => return Resolution::NotYet,
            ("later", Some(false)) => return Resolution::Removed,
            _ => {}
        }
        let delivery = match action {
            "demo.missing" => return Resolution::NoSuchAction,
            "demo.broken" => return Resolution::Broken("it does not compile".to_owned()),
            "demo.once" => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce,
        };
        Resolution::Ready(Arc::new(ActionPlan {
            pool: if matches!(action, "demo.elsewhere" | "demo.zone") { "gpu" } else { "default" }.to_owned(),
            class: if action == "demo.bulk" { Class::Bulk } else { Class::Normal },
            needs: match action {
                "demo.large_needs" => Needs { memory_bytes: 1 << 40, cpu_milli: 0 },
                _ => Needs::default(),
            },
            requires: match action {
                "demo.zone" => BTreeMap::from([("zone".to_owned(), "dmz".to_owned())]),
                "demo.nozone" => BTreeMap::from([("zone".to_owned(), "moon".to_owned())]),
                _ => BTreeMap::new(),
            },
            delivery,
            timeout_ms: 5_000,
            output_bytes_max: 1_000,
            retry: match action {
                "demo.again" | "demo.once" => Some(AGAIN),
                "demo.gated" if self.retries => Some(AGAIN),
                "demo.late" => Some(AGAIN),
                "demo.soon" => Some(Retry { total_ms_max: Some(5_000), ..AGAIN }),
                "demo.lost" => Some(Retry { on_lost_worker: true, retries_max: 1, ..AGAIN }),
                "demo.polls" => {
                    let when = Some("result.state == 'pending'".into());
                    Some(Retry { on_failure: false, on_timeout: false, when, ..AGAIN })
                }
                _ => None,
            },
            policies: match action {
                "demo.gated" | "demo.gated_chain" | "demo.gated_freezes" | "demo.gated_asks" | "demo.gated_nest"
                | "demo.gated_above" => Some(Arc::new(TwoGates("host"))),
                "demo.keyless" => Some(Arc::new(TwoGates("nothing"))),
                "demo.late" | "demo.late_chain" | "demo.office" | "demo.strict" | "demo.careful" => {
                    Some(Arc::new(Own(action.to_owned())))
                }
                _ => None,
            },
            runner: match action {
                "demo.noop" => Arc::new(RunnerSpec::Noop(NoopSpec)),
                "demo.chain" | "demo.gated_chain" | "demo.late_chain" => family::runner(Shape::of(1, 3, "demo.ok")),
                "demo.fan" => family::runner(Shape::of(5, 5, "demo.ok")),
                "demo.deep" => family::runner(Shape::of(1, 1, "demo.deep")),
                "demo.freezes" | "demo.gated_freezes" => family::runner(Shape::of(2, 2, "demo.ok").freezing()),
                "demo.question" => family::runner(Shape::question()),
                "demo.asks" => family::runner(Shape::of(1, 1, "demo.question")),
                "demo.asks_twice" | "demo.gated_asks" => family::runner(Shape::of(1, 2, "demo.question")),
                "demo.gated_above" => family::runner(Shape::of(1, 1, "demo.asks_twice")),
                "demo.nest" | "demo.gated_nest" => family::runner(Shape::of(2, 2, "demo.chain")),
                _ => command(),
            },
            parameters: Arc::new(Filled(if action == "demo.large" { 300 << 10 } else { 1 })),
        }))
    }
}

/// What a gated action has to pass: the key that its parameter says, and the whole.
#[derive(Debug)]
struct TwoGates(&'static str);

impl NameGates for TwoGates {
    fn gates(&self, _: &ExecutionId, _: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String> {
        let host = parameters[self.0].as_str().ok_or("the key is no string")?;
        let key = GateId::of_key("demo.one", Kind::Concurrency, host).map_err(|e| e.to_string())?;
        Ok(vec![GateId::total("demo.one", Kind::Rate), key])
    }
}

fn command() -> Arc<RunnerSpec> {
    let keys = serde_json::Map::from_iter([("command".to_owned(), json!(["true"]))]);
    Arc::new(RunnerSpec::parse("command", &keys, &NoFiles).unwrap())
}

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}
