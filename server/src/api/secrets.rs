//! Secrets: list, set, rotate, delete. A value goes in, and none comes out.

use std::fmt::Display;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use petrel_schemas::SecretRef;
use petrel_secrets::SecretValue;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{ApiError, App, body, user};
use crate::world::rfc3339;

/// Largest body, in bytes: a value of the longest length, with every character escaped.
const BODY_BYTES_MAX: usize = 128 << 10;

/// Body of a change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueBody {
    value: String,
}

/// `GET /v1/secrets`: what there is, without any value; what was given to single executions is left out.
pub async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let vault = app.core()?.secrets.vault.clone();
    if !vault.read_to_end().await {
        return Err(ApiError::unavailable("secrets_behind", "the topic of secrets was not read to its end in time"));
    }
    let kept = vault.kept();
    let named = kept.iter().filter(|(key, _)| SecretRef::parse(key).is_some());
    let shown = named.map(|(key, sealed)| match sealed {
        Ok(sealed) => {
            let has_key = vault.keys().is_some_and(|keys| keys.get(&sealed.master_key).is_some());
            json!({
                "name": key,
                "version": sealed.version,
                "set_at": rfc3339(sealed.set_at_ms),
                "set_by": sealed.set_by,
                "master_key": sealed.master_key,
                "problem": (!has_key).then_some("this server has not got its master key"),
            })
        }
        Err(why) => json!({ "name": key, "problem": why }),
    });
    let current = vault.keys().map(|keys| keys.current().id());
    Ok(Json(json!({ "secrets": shown.collect::<Vec<_>>(), "master_key": current })))
}

/// `PUT /v1/secrets/{name}`: a new secret, or another value.
pub async fn set(app: State<App>, name: Path<String>, request: Body) -> Result<Json<Value>, ApiError> {
    change(app, name, request, false).await
}

/// `POST /v1/secrets/{name}/rotate`: another value of one that is there.
pub async fn rotate(app: State<App>, name: Path<String>, request: Body) -> Result<Json<Value>, ApiError> {
    change(app, name, request, true).await
}

async fn change(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Body,
    must_exist: bool,
) -> Result<Json<Value>, ApiError> {
    let core = app.core()?;
    let name = parse(&name)?;
    let bytes = Zeroizing::new(body::bytes(request, BODY_BYTES_MAX, core.request_timeout()).await?);
    // What is wrong with it is not told: it may be the value.
    let read = serde_json::from_slice::<ValueBody>(&bytes);
    let ValueBody { value } =
        read.map_err(|_| ApiError::bad_request("malformed_json", "the body is no {\"value\": \"…\"}"))?;
    let value = SecretValue::new(value).map_err(refused)?;
    let version = core.secrets.set(&name, value, must_exist, &user()).await?;
    Ok(Json(json!({ "name": name.as_str(), "version": version })))
}

/// `DELETE /v1/secrets/{name}`.
pub async fn delete(State(app): State<App>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let name = parse(&name)?;
    app.core()?.secrets.delete(&name, &user()).await?;
    Ok(Json(json!({ "name": name.as_str(), "deleted": true })))
}

/// `POST /v1/secrets/rotate-master`: everything is sealed under the current master key.
pub async fn rotate_master(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let done = app.core()?.secrets.rewrap(&user()).await?;
    Ok(Json(json!({ "moved": done.moved, "unchanged": done.unchanged, "problems": done.problems })))
}

fn parse(name: &str) -> Result<SecretRef, ApiError> {
    SecretRef::parse(name).filter(|name| !name.is_of_execution()).ok_or_else(|| {
        let message = "a secret is called pack.name, or shared.name: lower-case letters, digits and _, and one dot";
        ApiError::bad_request("malformed_secret_name", message)
    })
}

fn refused(why: impl Display) -> ApiError {
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_secret", why.to_string())
}
