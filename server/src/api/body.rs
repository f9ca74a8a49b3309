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
