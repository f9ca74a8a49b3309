//! What an action says of its request.

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::super::duration::parse_ms;
use super::super::keys::{Keys, Mistake, kind};
use super::super::{PackFiles, RenderError};
use super::auth::AuthSpec;
use super::checks::{
    check_credentials, check_header, check_header_value, check_method, check_part, check_proxy, check_url,
};
use super::codes::Codes;
use super::retry::Retry;
use super::values::{Hidden, hidden, optional, pairs, shown, text, written};
use super::{HttpCall, IDEMPOTENCY_HEADER};

const AT: &str = "/request";
const KNOWN: &[&str] = &[
    "method",
    "url",
    "path",
    "query",
    "headers",
    "json",
    "form",
    "body",
    "auth",
    "tls",
    "proxy",
    "redirects",
    "forward_body",
    "timeout",
    "retry",
    "idempotency_header",
];
/// Redirects that are followed where the action says nothing, and at most.
const REDIRECTS: (u32, u32) = (5, 20);
/// What is sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    None,
    /// A value as JSON.
    Json(Value),
    /// Names and values as a form.
    Form(Vec<(String, String)>),
    /// A text as it is.
    Text(String),
}

/// Whom to believe, and as whom to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates in PEM, in the place of those that the system trusts.
    pub ca: Option<String>,
    /// The same as a file of the pack, by its path in the pack.
    pub ca_file: Option<String>,
    /// Certificate, with those that lead to its issuer, and key of the client, all in PEM.
    pub identity: Option<(String, Hidden)>,
    /// Whether the server's certificate is looked at.
    pub verify: bool,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Begins with `http://` or `https://`.
    pub url: String,
    /// Name and password.
    pub credentials: Option<(String, Hidden)>,
}

/// A request, as templates.
#[derive(Debug)]
pub(super) struct Request {
    method: Template,
    url: Template,
    path: Vec<Template>,
    /// Both as they are written.
    written: String,
    query: Option<Template>,
    headers: Option<Template>,
    body: BodySpec,
    auth: AuthSpec,
    tls: TlsSpec,
    proxy: Option<ProxySpec>,
    redirects_max: u32,
    forward_body: bool,
    timeout_ms: Option<u64>,
    retry: Retry,
    idempotency_header: String,
}

#[derive(Debug)]
enum BodySpec {
    None,
    Json(Template),
    Form(Template),
    Text(Template),
}

#[derive(Debug, Default)]
struct TlsSpec {
    ca: Option<Template>,
    ca_file: Option<String>,
    identity: Option<(Template, Template)>,
    verify: bool,
}

#[derive(Debug)]
struct ProxySpec {
    url: Template,
    credentials: Option<(Template, Template)>,
}

/// Reads the keys of one request.
struct Reader<'r, 'k> {
    entries: &'k Map<String, Value>,
    keys: &'r mut Keys<'k>,
}

impl Request {
    /// Nothing for what has mistakes.
    pub(super) fn read<'k>(request: &'k Value, keys: &mut Keys<'k>, files: &dyn PackFiles) -> Option<Self> {
        let entries = keys.mapping(request, AT, "request", KNOWN)?;
        let mut reader = Reader { entries, keys };
        let method = reader.method();
        let url = reader.url();
        let path = reader.path();
        let text = |value: &'k Value| value.as_str().unwrap_or_default();
        let parts = entries.get("path").and_then(Value::as_array).into_iter().flatten().map(text);
        let written = written(entries.get("url").map_or("", text), &parts.collect::<Vec<_>>());
        let (query, headers) = (reader.mapping("query"), reader.headers());
        let body = reader.body();
        let auth = match entries.get("auth") {
            Some(auth) => AuthSpec::read(auth, reader.keys),
            None => Some(AuthSpec::None),
        };
        let tls = reader.tls(files);
        let proxy = reader.proxy();
        let redirects_max = match entries.get("redirects") {
            Some(most) => reader.keys.whole(most, "/request/redirects", "redirects", REDIRECTS.1),
            None => Some(REDIRECTS.0),
        };
        let forward_body = reader.keys.flag(entries, "forward_body", AT).unwrap_or(false);
        let timeout_ms = reader.timeout_ms();
        let retry = Retry::read(entries.get("retry"), reader.keys);
        let idempotency_header = reader.idempotency_header();
        Some(Self {
            method: method?,
            url: url?,
            path,
            written,
            query,
            headers,
            body,
            auth: auth?,
            tls,
            proxy,
            redirects_max: redirects_max?,
            forward_body,
            timeout_ms,
            retry,
            idempotency_header,
        })
    }

    pub(super) fn render(&self, scope: &Scope<'_>, success: &Codes) -> Result<HttpCall, RenderError> {
        let method = text(&self.method, scope, "the method")?.to_ascii_uppercase();
        check_method(&method).map_err(RenderError)?;
        let url = text(&self.url, scope, "the URL")?;
        check_url(&url).map_err(|why| RenderError(format!("the URL {why}")))?;
        let path = self.path.iter().map(|part| {
            let part = text(part, scope, "a part of the path")?;
            check_part(&part).map_err(RenderError)?;
            Ok(part)
        });
        let path = path.collect::<Result<_, _>>()?;
        let headers = pairs(self.headers.as_ref(), scope, "\"headers\"")?;
        for (name, value) in &headers {
            check_header(name).map_err(RenderError)?;
            check_header_value(name, value)?;
        }
        let body = match &self.body {
            BodySpec::None => Body::None,
            BodySpec::Json(json) => Body::Json(json.render(scope).map_err(|e| RenderError(format!("\"json\": {e}")))?),
            BodySpec::Form(form) => Body::Form(pairs(Some(form), scope, "\"form\"")?),
            BodySpec::Text(body) => Body::Text(text(body, scope, "the body")?),
        };
        let auth = self.auth.render(scope)?;
        check_credentials(&auth)?;
        let tls = self.tls.render(scope)?;
        let proxy = self.proxy.as_ref().map(|proxy| proxy.render(scope)).transpose()?;
        check_proxy(proxy.as_ref(), &tls)?;
        Ok(HttpCall {
            shown: shown(&method, &self.written, &url),
            method,
            url,
            path,
            query: pairs(self.query.as_ref(), scope, "\"query\"")?,
            headers,
            body,
            auth,
            tls,
            proxy,
            redirects_max: self.redirects_max,
            forward_body: self.forward_body,
            timeout_ms: self.timeout_ms,
            success: success.clone(),
            retry: self.retry.clone(),
            idempotency_header: self.idempotency_header.clone(),
        })
    }
}

impl TlsSpec {
    fn render(&self, scope: &Scope<'_>) -> Result<Tls, RenderError> {
        let identity = match &self.identity {
            Some((certificate, key)) => {
                Some((text(certificate, scope, "\"certificate\"")?, hidden(key, scope, "\"key\"")?))
            }
            None => None,
        };
        let ca = optional(self.ca.as_ref(), scope, "\"ca\"")?;
        Ok(Tls { ca, ca_file: self.ca_file.clone(), identity, verify: self.verify })
    }
}

impl ProxySpec {
    fn render(&self, scope: &Scope<'_>) -> Result<Proxy, RenderError> {
        let url = text(&self.url, scope, "the proxy")?;
        check_url(&url).map_err(|why| RenderError(format!("the proxy {why}")))?;
        let credentials = match &self.credentials {
            Some((username, password)) => {
                let username = text(username, scope, "the proxy's user")?;
                Some((username, hidden(password, scope, "the proxy's password")?))
            }
            None => None,
        };
        Ok(Proxy { url, credentials })
    }
}

impl<'k> Reader<'_, 'k> {
    fn error(&mut self, key: &str, mistake: Mistake, message: impl Into<String>) {
        self.keys.error(format!("{AT}/{key}"), mistake, message);
    }

    fn text(&mut self, key: &str) -> Option<&'k str> {
        let value = self.entries.get(key)?;
        self.keys.text(value, &format!("{AT}/{key}"), key)
    }

    /// A text whose constant form is checked now, and any other once it is rendered.
    fn checked(&mut self, key: &str, text: &str, check: impl Fn(&str) -> Result<(), String>) -> Option<Template> {
        if !text.contains("${")
            && let Err(why) = check(text)
        {
            self.error(key, Mistake::BadValue, why);
            return None;
        }
        self.keys.template(text, &format!("{AT}/{key}"))
    }

    fn method(&mut self) -> Option<Template> {
        let text = if self.entries.contains_key("method") { self.text("method")? } else { "GET" };
        self.checked("method", text, |text| check_method(&text.to_ascii_uppercase()))
    }

    fn url(&mut self) -> Option<Template> {
        if !self.entries.contains_key("url") {
            self.keys.error(AT, Mistake::Missing, "\"request\" needs \"url\"");
        }
        let text = self.text("url")?;
        self.checked("url", text, |text| check_url(text).map_err(|why| format!("the URL {why}")))
    }

    fn path(&mut self) -> Vec<Template> {
        let items = match self.entries.get("path") {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let message = format!("\"path\" must be a list of strings, found {}", kind(other));
                self.error("path", Mistake::WrongType, message);
                return Vec::new();
            }
        };
        let mut path = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = format!("{AT}/path/{index}");
            path.extend(self.keys.text_template(item, &at, &format!("path[{index}]")));
        }
        path
    }

    /// A mapping, or an expression that gives one.
    fn mapping(&mut self, key: &str) -> Option<Template> {
        let value = self.entries.get(key)?;
        if !value.is_object() && !value.as_str().is_some_and(|text| text.starts_with("${")) {
            self.error(key, Mistake::WrongType, format!("{key:?} must be a mapping, found {}", kind(value)));
            return None;
        }
        self.keys.template_of(value, &format!("{AT}/{key}"))
    }

    fn headers(&mut self) -> Option<Template> {
        for name in self.entries.get("headers").and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if let Err(message) = check_header(name) {
                self.error(&format!("headers/{}", super::super::keys::step(name)), Mistake::BadName, message);
            }
        }
        self.mapping("headers")
    }

    fn body(&mut self) -> BodySpec {
        let there: Vec<&str> =
            ["json", "form", "body"].into_iter().filter(|key| self.entries.contains_key(*key)).collect();
        if let [_, second, ..] = there[..] {
            self.error(second, Mistake::BadValue, format!("a request has one of {}, not several", there.join(", ")));
        }
        let body = match there.first() {
            Some(&"json") => {
                let json = self.entries.get("json").and_then(|json| self.keys.template_of(json, "/request/json"));
                json.map(BodySpec::Json)
            }
            Some(&"form") => self.mapping("form").map(BodySpec::Form),
            Some(_) => {
                let body = self.entries.get("body");
                body.and_then(|body| self.keys.text_template(body, "/request/body", "body")).map(BodySpec::Text)
            }
            None => None,
        };
        body.unwrap_or(BodySpec::None)
    }

    fn tls(&mut self, files: &dyn PackFiles) -> TlsSpec {
        let mut tls = TlsSpec { verify: true, ..TlsSpec::default() };
        let Some(value) = self.entries.get("tls") else { return tls };
        let known = ["ca", "ca_file", "certificate", "key", "verify"];
        let Some(entries) = self.keys.mapping(value, "/request/tls", "tls", &known) else { return tls };
        let mut template = |key: &str| {
            let value = entries.get(key)?;
            self.keys.text_template(value, &format!("/request/tls/{key}"), key)
        };
        tls.ca = template("ca");
        let (certificate, key) = (template("certificate"), template("key"));
        if entries.contains_key("certificate") != entries.contains_key("key") {
            self.error("tls", Mistake::Missing, "\"certificate\" and \"key\" stand together in \"tls\"");
        }
        tls.identity = certificate.zip(key);
        tls.verify = self.keys.flag(entries, "verify", "/request/tls").unwrap_or(true);
        if let Some(path) = entries.get("ca_file") {
            tls.ca_file = self.ca_file(path, files);
            if entries.contains_key("ca") {
                self.error("tls/ca_file", Mistake::BadValue, "\"tls\" has \"ca\" or \"ca_file\", not both");
            }
        }
        tls
    }

    fn ca_file(&mut self, path: &'k Value, files: &dyn PackFiles) -> Option<String> {
        let text = self.keys.text(path, "/request/tls/ca_file", "ca_file")?;
        let relative = text.strip_prefix("./").unwrap_or(text);
        if relative.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
            self.error("tls/ca_file", Mistake::BadPath, format!("{text:?} leaves the pack"));
            return None;
        }
        let path = format!("actions/{relative}");
        if files.executable(&path).is_none() {
            self.error("tls/ca_file", Mistake::Missing, format!("the pack has no file {path}{}", files.hint(&path)));
        }
        Some(path)
    }

    fn proxy(&mut self) -> Option<ProxySpec> {
        let value = self.entries.get("proxy")?;
        let check = |text: &str| check_url(text).map_err(|why| format!("the proxy {why}"));
        if let Value::String(text) = value {
            return Some(ProxySpec { url: self.checked("proxy", text, check)?, credentials: None });
        }
        let entries = self.keys.mapping(value, "/request/proxy", "proxy", &["url", "username", "password"])?;
        let Some(url) = entries.get("url") else {
            self.error("proxy", Mistake::Missing, "\"proxy\" needs \"url\"");
            return None;
        };
        let url = self.keys.text(url, "/request/proxy/url", "url")?;
        let url = self.checked("proxy/url", url, check);
        let mut template = |key: &str| {
            let value = entries.get(key)?;
            self.keys.text_template(value, &format!("/request/proxy/{key}"), key)
        };
        let credentials = (template("username"), template("password"));
        if entries.contains_key("username") != entries.contains_key("password") {
            self.error("proxy", Mistake::Missing, "\"username\" and \"password\" stand together in \"proxy\"");
        }
        Some(ProxySpec { url: url?, credentials: credentials.0.zip(credentials.1) })
    }

    fn timeout_ms(&mut self) -> Option<u64> {
        match parse_ms(self.text("timeout")?) {
            Ok(0) => self.error("timeout", Mistake::BadValue, "\"timeout\" must be longer than nothing"),
            Ok(timeout_ms) => return Some(timeout_ms),
            Err(message) => self.error("timeout", Mistake::BadValue, message),
        }
        None
    }

    fn idempotency_header(&mut self) -> String {
        let Some(name) = self.text("idempotency_header") else { return IDEMPOTENCY_HEADER.to_owned() };
        if let Err(message) = check_header(name) {
            self.error("idempotency_header", Mistake::BadValue, message);
        }
        name.to_owned()
    }
}
