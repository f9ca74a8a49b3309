//! Engines with one criterion compiled and the contexts of some events prepared.

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use petrel_rules::{
    Arena, Evaluation, Extractor, Kv, Matcher, ParsedEvent, RuleIndex, RuleSet, RuleSource, TriggerSchema, Verdict,
};

use crate::render;
use crate::rule::Rule;
use crate::schema::Corpus;
use crate::single::Decide;

type Named<'a> = (&'static str, Decide<'a>);

/// Runs something with all engines that are built in.
pub(crate) fn with_all(
    rule: &Rule,
    events: &[&[u8]],
    run: &mut dyn FnMut(&mut [Named<'_>]) -> Result<()>,
) -> Result<()> {
    let text = render::cel(rule, Corpus::Ops.fields());
    with_petrel(&text, events, &mut |petrel| {
        with_cel(&text, events, &mut |cel| {
            #[cfg(feature = "rivals")]
            return super::wirefilter::with_prepared(rule, events, &mut |wirefilter| {
                run(&mut [("petrel", &mut *petrel), ("cel", &mut *cel), ("wirefilter", wirefilter)])
            });
            #[cfg(not(feature = "rivals"))]
            run(&mut [("petrel", &mut *petrel), ("cel", &mut *cel)])
        })
    })
}

fn with_petrel(text: &str, events: &[&[u8]], run: &mut dyn FnMut(Decide<'_>) -> Result<()>) -> Result<()> {
    let schema = TriggerSchema::compile(&serde_json::json!({"type": "object"}));
    let source = RuleSource { rule: "r.one".into(), criteria: Some(text.to_owned()) };
    let set = RuleSet::compile(&schema, [source]).map_err(|errors| anyhow!("{:?}", errors.first()))?;
    // They would be evaluated once and remembered.
    ensure!(set.stats().shared == 0, "{text}: parts of it are evaluated once per event, however often it is asked");
    let (arena, kv) = (Arena::new(), Kv::default());
    let mut extractor = Extractor::default();
    let mut parsed = Vec::new();
    for &event in events {
        let event = ParsedEvent::parse(event, set.layout(), &mut extractor, &arena);
        parsed.push(event.map_err(|error| anyhow!("{error}"))?);
    }
    let mut matchers: Vec<Matcher> = parsed.iter().map(|_| Matcher::new()).collect();
    let pairs = matchers.iter_mut().zip(&parsed);
    let mut evaluations: Vec<_> = pairs.map(|(matcher, event)| matcher.evaluation(&set, event, 0, &kv)).collect();
    run(&mut || {
        let is_true = |of: &mut Evaluation<'_, '_>| of.verdict(RuleIndex(0)) == Some(Verdict::True);
        Ok(evaluations.iter_mut().map(|of| usize::from(is_true(of))).sum())
    })
}

fn with_cel(text: &str, events: &[&[u8]], run: &mut dyn FnMut(Decide<'_>) -> Result<()>) -> Result<()> {
    let env = Arc::new(cel::Env::stdlib());
    let program = env.compile(text).map_err(|error| anyhow!("{text}: {error}"))?;
    let mut contexts = Vec::new();
    for event in events {
        let event: serde_json::Value = serde_json::from_slice(event)?;
        let mut context = cel::Context::with_env(Arc::clone(&env));
        context.add_variable_from_value("trigger", cel::to_value(&event).map_err(|error| anyhow!("{error}"))?);
        contexts.push(context);
    }
    run(&mut || {
        let is_true = |context: &&cel::Context<'_, '_>| matches!(program.execute(context), Ok(cel::Value::Bool(true)));
        Ok(contexts.iter().filter(is_true).count())
    })
}
