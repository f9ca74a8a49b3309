//! Stand-ins for Compute Engine, Slack and Jira: the calls that the demo makes, in the shapes that these document.
//!
//! - `instances.get`: <https://cloud.google.com/compute/docs/reference/rest/v1/instances/get>
//! - `chat.postMessage`: <https://docs.slack.dev/reference/methods/chat.postMessage>
//! - `POST /rest/api/3/issue`: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues>
//! - `GET /rest/api/3/search/jql`: <https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search>

use std::pin::Pin;
use std::sync::Arc;
use std::task;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::demo::journal::{Entry, Journal, has};

/// Project, zone, channel, account and key that they know.
pub const PROJECT: &str = "shop";
/// Zone of the instance.
pub const ZONE: &str = "europe-west3-a";
/// The channel.
pub const CHANNEL: &str = "#ops";
/// Account of the ticket system.
pub const ACCOUNT: &str = "petrel@shop.example";
/// Key of its project.
pub const TICKETS: &str = "OPS";
/// The instance.
pub const INSTANCE: &str = "checkout-1";
/// Longest text of a section of a message, in characters.
const SECTION_CHARS_MAX: usize = 3000;
/// What the stand-ins of Slack and Jira are called where it is told what they got.
pub const SLACK: &str = "Slack";
/// The other one.
pub const JIRA: &str = "Jira";
/// How long it takes until Jira's search knows a new ticket, in milliseconds: a moment, as in Atlassian's cloud.
const INDEXED_MS: i64 = 1_000;
/// Number of the first ticket.
const FIRST_TICKET: usize = 24;

/// What the stand-ins need to know to answer.
#[derive(Clone)]
pub struct Services(Arc<Inner>);

struct Inner {
    journal: Journal,
    tokens: Tokens,
    /// Whether Slack and Jira take what comes first and close the connection without an answer.
    loses_answers: bool,
}

/// By what the stand-ins know who asks.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Compute Engine's.
    pub cloud: String,
    /// Slack's.
    pub slack: String,
    /// Jira's.
    pub jira: String,
}

impl Services {
    /// Stand-ins that nobody has asked yet.
    pub fn new(journal: Journal, tokens: Tokens, loses_answers: bool) -> Self {
        Self(Arc::new(Inner { journal, tokens, loses_answers }))
    }

    /// Their calls.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/compute/v1/projects/{project}/zones/{zone}/instances/{instance}", get(instance))
            .route("/api/chat.postMessage", post(message))
            .route("/rest/api/3/issue", post(issue))
            .route("/rest/api/3/search/jql", get(search))
            .with_state(self.clone())
    }

    /// How often one of them took what it was told.
    pub fn taken(&self, service: &str) -> usize {
        self.0.journal.taken(service, "")
    }

    fn note(&self, service: &'static str, what: &str, answer: (StatusCode, Value), body: Value) -> Response {
        let (status, value) = answer;
        let is_lost = self.0.loses_answers && [SLACK, JIRA].contains(&service) && self.taken(service) == 0;
        self.0.journal.note(service, what, status.as_u16(), body, if is_lost { " (this answer is lost)" } else { "" });
        match is_lost {
            true => Body::new(Lost).into_response(),
            false => (status, Json(value)).into_response(),
        }
    }

    /// Keys of the tickets that bear a label and that the search knows by now.
    fn tickets(&self, label: &str) -> Vec<String> {
        let until_ms = self.0.journal.now_ms() - INDEXED_MS;
        let tickets = self
            .0
            .journal
            .entries()
            .into_iter()
            .filter(|asked| asked.service == JIRA && asked.status == 201)
            .enumerate();
        let labels = |asked: &Entry| asked.body["fields"]["labels"].as_array().cloned().unwrap_or_default();
        let known =
            tickets.filter(|(_, asked)| asked.at_ms <= until_ms && labels(asked).iter().any(|one| one == label));
        known.map(|(number, _)| ticket_key(number)).collect()
    }
}

/// The key of a ticket that so many were made before.
fn ticket_key(number: usize) -> String {
    format!("{TICKETS}-{}", FIRST_TICKET + number)
}

/// What is sent of an answer before the connection is closed: nothing.
struct Lost;

impl HttpBody for Lost {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
    ) -> task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        task::Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
    }
}

async fn instance(
    State(services): State<Services>,
    Path((project, zone, instance)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let error = |code: StatusCode, status: &str, message: &str| {
        (code, json!({ "error": { "code": code.as_u16(), "message": message, "status": status } }))
    };
    let answer = if !has(&headers, "authorization", &format!("Bearer {}", services.0.tokens.cloud)) {
        error(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
    } else if (&*project, &*zone, &*instance) != (PROJECT, ZONE, INSTANCE) {
        error(StatusCode::NOT_FOUND, "NOT_FOUND", "The resource was not found")
    } else {
        let zone = format!("https://www.googleapis.com/compute/v1/projects/{project}/zones/{zone}");
        let value = json!({
            "kind": "compute#instance",
            "id": "5141418466139124541",
            "name": instance,
            "status": "RUNNING",
            "machineType": format!("{zone}/machineTypes/e2-medium"),
            "selfLink": format!("{zone}/instances/{instance}"),
            "zone": zone,
            "lastStartTimestamp": "2026-01-12T07:31:07.221-08:00",
            "labels": { "service": "checkout" },
        });
        (StatusCode::OK, value)
    };
    services.note("Compute Engine", &format!("state of {instance}"), answer, Value::Null)
}

async fn message(State(services): State<Services>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    // All of it is 200, and `ok` says what it is.
    let answer = if !has(&headers, "authorization", &format!("Bearer {}", services.0.tokens.slack)) {
        json!({ "ok": false, "error": "invalid_auth" })
    } else if body["channel"] != CHANNEL {
        json!({ "ok": false, "error": "channel_not_found" })
    } else if let Some(why) = unusable_blocks(&body) {
        json!({ "ok": false, "error": why })
    } else {
        let now_ms = services.0.journal.now_ms();
        let ts = format!("{}.{:06}", now_ms / 1000, now_ms % 1000 * 1000);
        json!({ "ok": true, "channel": "C024BE91L", "ts": ts, "message": { "type": "message", "text": body["text"] } })
    };
    services.note(SLACK, "a message", (StatusCode::OK, answer), body)
}

/// Why Slack would not take a message: no text, a block without a text, or one that is too long.
fn unusable_blocks(body: &Value) -> Option<&'static str> {
    if body["text"].as_str().is_none_or(str::is_empty) {
        return Some("no_text");
    }
    let text_of = |text: &Value| text["text"].as_str().map_or(0, |text| text.chars().count());
    let is_usable = |block: &Value| match (block["type"].as_str(), block["fields"].as_array()) {
        (Some("header"), _) => (1..=150).contains(&text_of(&block["text"])),
        (Some("section"), None) => (1..=SECTION_CHARS_MAX).contains(&text_of(&block["text"])),
        (Some("section"), Some(fields)) => fields.iter().all(|field| (1..=2000).contains(&text_of(field))),
        _ => false,
    };
    let blocks = body["blocks"].as_array();
    blocks.is_none_or(|blocks| !blocks.iter().all(is_usable)).then_some("invalid_blocks")
}

/// Whether it is Jira's account that asks; else the answer.
fn refused(services: &Services, headers: &HeaderMap) -> Option<(StatusCode, Value)> {
    let basic = STANDARD.encode(format!("{ACCOUNT}:{}", services.0.tokens.jira));
    let why = "Client must be authenticated to access this resource.";
    let answer = (StatusCode::UNAUTHORIZED, json!({ "errorMessages": [why], "errors": {} }));
    (!has(headers, "authorization", &format!("Basic {basic}"))).then_some(answer)
}

async fn issue(State(services): State<Services>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let fields = &body["fields"];
    let error =
        |field: &str, why: &str| (StatusCode::BAD_REQUEST, json!({ "errorMessages": [], "errors": { field: why } }));
    let answer = if let Some(answer) = refused(&services, &headers) {
        answer
    } else if fields["project"]["key"] != TICKETS {
        error("project", "valid project is required")
    } else if fields["summary"].as_str().is_none_or(|summary| summary.is_empty() || summary.contains('\n')) {
        error("summary", "The summary is invalid because it contains newline characters.")
    } else if fields["description"]["type"] != "doc" || fields["description"]["version"] != 1 {
        error("description", "Operation value must be an Atlassian Document")
    } else if fields["labels"].as_array().is_some_and(|all| all.iter().any(|label| !is_label(label))) {
        error("labels", "The label contains spaces which is invalid.")
    } else {
        let key = ticket_key(services.taken(JIRA));
        let value = json!({ "id": "10000", "key": key, "self": "https://shop.example/rest/api/3/issue/10000" });
        (StatusCode::CREATED, value)
    };
    services.note(JIRA, "a ticket", answer, body)
}

fn is_label(label: &Value) -> bool {
    label.as_str().is_some_and(|label| !label.is_empty() && !label.contains(' '))
}

#[derive(serde::Deserialize)]
struct Wanted {
    jql: String,
}

/// Of JQL it knows tickets with a label.
async fn search(State(services): State<Services>, headers: HeaderMap, Query(wanted): Query<Wanted>) -> Response {
    let label = wanted.jql.strip_prefix("labels = \"").and_then(|jql| jql.split_once('"')).map(|(label, _)| label);
    let answer = match (refused(&services, &headers), label) {
        (Some(answer), _) => answer,
        (None, None) => {
            let why = "Error in the JQL Query";
            (StatusCode::BAD_REQUEST, json!({ "errorMessages": [why], "errors": {} }))
        }
        (None, Some(label)) => {
            let issue = |key: String| json!({ "id": "10000", "key": key, "fields": {} });
            let issues: Vec<Value> = services.tickets(label).into_iter().map(issue).collect();
            (StatusCode::OK, json!({ "isLast": true, "issues": issues }))
        }
    };
    services.note("Jira's search", "tickets with the label of the execution", answer, Value::Null)
}
