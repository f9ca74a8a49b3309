//! `petrel rule lint`: what is odd about the rules of packs, without a server.

use std::collections::BTreeMap;

use petrel_rules::{Finding, FindingKind, LintRule, RuleSource, TriggerSchema, lint};
use serde_json::Value;

use super::args::{LintArgs, Output};
use super::{EXIT_FAILED, Failure, output, pack};

/// Tells all findings; with `--deny-warnings` any but an overlap fails.
pub fn run(args: &LintArgs, format: Output) -> Result<(), Failure> {
    let revision = pack::load(&args.packs, format)?;
    let revision = revision.compiled();
    let mut triggers: BTreeMap<&str, Vec<LintRule>> = BTreeMap::new();
    for rule in revision.rules().filter(|rule| rule.enabled) {
        let actions = rule.calls.iter().map(|call| (call.action.clone(), Value::Object(call.parameters.clone())));
        let source = RuleSource { rule: rule.reference.as_str().into(), criteria: rule.criteria.clone() };
        triggers.entry(&rule.trigger).or_default().push(LintRule { source, actions: actions.collect() });
    }
    let mut findings: Vec<Finding> = Vec::new();
    let mut pairs_left_out = false;
    for (trigger, rules) in &triggers {
        let schema = revision.trigger(trigger).and_then(|trigger| trigger.schema.as_ref());
        let schema = schema.map_or_else(TriggerSchema::none, TriggerSchema::compile);
        let found = lint(&schema, rules).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Failure::new(EXIT_FAILED, lines.join("\n"))
        })?;
        findings.extend(found.findings);
        pairs_left_out |= found.pairs_left_out;
    }
    let warnings = findings.iter().filter(|finding| finding.kind != FindingKind::Overlap).count();
    match format {
        Output::Json => output::json(&findings.iter().map(Finding::to_json).collect()),
        Output::Table => {
            findings.iter().for_each(|finding| output::line(&finding.to_string()));
            output::line(&format!("{warnings} warnings, {} overlaps", findings.len() - warnings));
        }
    }
    if pairs_left_out {
        output::note("not all pairs of rules were compared: there are too many that are alike");
    }
    if args.deny_warnings && warnings > 0 { Err(Failure::new(EXIT_FAILED, "")) } else { Ok(()) }
}
