//! The secrets of an attempt: opened when it starts, and masked in whatever it writes.

use std::sync::Arc;

use petrel_execution::worker::{Exit, Why};
use petrel_execution::{Outcome, Stream, code};
use petrel_schemas::{SecretRef, Task};
use petrel_secrets::limits::ATTEMPT_BYTES_MAX;
use petrel_secrets::{Mask, SecretValue, parts};
use serde_json::{Map, Value, json};

use super::call;
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
    now_ms: i64,
) -> Result<Opened, NotOpened> {
    let mut parameters = call::parameters(task).map_err(|why| NotOpened::Failed(code::RENDER_FAILED, why))?;
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
    named.extend(action.plan.runner.secrets().iter().map(|(_, secret)| secret.clone()));
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
    // It takes its time for long ones.
    let mask = match values.is_empty() {
        true => Ok(Mask::NOTHING),
        false => tokio::task::spawn_blocking(move || Mask::new(&values)).await,
    };
    let mask = mask.map_err(|error| unusable(format!("what masks the secrets cannot be made: {error}")))?;
    Ok(Opened { parameters, secrets: Value::Object(secrets), mask: Arc::new(mask) })
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

/// What a runner tells, without the secrets. To be done before anything of it is cut to a limit: of a secret that is cut
/// off, masking would not find what is left. Off the runtime, whose threads keep the leases of other attempts.
pub(super) async fn masked(exit: Exit, mask: &Arc<Mask>) -> Exit {
    if mask.is_nothing() {
        return exit;
    }
    let mask = mask.clone();
    match tokio::task::spawn_blocking(move || mask_all(exit, &mask)).await {
        Ok(exit) => exit,
        Err(error) => {
            Exit::bare(Why::Unknown, Some(format!("what it wrote cannot be masked, and is left out: {error}")))
        }
    }
}

fn mask_all(exit: Exit, mask: &Mask) -> Exit {
    let Exit { why, return_code, error, result, stdout, stderr } = exit;
    // What did not end by itself was stopped in the middle of whatever it wrote.
    let is_cut = why != Why::Exited || return_code.is_none();
    let stream = |stream: Stream| {
        let Stream { bytes, truncated } = stream;
        Stream { bytes: mask.bytes(bytes, truncated || is_cut), truncated }
    };
    Exit {
        why,
        return_code,
        error: error.map(|error| mask.text(error)),
        result: result.map(|result| mask.json(result)),
        stdout: stream(stdout),
        stderr: stream(stderr),
    }
}

/// What a runner without processes tells, without the secrets.
pub(super) fn masked_result(outcome: Outcome, mask: &Mask) -> Outcome {
    let result = outcome.result.map(|result| mask.json(result));
    Outcome { result, ..outcome }
}

#[cfg(test)]
mod tests;
