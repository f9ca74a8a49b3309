//! What people decide in a scenario, as it stands in a file.

use std::sync::Arc;

use super::reader::{Reader, entry};
use super::scenario::Decided;
use crate::conductor::Decision;
use crate::expression::{Map, Value};

/// What can be decided, each with the keys that it has beside `decide` and `after`.
const DECISIONS: [(&str, &[&str]); 4] = [
    ("resume", &["variables"]),
    ("skip", &["task", "route", "result"]),
    ("retry", &["task", "route", "reset_items", "input"]),
    ("rollback", &[]),
];

/// Reads the decisions of a scenario.
pub(super) fn read<'d>(reader: &mut Reader<'d>, map: &'d Map, path: &str) -> Vec<Decided> {
    let list = reader.list(map, path, "decisions").unwrap_or_default();
    let path = entry(path, "decisions");
    let of = |(number, value): (usize, &'d Value)| decided(reader, value, &format!("{path}[{number}]"));
    list.iter().enumerate().filter_map(of).collect()
}

fn decided<'d>(reader: &mut Reader<'d>, value: &'d Value, path: &str) -> Option<Decided> {
    let names = DECISIONS.map(|(name, _)| name).join(", ");
    let name = value.get("decide").and_then(Value::as_str).unwrap_or_default();
    let Some((_, own)) = DECISIONS.into_iter().find(|(known, _)| *known == name) else {
        reader.wrong(path, format!("a decision needs \"decide\", one of {names}"));
        return None;
    };
    let known: Vec<&str> = ["decide", "after"].into_iter().chain(own.iter().copied()).collect();
    let map = reader.mapping(value, path, &format!("the decision {name:?}"), &known)?;
    let after_ms = reader.duration_ms(map, path, "after").unwrap_or_default();
    let task = reader.text(map, path, "task").unwrap_or_default().to_owned();
    if own.contains(&"task") && task.is_empty() {
        reader.wrong(path, format!("the decision {name:?} needs \"task\""));
    }
    let route = reader.count(map, path, "route").and_then(|route| u32::try_from(route).ok()).unwrap_or_default();
    let mut variables = |key: &str| -> Map {
        let entries = reader.free(map, path, key);
        entries.into_iter().map(|(name, value)| (Arc::from(name), Value::from(value))).collect()
    };
    let decision = match name {
        "resume" => Decision::Resume { variables: variables("variables") },
        "skip" => Decision::Skip { task, route, result: map.get("result").cloned().unwrap_or_default() },
        "retry" => {
            let reset_items = map.get("reset_items").is_some_and(Value::is_true);
            Decision::Retry { task, route, reset_items, input: variables("input") }
        }
        _ => Decision::Rollback,
    };
    Some(Decided { after_ms, decision })
}
