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

/// Opens the secrets of an attempt: those of parameters that hold some, and those that its action names. Nothing
/// else that looks like the name of a secret is taken for one: parameters may hold what an event says.
///
/// # Errors
/// A code and a sentence, without any value.
pub(super) async fn open(
    source: &dyn SecretSource,
    task: &Task,
    action: &ResolvedAction,
    now_ms: i64,
) -> Result<Opened, (&'static str, String)> {
    let mut parameters = call::parameters(task).map_err(|why| (code::RENDER_FAILED, why))?;
    let (mut secrets, mut values) = (Map::new(), Vec::new());
    let known = &action.plan.parameters;
    for name in known.secrets() {
        let Some(given) = parameters.get_mut(name) else { continue };
        let Some(secret) = given.as_str().and_then(SecretRef::of_text) else {
            return Err((code::INVALID_PARAMETERS, format!("parameter {name:?} holds no name of a secret")));
        };
        let value = of(source, task, &secret, now_ms).await?;
        let fitting = known.secret_value(name, value.expose());
        *given = fitting.map_err(|error| (code::SECRET_UNUSABLE, error.to_string()))?;
        let unusable = |why| (code::SECRET_UNUSABLE, format!("secret {secret}, given for {name:?}: {why}"));
        values.extend(parts(given).map_err(unusable)?);
        values.push(value);
    }
    for (_, secret) in action.plan.runner.secrets() {
        let value = of(source, task, secret, now_ms).await?;
        if let Value::Object(space) = secrets.entry(secret.space()).or_insert_with(|| json!({})) {
            space.insert(secret.name().to_owned(), value.expose().into());
        }
        values.push(value);
    }
    Ok(Opened { parameters, secrets: Value::Object(secrets), mask: Mask::new(&values) })
}

async fn of(
    source: &dyn SecretSource,
    task: &Task,
    secret: &SecretRef,
    now_ms: i64,
) -> Result<SecretValue, (&'static str, String)> {
    let key = secret.key(&task.execution_id);
    source.open(&key, now_ms).await.map_err(|error| match error {
        NoSecret::Missing(_) if secret.is_of_execution() => {
            (code::SECRET_MISSING, NoSecret::Gone(secret.name().to_owned()).to_string())
        }
        NoSecret::Missing(_) | NoSecret::Gone(_) => (code::SECRET_MISSING, error.to_string()),
        NoSecret::Unusable(_) => (code::SECRET_UNUSABLE, error.to_string()),
        NoSecret::Unread(_) => (code::SECRETS_UNREAD, error.to_string()),
    })
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
