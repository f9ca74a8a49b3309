//! The secrets of an attempt: opened when it starts. What the attempt writes is masked by `runner/masking.rs`.

use std::sync::Arc;

use petrel_execution::code;
use petrel_schemas::{SecretRef, Task};
use petrel_secrets::limits::ATTEMPT_BYTES_MAX;
use petrel_secrets::{Mask, SecretValue, parts};
use serde_json::{Map, Value, json};

use crate::secrets::{NoSecret, SecretSource};
use crate::view::ResolvedAction;

/// What an attempt is carried out with.
pub(super) struct Opened {
    /// Its parameters, with the values of secrets.
    pub(super) parameters: Value,
    /// The secrets that its action names itself, name by name, space by space.
    pub(super) secrets: Value,
    /// Masks all of them.
    pub(super) mask: Arc<Mask>,
}

/// Why an attempt has not got its secrets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotOpened {
    /// It fails: a code and a sentence, without any value.
    Failed(&'static str, String),
    /// Nobody knows what there is: another worker, or this one in a moment, may.
    Unread,
}

/// Opens the secrets of an attempt: those of parameters that hold some, and those that its action names. Nothing
/// else that looks like the name of a secret is taken for one: parameters may hold what an event says.
///
/// # Errors
/// [`NotOpened`]
pub(super) async fn open(
    source: &dyn SecretSource,
    task: &Task,
    action: &ResolvedAction,
    mut parameters: Value,
    now_ms: i64,
) -> Result<Opened, NotOpened> {
    let runner = &action.plan.runner;
    if runner.is_instant() && runner.secrets().is_empty() {
        // It hands nothing to anybody: names will do, as where it ends with its claim.
        return Ok(Opened { parameters, secrets: Value::Null, mask: Arc::new(Mask::NOTHING) });
    }
    let known = &action.plan.parameters;
    let (mut given, mut named) = (Vec::new(), Vec::new());
    for name in known.secrets() {
        let Some(value) = parameters.get(name) else { continue };
        let Some(secret) = value.as_str().and_then(SecretRef::of_text) else {
            let why = format!("parameter {name:?} holds no name of a secret");
            return Err(NotOpened::Failed(code::INVALID_PARAMETERS, why));
        };
        given.push(name);
        named.push(secret);
    }
    named.extend(runner.secrets().iter().map(|(_, secret)| secret.clone()));
    let mut values = opened(source, task, &named, now_ms).await?;
    let unusable = |why: String| NotOpened::Failed(code::SECRET_UNUSABLE, why);
    let bytes: usize = values.iter().map(|value| value.expose().len()).sum();
    if bytes > ATTEMPT_BYTES_MAX {
        let why = format!("the secrets of an attempt have at most {ATTEMPT_BYTES_MAX} bytes; these have {bytes}");
        return Err(unusable(why));
    }
    let (mut secrets, mut parts_of_them) = (Map::new(), Vec::new());
    for (at, (secret, value)) in named.iter().zip(&values).enumerate() {
        if let Some(name) = given.get(at) {
            let fitting = known.secret_value(name, value.expose()).map_err(|error| unusable(error.to_string()))?;
            let why = |why| unusable(format!("secret {secret}, given for {name:?}: {why}"));
            parts_of_them.extend(parts(&fitting).map_err(why)?);
            parameters[name.as_str()] = fitting;
        } else if let Value::Object(space) = secrets.entry(secret.space()).or_insert_with(|| json!({})) {
            space.insert(secret.name().to_owned(), value.expose().into());
        }
    }
    values.extend(parts_of_them);
    Ok(Opened { parameters, secrets: Value::Object(secrets), mask: Arc::new(Mask::new(&values)) })
}

/// The values of these secrets, in their order.
async fn opened(
    source: &dyn SecretSource,
    task: &Task,
    secrets: &[SecretRef],
    now_ms: i64,
) -> Result<Vec<SecretValue>, NotOpened> {
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = secrets.iter().map(|secret| secret.key(&task.execution_id)).collect();
    let error = match source.open(&keys, now_ms).await {
        Ok(values) => return Ok(values),
        Err(NoSecret::Unread) => return Err(NotOpened::Unread),
        Err(error) => error,
    };
    let of_execution = |key: &str| {
        let named = keys.iter().zip(secrets).find(|(known, secret)| *known == key && secret.is_of_execution());
        named.map(|(_, secret)| NoSecret::Gone(secret.name().to_owned()))
    };
    let (code, why) = match &error {
        NoSecret::Missing(key) => (code::SECRET_MISSING, of_execution(key).unwrap_or(error)),
        NoSecret::Gone(_) => (code::SECRET_MISSING, error),
        NoSecret::Unusable(_) | NoSecret::Unread => (code::SECRET_UNUSABLE, error),
    };
    Err(NotOpened::Failed(code, why.to_string()))
}

#[cfg(test)]
mod tests;
