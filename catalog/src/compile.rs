//! From pack drafts to a compiled revision: references across packs, parameters, expressions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::action::{ActionDef, may_be};
use crate::engine::{Expression, Template};
use crate::model::{ActionCall, PackSummary, RuleDef, TriggerDef};
use crate::pack::{
    ActionDraft, CallDraft, CatchUp, KafkaSource, PackDraft, PackFile, RuleDraft, TestDraft, TriggerDraft,
    TriggerSource, compile_schema, describe_errors, unique,
};
use crate::problems::{Code, Problems, did_you_mean};
use crate::walk::Located;
use crate::yaml::Node;

/// A whole catalog, compiled: what every role works with. Looking up never fails for lack of a check.
#[derive(Debug)]
pub struct CompiledRevision {
    hash: String,
    packs: BTreeMap<String, PackSummary>,
    files: BTreeMap<String, Vec<PackFile>>,
    triggers: BTreeMap<String, TriggerDef>,
    rules: BTreeMap<String, RuleDef>,
    actions: BTreeMap<String, ActionDef>,
    pub(crate) tests: Vec<(String, TestDraft)>,
}

impl CompiledRevision {
    /// Hash of the revision.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Its packs, by name.
    pub fn packs(&self) -> impl Iterator<Item = &PackSummary> {
        self.packs.values()
    }

    /// Files of a pack, sorted by path: a worker lays them out to run the pack's programs.
    pub fn files(&self, pack: &str) -> &[PackFile] {
        self.files.get(pack).map_or(&[], Vec::as_slice)
    }

    /// A trigger by its reference.
    pub fn trigger(&self, reference: &str) -> Option<&TriggerDef> {
        self.triggers.get(reference)
    }

    /// All triggers, by reference.
    pub fn triggers(&self) -> impl Iterator<Item = &TriggerDef> {
        self.triggers.values()
    }

    /// A rule by its reference.
    pub fn rule(&self, reference: &str) -> Option<&RuleDef> {
        self.rules.get(reference)
    }

    /// All rules, by reference.
    pub fn rules(&self) -> impl Iterator<Item = &RuleDef> {
        self.rules.values()
    }

    /// An action by its reference.
    pub fn action(&self, reference: &str) -> Option<&ActionDef> {
        self.actions.get(reference)
    }

    /// All actions, by reference.
    pub fn actions(&self) -> impl Iterator<Item = &ActionDef> {
        self.actions.values()
    }

    /// Pools of workers that its actions name, sorted.
    pub fn pools(&self) -> BTreeSet<&str> {
        self.actions.values().map(|action| action.pool.as_str()).collect()
    }

    /// Interval triggers: milliseconds and catch-up, by reference.
    pub fn timers(&self) -> BTreeMap<String, (i64, CatchUp)> {
        let timer = |trigger: &TriggerDef| match trigger.source {
            TriggerSource::Interval { every_ms, catch_up } => Some((trigger.reference.clone(), (every_ms, catch_up))),
            _ => None,
        };
        self.triggers.values().filter_map(timer).collect()
    }

    /// Triggers of built-in sensors: the trigger, the sensor's name and milliseconds between samples.
    pub fn sensors(&self) -> impl Iterator<Item = (&TriggerDef, &str, i64)> {
        self.triggers.values().filter_map(|trigger| match &trigger.source {
            TriggerSource::Sensor { sensor, every_ms } => Some((trigger, sensor.as_str(), *every_ms)),
            _ => None,
        })
    }

    /// Triggers that are bound to a topic.
    pub fn bound(&self) -> impl Iterator<Item = (&TriggerDef, &KafkaSource)> {
        self.triggers.values().filter_map(|trigger| match &trigger.source {
            TriggerSource::Kafka(source) => Some((trigger, source)),
            _ => None,
        })
    }
}

/// Compiles drafts. What has a problem is left out, so the result is whole only if none was added.
pub(crate) fn compile(hash: String, drafts: Vec<PackDraft>, problems: &mut Problems) -> CompiledRevision {
    unique("pack", drafts.iter().map(|draft| &draft.name), problems);
    let mut revision = CompiledRevision {
        hash,
        packs: BTreeMap::new(),
        files: BTreeMap::new(),
        triggers: BTreeMap::new(),
        rules: BTreeMap::new(),
        actions: BTreeMap::new(),
        tests: Vec::new(),
    };
    let broken: BTreeSet<String> = drafts.iter().flat_map(PackDraft::broken_references).collect();
    let mut rules = Vec::new();
    for draft in drafts {
        let pack = draft.name.value;
        let summary = PackSummary {
            name: pack.clone(),
            version: draft.version,
            description: draft.description,
            triggers: draft.triggers.len(),
            rules: draft.rules.len(),
            actions: draft.actions.len(),
        };
        revision.packs.insert(pack.clone(), summary);
        for trigger in draft.triggers {
            let trigger = compile_trigger(&pack, trigger, problems);
            revision.triggers.insert(trigger.reference.clone(), trigger);
        }
        for action in draft.actions {
            if let Some(action) = compile_action(&pack, action, problems) {
                revision.actions.insert(action.reference.clone(), action);
            }
        }
        revision.files.insert(pack.clone(), draft.files);
        rules.extend(draft.rules.into_iter().map(|rule| (pack.clone(), rule)));
    }
    for (pack, rule) in rules {
        let reference = format!("{pack}.{}", rule.name.value);
        check_rule(&rule, &revision, &broken, problems);
        revision.tests.extend(rule.tests.iter().map(|test| (reference.clone(), test.clone())));
        revision.rules.insert(reference.clone(), rule_def(reference, rule));
    }
    revision
}

fn compile_trigger(pack: &str, draft: TriggerDraft, problems: &mut Problems) -> TriggerDef {
    let key_expression = draft.key.as_ref().and_then(|key| {
        Expression::compile(&key.value, &["trigger"])
            .map_err(|message| problems.add(&key.place, Code::BadExpression, message))
            .ok()
    });
    // A schema of the pack compiled when its file was read; one of Petrel's own compiles in a test.
    let validator = draft.schema.as_ref().and_then(|schema| compile_schema(schema).ok());
    TriggerDef {
        reference: format!("{pack}.{}", draft.name.value),
        description: draft.description,
        source: draft.source,
        schema: draft.schema,
        validate: draft.validate,
        key: draft.key.map(|key| key.value),
        key_expression,
        validator,
    }
}

fn compile_action(pack: &str, draft: ActionDraft, problems: &mut Problems) -> Option<ActionDef> {
    const ROOTS: &[&str] = &["parameters", "execution"];
    let mut template = |text: &Located<String>| {
        Template::compile(&Value::String(text.value.clone()), ROOTS)
            .map_err(|message| problems.add(&text.place, Code::BadExpression, message))
            .ok()
    };
    let command = draft.command.iter().filter_map(&mut template).collect();
    let env = draft.env.into_iter().filter_map(|(name, text)| Some((name, template(&text)?))).collect();
    let properties: Map<String, Value> =
        draft.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.schema.clone())).collect();
    let schema = json!({ "type": "object", "properties": properties });
    let validator = compile_schema(&schema)
        .map_err(|message| problems.add(&draft.parameters_place, Code::BadSchema, message))
        .ok()?;
    Some(ActionDef {
        reference: format!("{pack}.{}", draft.name.value),
        pack: pack.to_owned(),
        description: draft.description,
        parameters: draft.parameters,
        timeout_ms: draft.timeout_ms,
        delivery: draft.delivery,
        pool: draft.pool,
        output_bytes_max: draft.output_bytes_max,
        command,
        env,
        validator,
    })
}

fn rule_def(reference: String, draft: RuleDraft) -> RuleDef {
    let call = |call: CallDraft| ActionCall {
        action: call.action.value,
        parameters: call.parameters.into_iter().map(|(name, value)| (name.value, value.to_json())).collect(),
    };
    RuleDef {
        reference,
        description: draft.description,
        trigger: draft.trigger.value,
        criteria: draft.criteria.map(|criteria| criteria.value),
        calls: draft.calls.into_iter().map(call).collect(),
        enabled: draft.enabled,
        tags: draft.tags,
    }
}

/// References that were written but whose file has problems of its own are not reported a second time.
fn check_rule(rule: &RuleDraft, revision: &CompiledRevision, broken: &BTreeSet<String>, problems: &mut Problems) {
    let trigger = &rule.trigger;
    if !revision.triggers.contains_key(&trigger.value) && !broken.contains(&trigger.value) {
        let hint = did_you_mean(&trigger.value, revision.triggers.keys().map(String::as_str));
        let message = format!("there is no trigger {:?}{hint}", trigger.value);
        problems.add(&trigger.place, Code::UnknownReference, message);
    }
    for call in &rule.calls {
        match revision.actions.get(&call.action.value) {
            Some(action) => check_call(call, action, problems),
            None if broken.contains(&call.action.value) => {}
            None => {
                let hint = did_you_mean(&call.action.value, revision.actions.keys().map(String::as_str));
                let message = format!("there is no action {:?}{hint}", call.action.value);
                problems.add(&call.action.place, Code::UnknownReference, message);
            }
        }
    }
    for test in &rule.tests {
        for expected in &test.expect {
            if !rule.calls.iter().any(|call| call.action.value == expected.action) {
                let message = format!("the test expects {:?}, which is no action of this rule", expected.action);
                problems.add(&test.place, Code::BadValue, message);
            }
        }
    }
}

fn check_call(call: &CallDraft, action: &ActionDef, problems: &mut Problems) {
    for (name, value) in &call.parameters {
        match action.parameter(&name.value) {
            Some(parameter) => check_value(name, value, &parameter.schema, problems),
            None => {
                let known = action.parameters.iter().map(|parameter| parameter.name.as_str());
                let hint = did_you_mean(&name.value, known);
                let message = format!("action {} has no parameter {:?}{hint}", action.reference, name.value);
                problems.add(&name.place, Code::UnknownReference, message);
            }
        }
    }
    for parameter in action.parameters.iter().filter(|parameter| parameter.required && parameter.default.is_none()) {
        if !call.parameters.iter().any(|(name, _)| name.value == parameter.name) {
            let message = format!("action {} needs the parameter {:?}", action.reference, parameter.name);
            problems.add(&call.place, Code::BadParameter, message);
        }
    }
}

/// A constant must fit the schema; a text with more than one `${…}` in it is always a string.
fn check_value(name: &Located<String>, node: &Node, schema: &Value, problems: &mut Problems) {
    let value = node.to_json();
    let mut place = name.place.clone();
    place.at = node.at;
    let template = match Template::compile(&value, &["trigger", "kv", "now"]) {
        Ok(template) => template,
        Err(message) => {
            problems.add(&place, Code::BadExpression, message);
            return;
        }
    };
    if template.is_constant() {
        let Ok(validator) = compile_schema(schema) else { return };
        if let Some(reason) = describe_errors(&validator, &value).into_iter().next() {
            let message = format!("the value of {:?} breaks the action's schema: {reason}", name.value);
            problems.add(&place, Code::BadParameter, message);
        }
    } else if template.is_always_text() && !may_be(schema, "string") {
        let message = format!("{:?} is no string, and a text around \"${{…}}\" makes one", name.value);
        problems.add(&place, Code::BadParameter, message);
    }
}
