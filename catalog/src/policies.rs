//! The policies of packs: which gates an execution has to pass, and what holds at them.

use std::collections::BTreeMap;
use std::sync::Arc;

use petrel_execution::NameGates;
use petrel_execution::gate::{Class, GateId, Kind, Level, Terms};
use petrel_rules::{CompileError, Scope, Template};
use petrel_schemas::ExecutionId;
use serde_json::Value;

use crate::content::{Content, tell};
use crate::engine::tell_all;
use crate::pack::{self, PolicyDraft};
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
pub(crate) struct ActionPolicies(Vec<NamedLimit>);

#[derive(Debug)]
struct NamedLimit {
    policy: String,
    kind: Kind,
    by: Option<Template>,
}

impl NameGates for ActionPolicies {
    fn gates(&self, execution: &ExecutionId, parameters: &Value) -> Result<(Class, Vec<GateId>), String> {
        let gates: Result<Vec<GateId>, String> = self.0.iter().map(|limit| limit.gate(execution, parameters)).collect();
        Ok((Class::Normal, gates?))
    }
}

impl NamedLimit {
    fn gate(&self, execution: &ExecutionId, parameters: &Value) -> Result<GateId, String> {
        let Some(by) = &self.by else { return Ok(GateId::total(&self.policy, self.kind)) };
        let of_policy = |why: &dyn std::fmt::Display| format!("the key of policy {}: {why}", self.policy);
        let value = by.render(&Scope::action(parameters, &Value::Null, execution.as_str(), 0)).map_err(|e| of_policy(&e))?;
        let key = match value {
            Value::String(text) => text,
            Value::Null => return Err(of_policy(&"it is null")),
            other => other.to_string(),
        };
        GateId::of_key(&self.policy, self.kind, &key).map_err(|e| of_policy(&e))
    }
}

/// Those of a pack's policies that are for an action. Mistakes in expressions are told once, by [`check`].
pub(crate) fn of_action(pack: &str, policies: &[PolicyDraft], action: &str) -> Option<Arc<dyn NameGates>> {
    let is_for = |policy: &&PolicyDraft| policy.actions.iter().any(|named| named.value == action);
    let mut limits = Vec::new();
    for policy in policies.iter().filter(is_for) {
        for limit in &policy.limits {
            let by = match &limit.by {
                Some(by) => Some(compile(by).ok()?),
                None => None,
            };
            let policy = format!("{pack}.{}", policy.name.value);
            limits.push(NamedLimit { policy, kind: limit.terms.limit.kind(), by });
        }
    }
    (!limits.is_empty()).then(|| -> Arc<dyn NameGates> { Arc::new(ActionPolicies(limits)) })
}

/// Reports what is wrong with a pack's policies beside their own files' form: expressions, and actions that the pack
/// does not have. `has` says whether it has one, or meant to.
pub(crate) fn check(pack: &str, policies: &[PolicyDraft], has: impl Fn(&str) -> bool, problems: &mut Problems) {
    for policy in policies {
        for action in policy.actions.iter().filter(|action| !has(&action.value)) {
            let message = match action.value.split_once('.') {
                Some((of, _)) if of != pack => {
                    format!("{:?} is of another pack: a policy is for actions of its own", action.value)
                }
                _ => format!("there is no action {:?}", action.value),
            };
            problems.add(&action.place, Code::UnknownReference, message);
        }
        for by in policy.limits.iter().filter_map(|limit| limit.by.as_ref()) {
            if by.value.contains(['{', '}']) {
                let message = "\"by\" is an expression over the parameters such as parameters.host, without braces";
                problems.add(&by.place, Code::BadExpression, message);
                continue;
            }
            match compile(by) {
                Err(errors) => tell_all(&errors, by, problems),
                Ok(template) if !template.secrets().is_empty() => {
                    let message = "\"by\" names no secret: a key is shown to everybody who asks about its gate";
                    problems.add(&by.place, Code::BadExpression, message);
                }
                Ok(_) => {}
            }
        }
    }
}

fn compile(by: &Located<String>) -> Result<Template, Vec<CompileError>> {
    let template = Value::String(format!("${{{}}}", by.value));
    Template::action(&template).map_err(|mut errors| {
        // Two characters stand before the expression in the template's first line.
        let first = errors.iter_mut().filter(|error| error.line == 1);
        first.for_each(|error| error.column = error.column.saturating_sub(2));
        errors
    })
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
            plan.policies.as_ref().unwrap().gates(&id, &json!({"host": "db/1", "older_than": 7})).unwrap()
        };
        let (class, mut gates) = named(&plan);
        gates.sort();
        let texts: Vec<String> = gates.iter().map(GateId::to_string).collect();
        let wanted = [
            "disk.careful/concurrency/key/db/1",
            "disk.careful/concurrency/total",
            "disk.careful/breaker/total",
            "disk.careful/rate/total",
            "disk.careful/radius/key/7",
        ];
        assert_eq!((class, texts), (Class::Normal, wanted.map(String::from).to_vec()));
        let terms = PolicyTerms::read(revision.content());
        assert_eq!(terms.why_incomplete(), None);
        let limits: Vec<(Limit, Excess)> =
            gates.iter().map(|gate| terms.of(gate).map(|terms| (terms.limit, terms.excess)).unwrap()).collect();
        let wanted = [
            (Limit::Concurrency { permits_max: 1 }, Excess::Wait),
            (Limit::Concurrency { permits_max: 10 }, Excess::Wait),
            (Limit::Breaker { failures_max: 3, open_ms: 30_000, probes: 1 }, Excess::Wait),
            (Limit::Rate { tokens: 5, per_ms: 60_000, burst: 2 }, Excess::Drop),
            (Limit::Radius { actions_max: 20, per_ms: 300_000 }, Excess::Wait),
        ];
        assert_eq!(limits, wanted);
        assert_eq!(terms.of(&GateId::total("disk.careful", Kind::Radius)), None, "only each key has a limit");
        // What is resolved one by one says the same.
        let content = revision.content();
        let pack = &content.packs()[0];
        let alone = Actions::new().resolve(pack, "clean").unwrap().unwrap();
        let (_, mut again) = named(&alone.plan);
        again.sort();
        assert_eq!(again, gates);
    }

    #[test]
    fn a_key_without_a_value_says_of_which_policy() {
        let revision = load(vec![disk_with(&[policy(ALL)])]);
        let policies = revision.compiled().action("disk.clean").unwrap().plan.policies.clone().unwrap();
        let id = ExecutionId::of_manual("x");
        let why = |parameters| policies.gates(&id, &parameters).unwrap_err();
        assert!(why(json!({"older_than": 7})).starts_with("the key of policy disk.careful: "));
        assert!(why(json!({"host": null, "older_than": 7})).contains("it is null"));
        assert!(why(json!({"host": "x".repeat(300), "older_than": 7})).contains("300 bytes"));
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        let cases = [
            (
                "name: careful\nactions: [disk.clean]\n",
                "1:1: a policy needs \"concurrency\", \"rate\", \"limits\" or \"breaker\"",
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
                "3:46: \"on_exceed\" must be one of \"delay\", \"drop\", found \"stop\"",
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
                "name: careful\nactions: [disk.clean]\nlimits: { max_actions: 1, per: 1s, on_exceed: pause }\n",
                "3:36: \"on_exceed: pause\" is not supported in this version",
            ),
            (
                "name: careful\nactions: [disk.clean]\nwindows: x\nrate: { starts: 1, per: 1s }\n",
                "3:1: \"windows\" is not supported in this version",
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
}
