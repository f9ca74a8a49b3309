//! `tests:` of a rule: given an event, expect these actions.

use serde_json::{Map, Value};

use crate::problems::{Code, Place};
use crate::walk::{Fields, Report, Shape, check_free, entries_of, wrong_type};
use crate::yaml::{Data, Node};

const TEST: Shape =
    Shape { what: "a test", known: &["name", "given", "at", "kv", "expect"], later: &["given_all", "within", "after"] };
const EXPECT: Shape = Shape { what: "an expected action", known: &["action", "parameters"], later: &[] };

/// An action that a test expects.
#[derive(Debug, Clone)]
pub(crate) struct ExpectDraft {
    pub(crate) action: String,
    /// Parameters that must have these values; others are not looked at.
    pub(crate) parameters: Map<String, Value>,
}

/// A test as its file says it.
#[derive(Debug, Clone)]
pub(crate) struct TestDraft {
    pub(crate) name: Option<String>,
    pub(crate) place: Place,
    pub(crate) given: Value,
    /// `now`, in milliseconds since the epoch.
    pub(crate) at_ms: Option<i64>,
    pub(crate) kv: Map<String, Value>,
    /// Expected actions in the rule's order; empty for no match.
    pub(crate) expect: Vec<ExpectDraft>,
}

pub(super) fn read(node: &Node, report: &mut Report<'_>) -> Vec<TestDraft> {
    let Data::List(items) = &node.data else {
        wrong_type(node, "tests", "a list of tests", report);
        return Vec::new();
    };
    items.iter().filter_map(|item| read_test(item, report)).collect()
}

fn read_test(node: &Node, report: &mut Report<'_>) -> Option<TestDraft> {
    let fields = Fields::open(node, &TEST, report)?;
    let name = fields.text("name", report).map(|text| text.value);
    let given = fields.need("given", report);
    if let Some(given) = given {
        check_free(given, report);
    }
    let at_ms = fields.text("at", report).and_then(|text| match text.value.parse::<jiff::Timestamp>() {
        Ok(time) => Some(time.as_millisecond()),
        Err(_) => {
            let message = format!("\"at\" must be a time such as 2026-01-31T06:00:00Z, found {:?}", text.value);
            report.add(text.place.at, Code::BadValue, message);
            None
        }
    });
    let kv = fields.get("kv", report).map(|node| read_map(node, "\"kv\"", report)).unwrap_or_default();
    let expect = fields.need("expect", report).and_then(|node| read_expect(node, report));
    Some(TestDraft { name, place: report.place(node.at), given: given?.to_json(), at_ms, kv, expect: expect? })
}

fn read_expect(node: &Node, report: &mut Report<'_>) -> Option<Vec<ExpectDraft>> {
    match &node.data {
        Data::Text(text, _) if text == "none" => Some(Vec::new()),
        Data::Map(_) => read_expected(node, report).map(|expected| vec![expected]),
        Data::List(items) if !items.is_empty() => {
            Some(items.iter().filter_map(|item| read_expected(item, report)).collect())
        }
        _ => {
            wrong_type(node, "expect", "none, an expected action, or a list of them", report);
            None
        }
    }
}

fn read_expected(node: &Node, report: &mut Report<'_>) -> Option<ExpectDraft> {
    let fields = Fields::open(node, &EXPECT, report)?;
    let action = fields.need_text("action", report)?.value;
    let parameters =
        fields.get("parameters", report).map(|node| read_map(node, "\"parameters\"", report)).unwrap_or_default();
    Some(ExpectDraft { action, parameters })
}

fn read_map(node: &Node, what: &str, report: &mut Report<'_>) -> Map<String, Value> {
    check_free(node, report);
    let entries = entries_of(node, what, report).unwrap_or_default();
    entries.into_iter().map(|(key, value)| (key.text.clone(), value.to_json())).collect()
}
