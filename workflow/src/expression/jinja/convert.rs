//! Values into Jinja's and back. Lists and maps are shared, not copied.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value as Jinja};
use serde_json::Number;

use super::failure::Failure;
use crate::expression::limits::RESULT_NESTING_MAX;
use crate::expression::python::number_text;
use crate::expression::value::{ListItems, MapEntries};
use crate::expression::{List, Map, Value};

/// A value as Jinja sees it.
pub(super) fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Jinja::from(int),
            (None, Some(int)) => Jinja::from(int),
            (None, None) => Jinja::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Jinja::from(text.clone()),
        Value::List(list) => Jinja::from_dyn_object(list.shared().clone()),
        Value::Map(map) => Jinja::from_dyn_object(map.shared().clone()),
    }
}

/// What Jinja made, as a value.
pub(super) fn from_jinja(value: &Jinja) -> Result<Value, Failure> {
    nested(value, 0)
}

fn nested(value: &Jinja, depth: usize) -> Result<Value, Failure> {
    if depth > RESULT_NESTING_MAX {
        let message = format!("the result nests deeper than {RESULT_NESTING_MAX} levels");
        return Err(Failure::new("RecursionError", message));
    }
    Ok(match value.kind() {
        ValueKind::None => Value::Null,
        ValueKind::Bool => Value::Bool(value.is_true()),
        ValueKind::Number => Value::Number(number(value)?),
        ValueKind::String => match value.as_str() {
            Some(text) => Value::text(text),
            None => return Err(not_json("str")),
        },
        ValueKind::Seq | ValueKind::Iterable => {
            if let Some(list) = value.downcast_object::<ListItems>() {
                return Ok(Value::List(List::from(list)));
            }
            let items = value.try_iter().map_err(|e| Failure::of(&e))?;
            Value::List(items.map(|item| nested(&item, depth + 1)).collect::<Result<List, Failure>>()?)
        }
        ValueKind::Map => {
            if let Some(map) = value.downcast_object::<MapEntries>() {
                return Ok(Value::Map(Map::from(map)));
            }
            let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
            for key in value.try_iter().map_err(|e| Failure::of(&e))? {
                let entry = value.get_item(&key).map_err(|e| Failure::of(&e))?;
                entries.push((key_text(&nested(&key, depth + 1)?)?, nested(&entry, depth + 1)?));
            }
            Value::Map(entries.into_iter().collect())
        }
        ValueKind::Undefined => return Err(Failure::new("UndefinedError", "a part of the result is undefined")),
        ValueKind::Bytes => return Err(not_json("bytes")),
        _ => return Err(not_json("function")),
    })
}

fn number(value: &Jinja) -> Result<Number, Failure> {
    if value.is_integer() {
        let int = i64::try_from(value.clone()).map(Number::from);
        let fits = int.or_else(|_| u64::try_from(value.clone()).map(Number::from));
        return fits.map_err(|_| Failure::new("OverflowError", format!("the integer {value} does not fit 64 bits")));
    }
    let double = f64::try_from(value.clone()).map_err(|e| Failure::of(&e))?;
    Number::from_f64(double).ok_or_else(|| Failure::new("ValueError", format!("{double} has no form in JSON")))
}

fn not_json(what: &str) -> Failure {
    Failure::new("TypeError", format!("the result is a {what}, which has no form in JSON"))
}

/// A key as JSON has it; Python writes other keys than text so.
fn key_text(key: &Value) -> Result<Arc<str>, Failure> {
    Ok(match key {
        Value::String(text) => text.clone(),
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Number(number) => number_text(number).into(),
        Value::List(_) | Value::Map(_) => return Err(Failure::new("TypeError", "keys of a map are text or numbers")),
    })
}

impl Object for ListItems {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.items().get(key.as_usize()?).map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items().len())
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        rendered(&Value::List(List::from(self.clone())), f)
    }
}

impl Object for MapEntries {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.entries().get(key).map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let map = self.clone();
        let count = map.entries().len();
        Enumerator::RevIter(Box::new((0..count).map(move |place| {
            map.entries().get_index(place).map_or(Jinja::UNDEFINED, |(key, _)| Jinja::from(key.clone()))
        })))
    }

    /// Python's methods of dictionaries go before entries of the same names.
    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Jinja]) -> Result<Jinja, Error> {
        let entries = self.entries();
        if method == "get" {
            let (key, default): (&Jinja, Option<&Jinja>) = from_args(args)?;
            let found = key.as_str().and_then(|key| entries.get(key)).map(to_jinja);
            return Ok(found.or_else(|| default.cloned()).unwrap_or_else(|| Jinja::from(())));
        }
        let list: Vec<Jinja> = match method {
            "keys" => entries.keys().map(|key| Jinja::from(key.clone())).collect(),
            "values" => entries.values().map(to_jinja).collect(),
            "items" => entries.iter().map(|(key, value)| pair(key, value)).collect(),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        };
        let () = from_args(args)?;
        Ok(Jinja::from(list))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        rendered(&Value::Map(Map::from(self.clone())), f)
    }
}

/// A key with its value.
fn pair(key: &Arc<str>, value: &Value) -> Jinja {
    Jinja::from(minijinja::value::Tuple::from(vec![Jinja::from(key.clone()), to_jinja(value)]))
}

fn rendered(value: &Value, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    f.write_str(&crate::expression::python::to_str(value).map_err(|_| std::fmt::Error)?)
}
