//! `policies/*.yaml`: what holds for executions of a pack's actions, over all processes.

use petrel_execution::gate::{ACTIONS_MAX, Excess, Limit, Terms};
use petrel_execution::windows::Windows;
use petrel_execution::{Delivery, Retry};

use crate::limits::{DEADLINE_MS_MIN, POLICY_ACTIONS_MAX, POLICY_MS_MAX};
use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape, duration_of};
use crate::yaml::{Data, Node};

use super::rule::check_reference;
use super::{retry, stackstorm_policy, windows};

const POLICY: Shape = Shape {
    what: "a policy",
    known: &[
        "name",
        "description",
        "actions",
        "rules",
        "concurrency",
        "rate",
        "limits",
        "breaker",
        "retry",
        "deadline",
        "windows",
    ],
    later: &["pack", "class", "enabled", "switch", "tags", "metadata_file"],
};

/// What a policy says of its executions; an action's own says nothing of `retry`, which has a key beside it.
const TERMS: [&str; 7] = ["concurrency", "rate", "limits", "breaker", "deadline", "windows", "retry"];
const OF_ACTION: Shape = Shape { what: "\"policies\" of an action", known: TERMS.split_at(6).0, later: &[] };
const OF_RULE: Shape = Shape { what: "\"policies\" of a rule", known: &TERMS, later: &[] };

const CONCURRENCY: Shape =
    Shape { what: "\"concurrency\"", known: &["max", "by", "max_per_key", "on_exceed"], later: &[] };
const RATE: Shape = Shape { what: "\"rate\"", known: &["starts", "per", "burst", "by", "on_exceed"], later: &[] };
const RADIUS: Shape = Shape { what: "\"limits\"", known: &["max_actions", "per", "by", "on_exceed"], later: &[] };
const BREAKER: Shape =
    Shape { what: "\"breaker\"", known: &["failures", "open", "probes", "by", "on_exceed"], later: &[] };

/// Most permits, tokens, failures or probes that a limit names.
const COUNT_MAX: i64 = 1_000_000;

/// A limit of a policy: at all of it, or at each key.
#[derive(Debug)]
pub(crate) struct LimitDraft {
    pub(crate) terms: Terms,
    /// The expression that gives the key; none for the limit of all.
    pub(crate) by: Option<Located<String>>,
}

/// A policy as its file says it.
#[derive(Debug)]
pub(crate) struct PolicyDraft {
    pub(crate) name: Located<String>,
    /// References of the actions that it is for.
    pub(crate) actions: Vec<Located<String>>,
    pub(crate) limits: Vec<LimitDraft>,
    /// References of the rules whose executions alone it is for; none where it is for all.
    pub(crate) rules: Vec<Located<String>>,
    /// Names of parameters that every one of its actions must have.
    pub(crate) attributes: Vec<Located<String>>,
    /// What it leaves to owners.
    pub(crate) own: OwnDraft,
    /// Whether it stands in an action or in a rule.
    pub(crate) is_inline: bool,
}

/// What a policy leaves to owners.
#[derive(Debug, Default)]
pub(crate) struct OwnDraft {
    pub(crate) retry: Option<Located<Retry>>,
    pub(crate) deadline_ms: Option<i64>,
    pub(crate) windows: Option<Windows>,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<PolicyDraft> {
    if stackstorm_policy::is_one(node) {
        return stackstorm_policy::read(node, report);
    }
    let fields = Fields::open(node, &POLICY, report)?;
    let name = fields.need_name(report);
    let _ = fields.description(report);
    let actions = read_actions(&fields, report);
    let rules = read_rules(&fields, report);
    let (limits, own) = terms(&fields, report);
    let name = name?;
    Some(PolicyDraft { name, actions, limits, rules, attributes: Vec::new(), own, is_inline: false })
}

/// The policy that stands in an action, if one does.
pub(super) fn of_action(pack: &str, node: &Node, report: &mut Report<'_>) -> Option<PolicyDraft> {
    let (name, policies) = (text_in(node, "name")?, entry_in(node, "policies")?);
    let fields = Fields::open(policies, &OF_ACTION, report)?;
    let (limits, own) = terms(&fields, report);
    let located = |text: String| Located::new(text, report.place(policies.at));
    Some(PolicyDraft {
        name: located(format!("action:{name}")),
        actions: vec![located(format!("{pack}.{name}"))],
        limits,
        rules: Vec::new(),
        attributes: Vec::new(),
        own,
        is_inline: true,
    })
}

/// The policy that stands in a rule, if one does, under `policies` or as `limits` alone. It is for what the rule asks for.
pub(super) fn of_rule(pack: &str, node: &Node, report: &mut Report<'_>) -> Option<PolicyDraft> {
    let name = text_in(node, "name")?;
    let (policies, alone) = (entry_in(node, "policies"), entry_in(node, "limits"));
    let place = report.place(policies.or(alone)?.at);
    let (mut limits, own) = match policies.and_then(|policies| Fields::open(policies, &OF_RULE, report)) {
        Some(fields) => terms(&fields, report),
        None => Default::default(),
    };
    if let Some(node) = alone {
        if policies.is_some_and(|policies| entry_in(policies, "limits").is_some()) {
            report.add(node.at, Code::Duplicate, "\"limits\" stands in \"policies\" already");
        }
        limits.extend(radius_of(node, report));
    }
    let calls = match (entry_in(node, "action"), entry_in(node, "actions").map(|node| &node.data)) {
        (Some(call), _) => vec![call],
        (None, Some(Data::List(calls))) => calls.iter().collect(),
        _ => Vec::new(),
    };
    let mut actions: Vec<Located<String>> = Vec::new();
    for reference in calls.into_iter().filter_map(|call| entry_in(call, "ref")) {
        let Data::Text(text, _) = &reference.data else { continue };
        if actions.iter().all(|action| action.value != *text) {
            actions.push(Located::new(text.clone(), report.place(reference.at)));
        }
    }
    let rules = vec![Located::new(format!("{pack}.{name}"), place.clone())];
    let name = Located::new(format!("rule:{name}"), place);
    Some(PolicyDraft { name, actions, limits, rules, attributes: Vec::new(), own, is_inline: true })
}

/// A value of a mapping that is read elsewhere.
fn entry_in<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Data::Map(entries) = &node.data else { return None };
    entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
}

fn text_in<'n>(node: &'n Node, key: &str) -> Option<&'n str> {
    match &entry_in(node, key)?.data {
        Data::Text(text, _) => Some(text),
        _ => None,
    }
}

/// What holds for its executions.
fn terms(fields: &Fields<'_>, report: &mut Report<'_>) -> (Vec<LimitDraft>, OwnDraft) {
    let mut limits = Vec::new();
    concurrency(fields, &mut limits, report);
    limits.extend(rate(fields, report));
    limits.extend(radius(fields, report));
    limits.extend(breaker(fields, report));
    let retry = fields.entry("retry").and_then(|(key, _)| {
        let place = report.place(key.at);
        Some(Located::new(retry::read(fields, Delivery::AtLeastOnce, report)?, place))
    });
    let deadline_ms = fields.duration_ms("deadline", DEADLINE_MS_MIN, POLICY_MS_MAX, report);
    let own = OwnDraft { retry, deadline_ms, windows: windows::read(fields, report) };
    if !TERMS.iter().any(|key| fields.entry(key).is_some()) {
        let message = "a policy needs \"concurrency\", \"rate\", \"limits\", \"breaker\", \"retry\", \"deadline\" or \
                       \"windows\"";
        report.add(fields.at(), Code::Missing, message);
    }
    (limits, own)
}

fn read_actions(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<Located<String>> {
    let Some(node) = fields.need("actions", report) else { return Vec::new() };
    let actions = fields.texts("actions", report);
    if matches!(&node.data, Data::List(items) if items.is_empty() || items.len() > POLICY_ACTIONS_MAX) {
        let message = format!("\"actions\" must have from 1 to {POLICY_ACTIONS_MAX} entries");
        report.add(node.at, Code::TooLarge, message);
    }
    actions.into_iter().filter_map(|action| check_reference(&action, "action", report)).collect()
}

fn read_rules(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<Located<String>> {
    let Some((_, node)) = fields.entry("rules") else { return Vec::new() };
    let rules = fields.texts("rules", report);
    if matches!(&node.data, Data::List(items) if items.is_empty() || items.len() > POLICY_ACTIONS_MAX) {
        let message = format!("\"rules\" must have from 1 to {POLICY_ACTIONS_MAX} entries");
        report.add(node.at, Code::TooLarge, message);
    }
    rules.into_iter().filter_map(|rule| check_reference(&rule, "rule", report)).collect()
}

/// A total, a limit of each key, or both.
fn concurrency(fields: &Fields<'_>, limits: &mut Vec<LimitDraft>, report: &mut Report<'_>) {
    let Some(fields) = open(fields, "concurrency", &CONCURRENCY, report) else { return };
    let (excess, by) = (excess(&fields, report), by(&fields, report));
    let total = count(&fields, "max", COUNT_MAX, report);
    let per_key = count(&fields, "max_per_key", COUNT_MAX, report);
    match (fields.entry("by").is_some(), fields.entry("max_per_key").is_some(), fields.entry("max").is_some()) {
        (true, false, _) => report.add(fields.at(), Code::Missing, "\"by\" needs \"max_per_key\""),
        (false, true, _) => report.add(fields.at(), Code::Missing, "\"max_per_key\" needs \"by\""),
        (false, false, false) => {
            report.add(fields.at(), Code::Missing, "\"concurrency\" needs \"max\", or \"by\" and \"max_per_key\"");
        }
        _ => {}
    }
    let terms = |permits_max| Terms { limit: Limit::Concurrency { permits_max }, excess };
    limits.extend(total.map(|permits_max| LimitDraft { terms: terms(permits_max), by: None }));
    limits.extend(per_key.zip(by).map(|(permits_max, by)| LimitDraft { terms: terms(permits_max), by: Some(by) }));
}

fn rate(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<LimitDraft> {
    let fields = open(fields, "rate", &RATE, report)?;
    let (excess, by) = (excess(&fields, report), by(&fields, report));
    let tokens = need_count(&fields, "starts", COUNT_MAX, report);
    let per_ms = need_time(&fields, "per", report);
    let burst = count(&fields, "burst", COUNT_MAX, report).or(tokens);
    let limit = Limit::Rate { tokens: tokens?, per_ms: per_ms?, burst: burst? };
    Some(LimitDraft { terms: Terms { limit, excess }, by })
}

fn radius(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<LimitDraft> {
    let (_, node) = fields.entry("limits")?;
    radius_of(node, report)
}

fn radius_of(node: &Node, report: &mut Report<'_>) -> Option<LimitDraft> {
    let fields = Fields::open(node, &RADIUS, report)?;
    let (excess, by) = (excess(&fields, report), by(&fields, report));
    let actions_max = need_count(&fields, "max_actions", i64::from(ACTIONS_MAX), report);
    let per_ms = need_time(&fields, "per", report);
    let limit = Limit::Radius { actions_max: actions_max?, per_ms: per_ms? };
    Some(LimitDraft { terms: Terms { limit, excess }, by })
}

fn breaker(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<LimitDraft> {
    let fields = open(fields, "breaker", &BREAKER, report)?;
    let (excess, by) = (excess(&fields, report), by(&fields, report));
    let failures_max = need_count(&fields, "failures", COUNT_MAX, report);
    let open_ms = need_time(&fields, "open", report);
    let probes = match fields.entry("probes") {
        Some(_) => count(&fields, "probes", COUNT_MAX, report),
        None => Some(1),
    };
    let limit = Limit::Breaker { failures_max: failures_max?, open_ms: open_ms?, probes: probes? };
    Some(LimitDraft { terms: Terms { limit, excess }, by })
}

fn open<'n>(fields: &Fields<'n>, key: &str, shape: &Shape, report: &mut Report<'_>) -> Option<Fields<'n>> {
    let (_, node) = fields.entry(key)?;
    Fields::open(node, shape, report)
}

fn excess(fields: &Fields<'_>, report: &mut Report<'_>) -> Excess {
    let words = [("delay", Excess::Wait), ("drop", Excess::Drop), ("pause", Excess::Pause)];
    fields.word("on_exceed", &words, Excess::Wait, report)
}

fn by(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<String>> {
    fields.text("by", report)
}

fn need_time(fields: &Fields<'_>, key: &str, report: &mut Report<'_>) -> Option<i64> {
    let node = fields.need(key, report)?;
    duration_of(node, key, 1, POLICY_MS_MAX, report)
}

pub(super) fn need_count(fields: &Fields<'_>, key: &str, max: i64, report: &mut Report<'_>) -> Option<u32> {
    count_of(fields.need(key, report)?, key, max, report)
}

fn count(fields: &Fields<'_>, key: &str, max: i64, report: &mut Report<'_>) -> Option<u32> {
    count_of(fields.get(key, report)?, key, max, report)
}

fn count_of(node: &Node, key: &str, max: i64, report: &mut Report<'_>) -> Option<u32> {
    let number = match &node.data {
        Data::Number(number) => number.as_i64(),
        _ => None,
    };
    let fits = number.filter(|number| (1..=max).contains(number)).and_then(|number| u32::try_from(number).ok());
    if fits.is_none() {
        report.add(node.at, Code::BadValue, format!("{key:?} must be a whole number from 1 to {max}"));
    }
    fits
}
