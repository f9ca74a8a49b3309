//! What the match stage is given instead of a catalog: one trigger bound to the input topic.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use petrel_bus::Versioned;
use petrel_rules::{
    ActionPlan, Binding, Kv, MatchPlan, MatchView, RulePlan, RuleSet, RuleSource, Template, TriggerPlan, TriggerSchema,
};

use crate::alerts;

/// The globals of the measured stage.
pub(crate) struct View {
    plan: MatchPlan,
    kv: Kv,
}

impl View {
    /// So many rules on the alerts of that topic, as constant globals.
    pub(crate) fn on(topic: &str, rules: usize) -> Result<Arc<Versioned<View>>> {
        let (set, kv) = Self::rule_set(rules)?;
        let parameters = serde_json::json!({
            "host": "${trigger.host}", "service": "${trigger.service}", "used_pct": "${trigger.used_pct}",
            "older_than": "7d",
        });
        let plan = |number: usize| -> Result<RulePlan> {
            let parameters = Template::rule(&parameters).map_err(|e| anyhow!("parameters: {e:?}"))?;
            let actions = vec![ActionPlan { action: "bench.clean".into(), parameters }];
            Ok(RulePlan { rule: reference(number), pack: "bench".into(), class: None, actions })
        };
        let plans = (0..rules).map(plan).collect::<Result<Vec<_>>>()?;
        let trigger = Arc::new(TriggerPlan::new("bench.alert".into(), set, plans));
        let binding = Binding { topic: topic.into(), offsets: Vec::new() };
        let view = Self { plan: MatchPlan::new([(trigger, Some(binding))]), kv };
        Ok(Arc::new(Versioned { version: 1, value: Arc::new(view) }))
    }

    /// The compiled rules and the key-value store that they read.
    pub(crate) fn rule_set(rules: usize) -> Result<(RuleSet, Kv)> {
        let source =
            |(number, criteria): (usize, String)| RuleSource { rule: reference(number), criteria: Some(criteria) };
        let schema = TriggerSchema::compile(&alerts::schema());
        let set = RuleSet::compile(&schema, alerts::criteria(rules).enumerate().map(source))
            .map_err(|errors| anyhow!("the rules do not compile: {errors:?}"))?;
        Ok((set, Kv::new([alerts::kv()])?))
    }
}

fn reference(number: usize) -> Arc<str> {
    format!("bench.rule_{number:03}").into()
}

impl MatchView for View {
    fn plan(&self) -> &MatchPlan {
        &self.plan
    }

    fn revision(&self) -> &str {
        // As long as a real one: it is part of every record that the stage writes.
        "0123456789abcdef0123456789abcdef"
    }

    fn kv(&self) -> &Kv {
        &self.kv
    }

    fn kv_version(&self) -> i64 {
        1
    }
}
