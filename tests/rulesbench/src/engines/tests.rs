//! Every engine that is built in, against what is true.

use super::*;
use crate::corpus;
use crate::families::FAMILIES;
use crate::random::Random;
use crate::table::Table;
use crate::truth;

/// Known not to be right on a family, and why.
const WRONG: [(Engine, &str); 0] = [];

#[test]
fn engines_match_what_is_true() {
    for corpus in Corpus::ALL {
        let lines = corpus::lines(corpus, 250);
        let table = Table::decode(corpus, &lines).unwrap();
        let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for family in FAMILIES.iter().filter(|family| family.suits(corpus)) {
            let mut random = Random::new(11);
            let rules: Vec<Rule> =
                (0..60).filter_map(|number| family.draft(&mut random, &table, 30.0, number)).collect();
            let read = read_by(&rules, corpus);
            for engine in Engine::ALL.into_iter().filter(|engine| engine.is_built_in()) {
                let compared = engine != Engine::EventRuler && engine.role() != Role::Floor;
                if !compared || WRONG.contains(&(engine, family.name)) {
                    continue;
                }
                let part = engine.part(rules.clone());
                let Ok(input) = render(engine, part.clone(), corpus.fields()) else { continue };
                let mut matcher = build(engine, &input, corpus, &read).unwrap();
                for (line, event) in lines.lines().zip(&events) {
                    let mut found = Vec::new();
                    matcher(line.as_bytes(), &mut found).unwrap();
                    found.sort_unstable();
                    let expected: Vec<u32> = part
                        .iter()
                        .filter(|(_, rule)| truth::matches(rule, corpus.fields(), event))
                        .map(|(id, _)| *id)
                        .collect();
                    assert_eq!(found, expected, "{} {corpus} {} on {line}", engine.name(), family.name);
                }
            }
        }
    }
}

#[test]
fn names_lead_back_to_engines() {
    for engine in Engine::ALL {
        assert_eq!(Engine::named(engine.name()), Some(engine));
    }
    assert_eq!(Engine::named("nothing"), None);
}
