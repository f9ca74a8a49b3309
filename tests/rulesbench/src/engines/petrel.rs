//! Petrel's own engine.

use anyhow::{Result, anyhow};
use petrel_rules::{Kv, Matcher as Rules, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict};

use super::Matcher;

/// How the rules of a set are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the match stage does it.
    Indexed,
    /// Every program, one after the other.
    Scan,
}

/// The rules of a set, whose ids are those of the texts.
pub(super) fn build(texts: &[(u32, String)], way: Way) -> Result<Matcher> {
    let ids: Vec<u32> = texts.iter().map(|(id, _)| *id).collect();
    let sources =
        texts.iter().map(|(id, text)| RuleSource { rule: format!("r.{id}").into(), criteria: Some(text.clone()) });
    let schema = TriggerSchema::compile(&serde_json::json!({"type": "object"}));
    let set = RuleSet::compile(&schema, sources)
        .map_err(|errors| anyhow!("the rules do not compile: {:?}", errors.first()))?;
    let mut matcher = Rules::new();
    let kv = Kv::default();
    let run = match way {
        Way::Indexed => Rules::run,
        Way::Scan => Rules::scan,
    };
    Ok(Box::new(move |event, found| {
        let mut on = |index: RuleIndex, verdict: Verdict<'_>| {
            if verdict == Verdict::True {
                found.push(ids[index.0]);
            }
        };
        run(&mut matcher, &set, event, 0, &kv, &mut on).map_err(|error| anyhow!("{error}"))
    }))
}
