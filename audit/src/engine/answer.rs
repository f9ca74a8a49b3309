//! What goes back to a client: a result, or an error as ClickHouse's HTTP interface tells it.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode};

use super::compression::compress;

/// Codes of ClickHouse that this host itself uses.
mod code {
    pub const SYNTAX_ERROR: u32 = 62;
    pub const CANNOT_PARSE: u32 = 27;
    pub const TIMEOUT_EXCEEDED: u32 = 159;
    pub const READONLY: u32 = 164;
    pub const TOO_MANY_QUERIES: u32 = 202;
    pub const AUTHENTICATION_FAILED: u32 = 516;
    pub const NOT_IMPLEMENTED: u32 = 48;
    pub const STD_EXCEPTION: u32 = 1001;
    pub const TOO_LARGE: u32 = 307;
}

/// An error with its HTTP status, ClickHouse's code, and a text for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    code: u32,
    text: String,
}

impl Failure {
    fn new(status: StatusCode, code: u32, name: &str, detail: &str) -> Self {
        Self { status, code, text: format!("Code: {code}. DB::Exception: {detail}. ({name})\n") }
    }

    /// An error of the engine, in its own words; the status follows its code.
    pub(super) fn of_engine(text: String) -> Self {
        let digits = text.strip_prefix("Code: ").and_then(|rest| rest.split('.').next());
        let code = digits.and_then(|d| d.parse().ok()).unwrap_or(code::STD_EXCEPTION);
        let status = match code {
            36 | 43 | 47 | 53 | 62 | 115 => StatusCode::BAD_REQUEST,
            60 | 81 => StatusCode::NOT_FOUND,
            164 | 497 => StatusCode::FORBIDDEN,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = if text.ends_with('\n') { text } else { text + "\n" };
        Self { status, code, text }
    }

    pub(super) fn syntax(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::SYNTAX_ERROR, "SYNTAX_ERROR", detail)
    }

    pub(super) fn bad_body(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::CANNOT_PARSE, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", detail)
    }

    pub(super) fn readonly(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code::READONLY, "READONLY", detail)
    }

    pub(super) fn unsupported(detail: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, code::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", detail)
    }

    pub(super) fn too_large(limit_bytes: usize) -> Self {
        let detail = format!("the request's body is over the limit of {limit_bytes} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, "TOO_MANY_BYTES", &detail)
    }

    pub(super) fn slow_body(limit_ms: u64) -> Self {
        let detail = format!("the request's body did not arrive within {limit_ms} ms");
        Self::new(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT_EXCEEDED, "TIMEOUT_EXCEEDED", &detail)
    }

    pub(super) fn busy() -> Self {
        let detail = "too many statements are waiting for the embedded engine";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::TOO_MANY_QUERIES, "TOO_MANY_SIMULTANEOUS_QUERIES", detail)
    }

    pub(super) fn unauthenticated() -> Self {
        let detail = "authentication failed: the password is missing or wrong";
        Self::new(StatusCode::UNAUTHORIZED, code::AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", detail)
    }

    pub(super) fn foreign() -> Self {
        let detail = "requests of web pages, and for another host's name, are refused";
        Self::new(StatusCode::FORBIDDEN, code::AUTHENTICATION_FAILED, "AUTHENTICATION_FAILED", detail)
    }

    pub(super) fn host(detail: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::STD_EXCEPTION, "STD_EXCEPTION", detail)
    }

    /// The response that tells it.
    pub(super) fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().insert("X-ClickHouse-Exception-Code", HeaderValue::from(self.code));
        response.headers_mut().insert("Content-Type", HeaderValue::from_static("text/plain; charset=UTF-8"));
        response
    }
}

/// A result on its way to the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub body: Vec<u8>,
    pub format: String,
    pub query_id: Option<String>,
    pub rows_read: u64,
    pub rows_written: u64,
    /// Whether the client wants ClickHouse's compressed blocks.
    pub compressed: bool,
}

impl Answer {
    /// The response that carries it.
    pub(super) fn response(self) -> Response<Body> {
        let summary = format!(r#"{{"read_rows":"{}","written_rows":"{}"}}"#, self.rows_read, self.rows_written);
        let body = if self.compressed { compress(&self.body) } else { self.body };
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        let texts = [
            ("X-ClickHouse-Format", Some(self.format)),
            ("X-ClickHouse-Query-Id", self.query_id),
            ("X-ClickHouse-Summary", Some(summary)),
        ];
        for (name, text) in texts {
            // A value that cannot stand in a header is left out: these are for information.
            if let Some(value) = text.and_then(|t| HeaderValue::from_str(&t).ok()) {
                headers.insert(name, value);
            }
        }
        headers.insert("Content-Type", HeaderValue::from_static("application/octet-stream"));
        response
    }
}
