//! StackStorm's policies as they are: `policy_type: action.concurrency` and `action.concurrency.attr`.

use petrel_execution::gate::{Excess, Limit, Terms};

use crate::limits::{POLICY_ATTRIBUTES_MAX, POLICY_NAME_BYTES_MAX};
use crate::problems::Code;
use crate::walk::{Fields, Located, Report, Shape, check_name};
use crate::yaml::{Data, Node};

use super::policy::{LimitDraft, PolicyDraft, need_count};
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
    let limit = match fields.need_text("policy_type", report)?.value.as_str() {
        "action.concurrency" => limit(&fields, &CONCURRENCY, report),
        "action.concurrency.attr" => limit(&fields, &BY_ATTRIBUTES, report),
        "action.retry" => {
            let message = "\"action.retry\" is not supported in this version: write \"retry\" into the action";
            unknown(&fields, Code::NotSupported, message.to_owned(), report)
        }
        other => {
            let message =
                format!("\"policy_type\" must be action.concurrency or action.concurrency.attr, found {other:?}");
            unknown(&fields, Code::BadValue, message, report)
        }
    };
    let (limits, attributes) = limit.map(|(limit, attributes)| (vec![limit], attributes)).unwrap_or_default();
    let limits = if enabled { limits } else { Vec::new() };
    Some(PolicyDraft { name: name?, actions: action.into_iter().collect(), limits, rules: Vec::new(), attributes })
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
