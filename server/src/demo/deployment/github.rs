//! A stand-in for GitHub: its event `workflow_run` and the call that sets the status of a commit, in the shapes that it
//! documents.
//!
//! - <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run>
//! - <https://docs.github.com/en/rest/commits/statuses>

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::demo::journal::{Journal, has};

/// What it is called where it is told what it got.
pub const GITHUB: &str = "GitHub";
/// The repository.
const REPOSITORY: (&str, &str) = ("shop", "checkout");
/// The commit that is released.
const SHA: &str = "acb5820ced9479c074f688cc328bf03f341a511d";
/// Longest description of a status, in characters.
const DESCRIPTION_CHARS_MAX: usize = 140;

/// The site.
#[derive(Clone)]
pub struct GitHub {
    journal: Journal,
    token: String,
}

impl GitHub {
    /// One that nobody has asked yet.
    pub fn new(journal: Journal, token: String) -> Self {
        Self { journal, token }
    }

    /// Its call.
    pub fn router(&self) -> Router {
        Router::new().route("/repos/{owner}/{repository}/statuses/{sha}", post(set_status)).with_state(self.clone())
    }

    /// What the commit was told last.
    pub fn state(&self) -> Option<String> {
        let entries = self.journal.entries();
        let told = entries.iter().rev().find(|entry| entry.service == GITHUB && entry.status < 400);
        told.and_then(|entry| entry.body["state"].as_str()).map(str::to_owned)
    }
}

async fn set_status(
    State(github): State<GitHub>,
    Path((owner, repository, sha)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let state = body["state"].as_str().unwrap_or_default();
    let text = body["description"].as_str().unwrap_or_default();
    let error = |code: StatusCode, message: &str| (code, json!({ "message": message, "status": code.as_str() }));
    let answer = if !has(&headers, "authorization", &format!("Bearer {}", github.token)) {
        error(StatusCode::UNAUTHORIZED, "Bad credentials")
    } else if (&*owner, &*repository, &*sha) != (REPOSITORY.0, REPOSITORY.1, SHA) {
        error(StatusCode::NOT_FOUND, "Not Found")
    } else if !["error", "failure", "pending", "success"].contains(&state)
        || text.chars().count() > DESCRIPTION_CHARS_MAX
    {
        error(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed")
    } else {
        (StatusCode::CREATED, json!({ "id": 1, "state": state, "description": text, "context": body["context"] }))
    };
    let what = format!("the commit {} is a {state}: {text}", &SHA[..7]);
    github.journal.answer(GITHUB, &what, answer, body)
}

/// The event of a workflow that has released a version.
pub fn released(run_number: u32, now: &str) -> Value {
    let (owner, name) = REPOSITORY;
    let full_name = format!("{owner}/{name}");
    json!({
        "action": "completed",
        "workflow_run": {
            "id": 30_433_642, "name": "release", "node_id": "MDEyOldvcmtmbG93IFJ1bjI2OTI4OQ==",
            "head_branch": "main", "head_sha": SHA, "path": ".github/workflows/release.yml",
            "run_number": run_number, "run_attempt": 1, "event": "push",
            "status": "completed", "conclusion": "success", "workflow_id": 159_038,
            "html_url": format!("https://github.com/{full_name}/actions/runs/30433642"), "updated_at": now,
        },
        "workflow": { "id": 159_038, "name": "release", "path": ".github/workflows/release.yml", "state": "active" },
        "repository": { "id": 217_723_378, "name": name, "full_name": full_name, "private": true },
        "sender": { "login": "ann", "id": 1, "type": "User" },
    })
}
