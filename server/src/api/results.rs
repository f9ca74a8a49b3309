//! The result of an execution, however large it is.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use petrel_executor::objects::{JSON, NotFetched};
use petrel_schemas::{ExecutionId, OBJECTS_KEY, ObjectRef};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::executions::{parse, unknown};
use super::{ApiError, App, Core};

/// Objects that are read at the same time, for each is in memory until it is looked at.
const READ_AT_ONCE: usize = 4;

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
    let (bytes, media_type, sha256) = match told(core, &id).await? {
        Told::Inline(text) => (text.into_bytes(), JSON.to_owned(), None),
        Told::Object(object) => (fetch(core, &object).await?, object.media_type, Some(object.sha256)),
    };
    let mut headers = HeaderMap::new();
    let value =
        |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, value(&media_type));
    // Whatever an action says its result to be, no browser takes it for a page of this server.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(sha256) = sha256 {
        headers.insert(header::ETAG, value(&format!("\"{sha256}\"")));
    }
    Ok((headers, bytes.into()))
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

/// The bytes of an object.
async fn fetch(core: &Core, object: &ObjectRef) -> Result<Vec<u8>, ApiError> {
    // It is never closed.
    let _reading = READING.acquire().await.ok();
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
