//! `GET /metrics`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{ApiError, App};

/// Everything that this process counts, for Prometheus.
pub async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let core = app.started()?;
    let text = core.exported.text(&core.stages);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
