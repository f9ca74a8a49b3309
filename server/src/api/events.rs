//! Events and records from outside.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use petrel_bus::Output;
use petrel_ingest::admission::{BatchFormat, EventCall};
use petrel_ingest::topics::TopicFormat;
use petrel_ingest::{BatchRefusal, Refusal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiError, App, body};

/// Content type of one JSON document a line.
const NDJSON: &str = "application/x-ndjson";

/// `POST /v1/events/{trigger}`: one event, or a batch as a JSON array or as lines. Answered once
/// durable.
pub async fn event(
    State(app): State<App>,
    Path(trigger): Path<String>,
    headers: HeaderMap,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let admission = &core.admission;
    let bytes_max = admission.options().batch_bytes_max.max(admission.options().event_bytes_max);
    let body = body::bytes(request, bytes_max, core.request_timeout()).await?;
    let fresh_id = uuid::Uuid::now_v7().to_string();
    let call = EventCall {
        trigger: &trigger,
        event_id: event_id(&headers)?,
        fresh_id: &fresh_id,
        body: &body,
        now_ms: core.clock.now_ms(),
    };
    let Some(format) = batch_format(&headers, &body) else {
        let admitted = admission.event(call).map_err(|r| refused(&r))?;
        core.publisher.publish(vec![admitted.output]).await?;
        return Ok((StatusCode::ACCEPTED, Json(json!({ "event_id": admitted.event_id.as_str() }))));
    };
    // Megabytes of JSON take tens of milliseconds: other requests go on meanwhile.
    let admitted = tokio::task::block_in_place(|| admission.batch(call, format)).map_err(|r| batch_refused(&r))?;
    let (ids, outputs): (Vec<_>, Vec<Output>) = admitted.into_iter().map(|e| (e.event_id, e.output)).unzip();
    if !outputs.is_empty() {
        core.publisher.publish(outputs).await?;
    }
    let ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    Ok((StatusCode::ACCEPTED, Json(json!({ "event_ids": ids }))))
}

/// Query of a topic's records.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicQuery {
    key: Option<String>,
}

/// `POST /v1/topics/{topic}`: records for a topic of the local bus, as other producers write on Kafka.
pub async fn topic(
    State(app): State<App>,
    Path(topic): Path<String>,
    Query(query): Query<TopicQuery>,
    headers: HeaderMap,
    request: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let core = app.core()?;
    let Some(writer) = &core.topic_writer else {
        let message = "this server is on Kafka: write to the topic with a Kafka client";
        return Err(ApiError::new(StatusCode::CONFLICT, "not_local", message));
    };
    let body = body::bytes(request, writer.options().body_bytes_max, core.request_timeout()).await?;
    let format = if is_ndjson(&headers) { TopicFormat::Lines } else { TopicFormat::Record };
    let key = query.key.as_deref().map(str::as_bytes);
    let outputs = writer.records(&topic, key, &body, format).map_err(|r| refused(&r))?;
    let count = outputs.len();
    core.publisher.publish(outputs).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({ "topic": topic, "records": count }))))
}

fn event_id(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let text = headers.get("event-id").map(|id| id.to_str()).transpose();
    text.map_err(|_| ApiError::bad_request("event_id_invalid", "an Event-Id consists of visible ASCII characters"))
}

fn is_ndjson(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(NDJSON))
}

/// An event is an object, so a body that begins like an array is a batch.
fn batch_format(headers: &HeaderMap, body: &[u8]) -> Option<BatchFormat> {
    if is_ndjson(headers) {
        return Some(BatchFormat::Lines);
    }
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    (first == Some(&b'[')).then_some(BatchFormat::Array)
}

fn refused(refusal: &Refusal) -> ApiError {
    let status = StatusCode::from_u16(refusal.domain.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let violations = refusal.violations.iter().map(ToString::to_string).collect();
    ApiError::new(status, refusal.code, refusal.message.clone()).with_details(violations)
}

fn batch_refused(batch: &BatchRefusal) -> ApiError {
    let items: Vec<String> = batch
        .items
        .iter()
        .map(|item| format!("event {}: {}: {}", item.index, item.refusal.code, item.refusal))
        .collect();
    let error = refused(&batch.refusal);
    if items.is_empty() { error } else { error.with_details(items) }
}
