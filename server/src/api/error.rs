//! What the API answers when it cannot do what was asked: `{"error": {"code", "message", "details"}}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use petrel_bus::PublishError;
use serde_json::json;

/// A refusal or a failure, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable code, documented in docs/API.md.
    pub code: &'static str,
    /// For people: what is wrong and what to do.
    pub message: String,
    /// One line for each single problem, where there are several.
    pub details: Vec<String>,
}

impl ApiError {
    /// An error without details.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new() }
    }

    /// The same error with a line for each problem.
    pub fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    /// What does not exist.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// What the client got wrong.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// What may work later.
    pub fn unavailable(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message, "details": self.details } });
        (self.status, Json(body)).into_response()
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::Unavailable(_) | PublishError::Closed => Self::unavailable("log_unavailable", message),
            PublishError::OutcomeUnknown(_) => Self::unavailable(
                "outcome_unknown",
                format!("{message}; send it again with the same Event-Id, which cannot cause a second execution"),
            ),
            PublishError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", message),
            PublishError::UnknownTopic(_) => Self::not_found("unknown_topic", message),
            PublishError::Overloaded => Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", message),
        }
    }
}
