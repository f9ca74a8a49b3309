//! Compiled expressions as text, for tests: `(== $host "a")`, where `$` is the event.

use super::{Compiled, EventTypes, Mistake, Names, on_parser_thread, parse};
use crate::expr::{Arith, Expr, Kind, Loop, Relation};
use crate::owned::OwnedValue;
use crate::paths::{Paths, SlotId};

pub(super) const NAMES: Names<'static> = Names { event: Some("trigger"), vars: &["now", "kv", "x.y", "x.y.z"] };

pub(super) fn compile_with(
    source: &str,
    types: Option<&(dyn EventTypes + Sync)>,
) -> (Result<Compiled, Vec<Mistake>>, Paths) {
    let mut paths = Paths::new();
    let parsed = on_parser_thread(|| parse(source));
    let compiled = parsed.and_then(|p| p.compile(NAMES, &mut paths, types.map(|t| t as &dyn EventTypes)));
    (compiled, paths)
}

/// The expression as text, or its mistakes.
pub(super) fn compiled(source: &str) -> String {
    match compile_with(source, None) {
        (Ok(compiled), paths) => render(&compiled.expr, &paths),
        (Err(mistakes), _) => format!("{mistakes:?}"),
    }
}

/// The paths that are read, `!` behind those that are read whole.
pub(super) fn reads(source: &str) -> String {
    let (compiled, paths) = compile_with(source, None);
    assert!(compiled.is_ok(), "{source}: {compiled:?}");
    let path = |(id, path): (SlotId, &crate::paths::Path)| {
        format!("${}{}", paths.steps(id).join("."), if path.whole { "!" } else { "" })
    };
    paths.iter().map(path).collect::<Vec<_>>().join(" ")
}

pub(super) fn render(expr: &Expr, paths: &Paths) -> String {
    let one = |e: &Expr| render(e, paths);
    let all = |es: &[Expr]| es.iter().map(one).collect::<Vec<_>>().join(" ");
    let path = |id: SlotId| format!("${}", paths.steps(id).join("."));
    match &expr.kind {
        Kind::Const(value) => constant(value),
        Kind::Slot(id) => path(*id),
        Kind::HasSlot(id) => format!("(has {})", path(*id)),
        Kind::OptSlot { slot, from } => format!("(opt {} from {})", path(*slot), path(*from)),
        Kind::Var(var) => format!("var{var}"),
        Kind::Local(local) => format!("local{local}"),
        Kind::Select(of, field) => format!("(. {} {field})", one(of)),
        Kind::Has(of, field) => format!("(has {} {field})", one(of)),
        Kind::OptSelect(of, field) => format!("(.? {} {field})", one(of)),
        Kind::Index(of) => format!("([] {})", all(&of[..])),
        Kind::OptIndex(of) => format!("([?] {})", all(&of[..])),
        Kind::Not(of) => format!("(! {})", one(of)),
        Kind::And(of) => format!("(&& {})", all(of)),
        Kind::Or(of) => format!("(|| {})", all(of)),
        Kind::Cond(of) => format!("(? {})", all(&of[..])),
        Kind::Negate(of) => format!("(- {})", one(of)),
        Kind::Compare(relation, of) => format!("({} {})", relation_sign(*relation), all(&of[..])),
        Kind::Arith(arith, of) => format!("({} {})", arith_sign(*arith), all(&of[..])),
        Kind::Matches(of, regex) => format!("(matches {} /{regex}/)", one(of)),
        Kind::InSet(of, set) => format!("(in {} {})", one(of), list("{", set, "}")),
        Kind::List(elements) => {
            let element = |e: &crate::expr::Element| format!("{}{}", if e.optional { "?" } else { "" }, one(&e.value));
            format!("(list {})", elements.iter().map(element).collect::<Vec<_>>().join(" "))
        }
        Kind::Map(entries) => {
            let entry = |e: &crate::expr::Entry| {
                format!("{}{}:{}", if e.optional { "?" } else { "" }, one(&e.key), one(&e.value))
            };
            format!("(map {})", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
        }
        Kind::Call(function, args) => format!("({} {})", function.name, all(args)),
        Kind::Loop(of) => render_loop(of, &one),
        Kind::Bind(of) => format!("(bind {})", all(&of[..])),
        Kind::OptMap(of) => format!("(optMap {})", all(&of[..])),
        Kind::OptFlatMap(of) => format!("(optFlatMap {})", all(&of[..])),
    }
}

fn render_loop(of: &Loop, one: &dyn Fn(&Expr) -> String) -> String {
    let mut text = format!("({:?}{} {}", of.kind, if of.two { "2" } else { "" }, one(&of.range));
    if let Some(filter) = &of.filter {
        text += &format!(" if {}", one(filter));
    }
    if let Some(value) = &of.value {
        text += &format!(" to {}", one(value));
    }
    text + ")"
}

fn constant(value: &OwnedValue) -> String {
    match value {
        OwnedValue::Null => "null".into(),
        OwnedValue::Bool(bool) => bool.to_string(),
        OwnedValue::Int(int) => int.to_string(),
        OwnedValue::Uint(uint) => format!("{uint}u"),
        OwnedValue::Double(double) => format!("{double:?}"),
        OwnedValue::String(text) => format!("{text:?}"),
        OwnedValue::List(elements) => list("[", elements, "]"),
        OwnedValue::Type(of) => of.name().into(),
        other => format!("{other:?}"),
    }
}

fn list(open: &str, elements: &[OwnedValue], close: &str) -> String {
    format!("{open}{}{close}", elements.iter().map(constant).collect::<Vec<_>>().join(" "))
}

fn relation_sign(relation: Relation) -> &'static str {
    match relation {
        Relation::Eq => "==",
        Relation::Ne => "!=",
        Relation::Lt => "<",
        Relation::Le => "<=",
        Relation::Gt => ">",
        Relation::Ge => ">=",
        Relation::In => "in",
    }
}

fn arith_sign(arith: Arith) -> &'static str {
    match arith {
        Arith::Add => "+",
        Arith::Sub => "-",
        Arith::Mul => "*",
        Arith::Div => "/",
        Arith::Rem => "%",
    }
}
