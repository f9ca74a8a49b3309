//! The engine's two ways to an answer: by its index, and by running every program.

use std::collections::BTreeMap;

use petrel_rules::extract::Doubles;
use petrel_rules::{CompileError, EventReader, Kv, Matcher, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict};
use serde_json::json;

use crate::rng::Rng;

/// `now` of every event: 2001-02-03T04:05:06Z.
pub const NOW_MS: i64 = 981_173_106_000;

/// What a rule says of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    True,
    False,
    Missing(String),
    /// Code and text.
    Error(String, String),
}

impl From<Verdict<'_>> for Answer {
    fn from(verdict: Verdict<'_>) -> Self {
        match verdict {
            Verdict::True => Self::True,
            Verdict::False => Self::False,
            Verdict::Missing(name) => Self::Missing(name.to_owned()),
            Verdict::Error(fault) => Self::Error(fault.code().to_owned(), fault.to_string()),
        }
    }
}

/// Rules as the engine has them.
pub struct Engine {
    pub set: RuleSet,
    matcher: Matcher,
    kv: Kv,
}

impl Engine {
    /// Compiles criteria; the rules are named by their places.
    pub fn compile(criteria: &[String]) -> Result<Self, Vec<CompileError>> {
        let set = RuleSet::compile(&schema(), criteria.iter().enumerate().map(|(at, text)| source(at, text)))?;
        Ok(Self::of(set))
    }

    /// Runs rules that were made somewhere else.
    pub fn of(set: RuleSet) -> Self {
        Self { set, matcher: Matcher::new(), kv: kv() }
    }

    /// The answers of the candidates that the index proposes, or why the event is no JSON.
    pub fn run(&mut self, event: &str) -> Result<Vec<(usize, Answer)>, String> {
        let mut answers = Vec::new();
        let on = &mut |index: RuleIndex, verdict: Verdict<'_>| answers.push((index.0, verdict.into()));
        let ran = self.matcher.run(&self.set, event.as_bytes(), NOW_MS, &self.kv, on);
        ran.map(|()| answers).map_err(|e| e.to_string())
    }

    /// The answer of every rule in force, in order, found without the index.
    pub fn scan(&mut self, event: &str) -> Result<Vec<(usize, Answer)>, String> {
        let mut answers = Vec::new();
        let on = &mut |index: RuleIndex, verdict: Verdict<'_>| answers.push((index.0, verdict.into()));
        let ran = self.matcher.scan(&self.set, event.as_bytes(), NOW_MS, &self.kv, on);
        ran.map_err(|e| e.to_string())?;
        assert!(answers.iter().map(|(at, _)| *at).eq(self.set.rules().map(|(index, _)| index.0)), "a scan asks all");
        Ok(answers)
    }

    /// The answers of all rules that were ever in the set, asked one by one in a random order, each twice; in
    /// the order of their numbers. Rules that are not in force have none.
    pub fn ask_each(&mut self, event: &str, rng: &mut Rng) -> Vec<(usize, Answer)> {
        let mut reader = EventReader::new();
        let event = reader.read(event.as_bytes(), self.set.layout()).expect("events are JSON");
        let mut evaluation = self.matcher.evaluation(&self.set, &event, NOW_MS, &self.kv);
        let end = self.set.rules().last().map_or(0, |(last, _)| last.0 + 2);
        let mut order: Vec<usize> = (0..end).chain(0..end).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, rng.below(at + 1));
        }
        let mut answers = BTreeMap::new();
        for rule in order {
            let Some(answer) = evaluation.verdict(RuleIndex(rule)).map(Answer::from) else { continue };
            let before = answers.insert(rule, answer.clone());
            assert!(before.is_none_or(|before| before == answer), "asked twice, it is {answer:?} the second time");
        }
        answers.into_iter().collect()
    }
}

/// The schema of all events: the numbers at one path are doubles.
pub fn schema() -> TriggerSchema {
    TriggerSchema::compile(&json!({"properties": {"price": {"type": "number"}}}))
}

/// The numbers that the schema makes doubles.
pub fn doubles() -> Doubles {
    let price = Doubles { here: true, ..Doubles::default() };
    Doubles { fields: [("price".into(), price)].into(), ..Doubles::default() }
}

/// A rule, named by a number.
pub fn source(number: usize, criteria: &str) -> RuleSource {
    RuleSource { rule: format!("rule.r{number}").into(), criteria: Some(criteria.to_owned()) }
}

/// The key-value store that rules read.
pub const KV: [(&str, &str); 3] = [("frozen", "[\"db-1\", \"a\", 2]"), ("limit", "2"), ("a/b", "1")];

fn kv() -> Kv {
    Kv::new(KV).expect("the values are JSON")
}
