//! The clients' side of the API.

use std::time::Duration;

use reqwest::{Method, Url};
use serde_json::Value;

use super::args::Connection;
use super::{EXIT_REFUSED, EXIT_UNAVAILABLE, EXIT_USAGE, Failure};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How often a request that may be sent again is sent again.
const RETRIES: u32 = 3;
/// Pause before that.
const RETRY: Duration = Duration::from_millis(500);

/// Calls one server.
pub struct Client {
    api: Url,
    token: Option<String>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

/// What a request carries.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// A JSON value.
    Json(&'a Value),
    /// Bytes of that content type.
    Bytes(&'static str, Vec<u8>),
}

impl Client {
    /// A client for the server that `--api` names.
    pub fn new(connection: &Connection) -> Result<Self, Failure> {
        let usage = |why: String| Failure::new(EXIT_USAGE, format!("--api {}: {why}", connection.api));
        let api = Url::parse(&connection.api).map_err(|e| usage(e.to_string()))?;
        if !matches!(api.scheme(), "http" | "https") {
            return Err(usage("the address begins with http:// or https://".into()));
        }
        crate::install_tls();
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(|e| usage(e.to_string()))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::new(EXIT_UNAVAILABLE, format!("cannot start a runtime: {e}")))?;
        Ok(Self { api, token: connection.token.clone(), http, runtime })
    }

    /// Answer to a GET, as JSON.
    pub fn get(&self, segments: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        json(&self.call(Method::GET, segments, query, &[], Body::None)?)
    }

    /// Answer to a POST, as JSON.
    pub fn post(&self, segments: &[&str], body: &Value) -> Result<Value, Failure> {
        json(&self.call(Method::POST, segments, &[], &[], Body::Json(body))?)
    }

    /// Answer to a POST that may be sent again, as JSON: the key says that it is the same one. Where there is no
    /// answer it is sent again, a few times.
    pub fn post_once(&self, segments: &[&str], key: &str, body: &Value) -> Result<Value, Failure> {
        let headers = [("idempotency-key", key)];
        let mut left = RETRIES;
        loop {
            match self.call(Method::POST, segments, &[], &headers, Body::Json(body)) {
                Ok(answer) => return json(&answer),
                Err(failure) if failure.code == EXIT_UNAVAILABLE && left > 0 => {
                    left -= 1;
                    std::thread::sleep(RETRY);
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Answer to any request, as bytes.
    pub fn call(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, String)],
        headers: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let mut url = self.api.clone();
        match url.path_segments_mut() {
            Ok(mut path) => path.pop_if_empty().extend(segments),
            Err(()) => return Err(Failure::new(EXIT_USAGE, format!("--api {}: not a base address", self.api))),
        };
        let mut request = self.http.request(method, url);
        if !query.is_empty() {
            request = request.query(query);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request = match body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Bytes(kind, bytes) => request.header("content-type", kind).body(bytes),
        };
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(|e| self.unreachable(&e))?;
            let status = answer.status();
            let bytes = answer.bytes().await.map_err(|e| self.unreachable(&e))?.to_vec();
            if status.is_success() { Ok(bytes) } else { Err(refused(status.as_u16(), &bytes)) }
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            why = inner.to_string();
            source = inner.source();
        }
        Failure::new(
            EXIT_UNAVAILABLE,
            format!(
                "no answer from {}: {why}\nIs the server running? `petrel up` starts one; --api or PETREL_API names another",
                self.api
            ),
        )
    }
}

fn json(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|e| {
        Failure::new(EXIT_UNAVAILABLE, format!("the server's answer is no JSON ({e}); is it a Petrel server?"))
    })
}

/// The server's error as text: `{"error": {"code", "message", "details"}}`.
fn refused(status: u16, bytes: &[u8]) -> Failure {
    let code = if status >= 500 { EXIT_UNAVAILABLE } else { EXIT_REFUSED };
    let Ok(answer) = serde_json::from_slice::<Value>(bytes) else {
        return Failure::new(code, format!("status {status}: {}", String::from_utf8_lossy(bytes).trim()));
    };
    let mut message = answer["error"]["message"].as_str().unwrap_or("refused").to_owned();
    for detail in answer["error"]["details"].as_array().into_iter().flatten() {
        message.push_str("\n  ");
        message.push_str(&detail.as_str().map_or_else(|| detail.to_string(), str::to_owned));
    }
    let refusal = answer["error"]["code"].as_str().map(str::to_owned);
    Failure { refusal, ..Failure::new(code, message) }
}

/// A value given as text, as @FILE, or as - for standard input.
pub fn argument(text: &str) -> Result<Vec<u8>, Failure> {
    let read = |what: &str, result: std::io::Result<Vec<u8>>| {
        result.map_err(|e| Failure::new(EXIT_USAGE, format!("cannot read {what}: {e}")))
    };
    match text.strip_prefix('@') {
        Some(path) => read(path, std::fs::read(path)),
        None if text == "-" => {
            let mut bytes = Vec::new();
            let got = std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes);
            read("standard input", got.map(|_| bytes))
        }
        None => Ok(text.as_bytes().to_vec()),
    }
}
