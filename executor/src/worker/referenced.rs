//! Parameters whose values are objects: fetched when an attempt starts, and looked at as those that came with it.

use petrel_execution::code;
use petrel_execution::limits::OBJECTS_BYTES_MAX;
use petrel_schemas::{OBJECTS_KEY, ObjectRef};
use serde_json::{Map, Value};

use crate::objects::{JSON, NotFetched, Objects};
use crate::view::ResolvedAction;

/// Why an attempt has not got its objects.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotResolved {
    /// It fails: a code and a sentence.
    Failed(&'static str, String),
    /// Another worker, or this one in a moment, may be able to read the store.
    Away(String),
}

/// The parameters with the values of their references in their places. Nothing else that looks like a reference is taken
/// for one: parameters may hold what an event says.
///
/// # Errors
/// [`NotResolved`]
pub(super) async fn resolve(
    objects: &Objects,
    action: &ResolvedAction,
    mut parameters: Value,
) -> Result<Value, NotResolved> {
    let references = match parameters.as_object_mut().and_then(|all| all.remove(OBJECTS_KEY)) {
        None => return Ok(parameters),
        Some(Value::Object(references)) => references,
        Some(_) => return Err(unusable(format!("{OBJECTS_KEY:?} is no object"))),
    };
    let mut read = Vec::with_capacity(references.len());
    for (name, reference) in references {
        let reference = ObjectRef::of_value(&reference);
        read.push((name.clone(), reference.ok_or_else(|| unusable(format!("parameter {name:?} holds no reference")))?));
    }
    let bytes = read.iter().fold(0_u64, |sum, (_, reference)| sum.saturating_add(reference.bytes));
    if bytes > OBJECTS_BYTES_MAX {
        let why =
            format!("the objects of its parameters have {bytes} bytes, more than the limit of {OBJECTS_BYTES_MAX}");
        return Err(unusable(why));
    }
    // Values are several times as large as their texts: only so many attempts make some at the same time.
    let _turn = objects.turn_to_read().await.map_err(|why| NotResolved::Away(format!("objects are read: {why}")))?;
    let mut fetched = Map::new();
    for (name, reference) in read {
        let value = fetch(objects, &name, &reference).await?;
        fetched.insert(name, value);
    }
    if let Value::Object(all) = &mut parameters {
        all.extend(fetched);
    }
    // Their owner could not look at them.
    let completed = action.plan.parameters.complete(&parameters);
    completed.map_err(|error| NotResolved::Failed(code::INVALID_PARAMETERS, error.to_string()))
}

async fn fetch(objects: &Objects, name: &str, reference: &ObjectRef) -> Result<Value, NotResolved> {
    if reference.media_type != JSON {
        return Err(unusable(format!("parameter {name:?} is {}, and no JSON", reference.media_type)));
    }
    let bytes = objects.get(reference).await.map_err(|error| {
        let why = format!("parameter {name:?} is the object {}: {error}", reference.sha256);
        match error {
            // A worker that has another store may have company that has this one.
            NotFetched::Away(_) | NotFetched::Elsewhere(_) => NotResolved::Away(why),
            _ => unusable(why),
        }
    })?;
    let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&bytes).ok()).await;
    parsed.ok().flatten().ok_or_else(|| unusable(format!("the object of parameter {name:?} is no JSON")))
}

fn unusable(why: String) -> NotResolved {
    NotResolved::Failed(code::OBJECT_UNUSABLE, why)
}

#[cfg(test)]
mod tests;
