//! `POST /v1/sql`: questions to the audit trail, read-only and bounded.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{ApiError, App, body};
use crate::sql::Format;

/// Largest query, in bytes.
const QUERY_BYTES_MAX: usize = 256 << 10;

/// Body of a question: exactly one of `query`, `trace` and `reconcile`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlBody {
    query: Option<String>,
    trace: Option<String>,
    #[serde(default)]
    reconcile: bool,
    #[serde(default = "default_grace_s")]
    grace_s: u32,
    #[serde(default)]
    format: Format,
}

/// Age below which something may still be on its way, in seconds.
fn default_grace_s() -> u32 {
    10
}

/// The rows, in the format asked for.
pub async fn sql(State(app): State<App>, request: Body) -> Result<Response, ApiError> {
    let core = app.core()?;
    let bytes = body::bytes(request, QUERY_BYTES_MAX, core.request_timeout()).await?;
    let SqlBody { query, trace, reconcile, grace_s, format } = body::json(&bytes)?;
    let rows = match (query, trace, reconcile) {
        (Some(query), None, false) => core.sql()?.query(&query, format).await,
        (None, Some(event), false) => core.sql()?.trace(&event, format).await,
        (None, None, true) => core.sql()?.reconcile(grace_s, format).await,
        _ => return Err(ApiError::bad_request("bad_request", "give one of query, trace and reconcile")),
    }?;
    let kind = match format {
        Format::Table => "text/plain; charset=utf-8",
        Format::Json => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, kind)], Bytes::from(rows)).into_response())
}
