//! Reading a request's body, bounded in bytes and time.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The body's bytes.
///
/// # Errors
/// `body_too_large`, or `slow_sender` if it did not arrive in time.
pub async fn bytes(body: Body, bytes_max: usize, time_max: Duration) -> Result<Vec<u8>, ApiError> {
    let read = axum::body::to_bytes(body, bytes_max);
    match tokio::time::timeout(time_max, read).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) => {
            let limit = format!("the body is over the limit of {bytes_max} bytes, or was cut off: {error}");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", limit))
        }
        Err(_) => {
            let message = format!("the body did not arrive within {} ms", time_max.as_millis());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "slow_sender", message))
        }
    }
}

/// The body as a JSON document of that shape.
///
/// # Errors
/// `malformed_json`.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|e| ApiError::bad_request("malformed_json", format!("the body is not valid: {e}")))
}

/// As [`json`], of a body that may hold what must not be shown: of a document of another shape it is told where that is,
/// and not what stands there.
///
/// # Errors
/// `malformed_json`.
pub fn json_unquoted<T: DeserializeOwned>(bytes: &[u8], shape: &str) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|e| {
        let message = format!("the body is no {shape}: line {}, column {}", e.line(), e.column());
        ApiError::bad_request("malformed_json", message)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_may_hold_a_secret_is_not_quoted() {
        for body in [r#"{"hunter2 hunter2": {}}"#, r#""hunter2 hunter2""#, r#"{"a": "hunter2 hunter2"}"#, "hunter2"] {
            let error = json_unquoted::<BTreeMap<u8, u8>>(body.as_bytes(), "{…}").unwrap_err();
            assert_eq!(error.code, "malformed_json");
            assert!(error.message.contains("line 1, column") && !error.message.contains("hunter"), "{}", error.message);
        }
    }
}
