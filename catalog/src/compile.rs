//! From pack drafts to a compiled revision: references across packs, parameters, expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petrel_execution::{ActionPlan, Labels, Needs, labels_text, pool_with};
use petrel_rules::{Binding, MatchPlan, TriggerPlan};
use petrel_schemas::{ENDS_TRIGGER, TriggerBinding};
use serde_json::Value;

use crate::action::{ActionDef, Parameters, may_be};
use crate::engine::call_template;
use crate::model::{ActionCall, PackSummary, RuleDef, TriggerDef};
use crate::pack::{
    ActionDraft, CallDraft, Config, PackDraft, PolicyDraft, RuleDraft, TestDraft, TriggerSource, WorkflowDraft,
    WorkflowTestDraft, compile_schema, describe_errors, unique,
};
use crate::plans::Planner;
use crate::policies;
use crate::problems::{Code, Place, Problems, did_you_mean};
use crate::secrets;
use crate::triggers::{Triggers, compile_trigger};
use crate::walk::Located;
use crate::workflows;
use crate::yaml::Node;

/// A whole catalog, compiled: what every role works with. Looking up never fails for lack of a check.
#[derive(Debug)]
pub struct CompiledRevision {
    hash: String,
    packs: BTreeMap<String, PackSummary>,
    triggers: Arc<Triggers>,
    rules: BTreeMap<String, RuleDef>,
    actions: BTreeMap<String, ActionDef>,
    tests: BTreeMap<String, Vec<TestDraft>>,
    /// By pack.
    configs: BTreeMap<String, Arc<Config>>,
    /// By the reference of its action.
    workflows: BTreeMap<String, WorkflowDraft>,
    workflow_tests: Vec<WorkflowTestDraft>,
    plans: Vec<Arc<TriggerPlan>>,
    warnings: Problems,
}

/// A bound trigger of a revision has no binding to its topic among those given. So it is for the moment
/// between a changed binding and its head in the log, when the plan that is in use is to be kept; the
/// revision in force and its bindings are whole in every log that was written by this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("revision {revision} binds trigger {trigger}, and the catalog has no binding of it")]
pub struct BindingMissing {
    /// Hash of the revision.
    pub revision: String,
    /// Reference of the trigger.
    pub trigger: String,
}

impl CompiledRevision {
    /// Hash of the revision.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What is wrong with a reference of an action that it does not have.
    pub(crate) fn no_such_action(&self, reference: &str) -> String {
        let pack = reference.split('.').next().unwrap_or_default();
        let hint = match self.packs.contains_key(pack) {
            true => did_you_mean(reference, self.actions.keys().map(String::as_str)),
            false => {
                let near = did_you_mean(pack, self.packs.keys().map(String::as_str));
                format!(": no pack {pack:?} is among these{near}")
            }
        };
        format!("there is no action {reference:?}{hint}")
    }

    /// Its packs, by name.
    pub fn packs(&self) -> impl Iterator<Item = &PackSummary> {
        self.packs.values()
    }

    /// Topics to which its packs write, each with the name of one that does.
    pub fn produced(&self) -> impl Iterator<Item = (String, String)> {
        let of = |pack: &PackSummary| {
            pack.produces.iter().map(|topic| (topic.clone(), pack.name.clone())).collect::<Vec<_>>()
        };
        self.packs.values().flat_map(of)
    }

    /// Its triggers.
    pub fn all_triggers(&self) -> &Arc<Triggers> {
        &self.triggers
    }

    /// A trigger by its reference.
    pub fn trigger(&self, reference: &str) -> Option<&TriggerDef> {
        self.triggers.get(reference)
    }

    /// All triggers, by reference.
    pub fn triggers(&self) -> impl Iterator<Item = &TriggerDef> {
        self.triggers.iter()
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

    /// What the match stage works with: the rules of every trigger, and the bindings of bound ones.
    ///
    /// # Errors
    /// [`BindingMissing`]; [`crate::CatalogState::bindings`] has those of the revision in force.
    pub fn match_plan(&self, bindings: &BTreeMap<String, TriggerBinding>) -> Result<MatchPlan, BindingMissing> {
        let mut triggers = Vec::with_capacity(self.plans.len());
        for plan in &self.plans {
            let binding = match self.trigger(&plan.trigger).map(|trigger| &trigger.source) {
                Some(TriggerSource::Kafka(source)) => {
                    let binding = bindings.get(&*plan.trigger).filter(|binding| binding.topic == source.topic);
                    let missing = || BindingMissing { revision: self.hash.clone(), trigger: plan.trigger.to_string() };
                    let binding = binding.ok_or_else(missing)?;
                    Some(Binding { topic: binding.topic.as_str().into(), offsets: binding.offsets.clone() })
                }
                _ => None,
            };
            triggers.push((plan.clone(), binding));
        }
        Ok(MatchPlan::new(triggers))
    }

    /// What is allowed but cannot be meant: criteria that name fields which no event has, or that are never
    /// true.
    pub fn warnings(&self) -> &Problems {
        &self.warnings
    }

    /// The compiled rules of a trigger, by its reference: to decide events without a match stage.
    pub fn plan(&self, trigger: &str) -> Option<&Arc<TriggerPlan>> {
        self.plans.iter().find(|plan| &*plan.trigger == trigger)
    }

    /// Whether enabled rules of it react to how executions end.
    pub fn reacts_to_ends(&self) -> bool {
        self.plan(ENDS_TRIGGER).is_some_and(|plan| !plan.rules().is_empty())
    }

    /// The configuration of a pack.
    pub fn config(&self, pack: &str) -> Option<&Arc<Config>> {
        self.configs.get(pack)
    }

    /// Whether for every action that requires labels there is a pool that has them. Those for which there is none,
    /// though they require the same in the revision `before`: pools have changed since, and whoever changes another pack
    /// cannot help it.
    ///
    /// # Errors
    /// Every other action for which there is none.
    pub fn check_pools(&self, pools: &[(String, Labels)], before: Option<&Self>) -> Result<Problems, Problems> {
        let (mut problems, mut known) = (Problems::new(), Problems::new());
        for action in self.actions.values() {
            let Some(place) = &action.requires_place else { continue };
            let named = pools.iter().map(|(pool, labels)| (pool.as_str(), Some(labels)));
            if pool_with(named, &action.plan.requires).is_none() {
                let wanted = labels_text(&action.plan.requires);
                let message =
                    format!("{} requires a pool with {wanted}, and no configured pool has that", action.reference);
                let same = before.and_then(|before| before.action(&action.reference));
                let is_same = same.is_some_and(|same| same.plan.requires == action.plan.requires);
                let told = if is_same { &mut known } else { &mut problems };
                told.add(place, Code::UnknownReference, message);
            }
        }
        problems.or(known)
    }

    /// Whether each action needs no more than the largest worker of its pool has, where that is known: `sizes` has it by
    /// pool.
    ///
    /// # Errors
    /// Every action that needs more.
    pub fn check_sizes(&self, pools: &[(String, Labels)], sizes: &BTreeMap<String, Needs>) -> Result<(), Problems> {
        let mut problems = Problems::new();
        for action in self.actions.values() {
            let (Some(place), plan) = (&action.needs_place, &action.plan) else { continue };
            let named = pools.iter().map(|(pool, labels)| (pool.as_str(), Some(labels)));
            let of_labels = || pool_with(named, &plan.requires);
            let pool = if plan.requires.is_empty() { Some(plan.pool.as_str()) } else { of_labels() };
            let size = pool.and_then(|pool| Some((pool, sizes.get(pool)?)));
            if let Some((pool, size)) = size.filter(|(_, size)| !plan.needs.fits(size)) {
                let (reference, needs) = (&action.reference, plan.needs);
                let message =
                    format!("{reference} needs {needs}, and the largest worker of the pool {pool} has {size}");
                problems.add(place, Code::TooLarge, message);
            }
        }
        problems.or(())
    }

    /// References of the actions that are workflows.
    pub fn workflow_names(&self) -> impl Iterator<Item = &str> {
        self.workflows.keys().map(String::as_str)
    }

    /// Tests of workflows, file by file.
    pub(crate) fn workflow_tests(&self) -> &[WorkflowTestDraft] {
        &self.workflow_tests
    }

    /// The workflows of its actions, by the action's reference.
    pub(crate) fn workflows(&self) -> &BTreeMap<String, WorkflowDraft> {
        &self.workflows
    }

    /// Tests of a rule, in the order of its file.
    pub(crate) fn tests_of(&self, rule: &str) -> &[TestDraft] {
        self.tests.get(rule).map_or(&[], Vec::as_slice)
    }
}

/// Compiles drafts. What has a problem is left out, so the result is whole only if none was added. Rules that
/// are unchanged since the revision `before` are not compiled again.
pub(crate) fn compile(
    hash: String,
    drafts: Vec<PackDraft>,
    before: Option<&CompiledRevision>,
    problems: &mut Problems,
) -> CompiledRevision {
    unique("pack", drafts.iter().filter(|draft| !draft.nameless).map(|draft| &draft.name), problems);
    let mut triggers = BTreeMap::new();
    let mut revision = CompiledRevision {
        hash: hash.clone(),
        packs: BTreeMap::new(),
        triggers: Arc::default(),
        rules: BTreeMap::new(),
        actions: BTreeMap::new(),
        tests: BTreeMap::new(),
        configs: BTreeMap::new(),
        workflows: BTreeMap::new(),
        workflow_tests: Vec::new(),
        plans: Vec::new(),
        warnings: Problems::new(),
    };
    let told = Told::of(&drafts);
    let (mut rules, mut injects) = (Vec::new(), Vec::new());
    for draft in drafts {
        let pack = draft.name.value;
        let summary = PackSummary {
            name: pack.clone(),
            version: draft.version,
            description: draft.description,
            produces: draft.produces,
            content_hash: draft.content_hash,
            triggers: draft.triggers.len(),
            rules: draft.rules.len(),
            actions: draft.actions.len(),
        };
        revision.packs.insert(pack.clone(), summary);
        secrets::check_config(&pack, &draft.config, problems);
        revision.configs.insert(pack.clone(), draft.config);
        for trigger in draft.triggers {
            let trigger = compile_trigger(&pack, trigger, problems);
            triggers.insert(trigger.reference.clone(), trigger);
        }
        let named: BTreeSet<String> =
            draft.actions.iter().map(|action| format!("{pack}.{}", action.name.value)).collect();
        let ruled: BTreeSet<String> = draft.rules.iter().map(|rule| format!("{pack}.{}", rule.name.value)).collect();
        let has = |kind: &str, reference: &str| {
            let known = if kind == "rule" { &ruled } else { &named };
            known.contains(reference) || told.explains(reference)
        };
        policies::check(&pack, &draft.policies, &draft.actions, has, problems);
        for mut action in draft.actions {
            let workflow = action.workflow.take();
            revision.workflows.extend(workflow.map(|workflow| (format!("{pack}.{}", action.name.value), workflow)));
            if let Some(trigger) = action.runner.injects() {
                injects.push(Located::new(trigger.to_owned(), action.trigger_place.clone()));
            }
            if let Some(action) = compile_action(&pack, action, &draft.policies, problems) {
                revision.actions.insert(action.reference.clone(), action);
            }
        }
        revision.workflow_tests.extend(draft.workflow_tests);
        rules.extend(draft.rules.into_iter().map(|rule| (pack.clone(), rule)));
    }
    revision.triggers = Arc::new(Triggers::new(hash, triggers));
    injects.iter().for_each(|trigger| check_trigger(trigger, &revision, &told, problems));
    workflows::check(&revision, &told, problems);
    let mut planner = Planner::default();
    for (pack, rule) in rules {
        let reference = format!("{pack}.{}", rule.name.value);
        check_rule(&pack, &rule, &revision, &told, problems);
        warn_of_circles(&rule, &mut revision);
        let config = revision.config(&pack).cloned().unwrap_or_default();
        let templates = rule.calls.iter().filter_map(|call| call_template(call, &config, problems)).collect();
        planner.add(&reference, &pack, &rule, templates, revision.triggers.by_reference(), problems);
        let (rule, tests) = rule_def(reference.clone(), rule);
        revision.tests.insert(reference.clone(), tests);
        revision.rules.insert(reference, rule);
    }
    revision.plans = planner.finish(revision.triggers.by_reference(), before, problems, &mut revision.warnings);
    revision
}

pub(crate) fn compile_action(
    pack: &str,
    draft: ActionDraft,
    policies: &[PolicyDraft],
    problems: &mut Problems,
) -> Option<ActionDef> {
    secrets::check_action(pack, &draft, problems);
    let reference = format!("{pack}.{}", draft.name.value);
    let parameters = Parameters::compile(reference.clone(), draft.parameters);
    let parameters = parameters.map_err(|message| problems.add(&draft.parameters_place, Code::BadSchema, message));
    let parameters = Arc::new(parameters.ok()?);
    let plan = ActionPlan {
        pool: draft.pool,
        requires: draft.requires.as_ref().map(|labels| labels.value.clone()).unwrap_or_default(),
        needs: draft.needs.as_ref().map(|needs| needs.value).unwrap_or_default(),
        class: draft.class,
        delivery: draft.delivery,
        timeout_ms: draft.timeout_ms,
        output_bytes_max: usize::try_from(draft.output_bytes_max).unwrap_or(usize::MAX),
        retry: draft.retry,
        policies: policies::of_action(pack, policies, &reference, problems),
        runner: draft.runner,
        parameters: parameters.clone(),
    };
    Some(ActionDef {
        reference,
        pack: pack.to_owned(),
        description: draft.description,
        parameters,
        plan: Arc::new(plan),
        requires_place: draft.requires.map(|labels| labels.place),
        needs_place: draft.needs.map(|needs| needs.place),
    })
}

fn rule_def(reference: String, draft: RuleDraft) -> (RuleDef, Vec<TestDraft>) {
    let call = |call: CallDraft| ActionCall {
        action: call.action.value,
        parameters: call.parameters.into_iter().map(|(name, value)| (name.value, value.to_json())).collect(),
    };
    let rule = RuleDef {
        reference,
        description: draft.description,
        trigger: draft.trigger.map(|trigger| trigger.value).unwrap_or_default(),
        criteria: draft.criteria.map(|criteria| criteria.value),
        calls: draft.calls.into_iter().map(call).collect(),
        enabled: draft.enabled,
        tags: draft.tags,
    };
    (rule, draft.tests)
}

/// What is missing because of a problem that is told already, and must not be told again at each reference.
pub(crate) struct Told {
    broken: BTreeSet<String>,
    packs: BTreeSet<String>,
    some_pack_is_nameless: bool,
}

impl Told {
    fn of(drafts: &[PackDraft]) -> Self {
        Self {
            broken: drafts.iter().flat_map(PackDraft::broken_references).collect(),
            packs: drafts.iter().filter(|draft| !draft.nameless).map(|draft| draft.name.value.clone()).collect(),
            some_pack_is_nameless: drafts.iter().any(|draft| draft.nameless),
        }
    }

    /// Whether a file meant to define it and has a mistake.
    pub(crate) fn is_broken(&self, reference: &str) -> bool {
        self.broken.contains(reference)
    }

    pub(crate) fn explains(&self, reference: &str) -> bool {
        let pack = reference.split('.').next().unwrap_or_default();
        self.broken.contains(reference) || (self.some_pack_is_nameless && !self.packs.contains(pack))
    }
}

fn check_trigger(trigger: &Located<String>, revision: &CompiledRevision, told: &Told, problems: &mut Problems) {
    if revision.triggers.get(&trigger.value).is_none() && !told.explains(&trigger.value) {
        let hint = did_you_mean(&trigger.value, revision.triggers.iter().map(|trigger| trigger.reference.as_str()));
        let message = format!("there is no trigger {:?}{hint}", trigger.value);
        problems.add(&trigger.place, Code::UnknownReference, message);
    }
}

fn check_rule(pack: &str, rule: &RuleDraft, revision: &CompiledRevision, told: &Told, problems: &mut Problems) {
    if let Some(trigger) = &rule.trigger {
        check_trigger(trigger, revision, told, problems);
    }
    for call in &rule.calls {
        match revision.actions.get(&call.action.value) {
            Some(_) if told.is_broken(&call.action.value) => {}
            None if told.explains(&call.action.value) => {}
            Some(action) => {
                let config = revision.config(pack).cloned().unwrap_or_default();
                check_call(pack, &config, call, action, problems);
            }
            None => {
                let message = revision.no_such_action(&call.action.value);
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

/// A record knows nothing of what caused it: a rule that answers each record of a topic with another one of that topic does
/// so for ever, and as fast as it goes.
fn warn_of_circles(rule: &RuleDraft, revision: &mut CompiledRevision) {
    let trigger = rule.trigger.as_ref().and_then(|trigger| revision.triggers.get(&trigger.value));
    let Some(TriggerSource::Kafka(source)) = trigger.map(|trigger| &trigger.source) else { return };
    if !rule.enabled || rule.criteria.is_some() {
        return;
    }
    let writes = |call: &&CallDraft| {
        revision.actions.get(&call.action.value).is_some_and(|action| action.plan.runner.may_write_to(&source.topic))
    };
    for call in rule.calls.iter().filter(writes) {
        let message = format!(
            "{} may write to the topic {:?}, whose records this rule answers without criteria: nothing would end that",
            call.action.value, source.topic
        );
        revision.warnings.add(&call.action.place, Code::SuspiciousExpression, message);
    }
}

fn check_call(pack: &str, config: &Config, call: &CallDraft, action: &ActionDef, problems: &mut Problems) {
    for (name, value) in &call.parameters {
        match action.parameter(&name.value) {
            Some(parameter) if secrets::check_value(pack, config, name, value, parameter, problems) => {}
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
    let place = Place { at: node.at, ..name.place.clone() };
    let text = value.to_string();
    if !text.contains("${") {
        let Ok(validator) = compile_schema(schema) else { return };
        if let Some(reason) = describe_errors(&validator, &value).into_iter().next() {
            let message = format!("the value of {:?} breaks the action's schema: {reason}", name.value);
            problems.add(&place, Code::BadParameter, message);
        }
    } else if is_always_text(&value) && !may_be(schema, "string") {
        let message = format!("{:?} is no string, and a text around \"${{…}}\" makes one", name.value);
        problems.add(&place, Code::BadParameter, message);
    }
}

/// Whether a text holds `${…}` and something else, or several of them: such a template always yields a text.
fn is_always_text(value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    let single = text.starts_with("${") && text.ends_with('}') && text.matches("${").count() == 1;
    text.contains("${") && !single
}
