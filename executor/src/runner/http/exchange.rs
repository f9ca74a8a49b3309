//! One exchange: a request, the redirects that follow, and the head of the answer.

use std::net::IpAddr;

use bytes::Bytes;
use petrel_execution::runner::{Auth, Body, HttpCall};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use url::Host;

use super::body::Leased;
use super::client::{Ways, Whom, chain};
use super::lookup::{Guarded, Look, Refused};

/// Headers of an action that also go to another server to which it is redirected: they say nothing of whoever asks.
const FOR_ANYBODY: [HeaderName; 2] = [ACCEPT, CONTENT_TYPE];

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// It may not be sent there.
    Refused(String),
    /// It cannot be sent at all.
    Impossible(String),
    /// Something went wrong. Whether the server may have got it.
    Failed { why: String, may_have_arrived: bool },
    /// This worker lacks what it takes, and another one may have it. Whether a server may have got anything.
    Lacking { why: String, may_have_arrived: bool },
}

impl NoAnswer {
    /// A file cannot be read, say.
    pub(super) fn of_io(what: &str, error: &std::io::Error) -> Self {
        let why = format!("{what}: {error}");
        match is_lack(error) {
            true => Self::Lacking { why, may_have_arrived: false },
            false => Self::Impossible(why),
        }
    }

    /// The same, behind redirects: these were requests that arrived.
    fn behind(self, redirects: u32) -> Self {
        match self {
            Self::Lacking { why, may_have_arrived } => {
                Self::Lacking { why, may_have_arrived: may_have_arrived || redirects > 0 }
            }
            other => other,
        }
    }
}

/// Whether it is this process, or its machine, that has no more of something.
pub(in crate::runner) fn is_lack(error: &std::io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].contains(&code))
}

/// The head of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// What was asked last.
    pub(super) url: Url,
    pub(super) redirects: u32,
}

/// A request as it is sent.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    /// Whether the body also goes to another server to which it is redirected.
    pub(super) forward_body: bool,
}

impl Outgoing {
    /// What is sent for a call, but for a token that has to be asked for first.
    pub(super) fn of(call: &HttpCall, execution_id: &str) -> Result<Self, String> {
        let method = Method::from_bytes(call.method.as_bytes()).map_err(|e| e.to_string())?;
        let mut headers = HeaderMap::new();
        // What an action itself says of them takes the place of these.
        insert(&mut headers, &call.idempotency_header, execution_id)?;
        insert(&mut headers, "Accept", "application/json, */*;q=0.5")?;
        let (body, content_type) = match &call.body {
            Body::None => (None, None),
            Body::Json(value) => (Some(Bytes::from(value.to_string())), Some("application/json")),
            Body::Form(pairs) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
                (Some(form.into()), Some("application/x-www-form-urlencoded"))
            }
            Body::Text(text) => (Some(text.clone().into()), Some("text/plain; charset=utf-8")),
        };
        if let Some(content_type) = content_type {
            insert(&mut headers, "Content-Type", content_type)?;
        }
        let mut own = HeaderMap::new();
        for (name, value) in &call.headers {
            own.append(header_name(name)?, header(name, value, false)?);
        }
        // It replaces all values of a name by all of the other's.
        headers.extend(own);
        let mut outgoing = Self { method, url: url_of(call)?, headers, body, forward_body: call.forward_body };
        outgoing.authenticate(&call.auth)?;
        Ok(outgoing)
    }

    fn authenticate(&mut self, auth: &Auth) -> Result<(), String> {
        match auth {
            Auth::Basic { username, password } => self.secret("Authorization", &basic(username, &password.0)),
            Auth::Bearer(token) => self.bearer(&token.0),
            Auth::Header(name, key) => self.secret(name, &key.0),
            Auth::Query(name, key) => {
                self.url.query_pairs_mut().append_pair(name, &key.0);
                Ok(())
            }
            Auth::None | Auth::OAuth2 { .. } => Ok(()),
        }
    }

    pub(super) fn bearer(&mut self, token: &str) -> Result<(), String> {
        self.secret("Authorization", &format!("Bearer {token}"))
    }

    pub(super) fn secret(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.headers.insert(header_name(name)?, header(name, value, true)?);
        Ok(())
    }

    /// The request that a redirect asks for, as browsers understand it (Fetch, "HTTP-redirect fetch"), but that a body does
    /// not go to another server unasked.
    fn redirected(&mut self, status: StatusCode, to: Url) -> Result<(), NoAnswer> {
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
        }
        // What is meant for one server is not for another one to see.
        if to.origin() != self.url.origin() {
            self.may_take_its_body(&to)?;
            let kept = FOR_ANYBODY.map(|name| (name.clone(), self.headers.get(name).cloned()));
            self.headers.clear();
            self.headers.extend(kept.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
        self.url = to;
        Ok(())
    }

    fn may_take_its_body(&self, to: &Url) -> Result<(), NoAnswer> {
        let refused = |why: &str| Err(NoAnswer::Refused(format!("redirected to {}, {why}", shown(to))));
        match self.body {
            None => Ok(()),
            Some(_) if !self.forward_body => {
                refused("and a body goes to another server only where the action says \"forward_body: true\"")
            }
            Some(_) if self.url.scheme() == "https" && to.scheme() == "http" => {
                refused("and what was sent by https goes nowhere by http")
            }
            Some(_) => Ok(()),
        }
    }
}

/// `Basic …` of RFC 7617.
pub(super) fn basic(username: &str, password: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}")))
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    headers.insert(header_name(name)?, header(name, value, false)?);
    Ok(())
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(name).map_err(|_| format!("{name:?} is no name of a header"))
}

fn header(name: &str, value: &str, is_sensitive: bool) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_bytes(value.as_bytes());
    let mut value = value.map_err(|_| format!("the header {name:?} holds a control character"))?;
    value.set_sensitive(is_sensitive);
    Ok(value)
}

fn url_of(call: &HttpCall) -> Result<Url, String> {
    let mut url = Url::parse(&call.url).map_err(|e| format!("the URL: {e}"))?;
    // The parser takes more for one than is seen without it.
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL holds a name or a password".to_owned());
    }
    if !call.path.is_empty() {
        let mut path = url.path_segments_mut().map_err(|()| "the URL has no path".to_owned())?;
        path.pop_if_empty().extend(&call.path);
    }
    if !call.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&call.query);
    }
    url.set_fragment(None);
    Ok(url)
}

/// A URL as it may be shown: its path and its query may hold a key.
pub(super) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Sends a request and follows redirects. Before each is sent it is looked at where it goes.
pub(super) async fn exchange(
    ways: &Ways<'_>,
    mut whom: Whom,
    mut outgoing: Outgoing,
    redirects_max: u32,
) -> Result<Answer, NoAnswer> {
    let first = outgoing.url.origin();
    let (mut redirects, mut from_outside) = (0, false);
    loop {
        let look = ways.guarded.look(&outgoing.url, from_outside);
        let known = check(ways, &outgoing.url, look).await?;
        let client = ways.client(whom, look).await.map_err(|no| no.behind(redirects))?;
        let mut request =
            client.request(outgoing.method.clone(), outgoing.url.clone()).headers(outgoing.headers.clone());
        if let Some(body) = &outgoing.body {
            request = request.body(reqwest::Body::wrap(Leased::new(body.clone(), ways.leave.clone())));
        }
        // A request that was answered with a redirect has arrived.
        let response = request.send().await.map_err(|error| no_answer(&error, redirects > 0))?;
        // Who follows none does not care where it leads.
        let to = if redirects_max == 0 { None } else { next(&response, &outgoing.url)? };
        let Some(to) = to else { return Ok(Answer { response, url: outgoing.url, redirects }) };
        if redirects == redirects_max {
            let why = format!("redirected more than {redirects_max} times, then to {}", shown(&to));
            return Err(NoAnswer::Failed { why, may_have_arrived: true });
        }
        redirects += 1;
        from_outside |= is_outside(ways, &known, &response);
        outgoing.redirected(response.status(), to)?;
        // It stays another one, also where that leads back: what was left behind does not come again.
        if outgoing.url.origin() != first {
            whom = Whom::Other;
        }
    }
}

/// The addresses to which a request goes, as far as they are known before it is sent. By way of a proxy it is the proxy
/// who looks up the names, so that what they are here is all that can be known; a name that is known only there is for it
/// to judge.
async fn check(ways: &Ways<'_>, url: &Url, look: Look) -> Result<Vec<IpAddr>, NoAnswer> {
    if let Some(address) = check_literal(ways.guarded, url, look).await? {
        return Ok(vec![address]);
    }
    match url.host() {
        Some(Host::Domain(name)) if ways.is_proxied() => match ways.guarded.addresses(name, look).await {
            Ok(Err(refused)) => Err(NoAnswer::Refused(refused.to_string())),
            Ok(Ok(addresses)) => Ok(addresses),
            Err(_) if ways.guarded.is_own(name, look) => {
                Err(NoAnswer::Refused(format!("requests to {name} are refused: it is Petrel's own API or ClickHouse")))
            }
            Err(_) => Ok(Vec::new()),
        },
        _ => Ok(Vec::new()),
    }
}

/// Hosts that are addresses are looked up by nobody, so that they are looked at here.
pub(super) async fn check_literal(guarded: &Guarded, url: &Url, look: Look) -> Result<Option<IpAddr>, NoAnswer> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(None),
        None => return Err(NoAnswer::Impossible("the URL names no host".to_owned())),
    };
    guarded.check(address, look).await.map_err(|refused| NoAnswer::Refused(refused.to_string()))?;
    Ok(Some(address))
}

/// Whether a server of the internet has answered, or one of which nobody here knows where it stands.
fn is_outside(ways: &Ways<'_>, known: &[IpAddr], response: &Response) -> bool {
    let guard = &ways.guarded.guard;
    match ways.is_proxied() {
        true => known.is_empty() || known.iter().any(|address| guard.is_outside(*address)),
        false => response.remote_addr().is_none_or(|peer| guard.is_outside(peer.ip())),
    }
}

/// Where a redirect leads.
fn next(response: &Response, from: &Url) -> Result<Option<Url>, NoAnswer> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    let failed = |why: String| NoAnswer::Failed { why, may_have_arrived: true };
    let location = String::from_utf8_lossy(location.as_bytes());
    let mut to = from.join(&location).map_err(|e| failed(format!("redirected to what is no URL: {e}")))?;
    if !matches!(to.scheme(), "http" | "https") {
        return Err(NoAnswer::Refused(format!("redirected to {}:, which is no HTTP", to.scheme())));
    }
    // Neither of them can fail for these schemes.
    let _ = (to.set_username(""), to.set_password(None));
    to.set_fragment(None);
    Ok(Some(to))
}

fn no_answer(error: &reqwest::Error, arrived_before: bool) -> NoAnswer {
    let mut is_lacking = false;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return NoAnswer::Refused(refused.to_string());
        }
        is_lacking |= error.downcast_ref::<std::io::Error>().is_some_and(is_lack);
        next = error.source();
    }
    // Behind a redirect it is the server's word that cannot be followed.
    if error.is_builder() && !arrived_before {
        return NoAnswer::Impossible(chain(error));
    }
    let may_have_arrived = arrived_before || !error.is_connect();
    match is_lacking {
        true => NoAnswer::Lacking { why: chain(error), may_have_arrived },
        false => NoAnswer::Failed { why: chain(error), may_have_arrived },
    }
}
