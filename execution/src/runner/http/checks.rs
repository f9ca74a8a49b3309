//! What a request must not have, whether its action says so or an expression gives it.

use super::super::RenderError;
use super::auth::Auth;
use super::request::{Proxy, Tls};
use super::values::Hidden;

/// What belongs to the connection, not to the request.
const HEADERS_DENIED: &[&str] =
    &["connection", "content-length", "expect", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"];

/// Whether it is a method, in capitals.
pub(super) fn check_method(method: &str) -> Result<(), String> {
    let is_token =
        !method.is_empty() && method.len() <= 20 && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    match method {
        "CONNECT" | "TRACE" => Err(format!("the method {method} is not for actions")),
        _ if !is_token => Err(format!("{method:?} is no method of HTTP")),
        _ => Ok(()),
    }
}

/// Whether it may be a URL. What cannot be seen without a parser of URLs is seen when the request is sent.
pub(super) fn check_url(url: &str) -> Result<(), String> {
    let scheme_end =
        url.find("://").filter(|end| ["http", "https"].iter().any(|s| url[..*end].eq_ignore_ascii_case(s)));
    let Some(end) = scheme_end else { return Err("must begin with http:// or https://".to_owned()) };
    let authority = url[end + 3..].split(['/', '\\', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("names no host".to_owned());
    }
    if authority.contains('@') {
        return Err("holds a name or a password: they stand in \"auth\", for a URL is shown".to_owned());
    }
    if url.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    Ok(())
}

/// Whether it stays a part of a path of its own. Parsers of URLs take tabs and line breaks out before they look for dots,
/// and no escape keeps dots from leading elsewhere.
pub(super) fn check_part(part: &str) -> Result<(), String> {
    match part {
        "" | "." | ".." => Err(format!("a part of the path is {part:?}")),
        _ if part.chars().any(char::is_control) => Err("a part of the path holds a control character".to_owned()),
        _ => Ok(()),
    }
}

/// Whether a header may have that name.
pub(super) fn check_header(name: &str) -> Result<(), String> {
    let is_token =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !is_token {
        return Err(format!("{name:?} is no name of a header"));
    }
    if HEADERS_DENIED.iter().any(|denied| name.eq_ignore_ascii_case(denied)) {
        return Err(format!("the header {name:?} belongs to the connection"));
    }
    Ok(())
}

/// A line break in it would begin another header.
pub(super) fn check_header_value(name: &str, value: &str) -> Result<(), RenderError> {
    match value.chars().any(|c| c.is_control() && c != '\t') {
        true => Err(RenderError(format!("the header {name:?} holds a control character"))),
        false => Ok(()),
    }
}

/// Whether it can be sent at all.
pub(super) fn check_credentials(auth: &Auth) -> Result<(), RenderError> {
    match auth {
        Auth::Bearer(Hidden(token)) => check_header_value("Authorization", token),
        Auth::Header(name, Hidden(key)) => check_header_value(name, key),
        Auth::Basic { username, .. } if username.contains(':') => {
            Err(RenderError("a user's name that holds a colon cannot be sent".to_owned()))
        }
        Auth::OAuth2 { token_url, .. } => {
            check_url(token_url).map_err(|why| RenderError(format!("\"token_url\" {why}")))
        }
        Auth::None | Auth::Query(..) | Auth::Basic { .. } => Ok(()),
    }
}

/// A proxy that is reached by TLS is spoken to with the certificate, and the trust, that are meant for the server behind
/// it.
pub(super) fn check_proxy(proxy: Option<&Proxy>, tls: &Tls) -> Result<(), RenderError> {
    let is_by_tls = proxy.is_some_and(|proxy| proxy.url.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("https:")));
    let what = match tls {
        _ if !is_by_tls => return Ok(()),
        Tls { identity: Some(_), .. } => "would be shown the client's certificate",
        Tls { verify: false, .. } => "would not have to show who it is",
        _ => return Ok(()),
    };
    Err(RenderError(format!("a proxy by https {what}: name one by http")))
}
