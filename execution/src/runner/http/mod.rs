//! The runner `http`: one request, and what is answered.
//!
//! `request` (what its action says of the request), `auth` (as whom it is sent), `retry` (when it is sent again), `checks` (what neither may have),
//! `values` (what expressions give, as texts).

mod auth;
mod checks;
mod request;
mod retry;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::codes::{Codes, STATUSES};
use super::keys::Keys;
use super::shape::Shape;
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

pub use auth::Auth;
use request::Request;
pub use request::{Body, Proxy, Tls};
pub use retry::{Retry, is_untouched};
pub use values::Hidden;

/// Name of the header that names the execution, where the action names no other.
const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// A request, as templates.
#[derive(Debug)]
pub struct HttpSpec {
    request: Box<Request>,
    success: Codes,
    shape: Option<Shape>,
    secrets: Vec<(String, SecretRef)>,
}

/// A request to send, and what to make of its answer. Nothing of it has been looked up or checked against addresses.
#[derive(Clone, PartialEq)]
pub struct HttpCall {
    /// Method and URL as they may be shown: what its expressions give may hold a key.
    pub shown: String,
    /// Such as `GET`.
    pub method: String,
    /// Begins with `http://` or `https://`.
    pub url: String,
    /// Parts of a path to be put behind the URL's, escaped.
    pub path: Vec<String>,
    /// To be put behind the URL's query, escaped.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// As whom.
    pub auth: Auth,
    /// Whom to believe, and as whom.
    pub tls: Tls,
    /// By way of this proxy.
    pub proxy: Option<Proxy>,
    /// Most redirects that are followed.
    pub redirects_max: u32,
    /// Whether the body also goes to another server to which a redirect leads.
    pub forward_body: bool,
    /// Longest wait for an answer, its redirects and its body, in milliseconds, each time that it is sent.
    pub timeout_ms: Option<u64>,
    /// Codes of answers with which it has succeeded.
    pub success: Codes,
    /// When it is sent again.
    pub retry: Retry,
    /// Header that has the execution's id, the same for every attempt.
    pub idempotency_header: String,
}

/// As it may be shown: its expressions may have put secrets anywhere.
impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCall").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Spec for HttpSpec {
    const NAME: &'static str = "http";
    const KEYS: &'static [&'static str] = &["request", "success_codes", "output"];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let request = keys.need("request").and_then(|request| Request::read(request, &mut keys, files));
        let success = match keys.get("success_codes") {
            Some(codes) => Codes::read(codes, "/success_codes", "success_codes", &STATUSES, &mut keys),
            None => Codes::of(&[(200, 299)]),
        };
        // Of what format an answer is, its server says.
        let output = keys.get("output").and_then(|output| keys.mapping(output, "/output", "output", &Shape::KEYS));
        let shape = output.and_then(|entries| Shape::read(entries, &mut keys, files));
        let Keys { errors, secrets, .. } = keys;
        match request {
            Some(request) if errors.is_empty() => Ok(Self { request: Box::new(request), success, shape, secrets }),
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }

    fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }
}

impl Works for HttpSpec {
    type Call = Box<HttpCall>;

    fn render(&self, rendering: Rendering<'_>) -> Result<Box<HttpCall>, RenderError> {
        self.request.render(&rendering.scope(), &self.success).map(Box::new)
    }
}

impl Call for Box<HttpCall> {
    fn uses_pack(&self) -> bool {
        self.tls.ca_file.is_some()
    }
}
