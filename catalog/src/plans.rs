//! The rules of each trigger, compiled for the match stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_rules::{
    ActionPlan, CompileError, FullCheck, RulePlan, RuleSet, RuleSource, Template, TriggerPlan, TriggerSchema,
};
use serde_json::Value;

use crate::engine::{check_criteria, tell_all, tell_warning};
use crate::model::TriggerDef;
use crate::pack::{RuleDraft, TriggerSource, Validate, describe_errors};
use crate::problems::Problems;
use crate::walk::Located;

/// Collects enabled rules by trigger, and compiles those of a trigger together.
#[derive(Default)]
pub(crate) struct Planner {
    /// By trigger, then by rule: the order in which the rules of an event act must not depend on the
    /// order in which packs were read.
    rules: BTreeMap<String, BTreeMap<String, PlannedRule>>,
}

struct PlannedRule {
    criteria: Option<Located<String>>,
    plan: RulePlan,
}

impl Planner {
    /// Takes a rule. One that is disabled, or whose trigger does not exist, is only checked. `templates`
    /// are the parameters of its calls; fewer than the calls where some have problems.
    pub(crate) fn add(
        &mut self,
        reference: &str,
        pack: &str,
        draft: &RuleDraft,
        templates: Vec<Template>,
        triggers: &BTreeMap<String, TriggerDef>,
        problems: &mut Problems,
    ) {
        let trigger = draft.trigger.as_ref().map(|trigger| trigger.value.as_str());
        let Some(trigger) = trigger.filter(|trigger| draft.enabled && triggers.contains_key(*trigger)) else {
            if let Some(criteria) = &draft.criteria {
                check_criteria(criteria, problems);
            }
            return;
        };
        let actions = draft.calls.iter().zip(templates);
        let actions =
            actions.map(|(call, parameters)| ActionPlan { action: call.action.value.as_str().into(), parameters });
        let plan = RulePlan { rule: reference.into(), pack: pack.into(), actions: actions.collect() };
        let planned = PlannedRule { criteria: draft.criteria.clone(), plan };
        self.rules.entry(trigger.to_owned()).or_default().insert(reference.to_owned(), planned);
    }

    /// Plans of all triggers, those without rules too: their events are known and match nothing. Criteria
    /// that compile and cannot be meant so are told among the warnings.
    pub(crate) fn finish(
        mut self,
        triggers: &BTreeMap<String, TriggerDef>,
        problems: &mut Problems,
        warnings: &mut Problems,
    ) -> Vec<Arc<TriggerPlan>> {
        let mut plans = Vec::with_capacity(triggers.len());
        for (reference, trigger) in triggers {
            let rules = self.rules.remove(reference).unwrap_or_default();
            let schema = trigger.schema.as_ref().map_or_else(TriggerSchema::none, TriggerSchema::compile);
            let source = |rule: &PlannedRule| RuleSource {
                rule: rule.plan.rule.clone(),
                criteria: rule.criteria.as_ref().map(|criteria| criteria.value.clone()),
            };
            match RuleSet::compile(&schema, rules.values().map(source)) {
                Ok(set) => {
                    for warning in set.warnings() {
                        if let Some(criteria) = rules.get(&warning.at).and_then(|rule| rule.criteria.as_ref()) {
                            tell_warning(warning, criteria, warnings);
                        }
                    }
                    let actions = rules.into_values().map(|rule| rule.plan).collect();
                    let plan = TriggerPlan::new(reference.as_str().into(), set, actions);
                    plans.push(Arc::new(match full_check(trigger) {
                        Some(check) => plan.with_full_check(check),
                        None => plan,
                    }));
                }
                Err(errors) => tell_by_rule(&errors, &rules, problems),
            }
        }
        plans
    }
}

/// The check of a bound topic that asks for all of its schema.
fn full_check(trigger: &TriggerDef) -> Option<FullCheck> {
    if trigger.validate != Validate::Full || !matches!(trigger.source, TriggerSource::Kafka(_)) {
        return None;
    }
    let validator = trigger.validator.clone()?;
    Some(FullCheck::new(move |payload| {
        let payload: Value = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
        if validator.is_valid(&payload) {
            return Ok(());
        }
        Err(describe_errors(&validator, &payload).join("; "))
    }))
}

/// Reports mistakes, each of which names its rule.
fn tell_by_rule(errors: &[CompileError], rules: &BTreeMap<String, PlannedRule>, problems: &mut Problems) {
    for error in errors {
        if let Some(criteria) = rules.get(&error.at).and_then(|rule| rule.criteria.as_ref()) {
            tell_all([error], criteria, problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{disk_with, load};

    fn check_of(trigger: &'static str) -> Option<FullCheck> {
        let revision = load(vec![disk_with(&[("triggers/other.yaml", trigger)])]);
        full_check(revision.compiled().trigger("disk.other").unwrap())
    }

    #[test]
    fn criteria_that_cannot_be_meant_are_located_warnings() {
        let trigger = "name: other\nsource: { kafka: { topic: t } }\n\
                       schema: { type: object, properties: { host: { type: string } } }\n";
        let rule = "name: odd\ntrigger: disk.other\ncriteria: trigger.hots == \"a\"\naction: { ref: disk.clean, parameters: { host: a } }\n";
        let revision = load(vec![disk_with(&[("triggers/other.yaml", trigger), ("rules/odd.yaml", rule)])]);
        let warnings: Vec<String> = revision.compiled().warnings().as_slice().iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("rules/odd.yaml:3:") && warnings[0].contains("did you mean `host`"),
            "{warnings:?}"
        );
    }

    #[test]
    fn full_checks_are_for_bound_topics_that_ask_for_them() {
        let bound = "name: other\nsource: { kafka: { topic: t } }\nvalidate: full\n\
                     schema: { required: [a], properties: { a: { type: integer, minimum: 1 } } }\n";
        let check = check_of(bound).unwrap();
        assert_eq!(check.run(br#"{"a":1}"#), Ok(()));
        assert_eq!(check.run(br#"{"a":0,"a":2}"#), Ok(()), "the last of duplicate keys wins");
        assert_eq!(check.run(br#"{"a":0}"#), Err("/a: the value is less than the minimum of 1".to_owned()));
        assert!(check.run(b"{").is_err());
        assert!(check_of("name: other\nsource: { kafka: { topic: t } }\nschema: { required: [a] }\n").is_none());
        assert!(check_of("name: other\nvalidate: full\nschema: { required: [a] }\n").is_none());
        assert!(check_of("name: other\nsource: { kafka: { topic: t } }\nvalidate: full\n").is_none());
    }
}
