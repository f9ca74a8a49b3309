//! `rules/*.yaml`: when this happens, do that.

use petrel_schemas::Class;

use crate::limits::RULE_ACTIONS_MAX;
use crate::problems::{Code, Place};
use crate::walk::{Fields, Located, Report, Shape, check_free, check_name, entries_of, text_of, wrong_type};
use crate::yaml::{Data, Node};

use super::action::CLASSES;
use super::rule_test::{self, TestDraft};

const RULE: Shape = Shape {
    what: "a rule",
    known: &[
        "name",
        "description",
        "trigger",
        "criteria",
        "action",
        "actions",
        "class",
        "enabled",
        "tags",
        "tests",
        "policies",
        "limits",
    ],
    later: &[
        "pack",
        "type",
        "context",
        "metadata_file",
        "throttle",
        "correlate",
        "dedup",
        "window",
        "sequence",
        "join",
        "absence",
        "notify",
        "retry",
        "retries",
        "priority",
        "mode",
        "shadow",
    ],
};

const CALL: Shape = Shape {
    what: "an action call",
    known: &["ref", "parameters"],
    later: &[
        "description",
        "timeout",
        "retry",
        "retries",
        "delay",
        "with",
        "when",
        "pool",
        "policies",
        "notify",
        "delivery",
        "context",
    ],
};

/// A call of an action as a rule says it.
#[derive(Debug)]
pub(crate) struct CallDraft {
    /// Reference of the action.
    pub(crate) action: Located<String>,
    /// Values of the parameters, with the places of their names.
    pub(crate) parameters: Vec<(Located<String>, Node)>,
    /// Place of the call.
    pub(crate) place: Place,
}

/// A rule as its file says it.
#[derive(Debug)]
pub(crate) struct RuleDraft {
    pub(crate) name: Located<String>,
    pub(crate) description: String,
    /// Nothing if it is missing or no reference, which is told already.
    pub(crate) trigger: Option<Located<String>>,
    pub(crate) criteria: Option<Located<String>>,
    pub(crate) calls: Vec<CallDraft>,
    /// Class of its executions; none takes those of the actions.
    pub(crate) class: Option<Class>,
    pub(crate) enabled: bool,
    pub(crate) tags: Vec<String>,
    pub(crate) tests: Vec<TestDraft>,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Option<RuleDraft> {
    let fields = Fields::open(node, &RULE, report)?;
    // Without a name all else is still checked.
    let nameless = Located::new(String::new(), report.place(fields.at()));
    let name = fields.need_name(report).unwrap_or(nameless);
    let description = fields.description(report);
    let trigger = read_trigger(&fields, report);
    let criteria = read_criteria(&fields, report);
    let calls = read_calls(&fields, report);
    let class = fields.entry("class").map(|_| fields.word("class", &CLASSES, Class::Normal, report));
    let enabled = fields.flag("enabled", true, report);
    let tags = fields.texts("tags", report).into_iter().map(|tag| tag.value).collect();
    let tests = fields.get("tests", report).map(|node| rule_test::read(node, report)).unwrap_or_default();
    Some(RuleDraft { name, description, trigger, criteria, calls, class, enabled, tags, tests })
}

fn read_trigger(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<String>> {
    let node = fields.need("trigger", report)?;
    if matches!(node.data, Data::Map(_)) {
        let message = "StackStorm's mapping form of \"trigger\" is not supported in this version, write pack.trigger";
        report.add(node.at, Code::NotSupported, message);
        return None;
    }
    let trigger = fields.text("trigger", report)?;
    check_reference(&trigger, "trigger", report)
}

fn read_criteria(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<Located<String>> {
    let node = fields.get("criteria", report)?;
    match &node.data {
        Data::Text(text, _) if text.trim().is_empty() => {
            report.add(node.at, Code::BadValue, "\"criteria\" is empty; leave the key out to match every event");
            None
        }
        Data::Text(..) => text_of(node, "criteria", report),
        Data::Bool(flag) => Some(Located::new(flag.to_string(), report.place(node.at))),
        Data::Map(_) => {
            let message =
                "StackStorm's mapping form of \"criteria\" is not supported in this version, write a CEL expression";
            report.add(node.at, Code::NotSupported, message);
            None
        }
        _ => {
            wrong_type(node, "criteria", "a CEL expression", report);
            None
        }
    }
}

fn read_calls(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<CallDraft> {
    let (one, many) = (fields.get("action", report), fields.get("actions", report));
    match (one, many) {
        (Some(_), Some(node)) => {
            report.add(node.at, Code::BadValue, "a rule has \"action\" or \"actions\", not both");
            Vec::new()
        }
        (None, None) => {
            report.add(fields.at(), Code::Missing, "a rule needs \"action\"");
            Vec::new()
        }
        (Some(node), None) => read_call(node, report).into_iter().collect(),
        (None, Some(node)) => {
            let Data::List(items) = &node.data else {
                wrong_type(node, "actions", "a list of action calls", report);
                return Vec::new();
            };
            if items.is_empty() || items.len() > RULE_ACTIONS_MAX {
                let message =
                    format!("\"actions\" must have from 1 to {RULE_ACTIONS_MAX} entries, found {}", items.len());
                report.add(node.at, Code::TooLarge, message);
            }
            items.iter().filter_map(|item| read_call(item, report)).collect()
        }
    }
}

fn read_call(node: &Node, report: &mut Report<'_>) -> Option<CallDraft> {
    let fields = Fields::open(node, &CALL, report)?;
    let action = fields.need_text("ref", report);
    let mut parameters = Vec::new();
    if let Some(node) = fields.get("parameters", report) {
        for (key, value) in entries_of(node, "\"parameters\"", report).unwrap_or_default() {
            check_free(value, report);
            parameters.push((Located::new(key.text.clone(), report.place(key.at)), value.clone()));
        }
    }
    let action = check_reference(&action?, "action", report)?;
    Some(CallDraft { action, parameters, place: report.place(node.at) })
}

/// Whether a text is `pack.name`.
pub(super) fn check_reference(text: &Located<String>, what: &str, report: &mut Report<'_>) -> Option<Located<String>> {
    let parts: Vec<&str> = text.value.split('.').collect();
    if parts.len() == 2 && parts.iter().all(|part| check_name(part).is_ok()) {
        return Some(text.clone());
    }
    let message = format!("{:?} is no reference to {what}s: write pack.{what}", text.value);
    report.add(text.place.at, Code::BadName, message);
    None
}
