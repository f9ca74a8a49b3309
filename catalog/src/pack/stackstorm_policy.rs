//! StackStorm's policies as they are: `policy_type: action.concurrency`, `action.concurrency.attr` and `action.retry`.

use petrel_execution::gate::{Excess, Limit, Terms};
use petrel_execution::{BackOff, Retry};

use crate::limits::{POLICY_ATTRIBUTES_MAX, POLICY_NAME_BYTES_MAX};
use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape, check_name};
use crate::yaml::{Data, Node};

use super::policy::{LimitDraft, OwnDraft, PolicyDraft, need_count};
use super::rule::check_reference;

const POLICY: Shape = Shape {
    what: "a policy of StackStorm's form",
    known: &["name", "description", "enabled", "resource_ref", "policy_type", "parameters"],
    later: &["pack", "tags", "metadata_file"],
};
const CONCURRENCY: Shape =
    Shape { what: "\"parameters\" of action.concurrency", known: &["threshold", "action"], later: &[] };
const BY_ATTRIBUTES: Shape = Shape {
    what: "\"parameters\" of action.concurrency.attr",
    known: &["threshold", "action", "attributes"],
    later: &[],
};

const RETRY: Shape =
    Shape { what: "\"parameters\" of action.retry", known: &["retry_on", "max_retry_count", "delay"], later: &[] };

/// Most repetitions that StackStorm takes.
const RETRY_COUNT_MAX: i64 = 5;
/// Those that it makes where nobody says.
const RETRY_COUNT_DEFAULT: u32 = 2;
/// Longest pause that StackStorm takes, in seconds.
const RETRY_DELAY_S_MAX: f64 = 120.0;

/// Most permits that a threshold names.
const THRESHOLD_MAX: i64 = 1_000_000;

/// A limit, and the parameters that give its key.
type Limited = (LimitDraft, Vec<Located<String>>);

/// Whether a file is of this form.
pub(super) fn is_one(node: &Node) -> bool {
    matches!(&node.data, Data::Map(entries) if entries.iter().any(|(key, _)| key.text == "policy_type"))
}

/// Reads one. One that is not enabled is checked as well, and limits nothing.
pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<PolicyDraft> {
    let fields = Fields::open(node, &POLICY, report)?;
    let name = read_name(&fields, report);
    let _ = fields.description(report);
    let enabled = fields.flag("enabled", true, report);
    let action = fields.need_text("resource_ref", report).and_then(|named| check_reference(&named, "action", report));
    let mut retried = None;
    let limit = match fields.need_text("policy_type", report)?.value.as_str() {
        "action.concurrency" => limit(&fields, &CONCURRENCY, report),
        "action.concurrency.attr" => limit(&fields, &BY_ATTRIBUTES, report),
        "action.retry" => {
            retried = retry(&fields, report);
            None
        }
        other => {
            let message = format!(
                "\"policy_type\" must be action.concurrency, action.concurrency.attr or action.retry, found {other:?}"
            );
            unknown(&fields, Code::BadValue, message, report)
        }
    };
    let (limits, attributes) = limit.map(|(limit, attributes)| (vec![limit], attributes)).unwrap_or_default();
    let limits = if enabled { limits } else { Vec::new() };
    let own = OwnDraft { retry: retried.filter(|_| enabled), ..OwnDraft::default() };
    let actions = action.into_iter().collect();
    Some(PolicyDraft { name: name?, actions, limits, rules: Vec::new(), attributes, own, is_inline: false })
}

/// What is tried again, how often, and after how many seconds each time.
fn retry(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<Retry>> {
    let node = fields.need("parameters", report)?;
    let fields = Fields::open(node, &RETRY, report)?;
    fields.need("retry_on", report)?;
    let is_failure = fields.word("retry_on", &[("failure", true), ("timeout", false)], true, report);
    let times = match fields.get("max_retry_count", report) {
        Some(_) => need_count(&fields, "max_retry_count", RETRY_COUNT_MAX, report)?,
        None => RETRY_COUNT_DEFAULT,
    };
    let delay_ms = match fields.get("delay", report) {
        Some(node) => seconds_ms(node, report)?,
        None => 0,
    };
    let retry = Retry {
        on_failure: is_failure,
        on_timeout: !is_failure,
        on_lost_worker: false,
        when: None,
        retries_max: i32::try_from(times).ok()?,
        delay_ms,
        back_off: BackOff::Constant,
        delay_ms_max: delay_ms,
        jitter_percent: 0,
        total_ms_max: None,
        heeds_server: true,
    };
    Some(Located::new(retry, report.place(node.at)))
}

/// A number of seconds, which may have a fraction.
fn seconds_ms(node: &Node, report: &mut Report<'_>) -> Option<i64> {
    let seconds = match &node.data {
        Data::Number(number) => number.as_f64().filter(|seconds| (0.0..=RETRY_DELAY_S_MAX).contains(seconds)),
        _ => None,
    };
    if seconds.is_none() {
        let message = format!("\"delay\" must be a number of seconds from 0 to {RETRY_DELAY_S_MAX}");
        report.add(node.at, Code::BadValue, message);
    }
    // At most 120,000.
    seconds.map(|seconds| (seconds * 1_000.0).round() as i64)
}

fn unknown(fields: &Fields<'_>, code: Code, message: String, report: &mut Report<'_>) -> Option<Limited> {
    let at = fields.entry("policy_type").map_or(fields.at(), |(_, node)| node.at);
    report.add(at, code, message);
    None
}

/// Its names are parts with dots between, as in `my_action.concurrency`.
fn read_name(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<String>> {
    let name = fields.need_text("name", report)?;
    let parts = name.value.split('.').try_for_each(check_name);
    let fits = parts.and_then(|()| match name.value.len() <= POLICY_NAME_BYTES_MAX {
        true => Ok(()),
        false => Err(format!("a policy's name has at most {POLICY_NAME_BYTES_MAX} characters")),
    });
    match fits {
        Ok(()) => Some(name),
        Err(message) => {
            report.add(name.place.at, Code::BadName, message);
            None
        }
    }
}

fn limit(fields: &Fields<'_>, shape: &Shape, report: &mut Report<'_>) -> Option<Limited> {
    let node = fields.need("parameters", report)?;
    let fields = Fields::open(node, shape, report)?;
    let permits_max = need_count(&fields, "threshold", THRESHOLD_MAX, report);
    let words = [("delay", Excess::Wait), ("cancel", Excess::Drop)];
    let excess = fields.word("action", &words, Excess::Wait, report);
    let (by, attributes) = match shape.known.contains(&"attributes") {
        true => attributes(&fields, report).map(|(by, attributes)| (Some(by), attributes))?,
        false => (None, Vec::new()),
    };
    let terms = Terms { limit: Limit::Concurrency { permits_max: permits_max? }, excess };
    Some((LimitDraft { terms, by }, attributes))
}

/// The expression whose value is the key: the values of all of them, and null for one that is not given.
fn attributes(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<(Located<String>, Vec<Located<String>>)> {
    let node = fields.need("attributes", report)?;
    let names = fields.texts("attributes", report);
    if names.is_empty() || names.len() > POLICY_ATTRIBUTES_MAX {
        let message = format!("\"attributes\" must have from 1 to {POLICY_ATTRIBUTES_MAX} entries");
        report.add(node.at, Code::TooLarge, message);
        return None;
    }
    let mut values = Vec::new();
    for name in &names {
        if let Err(message) = check_name(&name.value) {
            report.add(name.place.at, Code::BadName, message);
            return None;
        }
        values.push(format!("has(parameters.{0}) ? parameters.{0} : null", name.value));
    }
    Some((Located::new(format!("[{}]", values.join(", ")), report.place(node.at)), names))
}
