//! Another engine, the crate `cel`, says the same wherever it is right itself.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Program, Value};

use crate::constructs::CRATE_CEL;
use crate::engines::{Answer, Engine, KV};
use crate::events::{Json, event};
use crate::node::Node;
use crate::rng::Rng;
use crate::rules::rule;
use crate::shrink::{Case, panic_small};
use crate::{comparisons, seed};

const RULES_PER_ROUND: usize = 100;
const EVENTS_PER_ROUND: usize = 60;

#[test]
fn the_crate_cel_finds_the_same_matches() {
    let (mut compared, mut matches) = (0, 0);
    let mut round_seed = seed();
    while compared < comparisons() {
        let rng = &mut Rng::new(round_seed);
        let rules: Vec<_> = (0..RULES_PER_ROUND).map(|_| rule(rng, CRATE_CEL)).collect();
        let criteria: Vec<String> = rules.iter().map(Node::text).collect();
        let mut both = Both::compile(&criteria).unwrap_or_else(|| panic!("both engines take {criteria:#?}"));
        for _ in 0..EVENTS_PER_ROUND {
            let event = event(rng);
            // `has(trigger.n)` of an event that is a scalar is an error there and false in the language.
            if !matches!(event, Json::Map(_)) {
                continue;
            }
            match both.compare(&event) {
                Ok(found) => matches += found,
                Err(_) => panic_small(round_seed, Case { rules, event }, &mut fails),
            }
            compared += RULES_PER_ROUND as u64;
        }
        round_seed += 1;
    }
    let share = matches * 100 / compared;
    assert!((10..60).contains(&share), "{share} percent are matches");
    println!("{compared} comparisons, {matches} matches");
}

fn fails(case: &Case) -> Option<String> {
    Both::compile(&case.criteria())?.compare(&case.event).err()
}

/// The same rules in both engines.
struct Both {
    engine: Engine,
    programs: Vec<Program>,
}

impl Both {
    fn compile(criteria: &[String]) -> Option<Self> {
        let engine = Engine::compile(criteria).ok()?;
        let programs = criteria.iter().map(|text| Program::compile(text).ok()).collect::<Option<_>>()?;
        Some(Self { engine, programs })
    }

    /// The number of matches, or what differs.
    fn compare(&mut self, event: &Json) -> Result<u64, String> {
        let ours = self.engine.scan(&event.text())?;
        let mut context = Context::default();
        context.add_variable_from_value("trigger", value_of_event(event));
        context.add_variable_from_value("kv", key_values());
        let mut matches = 0;
        for (at, (ours, program)) in ours.iter().zip(&self.programs).enumerate() {
            let theirs = program.execute(&context);
            let is_match = matches!(theirs, Ok(Value::Bool(true)));
            if is_match != (*ours == Answer::True) {
                return Err(format!("rule {at} is {ours:?} here and {theirs:?} there"));
            }
            matches += u64::from(is_match);
        }
        Ok(matches)
    }
}

/// An event with the numbers of DESIGN §4, which the crate's own conversion does not give.
fn value_of_event(event: &Json) -> Value {
    let Value::Map(map) = value(event) else { return value(event) };
    let doubled = |(key, value): (&Key, &Value)| {
        let value = match value {
            Value::Int(int) if *key == Key::from("price") => Value::Float(*int as f64),
            Value::UInt(uint) if *key == Key::from("price") => Value::Float(*uint as f64),
            other => other.clone(),
        };
        (key.clone(), value)
    };
    Value::Map(Map { map: Arc::new(map.map.iter().map(doubled).collect()) })
}

fn value(json: &Json) -> Value {
    match json {
        Json::Scalar(text) => scalar(text),
        Json::List(list) => Value::List(Arc::new(list.iter().map(value).collect())),
        Json::Map(map) => {
            let member = |(name, of): &(String, Json)| (Key::from(name.as_str()), value(of));
            Value::Map(Map { map: Arc::new(map.iter().map(member).collect::<HashMap<_, _>>()) })
        }
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "null" => return Value::Null,
        "true" | "false" => return Value::Bool(text == "true"),
        _ => {}
    }
    if text.starts_with('"') {
        let text: String = serde_json::from_str(text).expect("strings are JSON");
        return Value::String(Arc::new(text));
    }
    if let Ok(int) = text.parse() {
        return Value::Int(int);
    }
    if let Ok(uint) = text.parse() {
        return Value::UInt(uint);
    }
    Value::Float(text.parse().expect("numbers are numbers"))
}

fn key_values() -> Value {
    let value_of = |text: &str| match serde_json::from_str(text).expect("the values are JSON") {
        serde_json::Value::Array(list) => {
            Value::List(Arc::new(list.iter().map(|of| scalar(&of.to_string())).collect()))
        }
        other => scalar(&other.to_string()),
    };
    let map = KV.iter().map(|(key, text)| (Key::from(*key), value_of(text))).collect::<HashMap<_, _>>();
    Value::Map(Map { map: Arc::new(map) })
}
