//! Who may talk to the API at all.
//!
//! Actions run commands, so a page in somebody's browser must not reach the API of that machine: a
//! foreign `Origin`, a foreign `Host` (DNS rebinding) and a body of a type that a form can send are
//! refused before anything else is looked at.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::error::ApiError;

/// Content types that a request with a body may declare. None of them can come from a form.
const BODY_TYPES: [&str; 3] = ["application/json", "application/x-ndjson", "application/octet-stream"];
/// Paths that need no token: probes.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// What the guard compares with.
#[derive(Debug)]
pub struct Guard {
    listen: SocketAddr,
    hosts: Vec<String>,
    token: Option<String>,
}

impl Guard {
    /// `listen` is the address that is really bound.
    pub fn new(listen: SocketAddr, hosts: Vec<String>, token: Option<String>) -> Self {
        Self { listen, hosts: hosts.into_iter().map(|h| h.to_lowercase()).collect(), token }
    }

    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = self.check_host(headers)?;
        check_origin(headers, host)?;
        self.check_token(path, headers)?;
        check_body_type(method, headers)
    }

    fn check_host<'h>(&self, headers: &'h HeaderMap) -> Result<&'h str, ApiError> {
        let refused = |what: &str| {
            let message = format!("{what}; add the name to `hosts` in the configuration if it is this server's");
            ApiError::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", message)
        };
        let host = text(headers, header::HOST).ok_or_else(|| refused("the Host header is missing"))?;
        let (name, port) = split_port(host);
        let port_fits = port.is_none_or(|p| p == self.listen.port());
        if (self.is_ours(name) && port_fits)
            || self.hosts.iter().any(|h| h == &host.to_lowercase() || h == &name.to_lowercase())
        {
            return Ok(host);
        }
        Err(refused(&format!("the Host header names {host:?}, which is not this server")))
    }

    fn is_ours(&self, name: &str) -> bool {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.listen.ip(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }

    fn check_token(&self, path: &str, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(wanted) = &self.token else { return Ok(()) };
        if OPEN_PATHS.contains(&path) {
            return Ok(());
        }
        let given = text(headers, header::AUTHORIZATION).and_then(|h| h.strip_prefix("Bearer "));
        match given {
            Some(given) if same(given.as_bytes(), wanted.as_bytes()) => Ok(()),
            _ => Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "token_required",
                "a valid token is needed: send `Authorization: Bearer …`, or set PETREL_API_TOKEN for the command line",
            )),
        }
    }
}

/// The middleware.
pub async fn guard(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Result<Response, ApiError> {
    guard.check(request.method(), request.uri().path(), request.headers())?;
    Ok(next.run(request).await)
}

fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), ApiError> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let own = origin.to_str().ok().and_then(|o| o.split_once("://")).is_some_and(|(_, o)| o.eq_ignore_ascii_case(host));
    if own {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", "requests from other web pages are refused"))
}

fn check_body_type(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let declared = text(headers, header::CONTENT_TYPE).unwrap_or("nothing");
    let kind = declared.split(';').next().unwrap_or_default().trim();
    if BODY_TYPES.iter().any(|t| kind.eq_ignore_ascii_case(t)) {
        return Ok(());
    }
    let message = format!("the request declares {declared:?}; send `Content-Type: application/json`");
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn split_port(host: &str) -> (&str, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port.parse().unwrap_or(0))),
        _ => (host, None),
    }
}

/// Comparison whose time does not tell where two secrets begin to differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const JSON: (&str, &str) = ("content-type", "application/json");
    const HOST: (&str, &str) = ("host", "127.0.0.1:7373");

    fn check(token: Option<&str>, headers: &[(&'static str, &'static str)]) -> Result<(), &'static str> {
        let listen = SocketAddr::from(([127, 0, 0, 1], 7373));
        let guard = Guard::new(listen, vec!["petrel.example".into()], token.map(str::to_owned));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        guard.check(&Method::POST, "/v1/x", &map).map_err(|e| e.code)
    }

    #[test]
    fn only_our_own_clients_pass() {
        type Case<'a> = (&'a [(&'static str, &'static str)], Result<(), &'static str>);
        let cases: [Case<'_>; 15] = [
            (&[HOST, JSON], Ok(())),
            (&[("host", "localhost:7373"), JSON], Ok(())),
            (&[("host", "[::1]:7373"), JSON], Ok(())),
            (&[("host", "petrel.example"), JSON], Ok(())),
            (&[HOST, ("content-type", "application/json; charset=utf-8")], Ok(())),
            (&[HOST, JSON, ("origin", "http://127.0.0.1:7373")], Ok(())),
            (&[JSON], Err("foreign_host")),
            (&[("host", "evil.example"), JSON], Err("foreign_host")),
            (&[("host", "localhost:80"), JSON], Err("foreign_host")),
            (&[("host", "10.1.1.1:7373"), JSON], Err("foreign_host")),
            (&[HOST, JSON, ("origin", "http://evil.example")], Err("foreign_origin")),
            (&[HOST, JSON, ("origin", "null")], Err("foreign_origin")),
            (&[HOST], Err("content_type")),
            (&[HOST, ("content-type", "text/plain")], Err("content_type")),
            (&[HOST, ("content-type", "application/x-www-form-urlencoded")], Err("content_type")),
        ];
        for (headers, wanted) in cases {
            assert_eq!(check(None, headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn a_token_must_be_the_token() {
        let token = Some("0123456789abcdef");
        assert_eq!(check(token, &[HOST, JSON]), Err("token_required"));
        assert_eq!(check(token, &[HOST, JSON, ("authorization", "Bearer nothing")]), Err("token_required"));
        assert_eq!(check(token, &[HOST, JSON, ("authorization", "Basic 0123456789abcdef")]), Err("token_required"));
        assert_eq!(check(token, &[HOST, JSON, ("authorization", "Bearer 0123456789abcdef")]), Ok(()));
    }
}
