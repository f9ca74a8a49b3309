//! The policies of packs: which gates an execution has to pass, and what holds at them.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_execution::gate::{GateId, Kind, Level, Terms};
use petrel_execution::windows::Windows;
use petrel_execution::{Delivery, NameGates, OwnTerms};
use petrel_rules::{Scope, Template};
use petrel_schemas::ExecutionId;
use serde_json::Value;

use crate::content::{Content, tell};
use crate::engine::tell_all;
use crate::pack::{self, ActionDraft, OwnDraft, PolicyDraft};
use crate::problems::{Code, Problems};
use crate::walk::Located;

/// What holds at the gates of all policies of a revision.
#[derive(Debug, Default)]
pub struct PolicyTerms {
    by_gate: BTreeMap<(String, Kind, bool), Terms>,
    incomplete: Option<String>,
}

impl PolicyTerms {
    /// Reads those of stored packs. What this release cannot read is left out, and [`Self::why_incomplete`] tells of it.
    pub fn read(content: &Content) -> Self {
        let mut problems = Problems::new();
        let mut by_gate = BTreeMap::new();
        for pack in content.packs() {
            let files = match pack.files() {
                Ok(files) => files,
                Err(error) => {
                    tell(&error, pack, &mut problems);
                    continue;
                }
            };
            for draft in pack::read_policies(pack.name(), files, &mut problems) {
                add_terms(&format!("{}.{}", pack.name(), draft.name.value), &draft, &mut by_gate);
            }
        }
        let incomplete = (!problems.is_empty()).then(|| problems.to_string());
        Self { by_gate, incomplete }
    }

    /// Why there may be more of them than are known, if so: this release cannot read them all.
    pub fn why_incomplete(&self) -> Option<&str> {
        self.incomplete.as_deref()
    }

    /// What holds at a gate; nothing where no policy is for it.
    pub fn of(&self, gate: &GateId) -> Option<Terms> {
        let is_key = matches!(gate.level, Level::Key(_));
        self.by_gate.get(&(gate.policy.clone(), gate.kind, is_key)).copied()
    }
}

fn add_terms(policy: &str, draft: &PolicyDraft, by_gate: &mut BTreeMap<(String, Kind, bool), Terms>) {
    for limit in &draft.limits {
        by_gate.insert((policy.to_owned(), limit.terms.limit.kind(), limit.by.is_some()), limit.terms);
    }
}

/// The policies of one action.
#[derive(Debug)]
pub(crate) struct ActionPolicies {
    limits: Vec<NamedLimit>,
    own: Vec<NamedOwn>,
}

/// What a policy leaves to owners.
#[derive(Debug)]
struct NamedOwn {
    terms: OwnTerms,
    /// Whose executions alone it is for; none where it is for all.
    rules: Arc<[String]>,
}

#[derive(Debug)]
struct NamedLimit {
    policy: String,
    kind: Kind,
    by: Option<Template>,
    /// Whose executions alone it is for; none where it is for all.
    rules: Arc<[String]>,
}

impl NameGates for ActionPolicies {
    fn gates(&self, execution: &ExecutionId, rule: Option<&str>, parameters: &Value) -> Result<Vec<GateId>, String> {
        let limits = self.limits.iter().filter(|limit| is_for(&limit.rules, rule));
        limits.map(|limit| limit.gate(execution, parameters)).collect()
    }

    fn own_terms(&self, rule: Option<&str>) -> OwnTerms {
        let mut all = OwnTerms::default();
        // What is for single rules says more about their executions than what is for all.
        let (of_rules, of_all): (Vec<_>, Vec<_>) =
            self.own.iter().filter(|own| is_for(&own.rules, rule)).partition(|own| !own.rules.is_empty());
        for OwnTerms { retry, deadline_ms, windows } in of_rules.into_iter().chain(of_all).map(|own| &own.terms) {
            all.retry = all.retry.or_else(|| retry.clone());
            all.deadline_ms = all.deadline_ms.into_iter().chain(*deadline_ms).min();
            all.windows.extend_from_slice(windows);
        }
        all
    }
}

fn is_for(rules: &[String], rule: Option<&str>) -> bool {
    rules.is_empty() || rule.is_some_and(|rule| rules.iter().any(|named| named == rule))
}

impl NamedLimit {
    fn gate(&self, execution: &ExecutionId, parameters: &Value) -> Result<GateId, String> {
        let Some(by) = &self.by else { return Ok(GateId::total(&self.policy, self.kind)) };
        let of_policy = |why: &dyn std::fmt::Display| format!("the key of policy {}: {why}", self.policy);
        let value =
            by.render(&Scope::action(parameters, &Value::Null, execution.as_str(), 0)).map_err(|e| of_policy(&e))?;
        let key = match value {
            Value::String(text) => text,
            Value::Null => return Err(of_policy(&"it is null")),
            other => other.to_string(),
        };
        GateId::of_key(&self.policy, self.kind, &key).map_err(|e| of_policy(&e))
    }
}

/// Those of a pack's policies that are for an action. An expression that this release cannot compile is a problem of the
/// action: without its policies it must not run.
pub(crate) fn of_action(
    pack: &str,
    policies: &[PolicyDraft],
    action: &str,
    problems: &mut Problems,
) -> Option<Arc<dyn NameGates>> {
    let is_for = |policy: &&PolicyDraft| policy.actions.iter().any(|named| named.value == action);
    let (mut limits, mut own) = (Vec::new(), Vec::new());
    for policy in policies.iter().filter(is_for) {
        let rules: Arc<[String]> = policy.rules.iter().map(|rule| rule.value.clone()).collect();
        let terms = own_terms(&format!("{pack}.{}", policy.name.value), &policy.own);
        if terms != OwnTerms::default() {
            own.push(NamedOwn { terms, rules: rules.clone() });
        }
        for limit in &policy.limits {
            let by = match &limit.by {
                Some(by) => Some(compile(by, problems)?),
                None => None,
            };
            let policy = format!("{pack}.{}", policy.name.value);
            limits.push(NamedLimit { policy, kind: limit.terms.limit.kind(), by, rules: rules.clone() });
        }
    }
    let says = !limits.is_empty() || !own.is_empty();
    says.then(|| -> Arc<dyn NameGates> { Arc::new(ActionPolicies { limits, own }) })
}

fn own_terms(policy: &str, draft: &OwnDraft) -> OwnTerms {
    let windows = draft.windows.iter().cloned().map(|windows| Windows { policy: policy.to_owned(), ..windows });
    OwnTerms {
        retry: draft.retry.as_ref().map(|retry| retry.value.clone()),
        deadline_ms: draft.deadline_ms,
        windows: windows.collect(),
    }
}

/// Reports policies that say what is tried again of an action that says it itself, or is never started again, or of which
/// another policy does.
fn check_retries(pack: &str, policies: &[PolicyDraft], actions: &[ActionDraft], problems: &mut Problems) {
    let mut said: BTreeMap<(&str, Option<&str>), &PolicyDraft> = BTreeMap::new();
    for policy in policies {
        let Some(retry) = &policy.own.retry else { continue };
        for named in &policy.actions {
            let is_it = |action: &&ActionDraft| named.value == format!("{pack}.{}", action.name.value);
            if let Some(action) = actions.iter().find(is_it) {
                if action.retry.is_some() {
                    let message = format!("action {} says by its own \"retry\" what is tried again", action.name.value);
                    problems.add(&retry.place, Code::Duplicate, message);
                } else if action.delivery == Delivery::AtMostOnce {
                    let message = format!("action {} runs at most once, and is never started again", action.name.value);
                    problems.add(&retry.place, Code::BadValue, message);
                }
            }
            let mut rules: Vec<Option<&str>> = policy.rules.iter().map(|rule| Some(rule.value.as_str())).collect();
            if rules.is_empty() {
                rules.push(None);
            }
            for rule in rules {
                if let Some(earlier) = said.insert((&named.value, rule), policy) {
                    let message =
                        format!("policy {} says already what is tried again of {}", earlier.name.value, named.value);
                    problems.add(&retry.place, Code::Duplicate, message);
                }
            }
        }
    }
}

/// Reports what is wrong with a pack's policies beside their own files' form: expressions, and actions and rules that
/// the pack does not have. `has` says whether it has one of that kind, or meant to.
pub(crate) fn check(
    pack: &str,
    policies: &[PolicyDraft],
    actions: &[ActionDraft],
    has: impl Fn(&str, &str) -> bool,
    problems: &mut Problems,
) {
    check_retries(pack, policies, actions, problems);
    for policy in policies {
        for attribute in &policy.attributes {
            let is_for = |action: &&ActionDraft| {
                policy.actions.iter().any(|named| named.value == format!("{pack}.{}", action.name.value))
            };
            let lacks = |action: &&ActionDraft| !action.parameters.iter().any(|known| known.name == attribute.value);
            if let Some(action) = actions.iter().filter(is_for).find(lacks) {
                let message = format!("action {} has no parameter {:?}", action.name.value, attribute.value);
                problems.add(&attribute.place, Code::UnknownReference, message);
            }
        }
        let actions = policy.actions.iter().map(|action| ("action", action));
        let named = actions.chain(policy.rules.iter().map(|rule| ("rule", rule)));
        // What an action or a rule calls itself is there, and what a rule calls is seen to with the rule.
        let is_own = |named: &str| policy.is_inline && named.split('.').next() == Some(pack);
        for (kind, named) in named.filter(|(kind, named)| !is_own(&named.value) && !has(kind, &named.value)) {
            let message = match named.value.split_once('.') {
                Some((of, _)) if of != pack => {
                    format!("{:?} is of another pack: a policy is for {kind}s of its own", named.value)
                }
                _ => format!("there is no {kind} {:?}", named.value),
            };
            problems.add(&named.place, Code::UnknownReference, message);
        }
        for by in policy.limits.iter().filter_map(|limit| limit.by.as_ref()) {
            compile(by, problems);
        }
    }
}

/// The expression of a key, or problems: told more than once they are one.
fn compile(by: &Located<String>, problems: &mut Problems) -> Option<Template> {
    if by.value.contains(['{', '}']) {
        let message = "\"by\" is an expression over the parameters such as parameters.host, without braces";
        problems.add(&by.place, Code::BadExpression, message);
        return None;
    }
    let template = Value::String(format!("${{{}}}", by.value));
    let template = Template::action(&template).map_err(|mut errors| {
        // Two characters stand before the expression in the template's first line.
        let first = errors.iter_mut().filter(|error| error.line == 1);
        first.for_each(|error| error.column = error.column.saturating_sub(2));
        tell_all(&errors, by, problems);
    });
    let template = template.ok()?;
    if !template.secrets().is_empty() {
        let message = "\"by\" names no secret: a key is shown to everybody who asks about its gate";
        problems.add(&by.place, Code::BadExpression, message);
        return None;
    }
    Some(template)
}

#[cfg(test)]
mod tests {
    use petrel_execution::gate::{Excess, Limit};
    use serde_json::json;

    use super::*;
    use crate::resolve::Actions;
    use crate::testkit::{disk_with, load, problems};

    const ALL: &str = "name: careful\nactions: [disk.clean]\n\
        concurrency: { max: 10, by: parameters.host, max_per_key: 1 }\n\
        rate: { starts: 5, per: 1m, burst: 2, on_exceed: drop }\n\
        limits: { max_actions: 20, per: 5m, by: parameters.older_than }\n\
        breaker: { failures: 3, open: 30s }\n";

    fn policy(text: &'static str) -> (&'static str, &'static str) {
        ("policies/careful.yaml", text)
    }

    #[test]
    fn an_action_names_its_gates_and_the_revision_what_holds_at_them() {
        let revision = load(vec![disk_with(&[policy(ALL)])]);
        let id = ExecutionId::of_manual("x");
        let plan = revision.compiled().action("disk.clean").unwrap().plan.clone();
        let named = |plan: &petrel_execution::ActionPlan| {
            plan.policies.as_ref().unwrap().gates(&id, None, &json!({"host": "db/1", "older_than": 7})).unwrap()
        };
        let mut gates = named(&plan);
        gates.sort();
        let texts: Vec<String> = gates.iter().map(GateId::to_string).collect();
        let wanted = [
            "disk.careful/concurrency/key/db/1",
            "disk.careful/radius/key/7",
            "disk.careful/concurrency/total",
            "disk.careful/breaker/total",
            "disk.careful/rate/total",
        ];
        assert_eq!(texts, wanted.map(String::from).to_vec());
        let terms = PolicyTerms::read(revision.content());
        assert_eq!(terms.why_incomplete(), None);
        let limits: Vec<(Limit, Excess)> =
            gates.iter().map(|gate| terms.of(gate).map(|terms| (terms.limit, terms.excess)).unwrap()).collect();
        let wanted = [
            (Limit::Concurrency { permits_max: 1 }, Excess::Wait),
            (Limit::Radius { actions_max: 20, per_ms: 300_000 }, Excess::Wait),
            (Limit::Concurrency { permits_max: 10 }, Excess::Wait),
            (Limit::Breaker { failures_max: 3, open_ms: 30_000, probes: 1 }, Excess::Wait),
            (Limit::Rate { tokens: 5, per_ms: 60_000, burst: 2 }, Excess::Drop),
        ];
        assert_eq!(limits, wanted);
        assert_eq!(terms.of(&GateId::total("disk.careful", Kind::Radius)), None, "only each key has a limit");
        // What is resolved one by one says the same.
        let content = revision.content();
        let pack = &content.packs()[0];
        let alone = Actions::new().resolve(pack, "clean").unwrap().unwrap();
        let mut again = named(&alone.plan);
        again.sort();
        assert_eq!(again, gates);
    }

    #[test]
    fn a_policy_of_rules_is_for_what_they_ask_for_alone() {
        let of_rules =
            "name: careful\nactions: [disk.clean]\nrules: [disk.clean_tmp]\nbreaker: { failures: 3, open: 30s }\n";
        let revision = load(vec![disk_with(&[policy(of_rules)])]);
        let policies = revision.compiled().action("disk.clean").unwrap().plan.policies.clone().unwrap();
        let id = ExecutionId::of_manual("x");
        let gates = |rule| policies.gates(&id, rule, &json!({})).unwrap().len();
        assert_eq!([gates(Some("disk.clean_tmp")), gates(Some("disk.other")), gates(None)], [1, 0, 0]);
        let wrong = of_rules.replace("disk.clean_tmp", "disk.clean_tpm");
        let told = problems(vec![disk_with(&[policy(Box::leak(wrong.into_boxed_str()))])]).to_string();
        assert_eq!(told, "policies/careful.yaml:3:9: there is no rule \"disk.clean_tpm\"");
    }

    #[test]
    fn a_key_without_a_value_says_of_which_policy() {
        let revision = load(vec![disk_with(&[policy(ALL)])]);
        let policies = revision.compiled().action("disk.clean").unwrap().plan.policies.clone().unwrap();
        let id = ExecutionId::of_manual("x");
        let why = |parameters| policies.gates(&id, None, &parameters).unwrap_err();
        assert!(why(json!({"older_than": 7})).starts_with("the key of policy disk.careful: "));
        assert!(why(json!({"host": null, "older_than": 7})).contains("it is null"));
        assert!(why(json!({"host": "x".repeat(300), "older_than": 7})).contains("300 bytes"));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let cases = [
            (
                "name: careful\nactions: [disk.clean]\n",
                "1:1: a policy needs \"concurrency\", \"rate\", \"limits\", \"breaker\", \"retry\", \"deadline\" or \
                 \"windows\"",
            ),
            ("name: careful\nconcurrency: { max: 1 }\n", "1:1: a policy needs \"actions\""),
            (
                "name: careful\nactions: []\nconcurrency: { max: 1 }\n",
                "2:10: \"actions\" must have from 1 to 100 entries",
            ),
            (
                "name: careful\nactions: [disk.cleen]\nconcurrency: { max: 1 }\n",
                "2:11: there is no action \"disk.cleen\"",
            ),
            (
                "name: careful\nactions: [other.clean]\nconcurrency: { max: 1 }\n",
                "2:11: \"other.clean\" is of another pack: a policy is for actions of its own",
            ),
            (
                "name: careful\nactions: [disk.clean]\nconcurrency: { max: 0 }\n",
                "3:21: \"max\" must be a whole number from 1 to 1000000",
            ),
            (
                "name: careful\nactions: [disk.clean]\nconcurrency: { by: parameters.host }\n",
                "3:14: \"by\" needs \"max_per_key\"",
            ),
            (
                "name: careful\nactions: [disk.clean]\nconcurrency: { max_per_key: 3 }\n",
                "3:14: \"max_per_key\" needs \"by\"",
            ),
            ("name: careful\nactions: [disk.clean]\nrate: { per: 1m }\n", "3:7: \"rate\" needs \"starts\""),
            (
                "name: careful\nactions: [disk.clean]\nlimits: { max_actions: 100001, per: 1m }\n",
                "3:24: \"max_actions\" must be a whole number from 1 to 100000",
            ),
            (
                "name: careful\nactions: [disk.clean]\nbreaker: { failures: 1, open: 1m, on_exceed: stop }\n",
                "3:46: \"on_exceed\" must be one of \"delay\", \"drop\", \"pause\", found \"stop\"",
            ),
            (
                "name: careful\nactions: [disk.clean]\nbreaker: { failures: 1, open: 1m, by: \"${parameters.host}\" }\n",
                "3:39: \"by\" is an expression over the parameters such as parameters.host, without braces",
            ),
            (
                "name: careful\nactions: [disk.clean]\nbreaker: { failures: 1, open: 1m, by: secret.disk.token }\n",
                "3:39: \"by\" names no secret: a key is shown to everybody who asks about its gate",
            ),
            (
                "name: careful\nactions: [disk.clean]\nswitch: x\nrate: { starts: 1, per: 1s }\n",
                "3:1: \"switch\" is not supported in this version",
            ),
        ];
        for (text, wanted) in cases {
            let told = problems(vec![disk_with(&[policy(text)])]).to_string();
            assert_eq!(told, format!("policies/careful.yaml:{wanted}"), "{text}");
        }
        let told = problems(vec![disk_with(&[policy(
            "name: careful\nactions: [disk.clean]\nrate: { starts: 1, per: 1s, by: parameters.host + }\n",
        )])]);
        assert!(told.to_string().starts_with("policies/careful.yaml:3:"), "{told}");
    }
    const OF_STACKSTORM: &str = "---\nname: clean.concurrency\ndescription: Limits the concurrent executions.\n\
        enabled: true\nresource_ref: disk.clean\npolicy_type: action.concurrency\n\
        parameters:\n  action: cancel\n  threshold: 3\n";
    const BY_HOST: &str = "name: clean.by_host\nresource_ref: disk.clean\npolicy_type: action.concurrency.attr\n\
        parameters:\n  threshold: 1\n  attributes:\n    - host\n    - older_than\n";

    #[test]
    fn policies_of_stackstorm_are_taken_as_they_are() {
        let files = [("policies/clean.concurrency.yaml", OF_STACKSTORM), ("policies/by_host.yaml", BY_HOST)];
        let revision = load(vec![disk_with(&files)]);
        let policies = revision.compiled().action("disk.clean").unwrap().plan.policies.clone().unwrap();
        let id = ExecutionId::of_manual("x");
        let named = |parameters| -> Vec<GateId> {
            let mut gates = policies.gates(&id, None, &parameters).unwrap();
            gates.sort();
            gates
        };
        let gates = named(json!({"host": "db1", "older_than": 7}));
        let texts: Vec<String> = gates.iter().map(GateId::to_string).collect();
        let wanted = ["disk.clean.by_host/concurrency/key/[\"db1\",7]", "disk.clean.concurrency/concurrency/total"];
        assert_eq!(texts, wanted);
        assert_eq!(GateId::parse(&texts[0]).as_ref(), Ok(&gates[0]));
        let terms = PolicyTerms::read(revision.content());
        assert_eq!(terms.why_incomplete(), None);
        let limits: Vec<(Limit, Excess)> =
            gates.iter().map(|gate| terms.of(gate).map(|terms| (terms.limit, terms.excess)).unwrap()).collect();
        let permits = |permits_max| Limit::Concurrency { permits_max };
        assert_eq!(limits, [(permits(1), Excess::Wait), (permits(3), Excess::Drop)]);
        // One that is not given is one value more.
        assert_eq!(named(json!({"host": "db1"}))[0].to_string(), "disk.clean.by_host/concurrency/key/[\"db1\",null]");
    }

    #[test]
    fn what_is_wrong_with_policies_of_stackstorm_is_told_where_it_stands() {
        let cases = [
            ("threshold: 3", "threshold: 0", "9:14: \"threshold\" must be a whole number from 1 to 1000000"),
            ("action: cancel", "action: drop", "8:11: \"action\" must be one of \"delay\", \"cancel\", found \"drop\""),
            (
                "policy_type: action.concurrency",
                "policy_type: action.other",
                "6:14: \"policy_type\" must be action.concurrency, action.concurrency.attr or action.retry, found \
                 \"action.other\"",
            ),
            ("resource_ref: disk.clean", "resource_ref: disk.cleen", "5:15: there is no action \"disk.cleen\""),
            (
                "name: clean.concurrency",
                "name: clean..x",
                "2:7: \"\" is no name: use lower-case letters, digits and underscores",
            ),
        ];
        for (good, bad, wanted) in cases {
            let text: &'static str = Box::leak(OF_STACKSTORM.replacen(good, bad, 1).into_boxed_str());
            let told = problems(vec![disk_with(&[policy(text)])]).to_string();
            assert_eq!(told, format!("policies/careful.yaml:{wanted}"), "{text}");
        }
        let text: &'static str = Box::leak(BY_HOST.replace("- host", "- hostname").into_boxed_str());
        let told = problems(vec![disk_with(&[policy(text)])]).to_string();
        assert_eq!(told, "policies/careful.yaml:7:7: action clean has no parameter \"hostname\"");
        let off: &'static str = Box::leak(OF_STACKSTORM.replace("enabled: true", "enabled: false").into_boxed_str());
        let revision = load(vec![disk_with(&[policy(off)])]);
        assert!(revision.compiled().action("disk.clean").unwrap().plan.policies.is_none());
    }
}
