//! Expressions with the values that they have, as text, over a small event. What has no value is written as
//! `! ` and the fault.

mod access;
mod arith;
mod budget;
mod logic;
mod loops;

use core::fmt::Write as _;

use crate::compile::{Names, on_parser_thread, parse};
use crate::eval::Cx;
use crate::expr::Expr;
use crate::{Arena, Fault, OwnedValue, Path, Paths, Slot, SlotId, Value};

/// The variables beside the event: of types that no literal has, and those that keep an expression from
/// being folded.
const VARS: [&str; 4] = ["zero", "nan", "none", "bytes"];

/// Asserts what expressions come to.
pub(crate) fn check(event: &serde_json::Value, cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(evaluated(event, source), *expected, "{source}");
    }
}

/// An expression's value as text.
pub(crate) fn evaluated(event: &serde_json::Value, source: &str) -> String {
    let mut paths = Paths::new();
    let expr = compiled(source, &mut paths);
    with_cx(event, &paths, &[expr], |cx, exprs| {
        let value = cx.eval(&exprs[0]);
        assert!(cx.locals.is_empty(), "{source} leaves variables behind");
        shown(&value)
    })
}

/// Compiles an expression over `trigger` and [`VARS`].
pub(crate) fn compiled(source: &str, paths: &mut Paths) -> Expr {
    let names = Names { event: Some("trigger"), vars: &VARS };
    let parsed = on_parser_thread(|| parse(source)).unwrap_or_else(|e| panic!("{source}: {e:?}"));
    parsed.compile(names, paths, None).unwrap_or_else(|e| panic!("{source}: {e:?}")).expr
}

/// Calls something with an evaluation over an event, and expressions that live as long as it.
pub(crate) fn with_cx<T>(
    event: &serde_json::Value,
    paths: &Paths,
    exprs: &[Expr],
    call: impl for<'a> FnOnce(&mut Cx<'a>, &'a [Expr]) -> T,
) -> T {
    let root = owned(event);
    let slots: Vec<Slot<'_>> = paths.iter().map(|(id, path)| slot(&root, paths, id, path)).collect();
    let arena = Arena::new();
    let vars = [Value::Int(0), Value::Double(f64::NAN), Value::Optional(None), Value::Bytes(b"\xff")];
    call(&mut Cx::new(&arena, paths, &slots, &vars), exprs)
}

/// What an extractor finds at a path.
fn slot<'v>(root: &'v OwnedValue, paths: &Paths, id: SlotId, path: &Path) -> Slot<'v> {
    let mut at = root.value();
    for step in paths.steps(id) {
        let Value::Map(map) = at else { return Slot::Absent };
        let Some(next) = map.field(step) else { return Slot::Absent };
        at = next;
    }
    match at {
        Value::Map(_) if !path.whole => Slot::Object,
        value => Slot::Value(value),
    }
}

fn owned(json: &serde_json::Value) -> OwnedValue {
    use serde_json::Value as Json;
    match json {
        Json::Null => OwnedValue::Null,
        Json::Bool(bool) => OwnedValue::Bool(*bool),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => OwnedValue::Int(int),
            (None, Some(uint)) => OwnedValue::Uint(uint),
            (None, None) => OwnedValue::Double(number.as_f64().expect("a number")),
        },
        Json::String(text) => OwnedValue::string(text),
        Json::Array(elements) => OwnedValue::list(elements.iter().map(owned)),
        Json::Object(members) => {
            let entries = members.iter().map(|(name, value)| (OwnedValue::string(name), owned(value)));
            OwnedValue::map(entries).expect("names are strings, each once")
        }
    }
}

/// A value as the language writes it, more or less; a fault by its text.
pub(crate) fn shown(value: &Result<Value<'_>, Fault<'_>>) -> String {
    let mut out = String::new();
    match value {
        Ok(value) => show(&mut out, value),
        Err(fault) => out = format!("! {fault}"),
    }
    out
}

fn show(out: &mut String, value: &Value<'_>) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => write!(out, "{bool}").unwrap(),
        Value::Int(int) => write!(out, "{int}").unwrap(),
        Value::Uint(uint) => write!(out, "{uint}u").unwrap(),
        Value::Double(double) => write!(out, "{double:?}").unwrap(),
        Value::String(text) => write!(out, "'{text}'").unwrap(),
        Value::Bytes(bytes) => write!(out, "b'{}'", bytes.escape_ascii()).unwrap(),
        Value::List(list) => {
            out.push('[');
            for (at, element) in list.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                show(out, &element);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { ", " });
                show(out, &key);
                out.push_str(": ");
                show(out, &value);
            }
            out.push('}');
        }
        Value::Timestamp(timestamp) => write!(out, "{timestamp}").unwrap(),
        Value::Duration(duration) => write!(out, "{duration}").unwrap(),
        Value::Type(of) => out.push_str(of.name()),
        Value::Optional(None) => out.push_str("none"),
        Value::Optional(Some(value)) => {
            out.push_str("some(");
            show(out, value);
            out.push(')');
        }
        Value::Ip(ip) => write!(out, "{ip}").unwrap(),
        Value::Cidr(cidr) => write!(out, "{}/{}", cidr.address, cidr.prefix).unwrap(),
        Value::Semver(version) => write!(out, "{version}").unwrap(),
    }
}
