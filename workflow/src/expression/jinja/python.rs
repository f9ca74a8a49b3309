//! How what Jinja yields becomes text: as Python's `str()` writes it.

use minijinja::value::ValueKind;
use minijinja::{Error, Output, State, Value as Jinja, escape_formatter};

use super::convert::from_jinja;
use super::failure::Failure;
use crate::expression::limits::RESULT_NESTING_MAX;
use crate::expression::python::{float_text, push, quoted};
use crate::expression::value::{ListItems, MapEntries};

/// Writes what a print statement yields.
pub(super) fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Jinja) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::String | ValueKind::Undefined => {
            escape_formatter(out, state, value)
        }
        ValueKind::Number if value.is_integer() => escape_formatter(out, state, value),
        _ => {
            let mut text = String::new();
            write_str(&mut text, value).map_err(Failure::into_error)?;
            escape_formatter(out, state, &Jinja::from(text))
        }
    }
}

/// Appends `str(value)`.
pub(super) fn write_str(out: &mut String, value: &Jinja) -> Result<(), Failure> {
    match value.as_str() {
        Some(text) => push(out, text).map_err(|_| Failure::too_long()),
        None => write_repr(out, value, 0),
    }
}

fn write_repr(out: &mut String, value: &Jinja, depth: usize) -> Result<(), Failure> {
    let mut add = |text: &str| push(out, text).map_err(|_| Failure::too_long());
    if depth > RESULT_NESTING_MAX {
        return Err(Failure::new("RecursionError", format!("a value nests deeper than {RESULT_NESTING_MAX} levels")));
    }
    match value.kind() {
        ValueKind::String => add(&quoted(value.as_str().unwrap_or_default())),
        ValueKind::Number if !value.is_integer() => {
            add(&float_text(f64::try_from(value.clone()).map_err(|e| Failure::of(&e))?))
        }
        ValueKind::Seq | ValueKind::Iterable if value.downcast_object_ref::<ListItems>().is_none() => {
            let brackets = if value.is_tuple() { ["(", ")"] } else { ["[", "]"] };
            add(brackets[0])?;
            let mut count = 0;
            for item in value.try_iter().map_err(|e| Failure::of(&e))? {
                push(out, if count == 0 { "" } else { ", " }).map_err(|_| Failure::too_long())?;
                write_repr(out, &item, depth + 1)?;
                count += 1;
            }
            let end = if value.is_tuple() && count == 1 { ",)" } else { brackets[1] };
            push(out, end).map_err(|_| Failure::too_long())
        }
        ValueKind::Map if value.downcast_object_ref::<MapEntries>().is_none() => {
            add("{")?;
            for (place, key) in value.try_iter().map_err(|e| Failure::of(&e))?.enumerate() {
                push(out, if place == 0 { "" } else { ", " }).map_err(|_| Failure::too_long())?;
                write_repr(out, &key, depth + 1)?;
                push(out, ": ").map_err(|_| Failure::too_long())?;
                write_repr(out, &value.get_item(&key).map_err(|e| Failure::of(&e))?, depth + 1)?;
            }
            push(out, "}").map_err(|_| Failure::too_long())
        }
        // Everything else is written alike by both.
        _ => crate::expression::python::write_str(out, &from_jinja(value)?).map_err(|_| Failure::too_long()),
    }
}
