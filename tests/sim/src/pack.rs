//! The pack that every run has, its revisions, and what they must lead to, told without the rule engine.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use petrel_bus::TopicSpec;
use petrel_bus::sim::SimOptions;
use petrel_catalog::{CompiledRevision, PackFile, PackSource, PolicyTerms, Revision};
use petrel_execution::gate::{GateId, InForce, Policies, Terms};
use petrel_execution::{ActionPlan, SwitchedOff};
use petrel_executor::gate::GateView;
use petrel_executor::{EachFile, ExecutorView, PackContent, Resolution, ResolvedAction};
use petrel_rules::{Kv, MatchPlan, MatchView};
use petrel_schemas::{Cleanup, Topics, TriggerBinding};

use crate::workflows::{self, fixed};
use crate::world::START_MS;

/// Partitions of Petrel's keyed topics.
pub const PARTITIONS: u32 = 3;
/// Partitions of a pool's tasks.
pub const TASK_PARTITIONS: u32 = 4;
/// The pool of all workers.
pub const POOL: &str = "default";
/// A pool without workers.
pub const DESERTED_POOL: &str = "deserted";
/// The actions that run at most once.
pub const AT_MOST_ONCE: [&str; 2] = ["sim.page", workflows::outcome::ONCE];
/// The action that is tried again when it fails or times out.
pub const RETRIED: &str = "sim.clean";
/// What this rule asks for is of the class `bulk`, whatever its action is.
pub const BULK_RULE: &str = "sim.report";
/// The action that passes gates.
pub const GATED: &str = "sim.clean";
/// Its policy.
pub const POLICY: &str = "sim.careful";
/// Most of it at once.
pub const PERMITS_MAX: usize = 3;
/// Most of it at once on one host.
pub const PERMITS_OF_A_HOST: usize = 2;
/// For how long it is switched off each time, in milliseconds.
pub const SWITCHED_MS: i64 = 2_000;
/// For how long people do that, from the beginning on, in milliseconds.
const SWITCHING_MS: i64 = 60_000;
/// How often it is tried again.
pub const RETRIES: usize = 2;
/// The first pause before that, in milliseconds; each is twice the one before.
const RETRY_DELAY_MS: i64 = 500;
/// The longest one, in milliseconds.
pub const RETRY_PAUSE_MS_MAX: i64 = RETRY_DELAY_MS << (RETRIES - 1);
/// The bound topic.
pub const ALERTS: &str = "monitoring.alerts";
/// Partitions of the bound topic.
pub const ALERT_PARTITIONS: u32 = 2;
/// Name of the cluster, as the simulated log gives it.
pub const CLUSTER: &str = "sim";
/// Reference of the trigger whose events ask for workflows.
pub const BATCH: &str = "sim.batch";
/// Reference of a trigger that no revision has.
pub const UNKNOWN_TRIGGER: &str = "sim.unknown";
/// Reference of the interval trigger.
pub const TIMER: &str = "sim.tick";
/// Its interval, in milliseconds.
pub const TICK_MS: i64 = 5_000;

/// Petrel's topics.
pub fn topics() -> Topics {
    Topics::new("petrel.", PARTITIONS, TASK_PARTITIONS)
}

/// Everything that must exist before the first process starts.
pub fn topic_specs() -> Vec<TopicSpec> {
    let spec = |name, partitions, compacted: bool| TopicSpec {
        name,
        partitions,
        compacted,
        retention_ms: None,
        delete_retention_ms: compacted.then_some(SimOptions::default().delete_retention_ms),
    };
    let own = topics().all(&[POOL, DESERTED_POOL]).into_iter();
    let own = own.map(|topic| spec(topic.name, topic.partitions, topic.cleanup == Cleanup::Compact));
    own.chain([spec(ALERTS.into(), ALERT_PARTITIONS, false)]).collect()
}

/// What an event says, as far as rules look.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Reference of its trigger.
    pub trigger: String,
    /// How full something is, in percent; 0 of events that do not say so.
    pub used_pct: f64,
}

/// An action that a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    /// Reference of the rule.
    pub rule: &'static str,
    /// Index of the action.
    pub index: u32,
    /// Reference of the action.
    pub action: &'static str,
}

struct RuleOracle {
    trigger: &'static str,
    above: f64,
    asks: Asked,
}

const fn rule(trigger: &'static str, rule: &'static str, above: f64, index: u32, action: &'static str) -> RuleOracle {
    RuleOracle { trigger, above, asks: Asked { rule, index, action } }
}

const CLEAN: RuleOracle = rule("sim.alert", "sim.clean", 90.0, 0, "sim.clean");
const CLEAN_EARLIER: RuleOracle = rule("sim.alert", "sim.clean", 85.0, 0, "sim.clean");
const PAGE: RuleOracle = rule("sim.alert", "sim.page", 97.0, 0, "sim.page");
const PAGE_AND_NOTE: RuleOracle = rule("sim.alert", "sim.page", 97.0, 1, "sim.note");
const WARN: RuleOracle = rule("sim.alert", "sim.warn", 80.0, 0, "sim.note");
const REPORT: RuleOracle = rule("sim.report", "sim.report", -1.0, 0, "sim.clean");
const STRAY: RuleOracle = rule("sim.report", "sim.stray", -1.0, 0, "sim.stray");
const BEAT: RuleOracle = rule(TIMER, "sim.beat", -1.0, 0, "sim.note");
const PATROLS: RuleOracle = rule(BATCH, "sim.batch", -1.0, 0, fixed::PATROL);
const ROLLS_OUT: RuleOracle = rule(BATCH, "sim.batch", -1.0, 1, fixed::ROLLOUT);

/// The rules of each revision, in the order in which they can be applied.
const REVISIONS: [&[&RuleOracle]; 4] = [
    &[&CLEAN, &PAGE, &REPORT, &STRAY, &BEAT, &PATROLS, &ROLLS_OUT],
    &[&CLEAN, &PAGE, &WARN, &REPORT, &STRAY, &BEAT, &PATROLS, &ROLLS_OUT],
    &[&CLEAN_EARLIER, &PAGE, &PAGE_AND_NOTE, &WARN, &REPORT, &STRAY, &BEAT, &PATROLS, &ROLLS_OUT],
    &[&CLEAN_EARLIER, &PAGE, &REPORT, &STRAY, &BEAT, &PATROLS, &ROLLS_OUT],
];

/// What a revision must ask for because of an event.
pub fn expected(revision: usize, facts: &Facts) -> Vec<Asked> {
    let matches = |r: &&&RuleOracle| r.trigger == facts.trigger && facts.used_pct > r.above;
    let mut asked: Vec<Asked> = REVISIONS[revision].iter().filter(matches).map(|r| r.asks).collect();
    asked.sort();
    asked
}

/// One revision, and what a process knows that has seen it and all before it.
#[derive(Debug)]
pub struct Known {
    /// Place in the order of revisions.
    pub number: usize,
    /// The revision.
    pub compiled: Arc<CompiledRevision>,
    /// Whether it knows what people have switched off.
    hears_switches: bool,
    plan: MatchPlan,
    policies: PolicyTerms,
    kv: Kv,
}

impl MatchView for Known {
    fn plan(&self) -> &MatchPlan {
        &self.plan
    }

    fn revision(&self) -> &str {
        self.compiled.hash()
    }

    fn kv(&self) -> &Kv {
        &self.kv
    }

    fn kv_version(&self) -> i64 {
        0
    }
}

impl Policies for Known {
    fn terms(&self, gate: &GateId) -> Option<Terms> {
        self.policies.of(gate)
    }

    /// Revisions are applied in the order of their numbers.
    fn knows(&self, in_force: &InForce) -> bool {
        usize::try_from(in_force.since_ms).is_ok_and(|number| number <= self.number)
    }
}

impl GateView for Known {
    fn policies_of(&self) -> Arc<str> {
        self.compiled.hash().into()
    }

    fn why_unknown(&self) -> Option<&str> {
        None
    }
}

impl ExecutorView for Known {
    fn in_force(&self) -> InForce {
        let number = i64::try_from(self.number).unwrap_or(i64::MAX);
        InForce { revision: self.compiled.hash().into(), since_ms: number }
    }

    fn dispatch_paused(&self) -> bool {
        false
    }

    /// From the second revision on, people switch what passes gates off for a few seconds, again and again, and stop some day:
    /// each time is a wait of its own, and what no worker takes for its clock would wait for ever.
    fn switched_off(&self, scope: &str, now_ms: i64) -> Option<SwitchedOff> {
        let is_now = (START_MS..START_MS + SWITCHING_MS).contains(&now_ms);
        if self.number == 0 || !is_now || scope.strip_prefix("action/") != Some(GATED) {
            return None;
        }
        let (turn, ms) = (now_ms.div_euclid(SWITCHED_MS), SWITCHED_MS);
        let off = || SwitchedOff {
            by: "eve".to_owned(),
            reason: "it burns".to_owned(),
            until_ms: Some((turn + 1) * ms),
            drops: false,
        };
        (turn % 3 == 0).then(off)
    }

    fn has_switches(&self) -> bool {
        self.number > 0 && self.hears_switches
    }

    /// No rule reacts to them; that they are told is what is looked at.
    fn tells_ends(&self) -> bool {
        true
    }

    fn resolve(&self, revision: &str, action: &str) -> Resolution {
        let known = revisions().iter().take(self.number + 1).find(|r| r.compiled.hash() == revision);
        let Some(known) = known else { return Resolution::NotYet };
        match plan_of(&known.compiled, action) {
            Some(plan) => Resolution::Ready(ResolvedAction { plan, pack: Arc::new(NoFiles) }),
            None => Resolution::NoSuchAction,
        }
    }
}

/// An action of a revision. Of each the random workflows are actions, too.
pub fn plan_of(revision: &CompiledRevision, action: &str) -> Option<Arc<ActionPlan>> {
    let of_pack = |action: &str| revision.action(action).map(|action| action.plan.clone());
    of_pack(action).or_else(|| workflows::plan(action, of_pack))
}

/// The files of a pack that nobody needs.
struct NoFiles;

impl PackContent for NoFiles {
    fn name(&self) -> String {
        "sim".to_owned()
    }

    fn hash(&self) -> Result<String, String> {
        Ok("sim".to_owned())
    }

    fn files(&self, _: &mut EachFile<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// The revisions, compiled once for all runs of a process.
pub fn revisions() -> &'static [Arc<Known>] {
    static REVISIONS_COMPILED: OnceLock<Vec<Arc<Known>>> = OnceLock::new();
    REVISIONS_COMPILED.get_or_init(|| (0..REVISIONS.len()).map(|number| Arc::new(known(number, true))).collect())
}

/// The same as somebody sees them who does not hear what is switched off.
pub fn revisions_without_switches() -> &'static [Arc<Known>] {
    static REVISIONS_DEAF: OnceLock<Vec<Arc<Known>>> = OnceLock::new();
    REVISIONS_DEAF.get_or_init(|| (0..REVISIONS.len()).map(|number| Arc::new(known(number, false))).collect())
}

fn known(number: usize, hears_switches: bool) -> Known {
    let revision = Revision::load(vec![source(number), core()]).unwrap_or_else(|problems| panic!("{problems}"));
    let binding = TriggerBinding {
        trigger: "sim.alert".to_owned(),
        topic: ALERTS.to_owned(),
        start: "earliest".to_owned(),
        offsets: vec![0; ALERT_PARTITIONS as usize],
        bound_at_ms: 0,
    };
    let compiled = revision.compiled().clone();
    let bindings = BTreeMap::from([(binding.trigger.clone(), binding)]);
    let plan = compiled.match_plan(&bindings).unwrap_or_else(|e| panic!("{e}"));
    Known { number, compiled, hears_switches, plan, policies: PolicyTerms::read(revision.content()), kv: Kv::empty() }
}

/// The pack that has the trigger of ends, and the action of questions.
fn core() -> PackSource {
    let file = |path: &str, text: &str| PackFile { path: path.into(), bytes: text.into(), executable: false };
    let files = vec![
        file("pack.yaml", "name: core\nversion: 1.0.0\n"),
        file("triggers/execution.yaml", "name: execution\nsource: { executions: {} }\n"),
        file("actions/ask.yaml", include_str!("../../../packs/core/actions/ask.yaml")),
    ];
    PackSource { label: "core".into(), files, special: Vec::new() }
}

fn source(number: usize) -> PackSource {
    let mut files: Vec<(String, String)> = vec![
        ("pack.yaml".into(), format!("name: sim\nversion: 1.{number}.0\ndescription: d\n")),
        (
            "triggers/alert.yaml".into(),
            "name: alert\nsource: { kafka: { topic: monitoring.alerts, format: json, start: earliest } }\n\
             schema: { type: object, required: [host, used_pct], properties: { host: { type: string }, used_pct: { type: number } } }\n"
                .into(),
        ),
        (
            "policies/careful.yaml".into(),
            format!(
                "name: careful\nactions: [{GATED}]\n\
                 concurrency: {{ max: {PERMITS_MAX}, by: parameters.host, max_per_key: {PERMITS_OF_A_HOST} }}\n"
            ),
        ),
        ("triggers/report.yaml".into(), "name: report\nsource: { http: {} }\n".into()),
        ("triggers/batch.yaml".into(), "name: batch\nsource: { http: {} }\n".into()),
        ("triggers/tick.yaml".into(), "name: tick\nsource: { interval: { every: 5s, catch_up: all } }\n".into()),
    ];
    let command = "runner: command\ncommand: [\"true\"]\ntimeout: 15s\n";
    let retried = format!(
        "{command}retry: {{ times: {RETRIES}, delay: {RETRY_DELAY_MS}ms, backoff: exponential, jitter_percent: 50 }}\n"
    );
    for (name, runner, delivery, pool, class) in [
        ("clean", &*retried, "at_least_once", POOL, "normal"),
        ("page", command, "at_most_once", POOL, "urgent"),
        ("note", "runner: noop\n", "at_least_once", POOL, "normal"),
        ("stray", command, "at_least_once", DESERTED_POOL, "bulk"),
    ] {
        let text = format!(
            "name: {name}\n{runner}pool: {pool}\nclass: {class}\nparameters:\n  host: {{ type: string, default: none }}\n\
             delivery: {delivery}\n"
        );
        files.push((format!("actions/{name}.yaml"), text));
    }
    files.extend(fixed::files(POOL));
    let mut rules: BTreeMap<&str, Vec<&RuleOracle>> = BTreeMap::new();
    for oracle in REVISIONS[number] {
        rules.entry(oracle.asks.rule).or_default().push(oracle);
    }
    for (reference, oracles) in rules {
        let name = reference.trim_start_matches("sim.");
        let criteria =
            if oracles[0].above < 0.0 { "true".into() } else { format!("trigger.used_pct > {:.1}", oracles[0].above) };
        let parameters = match oracles[0].trigger {
            "sim.alert" => "{ host: \"${trigger.host}\" }",
            BATCH => "{ n: \"${trigger.n}\" }",
            _ => "{}",
        };
        // The same action is of another class where a rule says so.
        let class = if reference == BULK_RULE { "class: bulk\n" } else { "" };
        let mut text =
            format!("name: {name}\ntrigger: {}\ncriteria: {criteria}\n{class}actions:\n", oracles[0].trigger);
        for oracle in oracles {
            text.push_str(&format!("  - {{ ref: {}, parameters: {parameters} }}\n", oracle.asks.action));
        }
        files.push((format!("rules/{name}.yaml"), text));
    }
    let file = |(path, text): (String, String)| PackFile { path, bytes: text.into_bytes(), executable: false };
    PackSource { label: "sim".into(), files: files.into_iter().map(file).collect(), special: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revisions_compile_and_differ() {
        let mut hashes: Vec<&str> = revisions().iter().map(|r| r.compiled.hash()).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), REVISIONS.len());
    }

    #[test]
    fn what_is_expected_changes_with_the_revision() {
        let facts = |used_pct| Facts { trigger: "sim.alert".into(), used_pct };
        let counts = |used_pct| -> Vec<usize> { (0..4).map(|r| expected(r, &facts(used_pct)).len()).collect() };
        assert_eq!(counts(99.0), [2, 3, 4, 2]);
        assert_eq!(counts(87.0), [0, 1, 2, 1]);
        assert_eq!(counts(10.0), [0, 0, 0, 0]);
    }
}
