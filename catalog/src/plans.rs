//! The rules of each trigger, compiled for the match stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_rules::{ActionPlan, CompileError, RulePlan, RuleSet, RuleSource, Template, TriggerPlan, TriggerSchema};

use crate::engine::{check_criteria, tell_all};
use crate::model::TriggerDef;
use crate::pack::RuleDraft;
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

    /// Plans of all triggers, those without rules too: their events are known and match nothing.
    pub(crate) fn finish(
        mut self,
        triggers: &BTreeMap<String, TriggerDef>,
        problems: &mut Problems,
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
                    let actions = rules.into_values().map(|rule| rule.plan).collect();
                    plans.push(Arc::new(TriggerPlan::new(reference.as_str().into(), set, actions)));
                }
                Err(errors) => tell_by_rule(&errors, &rules, problems),
            }
        }
        plans
    }
}

/// Reports mistakes, each of which names its rule.
fn tell_by_rule(errors: &[CompileError], rules: &BTreeMap<String, PlannedRule>, problems: &mut Problems) {
    for error in errors {
        if let Some(criteria) = rules.get(&error.at).and_then(|rule| rule.criteria.as_ref()) {
            tell_all([error], criteria, problems);
        }
    }
}
