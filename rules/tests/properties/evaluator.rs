//! The engine's programs, with their short cuts and shared parts, answer as the plain evaluator of the
//! language does, in all of the language.

use petrel_cel::compile::{Names, on_parser_thread, parse};
use petrel_cel::expr::Expr;
use petrel_cel::{Arena, Cx, Fault, OwnedValue, Paths, Timestamp, Value};
use petrel_rules::extract::{Extractor, Layout};

use crate::constructs::EVERYTHING;
use crate::engines::{Answer, Engine, KV, NOW_MS};
use crate::events::event;
use crate::node::Node;
use crate::rng::Rng;
use crate::rules::rule;
use crate::shrink::{Case, panic_small};
use crate::{comparisons, seed};

const RULES_PER_ROUND: usize = 80;
const EVENTS_PER_ROUND: usize = 40;

#[test]
fn programs_answer_as_the_evaluator_does() {
    let mut compared = 0;
    let mut round_seed = seed();
    while compared < comparisons() {
        let rng = &mut Rng::new(round_seed);
        let rules: Vec<_> = (0..RULES_PER_ROUND).map(|_| rule(rng, EVERYTHING)).collect();
        let criteria: Vec<String> = rules.iter().map(Node::text).collect();
        let mut engine = Engine::compile(&criteria).unwrap_or_else(|errors| panic!("{criteria:#?}: {errors:?}"));
        let plain = Plain::compile(&criteria).expect("the engine takes them");
        for _ in 0..EVENTS_PER_ROUND {
            let event = event(rng);
            if compare(&mut engine, &plain, &event.text()).is_err() {
                panic_small(round_seed, Case { rules, event }, &mut fails);
            }
            compared += RULES_PER_ROUND as u64;
        }
        round_seed += 1;
    }
    println!("{compared} comparisons");
}

fn fails(case: &Case) -> Option<String> {
    let mut engine = Engine::compile(&case.criteria()).ok()?;
    compare(&mut engine, &Plain::compile(&case.criteria())?, &case.event.text()).err()
}

fn compare(engine: &mut Engine, plain: &Plain, event: &str) -> Result<(), String> {
    let (ours, plain) = (engine.scan(event)?, plain.answers(event)?);
    let differs = ours.iter().zip(&plain).find(|((_, ours), plain)| !is_same(ours, plain));
    differs.map_or(Ok(()), |((at, ours), plain)| Err(format!("rule {at} is {ours:?}, evaluated {plain:?}")))
}

/// The text of an error may name its operands in another order: `1 < x` is `x > 1`.
fn is_same(ours: &Answer, plain: &Answer) -> bool {
    match (ours, plain) {
        (Answer::Error(ours, _), Answer::Error(plain, _)) => ours == plain,
        _ => ours == plain,
    }
}

/// Rules as expressions, each evaluated by itself.
struct Plain {
    rules: Vec<Expr>,
    paths: Paths,
    layout: Layout,
    kv: OwnedValue,
}

impl Plain {
    fn compile(criteria: &[String]) -> Option<Self> {
        let mut paths = Paths::new();
        let names = Names { event: Some("trigger"), vars: &["now", "kv"] };
        let compile = |text: &String| Some(parse(text).ok()?.compile(names, &mut paths, None).ok()?.expr);
        let rules = on_parser_thread(|| criteria.iter().map(compile).collect::<Option<Vec<_>>>())?;
        let layout = Layout::new(&paths, crate::engines::doubles());
        let entries = KV.map(|(key, text)| (OwnedValue::string(key), key_value(text)));
        Some(Self { rules, paths, layout, kv: OwnedValue::map(entries)? })
    }

    fn answers(&self, event: &str) -> Result<Vec<Answer>, String> {
        let arena = Arena::new();
        let slots = Extractor::new().extract(&self.layout, event.as_bytes(), &arena).map_err(|e| e.to_string())?;
        let now = Timestamp::from_millis(NOW_MS).expect("the time is one");
        let vars = [Value::Timestamp(now), self.kv.value()];
        let answer = |rule: &Expr| match Cx::new(&arena, &self.paths, slots, &vars).criterion(rule) {
            Ok(true) => Answer::True,
            Ok(false) => Answer::False,
            Err(Fault::Missing(name)) => Answer::Missing(name.to_owned()),
            Err(fault) => Answer::Error(fault.code().to_owned(), fault.to_string()),
        };
        Ok(self.rules.iter().map(answer).collect())
    }
}

/// A value of the key-value store: a number, a string, or a list of them.
fn key_value(text: &str) -> OwnedValue {
    fn owned(value: &serde_json::Value) -> OwnedValue {
        match value {
            serde_json::Value::Array(list) => OwnedValue::list(list.iter().map(owned)),
            serde_json::Value::String(text) => OwnedValue::string(text),
            other => OwnedValue::Int(other.as_i64().expect("numbers of the store are ints")),
        }
    }
    owned(&serde_json::from_str(text).expect("the values are JSON"))
}
