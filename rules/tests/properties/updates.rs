//! A set that was updated matches and refuses like one that was made of the same rules at once. What their
//! indexes rule out may differ, and so which rules have an error.

use std::collections::{BTreeMap, BTreeSet};

use petrel_rules::{EventReader, RuleIndex, RuleSet, TriggerSchema};
use serde_json::json;

use crate::constructs::EVERYTHING;
use crate::engines::{Answer, Engine, schema, source};
use crate::events::event;
use crate::rng::Rng;
use crate::rules::rule;
use crate::{comparisons, seed};

const EVENTS_PER_SET: usize = 8;
const UPDATES: usize = 5;
const RULES_ADDED_MAX: usize = 8;

/// The rules that are in force, by their numbers.
type Model = BTreeMap<usize, String>;

#[test]
fn an_updated_set_answers_like_a_new_one() {
    let mut compared = 0;
    let mut round_seed = seed();
    while compared < comparisons() {
        let rng = &mut Rng::new(round_seed);
        let mut model = Model::new();
        let mut next = 0;
        let mut set = compiled(&Model::new());
        for _ in 0..UPDATES {
            let without: Vec<usize> = model.keys().copied().filter(|_| rng.chance(30)).collect();
            let with: Model =
                (0..rng.below(RULES_ADDED_MAX)).map(|at| (next + at, rule(rng, EVERYTHING).text())).collect();
            next += with.len();
            model.retain(|number, _| !without.contains(number));
            model.extend(with.clone());
            let sources = with.iter().map(|(number, text)| source(*number, text));
            let removed: Vec<RuleIndex> = without.iter().map(|number| RuleIndex(*number)).collect();
            let updated = set.update(&removed, sources).unwrap_or_else(|errors| panic!("{with:?}: {errors:?}"));
            let before = named(&set);
            let events: Vec<String> = (0..EVENTS_PER_SET).map(|_| event(rng).text()).collect();
            compared += compare(round_seed, rng, &model, updated, &events);
            assert_eq!(named(&set), before, "the set that was updated is what it was");
            // Made again, for the engine takes it.
            set = set.update(&removed, with.iter().map(|(number, text)| source(*number, text))).unwrap();
        }
        round_seed += 1;
    }
    println!("{compared} comparisons");
}

/// What a schema refuses depends on the paths that the rules in force read, and on nothing that was before.
#[test]
fn an_updated_set_checks_what_a_new_one_checks() {
    let schema = TriggerSchema::compile(&json!({
        "type": "object",
        "required": ["host"],
        "properties": {
            "host": {"type": "string"},
            "count": {"type": "integer"},
            "nested": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}},
            "list": {"type": "array", "items": {"type": "string"}},
        },
    }));
    let criteria = [
        "trigger.host == 'a'",
        "trigger.count > 1",
        "has(trigger.count)",
        "trigger.nested.n == 1",
        "has(trigger.nested.id)",
        "size(trigger.nested) > 1",
        "trigger.list.exists(e, e == 'x' && trigger.nested.id == e)",
        "has(trigger.list)",
        "type(trigger) == map",
        "trigger.?nested.id.orValue('') == 'x'",
        "true || trigger.count > 1",
    ];
    let events = [
        r#"{"host": 1}"#,
        r#"{"host": "a", "count": "1"}"#,
        r#"{"host": "a", "nested": []}"#,
        r#"{"host": "a", "nested": {"id": 1}}"#,
        r#"{"host": "a", "nested": {"id": "x", "n": "1"}}"#,
        r#"{"host": "a", "nested": {}}"#,
        r#"{"host": "a", "list": [1]}"#,
        r#"{"host": "a", "list": {}}"#,
        r#"{"nested": {"id": "x"}}"#,
        r#"{"host": "a", "nested": {"id": "x", "n": 1}, "list": ["x"], "count": 1}"#,
    ];
    let refused = |set: &RuleSet| -> Vec<Option<String>> {
        let told = |event: &&str| {
            let mut reader = EventReader::new();
            let event = reader.read(event.as_bytes(), set.layout()).expect("it is JSON");
            set.check(&event).err().map(|violation| violation.to_string())
        };
        events.iter().map(told).collect()
    };
    let rng = &mut Rng::new(seed());
    let mut distinct = BTreeSet::new();
    for _ in 0..200 {
        let mut model = Model::new();
        let mut set = RuleSet::compile(&schema, []).unwrap();
        let mut next = 0;
        for _ in 0..UPDATES {
            let without: Vec<usize> = model.keys().copied().filter(|_| rng.chance(50)).collect();
            let with: Model = (0..rng.below(3)).map(|at| (next + at, (*rng.pick(&criteria)).to_owned())).collect();
            next += with.len();
            model.retain(|number, _| !without.contains(number));
            model.extend(with.clone());
            let removed: Vec<RuleIndex> = without.iter().map(|number| RuleIndex(*number)).collect();
            set = set.update(&removed, with.iter().map(|(number, text)| source(*number, text))).unwrap();
            let sources = model.iter().map(|(number, text)| source(*number, text));
            let anew = RuleSet::compile(&schema, sources).unwrap();
            assert_eq!(refused(&set), refused(&anew), "{model:?}");
            distinct.insert(refused(&set));
        }
    }
    assert!(distinct.len() > 10, "the rules make a difference: {distinct:?}");
}

fn compiled(model: &Model) -> RuleSet {
    let sources = model.iter().map(|(number, text)| source(*number, text));
    RuleSet::compile(&schema(), sources).unwrap_or_else(|errors| panic!("{model:?}: {errors:?}"))
}

/// References of the rules in force.
fn named(set: &RuleSet) -> Vec<String> {
    set.rules().map(|(_, reference)| reference.to_string()).collect()
}

/// Compares an updated set with one made anew, rule by rule; says how many answers were compared.
fn compare(seed: u64, rng: &mut Rng, model: &Model, updated: RuleSet, events: &[String]) -> u64 {
    let anew = compiled(model);
    assert_eq!(named(&updated), named(&anew), "PETREL_RULES_SEED={seed}");
    let (mut updated, mut anew) = (Engine::of(updated), Engine::of(anew));
    for event in events {
        let tell = |what: &str| format!("{what}\nPETREL_RULES_SEED={seed}\nrules: {model:#?}\nevent: {event}");
        let scanned = [&mut updated, &mut anew].map(|engine| named_answers(engine, Engine::scan, event));
        assert_eq!(scanned[0], scanned[1], "{}", tell("scanned"));
        let [found, expected] = [&mut updated, &mut anew].map(|engine| named_answers(engine, Engine::run, event));
        let matches = |answers: &BTreeMap<String, Answer>| -> Vec<String> {
            answers.iter().filter(|(_, answer)| **answer == Answer::True).map(|(rule, _)| rule.clone()).collect()
        };
        assert_eq!(matches(&found), matches(&expected), "{}", tell("found"));
        assert!(found.keys().all(|rule| named(&updated.set).contains(rule)), "{}", tell("removed rules are silent"));
        let one_by_one = updated.ask_each(event, rng);
        let scanned = updated.scan(event).expect("events are JSON");
        assert_eq!(one_by_one, scanned, "{}", tell("asked one by one, in any order"));
    }
    (model.len() * events.len()) as u64
}

type Ask = fn(&mut Engine, &str) -> Result<Vec<(usize, Answer)>, String>;

fn named_answers(engine: &mut Engine, ask: Ask, event: &str) -> BTreeMap<String, Answer> {
    let answers = ask(engine, event).expect("events are JSON");
    answers.into_iter().map(|(number, answer)| (engine.set.rule(RuleIndex(number)).to_string(), answer)).collect()
}
