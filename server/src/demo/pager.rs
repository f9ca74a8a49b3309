//! A stand-in for PagerDuty: the Events API v2, <https://developer.pagerduty.com/docs/events-api-v2-overview>.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::journal::Journal;

/// What it is called where it is told what it got.
pub const PAGER: &str = "PagerDuty";
/// Longest summary, in characters.
const SUMMARY_CHARS_MAX: usize = 1024;
/// How serious an event may be.
const SEVERITIES: [&str; 4] = ["critical", "error", "warning", "info"];

/// An integration with a service.
#[derive(Clone)]
pub struct Pager {
    journal: Journal,
    routing_key: String,
}

impl Pager {
    /// One that has got no event yet.
    pub fn new(journal: Journal, routing_key: String) -> Self {
        Self { journal, routing_key }
    }

    /// Its call.
    pub fn router(&self) -> Router {
        Router::new().route("/v2/enqueue", post(enqueue)).with_state(self.clone())
    }

    /// What the incident with the newest event was told, if there is one.
    pub fn incident(&self) -> Option<Value> {
        let entries = self.journal.entries();
        let told = entries.iter().rev().find(|entry| entry.service == PAGER && entry.body["event_action"] == "trigger");
        told.filter(|entry| entry.status < 400).map(|entry| entry.body["payload"].clone())
    }
}

async fn enqueue(State(pager): State<Pager>, Json(body): Json<Value>) -> Response {
    let action = body["event_action"].as_str().unwrap_or_default();
    let errors = errors(&body, &pager.routing_key);
    let answer = match errors.is_empty() {
        true => {
            let key = &body["dedup_key"];
            (StatusCode::ACCEPTED, json!({ "status": "success", "message": "Event processed", "dedup_key": key }))
        }
        false => {
            let answer = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
            (StatusCode::BAD_REQUEST, answer)
        }
    };
    let what = match body["payload"]["summary"].as_str() {
        Some(summary) => format!("{action}: {summary}"),
        None => action.to_owned(),
    };
    pager.journal.answer(PAGER, &what, answer, body)
}

/// Why PagerDuty would not take an event.
fn errors(body: &Value, routing_key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut need = |is_so: bool, what: &str| {
        if !is_so {
            errors.push(what.to_owned());
        }
    };
    need(body["routing_key"] == *routing_key, "'routing_key' is invalid");
    match body["event_action"].as_str() {
        Some("trigger") => {
            let payload = &body["payload"];
            let summary = payload["summary"].as_str().map_or(0, |summary| summary.chars().count());
            need((1..=SUMMARY_CHARS_MAX).contains(&summary), "'payload.summary' is missing or blank");
            need(
                payload["source"].as_str().is_some_and(|text| !text.is_empty()),
                "'payload.source' is missing or blank",
            );
            let severity = payload["severity"].as_str().unwrap_or_default();
            need(SEVERITIES.contains(&severity), "'payload.severity' is invalid");
        }
        Some("acknowledge" | "resolve") => {
            need(body["dedup_key"].as_str().is_some_and(|key| !key.is_empty()), "'dedup_key' is missing or blank");
        }
        _ => need(false, "'event_action' is invalid"),
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pagerduty_refuses_is_refused() {
        let payload = json!({ "summary": "a", "source": "b", "severity": "critical" });
        let event =
            |action: &str, payload: &Value| json!({ "routing_key": "R", "event_action": action, "payload": payload });
        assert_eq!(errors(&event("trigger", &payload), "R"), Vec::<String>::new());
        assert_eq!(errors(&event("trigger", &payload), "S"), ["'routing_key' is invalid"]);
        assert_eq!(errors(&event("resolve", &payload), "R"), ["'dedup_key' is missing or blank"]);
        assert_eq!(errors(&event("call", &payload), "R"), ["'event_action' is invalid"]);
        assert_eq!(errors(&event("trigger", &Value::Null), "R").len(), 3);
    }
}
