//! `${CEL}` in native workflows: the same scope under CEL's names.
//!
//! `ctx` are the variables, `result` is that of the current task, `item` the current item, `task` has `id`, `route` and
//! `status`, `tasks.NAME` has the `status` of another task; `succeeded()`, `failed()`, `timed_out()` and `completed()`
//! ask for the current task. Of `ctx` and `tasks` only what an expression names is looked up; `ctx` by itself is all of it.

use std::collections::BTreeSet;

use petrel_cel::compile::{Names, on_parser_thread, outside_strings, parse};
use petrel_cel::expr::Expr;
use petrel_cel::{Arena, Cx, EvalError, Map, OwnedValue, Paths, Value as Cel, instant, to_json};

use super::scope::{INTERNAL, status_in_route};
use super::{Scope, Value, functions};

/// The variables, by number.
const NAMES: [&str; 10] =
    ["ctx", "result", "item", "task", "tasks", "now", "succeeded()", "failed()", "completed()", "timed_out()"];

/// A single expression, without its delimiters.
#[derive(Debug)]
pub(super) struct Compiled {
    expr: Expr,
    paths: Paths,
    reads: Reads,
}

/// What an expression may read, by the names that stand in it.
#[derive(Debug, Default)]
struct Reads {
    /// The roots.
    roots: BTreeSet<&'static str>,
    /// The variables behind `ctx.`; none if `ctx` stands by itself.
    variables: Option<BTreeSet<String>>,
    /// The tasks behind `tasks.`.
    tasks: BTreeSet<String>,
}

impl Compiled {
    /// Compiles an expression.
    ///
    /// # Errors
    /// The first mistake, with its column in the expression.
    pub fn compile(source: &str) -> Result<Self, String> {
        let reads = Reads::of(source)?;
        let mut paths = Paths::new();
        let names = Names { event: None, vars: &NAMES };
        let compiled = on_parser_thread(|| parse(source)).and_then(|parsed| parsed.compile(names, &mut paths, None));
        match compiled {
            Ok(compiled) => Ok(Compiled { expr: compiled.expr, paths, reads }),
            Err(mistakes) => {
                let first = mistakes.into_iter().next();
                let first = first.map(|mistake| format!("{} (at character {})", mistake.message, mistake.offset + 1));
                Err(first.unwrap_or_else(|| "the expression cannot be compiled".to_owned()))
            }
        }
    }

    /// The variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.reads.variables.iter().flatten().map(String::as_str)
    }

    /// What it yields.
    ///
    /// # Errors
    /// Why it yields nothing.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvalError> {
        let held = Held::of(&self.reads, scope);
        let arena = Arena::new();
        let vars = held.vars(&self.reads, &arena, scope);
        let value = Cx::new(&arena, &self.paths, &[], &vars).eval(&self.expr)?;
        Ok(Value::from(to_json(value)?))
    }
}

/// A value inside a longer text, as `${…}` writes it everywhere: texts as they are, the rest as JSON.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.to_string(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
        }
        other => other.to_json().to_string(),
    }
}

impl Reads {
    fn of(source: &str) -> Result<Self, String> {
        let mut reads = Reads { variables: Some(BTreeSet::new()), ..Reads::default() };
        let words = words(source);
        for (place, (at, word)) in words.iter().enumerate() {
            let Some(root) = NAMES.iter().find(|name| name.trim_end_matches("()") == *word) else { continue };
            // A field of something else.
            if source[..*at].trim_end().ends_with('.') {
                continue;
            }
            reads.roots.insert(root);
            let end = at + word.len();
            let next = words.get(place + 1).filter(|(next, _)| {
                let between = source[end..*next].trim();
                between == "." || between == ".?"
            });
            match (*root, next) {
                ("ctx", Some((_, name))) => {
                    reads.variables.iter_mut().for_each(|names| names.extend([(*name).to_owned()]));
                }
                ("ctx", None) => reads.variables = None,
                ("tasks", Some((_, name))) => reads.tasks.extend([(*name).to_owned()]),
                ("tasks", None) => return Err("write `tasks.NAME.status`: tasks are asked for by name".to_owned()),
                _ => {}
            }
        }
        Ok(reads)
    }
}

/// The names in an expression with their places, outside of its strings.
fn words(source: &str) -> Vec<(usize, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut words: Vec<(usize, usize)> = Vec::new();
    for (at, c) in outside_strings(source).filter(|(_, c)| is_part(*c)) {
        match words.last_mut() {
            Some((_, end)) if *end == at => *end = at + 1,
            _ if !c.is_ascii_digit() => words.push((at, at + 1)),
            _ => {}
        }
    }
    words.into_iter().map(|(start, end)| (start, &source[start..end])).collect()
}

/// What an evaluation borrows from.
#[derive(Default)]
struct Held {
    variables: Vec<(String, Value)>,
    whole: Option<Value>,
    result: Option<Value>,
    item: Option<Value>,
    tasks: Vec<(String, String)>,
    status: Option<String>,
}

impl Held {
    fn of(reads: &Reads, scope: &Scope) -> Self {
        let mut held = Held::default();
        match &reads.variables {
            Some(names) => {
                let found = |name: &String| Some((name.clone(), scope.variables.get(name)?));
                held.variables = names.iter().filter(|name| !name.starts_with(INTERNAL)).filter_map(found).collect();
            }
            None => held.whole = Some(scope.variables.all()),
        }
        held.result = scope.task.as_ref().and_then(|task| task.result.clone());
        held.item = scope.item.clone();
        let route = scope.task.as_ref().map_or(0, |task| task.route);
        let status = |name: &str| status_in_route(&*scope.tasks, name, route).map(|(_, status)| status.to_owned());
        held.tasks = reads.tasks.iter().filter_map(|name| Some((name.clone(), status(name)?))).collect();
        held.status = scope.task.as_ref().and_then(|task| status(&task.id));
        held
    }

    fn vars<'a>(&'a self, reads: &Reads, arena: &'a Arena, scope: &'a Scope) -> [Cel<'a>; 10] {
        // What nobody reads is not converted.
        let read = |root, value: &'a Option<Value>| match value {
            Some(value) if reads.roots.contains(root) => to_cel(value),
            _ => Cel::Null,
        };
        // Names come out of sorted sets, so that the entries are in the order of maps.
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| (Cel::String(name), to_cel(value))).collect();
        let of_task =
            |status: &'a str| Cel::Map(Map::Values(arena.slice(&[(Cel::String("status"), Cel::String(status))])));
        let tasks: Vec<_> = self.tasks.iter().map(|(name, status)| (Cel::String(name), of_task(status))).collect();
        let task = scope.task.as_ref().map_or(Cel::Null, |task| {
            let entries = [
                (Cel::String("id"), Cel::String(&task.id)),
                (Cel::String("route"), Cel::Int(i64::try_from(task.route).unwrap_or(i64::MAX))),
                (Cel::String("status"), self.status.as_deref().map_or(Cel::Null, Cel::String)),
            ];
            Cel::Map(Map::Values(arena.slice(&entries)))
        });
        let asked = |written: &str, name: &str| {
            let function = functions::all().find(|function| function.name == name && reads.roots.contains(written));
            let answer = function.and_then(|function| function.call(&[], &[], scope).ok());
            answer.map_or(Cel::Null, |answer| Cel::Bool(answer.is_true()))
        };
        [
            self.whole.as_ref().map_or_else(|| Cel::Map(Map::Values(arena.slice(&variables))), to_cel),
            read("result", &self.result),
            read("item", &self.item),
            task,
            Cel::Map(Map::Values(arena.slice(&tasks))),
            scope.now_ms.map_or(Cel::Null, |ms| Cel::Timestamp(instant(ms))),
            asked("succeeded()", "succeeded"),
            asked("failed()", "failed"),
            asked("completed()", "completed"),
            asked("timed_out()", "timed_out"),
        ]
    }
}

/// A value as CEL sees it. What a list or map becomes is kept with it, so that it is converted once.
fn to_cel(value: &Value) -> Cel<'_> {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(value) => Cel::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Cel::Int(int),
            (None, Some(uint)) => Cel::Uint(uint),
            (None, None) => Cel::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(text),
        Value::List(list) => list.shared().seen.cel.get_or_init(|| Box::new(owned(value))).value(),
        Value::Map(map) => map.shared().seen.cel.get_or_init(|| Box::new(owned(value))).value(),
    }
}

/// A copy as CEL holds it.
fn owned(value: &Value) -> OwnedValue {
    match value {
        Value::Null => OwnedValue::Null,
        Value::Bool(value) => OwnedValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => OwnedValue::Int(int),
            (None, Some(uint)) => OwnedValue::Uint(uint),
            (None, None) => OwnedValue::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => OwnedValue::string(text),
        Value::List(list) => OwnedValue::list(list.items().iter().map(owned)),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| (OwnedValue::string(key), owned(value)));
            // Keys are texts, and no two are equal.
            OwnedValue::map(entries).unwrap_or(OwnedValue::Null)
        }
    }
}
