//! The secrets of an attempt: opened when it starts, and masked in whatever it writes.

use petrel_execution::worker::Verdict;
use petrel_execution::{Note, Outcome, Stream, code};
use petrel_schemas::{SecretRef, Task};
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
    pub(super) mask: Mask,
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
    let (mut secrets, mut parts_of_them) = (Map::new(), Vec::new());
    for (at, (secret, value)) in named.iter().zip(&values).enumerate() {
        if let Some(name) = given.get(at) {
            let fitting =
                known.secret_value(name, value.expose()).map_err(|error| unusable(error.to_string()))?;
            let why = |why| unusable(format!("secret {secret}, given for {name:?}: {why}"));
            parts_of_them.extend(parts(&fitting).map_err(why)?);
            parameters[name.as_str()] = fitting;
        } else if let Value::Object(space) = secrets.entry(secret.space()).or_insert_with(|| json!({})) {
            space.insert(secret.name().to_owned(), value.expose().into());
        }
    }
    values.extend(parts_of_them);
    Ok(Opened { parameters, secrets: Value::Object(secrets), mask: Mask::new(&values) })
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

/// The end of an attempt without its secrets.
pub(super) fn masked(verdict: Verdict, mask: &Mask) -> Verdict {
    match verdict {
        Verdict::Ended(Outcome { status, note, return_code, result, stdout, stderr, retriable }) => {
            let note = Note { code: note.code, error: note.error.map(|error| mask.text(error)) };
            let result = result.map(|result| mask.json(result));
            let (stdout, stderr) = (stream(stdout, mask), stream(stderr, mask));
            Verdict::Ended(Outcome { status, note, return_code, result, stdout, stderr, retriable })
        }
        Verdict::HandedOver { begun, stdout, stderr } => {
            Verdict::HandedOver { begun, stdout: stream(stdout, mask), stderr: stream(stderr, mask) }
        }
    }
}

fn stream(stream: Stream, mask: &Mask) -> Stream {
    let Stream { bytes, truncated } = stream;
    Stream { bytes: mask.bytes(bytes, truncated), truncated }
}
