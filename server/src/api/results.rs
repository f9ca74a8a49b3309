//! The result of an execution, however large it is.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use petrel_execution::workflow::UNTIL_KEY;
use petrel_executor::objects::{JSON, NotFetched};
use petrel_schemas::{ExecutionId, OBJECTS_KEY, ObjectRef};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::executions::{parse, unknown};
use super::stream::{Parts, is_taken};
use super::{ApiError, App, Core};

/// Objects that are read at the same time, for each is in memory until its reader has it.
const READ_AT_ONCE: usize = 4;

/// How much of one is sent at once, in bytes.
const PART_BYTES: usize = 256 << 10;

/// Those that may be read now.
static READING: Semaphore = Semaphore::const_new(READ_AT_ONCE);

/// A result, where it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// In the audit trail.
    Inline(String),
    /// In the store of objects.
    Object(ObjectRef),
}

/// `GET /v1/executions/{id}/result`: the result itself. An object is looked at as a whole before anything of it is sent.
pub async fn get(State(app): State<App>, Path(id): Path<String>) -> Result<(HeaderMap, Body), ApiError> {
    let core = app.core()?;
    let id = parse(&id)?;
    let (body, media_type, object) = match told(core, &id).await? {
        Told::Inline(text) => (text.into(), JSON.to_owned(), None),
        Told::Object(object) => {
            // It is never closed.
            let reading =
                tokio::time::timeout(core.request_timeout(), READING.acquire()).await.ok().and_then(Result::ok);
            let reading = reading.ok_or_else(|| {
                let message = format!("{READ_AT_ONCE} results are read already");
                ApiError::unavailable("too_many_readers", message)
            })?;
            let bytes = fetch(core, &object).await?;
            (sent(bytes.into(), reading), object.media_type, Some((object.sha256, object.bytes)))
        }
    };
    let mut headers = HeaderMap::new();
    let value =
        |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, value(&media_type));
    // Whatever an action says its result to be, no browser takes it for a page of this server.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some((sha256, bytes)) = object {
        headers.insert(header::ETAG, value(&format!("\"{sha256}\"")));
        // Whoever gets less knows it.
        headers.insert(header::CONTENT_LENGTH, bytes.into());
    }
    Ok((headers, body))
}

/// An answer with these bytes, as its reader takes them; who takes nothing is cut off. Until then nobody else reads in its
/// place.
fn sent(mut bytes: Bytes, reading: SemaphorePermit<'static>) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let _reading = reading;
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART_BYTES));
            if !is_taken(&sender, part).await {
                return;
            }
        }
    });
    Body::new(Parts(receiver))
}

/// Where the result of an execution is.
pub(super) async fn told(core: &Core, id: &ExecutionId) -> Result<Told, ApiError> {
    let told = core.sql()?.history(id.as_str()).await?.ok_or_else(|| unknown(id))?;
    let text = |name: &str| told[name].as_str().filter(|text| !text.is_empty());
    if let Some(object) = text("result_object") {
        let object = ObjectRef::parse(object).ok_or_else(|| {
            let message = "a newer release wrote where the result is, and this one cannot read it";
            ApiError::unavailable("unreadable_result", message)
        })?;
        return Ok(Told::Object(object));
    }
    if let Some(result) = text("result") {
        return Ok(Told::Inline(result.to_owned()));
    }
    let status = told["status"].as_str().unwrap_or_default();
    let why = text("error").map(|error| format!(": {error}")).unwrap_or_default();
    Err(ApiError::not_found("no_result", format!("execution {id} is {status} and has no result{why}")))
}

/// Puts the results of executions among parameters: small ones as values, and of large ones the references.
///
/// # Errors
/// `invalid_parameters` for a name that stands there already, or that is Petrel's; an execution without a result.
pub(super) async fn give(
    core: &Core,
    parameters: &mut Map<String, Value>,
    given: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let refused = |why: String| Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", why));
    if parameters.contains_key(UNTIL_KEY) || given.contains_key(UNTIL_KEY) {
        return refused(format!("{UNTIL_KEY:?} is Petrel's: a question of a workflow says so until when it is open"));
    }
    // Nobody else writes references.
    if parameters.contains_key(OBJECTS_KEY) || given.contains_key(OBJECTS_KEY) {
        return refused(format!("{OBJECTS_KEY:?} is Petrel's; name an execution in \"results\" to give its result"));
    }
    let mut objects = Map::new();
    for (name, id) in given {
        if parameters.contains_key(name) {
            return refused(format!("parameter {name:?} stands in \"parameters\" and in \"results\""));
        }
        match told(core, &parse(id)?).await? {
            Told::Object(object) => _ = objects.insert(name.clone(), object.to_value()),
            Told::Inline(text) => match serde_json::from_str(&text) {
                Ok(value) => _ = parameters.insert(name.clone(), value),
                Err(_) => return refused(format!("the result of {id} is no JSON")),
            },
        }
    }
    if !objects.is_empty() {
        parameters.insert(OBJECTS_KEY.to_owned(), Value::Object(objects));
    }
    Ok(())
}

/// No result is a secret, nor the name of one: an action may give whatever an event told it.
pub(super) fn check_not_secret(
    action: &str,
    secrets: &[String],
    given: &BTreeMap<String, String>,
) -> Result<(), ApiError> {
    let reasons = secrets.iter().filter(|name| given.contains_key(*name));
    let reasons = reasons.map(|name| format!("parameter {name:?} holds a secret, which no result is"));
    let reasons: Vec<String> = reasons.collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("the parameters do not fit {action}: {}", reasons.join("; "));
    Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_parameters", message).with_details(reasons))
}

/// The bytes of an object.
async fn fetch(core: &Core, object: &ObjectRef) -> Result<Vec<u8>, ApiError> {
    core.objects.get(object).await.map_err(|error| {
        let message = format!("the result of {} bytes with the SHA-256 {}: {error}", object.bytes, object.sha256);
        match error {
            NotFetched::Gone => ApiError::new(StatusCode::GONE, "object_gone", message),
            NotFetched::Damaged => ApiError::new(StatusCode::BAD_GATEWAY, "object_damaged", message),
            NotFetched::Elsewhere(_) => ApiError::unavailable("other_store", message),
            NotFetched::TooLarge { .. } => ApiError::unavailable("object_too_large", message),
            NotFetched::Away(_) => ApiError::unavailable("objects_unavailable", message),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use axum::body::to_bytes;
    use http_body::Body as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_slowly_holds_the_place_and_whoever_does_not_is_cut_off() {
        let seats = Box::leak(Box::new(Semaphore::new(1)));
        let text = Bytes::from(vec![b'x'; 3 * PART_BYTES + 1]);
        let body = sent(text.clone(), seats.acquire().await.unwrap());
        assert_eq!(seats.available_permits(), 0);
        assert_eq!(to_bytes(body, usize::MAX).await.unwrap(), text);
        let _ = seats.acquire().await.unwrap();

        let mut body = sent(text.clone(), seats.acquire().await.unwrap());
        let first = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let first = first.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PART_BYTES);
        // It has its place until it is cut off, and less than it was promised.
        let _ = seats.acquire().await.unwrap();
        let rest = to_bytes(body, usize::MAX).await.unwrap();
        assert!(first.len() + rest.len() < text.len(), "{}", rest.len());
    }

    #[test]
    fn no_result_is_a_secret() {
        let given = |name: &str| BTreeMap::from([(name.to_owned(), "id".to_owned())]);
        let secrets = ["password".to_owned()];
        assert!(check_not_secret("ops.login", &secrets, &given("host")).is_ok());
        let refused = check_not_secret("ops.login", &secrets, &given("password")).unwrap_err();
        assert!(format!("{refused:?}").contains("holds a secret, which no result is"), "{refused:?}");
    }
}
