//! The engine's two ways to an answer: by its index, and by running every program.

use petrel_rules::{CompileError, Kv, Matcher, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict};
use serde_json::json;

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
            Verdict::Error(error) => Self::Error(error.code.to_owned(), error.text.clone()),
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

    /// The answer of every rule, found without the index.
    pub fn scan(&mut self, event: &str) -> Result<Vec<Answer>, String> {
        let mut answers = vec![None; self.set.len()];
        let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
            let twice = answers[index.0].replace(verdict.into());
            assert!(twice.is_none(), "a scan asks every rule once");
        };
        // Until there is an index, running is scanning.
        let ran = self.matcher.run(&self.set, event.as_bytes(), NOW_MS, &self.kv, on);
        ran.map_err(|e| e.to_string())?;
        Ok(answers.into_iter().map(|answer| answer.expect("a scan asks every rule")).collect())
    }
}

/// The schema of all events: the numbers at one path are doubles.
pub fn schema() -> TriggerSchema {
    TriggerSchema::compile(&json!({"properties": {"price": {"type": "number"}}}))
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
