//! The rules of each trigger, compiled for the match stage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use petrel_rules::{
    ActionPlan, CompileError, FullCheck, RuleIndex, RulePlan, RuleSet, RuleSource, Template, TriggerPlan, TriggerSchema,
};
use serde_json::Value;

use crate::compile::CompiledRevision;
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

/// Of so many rules one may be changed, added or taken out without compiling all of them.
const CHANGED_SHARE: usize = 8;

impl PlannedRule {
    fn source(&self) -> RuleSource {
        let criteria = self.criteria.as_ref().map(|criteria| criteria.value.clone());
        RuleSource { rule: self.plan.rule.clone(), criteria }
    }
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
        let plan =
            RulePlan { rule: reference.into(), pack: pack.into(), class: draft.class, actions: actions.collect() };
        let planned = PlannedRule { criteria: draft.criteria.clone(), plan };
        self.rules.entry(trigger.to_owned()).or_default().insert(reference.to_owned(), planned);
    }

    /// Plans of all triggers, those without rules too: their events are known and match nothing. Criteria
    /// that compile and cannot be meant so are told among the warnings. What is unchanged since the revision
    /// `before` is not compiled again.
    pub(crate) fn finish(
        mut self,
        triggers: &BTreeMap<String, TriggerDef>,
        before: Option<&CompiledRevision>,
        problems: &mut Problems,
        warnings: &mut Problems,
    ) -> Vec<Arc<TriggerPlan>> {
        let mut plans = Vec::with_capacity(triggers.len());
        for (reference, trigger) in triggers {
            let mut rules = self.rules.remove(reference).unwrap_or_default();
            match rule_set(trigger, &rules, before) {
                Ok(set) => {
                    for warning in set.warnings() {
                        if let Some(criteria) = rules.get(&warning.at).and_then(|rule| rule.criteria.as_ref()) {
                            tell_warning(warning, criteria, warnings);
                        }
                    }
                    let actions = set.rules().filter_map(|(_, rule)| rules.remove(rule)).map(|rule| rule.plan);
                    let actions = actions.collect();
                    let plan = TriggerPlan::new(reference.as_str().into(), set, actions);
                    let is_bound = matches!(trigger.source, TriggerSource::Kafka(_));
                    plans.push(Arc::new(match full_check(trigger) {
                        Some(check) if is_bound => plan.with_full_check(check),
                        Some(check) => plan.with_injected_check(check),
                        None => plan,
                    }));
                }
                Err(errors) => tell_by_rule(&errors, &rules, problems),
            }
        }
        plans
    }
}

/// The rules of a trigger, compiled. What the revision before has of them is shared, as long as few rules were
/// changed, added or taken out.
fn rule_set(
    trigger: &TriggerDef,
    rules: &BTreeMap<String, PlannedRule>,
    before: Option<&CompiledRevision>,
) -> Result<Arc<RuleSet>, Vec<CompileError>> {
    if let Some((known, change)) = before.and_then(|before| Change::since(before, trigger, rules)) {
        if change.is_empty() {
            return Ok(known.clone());
        }
        let (without, with) = (change.without.len(), change.with.len());
        if without.max(with) * CHANGED_SHARE <= rules.len() && known.has_room_for(without, with) {
            return known.update(&change.without, change.with.into_iter().map(PlannedRule::source)).map(Arc::new);
        }
    }
    let schema = trigger.schema.as_ref().map_or_else(TriggerSchema::none, TriggerSchema::compile);
    RuleSet::compile(&schema, rules.values().map(PlannedRule::source)).map(Arc::new)
}

/// What makes a trigger's rules of those of the revision before.
struct Change<'r> {
    /// Rules that are gone, or say something else.
    without: Vec<RuleIndex>,
    /// Rules that are new, or say something else.
    with: Vec<&'r PlannedRule>,
}

impl<'r> Change<'r> {
    /// The set of the revision before, and what has changed since; nothing if the trigger's schema has.
    fn since<'b>(
        before: &'b CompiledRevision,
        trigger: &TriggerDef,
        rules: &'r BTreeMap<String, PlannedRule>,
    ) -> Option<(&'b Arc<RuleSet>, Self)> {
        let set = before.plan(&trigger.reference)?.rules();
        if before.trigger(&trigger.reference)?.schema != trigger.schema {
            return None;
        }
        let mut kept = BTreeSet::new();
        let mut without = Vec::new();
        for (number, name) in set.rules() {
            let criteria = rules.get(name).map(|rule| rule.criteria.as_ref().map(|criteria| &criteria.value));
            if criteria.is_some() && criteria == before.rule(name).map(|rule| rule.criteria.as_ref()) {
                kept.insert(name);
            } else {
                without.push(number);
            }
        }
        let with = rules.values().filter(|rule| !kept.contains(&*rule.plan.rule)).collect();
        Some((set, Self { without, with }))
    }

    fn is_empty(&self) -> bool {
        self.without.is_empty() && self.with.is_empty()
    }
}

/// The check of all of its schema: of the records of a bound topic that asks for it, and of what actions inject into any
/// other trigger.
fn full_check(trigger: &TriggerDef) -> Option<FullCheck> {
    if trigger.validate != Validate::Full {
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
    use petrel_rules::limits::RULE_SET_PARTS_MAX;
    use petrel_rules::{Kv, Matcher, Verdict};

    use super::*;
    use crate::pack::{PackFile, PackSource};
    use crate::revision::Revision;
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

    /// The disk pack with so many more rules, whose names begin with `letter`.
    fn with_rules(letter: char, count: usize, changes: &[(&'static str, &'static str)]) -> PackSource {
        let mut source = disk_with(changes);
        for number in 0..count {
            let text = format!(
                "name: {letter}{number}\ntrigger: disk.alert\ncriteria: trigger.mount == \"/{letter}{number}\"\n\
                 action: {{ ref: disk.clean, parameters: {{ host: a }} }}\n"
            );
            let path = format!("rules/{letter}{number}.yaml");
            source.files.push(PackFile { path, bytes: text.into_bytes(), executable: false });
        }
        source
    }

    /// Loads packs into a revision that was compiled before.
    fn load_after(base: &Revision, sources: Vec<PackSource>) -> Result<Revision, Problems> {
        Revision::load_into(base.content(), Some(base.compiled()), sources)
    }

    fn set_of(revision: &Revision) -> &Arc<RuleSet> {
        revision.compiled().plan("disk.alert").unwrap().rules()
    }

    /// A rule of the disk pack with another criterion.
    const CHANGED: (&str, &str) = (
        "rules/clean_tmp.yaml",
        "name: clean_tmp\ntrigger: disk.alert\ncriteria: trigger.mount == \"/changed\"\naction: { ref: disk.clean, parameters: { host: a } }\n",
    );

    #[test]
    fn what_is_unchanged_is_not_compiled_again() {
        let base = load(vec![with_rules('m', 16, &[])]);
        let after = |source: PackSource| load_after(&base, vec![source]).unwrap();
        let described = ("pack.yaml", "name: disk\nversion: 1.0.1\ndescription: Other words\n");
        let same = after(with_rules('m', 16, &[described]));
        assert!(same.hash() != base.hash() && Arc::ptr_eq(set_of(&base), set_of(&same)));

        let schema = (
            "triggers/alert.yaml",
            "name: alert\nsource: { kafka: { topic: monitoring.alerts } }\nschema: { type: object }\n",
        );
        let gone = ("rules/clean_tmp.yaml", "");
        let segments = |source: PackSource| set_of(&after(source)).stats().segments;
        assert_eq!(segments(with_rules('m', 16, &[CHANGED])), 2, "the changed rule is a part");
        assert_eq!(segments(with_rules('m', 16, &[gone])), 1, "nothing was added");
        assert_eq!(segments(with_rules('m', 16, &[schema])), 1, "all of it is compiled");
        assert_eq!(segments(with_rules('x', 16, &[])), 1, "most of it is other rules: all of it is compiled");
    }

    #[test]
    fn a_changed_rule_does_what_it_says_now() {
        let base = load(vec![with_rules('m', 16, &[])]);
        let changed = load_after(&base, vec![with_rules('m', 16, &[CHANGED])]).unwrap();
        let kv = Kv::new([("frozen_hosts", "{}")]).unwrap();
        let matched = |revision: &Revision, mount: &str| {
            let plan = revision.compiled().plan("disk.alert").unwrap();
            let event = format!("{{\"host\":\"h\",\"mount\":\"{mount}\",\"used_pct\":99.0}}");
            let mut matched = Vec::new();
            let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
                matched.extend((verdict == Verdict::True).then(|| plan.rule_of(index).rule.to_string()));
            };
            Matcher::new().run(plan.rules(), event.as_bytes(), 0, &kv, on).unwrap();
            matched
        };
        let (rule, nothing) = (vec!["disk.clean_tmp".to_owned()], Vec::new());
        assert_eq!([matched(&base, "/tmp"), matched(&base, "/changed")], [rule.clone(), nothing.clone()]);
        assert_eq!([matched(&changed, "/tmp"), matched(&changed, "/changed")], [nothing, rule]);
        assert_eq!(set_of(&changed).len(), 17);
    }

    #[test]
    fn added_rules_are_a_part_until_there_are_too_many() {
        let mut revision = load(vec![with_rules('m', 16, &[])]);
        let mut parts = Vec::new();
        for count in 1..=RULE_SET_PARTS_MAX {
            let mut source = with_rules('m', 16, &[]);
            source.files.extend(with_rules('a', count, &[]).files.into_iter().filter(|file| file.path.contains("/a")));
            source.files.sort_by(|one, other| one.path.cmp(&other.path));
            source.files.dedup_by(|one, other| one.path == other.path);
            revision = load_after(&revision, vec![source]).unwrap();
            let plan = revision.compiled().plan("disk.alert").unwrap();
            assert_eq!(plan.rules().len(), 17 + count);
            parts.push(plan.rules().stats().segments);
            let event = format!("{{\"host\":\"h\",\"mount\":\"/a{}\",\"used_pct\":1.0}}", count - 1);
            let mut matched = Vec::new();
            let on = &mut |index: RuleIndex, verdict: Verdict<'_>| {
                matched.extend((verdict == Verdict::True).then(|| plan.rule_of(index).rule.to_string()));
            };
            Matcher::new().run(plan.rules(), event.as_bytes(), 0, &Kv::empty(), on).unwrap();
            assert_eq!(matched, [format!("disk.a{}", count - 1)], "it is the rule that does it");
        }
        assert_eq!(parts, [2, 3, 4, 5, 6, 7, 8, 1]);
    }

    /// The disk pack with 64 rules more, of which those before `changed` say something else than at first.
    fn with_changed_rules(changed: usize) -> PackSource {
        let mut source = with_rules('m', 64, &[]);
        for (number, file) in source.files.iter_mut().filter(|file| file.path.contains("/m")).enumerate() {
            if number < changed {
                file.bytes =
                    String::from_utf8(std::mem::take(&mut file.bytes)).unwrap().replace("/m", "/n").into_bytes();
            }
        }
        source
    }

    #[test]
    fn a_set_never_keeps_more_removed_rules_than_its_share() {
        let mut revision = load(vec![with_changed_rules(0)]);
        let mut parts = Vec::new();
        // Of 65 rules and those that were added for changed ones, a quarter may be removed ones.
        for changed in [8, 16, 21, 22, 30] {
            revision = load_after(&revision, vec![with_changed_rules(changed)]).unwrap();
            let stats = set_of(&revision).stats();
            assert_eq!(stats.rules, 65);
            parts.push(stats.segments);
        }
        assert_eq!(parts, [2, 3, 4, 1, 2]);
    }

    #[test]
    fn a_mended_rule_is_warned_of_no_more() {
        let rule = |field: &'static str| {
            let text = format!(
                "name: odd\ntrigger: disk.alert\ncriteria: trigger.{field} == \"a\"\naction: {{ ref: disk.clean, parameters: {{ host: a }} }}\n"
            );
            let mut source = with_rules('m', 16, &[]);
            source.files.push(PackFile { path: "rules/odd.yaml".into(), bytes: text.into_bytes(), executable: false });
            source
        };
        let odd = load(vec![rule("hots")]);
        assert_eq!(odd.compiled().warnings().as_slice().len(), 1);
        let mended = load_after(&odd, vec![rule("host")]).unwrap();
        assert_eq!(set_of(&mended).stats().segments, 2);
        assert!(mended.compiled().warnings().as_slice().is_empty(), "{:?}", mended.compiled().warnings().as_slice());
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
        assert!(check_of("name: other\nschema: { required: [a] }\n").unwrap().run(b"{}").is_err(), "what is injected");
        assert!(check_of("name: other\nsource: { kafka: { topic: t } }\nvalidate: full\n").is_none());
    }
}
