//! Tests of the extraction: what a document is, what slots hold, and that neither depends on anything
//! but the document and the paths.

mod document;
mod slots;

use petrel_cel::{Arena, Paths, Slot, SlotId, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::schema_check::TriggerSchema;

/// A value as JSON, to compare with.
fn to_json(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(bool) => json!(bool),
        Value::Int(int) => json!(int),
        Value::Uint(uint) => json!(uint),
        Value::Double(double) => json!(double),
        Value::String(text) => json!(text),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => {
            let entry = |(key, value)| match key {
                Value::String(key) => (key.to_owned(), to_json(value)),
                other => panic!("key {other:?}"),
            };
            Json::Object(map.iter().map(entry).collect())
        }
        other => panic!("{other:?} in a document"),
    }
}

/// A slot as JSON: none if absent, `"{}"` for an object that is not read whole.
fn slot_json(slot: Slot<'_>) -> Option<Json> {
    match slot {
        Slot::Absent => None,
        Slot::Object => Some(json!("{}")),
        Slot::Value(value) => Some(to_json(value)),
    }
}

/// Adds a path like `a.b`; the empty one is the root.
fn add(paths: &mut Paths, path: &str) -> SlotId {
    path.split('.').filter(|step| !step.is_empty()).fold(SlotId::ROOT, |id, step| paths.child(id, step))
}

/// Paths that are read whole, and paths of which only the presence is.
fn paths(whole: &[&str], presence: &[&str]) -> Paths {
    let mut paths = Paths::new();
    for path in whole {
        let id = add(&mut paths, path);
        paths.read_whole(id);
    }
    for path in presence {
        add(&mut paths, path);
    }
    paths
}

/// All slots that are not absent, by their dotted path.
fn filled(paths: &Paths, layout: &Layout, text: &str) -> Result<Json, String> {
    let arena = Arena::new();
    let slots = Extractor::new().extract(layout, text.as_bytes(), &arena).map_err(|e| e.to_string())?;
    assert_eq!(slots.len(), layout.slots());
    let named =
        paths.iter().zip(slots).filter_map(|((id, _), slot)| Some((paths.steps(id).join("."), slot_json(*slot)?)));
    Ok(Json::Object(named.collect()))
}

fn read(text: &str) -> Result<Json, String> {
    document(text.as_bytes(), &Arena::new()).map(to_json).map_err(|e| e.to_string())
}
