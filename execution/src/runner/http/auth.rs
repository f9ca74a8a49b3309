//! As whom a request is sent.

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::super::RenderError;
use super::super::keys::{Keys, Mistake, kind};
use super::checks::check_header;
use super::values::{Hidden, hidden, optional, text};

const KINDS: &[&str] = &["basic", "bearer", "api_key", "oauth2"];
const AT: &str = "/request/auth";

/// As whom a request is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// As nobody in particular.
    None,
    /// With a name and a password.
    Basic {
        /// Name.
        username: String,
        /// Password.
        password: Hidden,
    },
    /// With a token.
    Bearer(Hidden),
    /// With a key in a header.
    Header(String, Hidden),
    /// With a key in the query.
    Query(String, Hidden),
    /// With a token that a server gives for these (client credentials, RFC 6749 §4.4).
    OAuth2 {
        /// Where the token is to be had.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: Hidden,
        /// For what.
        scope: Option<String>,
        /// For whom.
        audience: Option<String>,
        /// Whether the client's id and secret stand in the body of the request for the token, not in its header.
        in_body: bool,
    },
}

/// The same as templates.
#[derive(Debug)]
pub(super) enum AuthSpec {
    None,
    Basic { username: Template, password: Template },
    Bearer(Template),
    Header(String, Template),
    Query(String, Template),
    OAuth2(Box<OAuth2>),
}

#[derive(Debug)]
pub(super) struct OAuth2 {
    token_url: Template,
    client_id: Template,
    client_secret: Template,
    scope: Option<Template>,
    audience: Option<Template>,
    in_body: bool,
}

impl AuthSpec {
    /// Nothing for what has mistakes.
    pub(super) fn read<'k>(auth: &'k Value, keys: &mut Keys<'k>) -> Option<Self> {
        let entries = keys.mapping(auth, AT, "auth", KINDS)?;
        let mut there = entries.iter();
        let (Some((name, value)), None) = (there.next(), there.next()) else {
            let message = format!("\"auth\" must be one of {}", KINDS.join(", "));
            keys.error(AT, Mistake::BadValue, message);
            return None;
        };
        match name.as_str() {
            "basic" => {
                let fields = Fields::open(value, "basic", &["username", "password"], keys)?;
                let (username, password) = (fields.need("username", keys), fields.need("password", keys));
                Some(Self::Basic { username: username?, password: password? })
            }
            "bearer" => keys.text_template(value, "/request/auth/bearer", "bearer").map(Self::Bearer),
            "api_key" => {
                let fields = Fields::open(value, "api_key", &["header", "query", "value"], keys)?;
                let key = fields.need("value", keys);
                let place = |place: &str| fields.entries.get(place).and_then(Value::as_str);
                match (place("header"), place("query")) {
                    (Some(header), None) => {
                        if let Err(message) = check_header(header) {
                            keys.error("/request/auth/api_key/header", Mistake::BadName, message);
                        }
                        Some(Self::Header(header.to_owned(), key?))
                    }
                    (None, Some(query)) => Some(Self::Query(query.to_owned(), key?)),
                    _ => {
                        let message = "\"api_key\" must have the name of a \"header\" or of a \"query\" parameter";
                        keys.error("/request/auth/api_key", Mistake::BadValue, message);
                        None
                    }
                }
            }
            "oauth2" => {
                let known = ["token_url", "client_id", "client_secret", "scope", "audience", "credentials"];
                let fields = Fields::open(value, "oauth2", &known, keys)?;
                let needed = ["token_url", "client_id", "client_secret"].map(|name| fields.need(name, keys));
                let (scope, audience) = (fields.get("scope", keys), fields.get("audience", keys));
                let in_body = match fields.entries.get("credentials").and_then(Value::as_str) {
                    None | Some("header") => false,
                    Some("body") => true,
                    Some(_) => {
                        let message = "\"credentials\" must be one of \"header\", \"body\"";
                        keys.error("/request/auth/oauth2/credentials", Mistake::BadValue, message);
                        false
                    }
                };
                let [token_url, client_id, client_secret] = needed;
                let (token_url, client_id, client_secret) = (token_url?, client_id?, client_secret?);
                Some(Self::OAuth2(Box::new(OAuth2 { token_url, client_id, client_secret, scope, audience, in_body })))
            }
            // Told above.
            _ => None,
        }
    }

    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<Auth, RenderError> {
        Ok(match self {
            Self::None => Auth::None,
            Self::Basic { username, password } => Auth::Basic {
                username: text(username, scope, "the user's name")?,
                password: hidden(password, scope, "the password")?,
            },
            Self::Bearer(token) => Auth::Bearer(hidden(token, scope, "the token")?),
            Self::Header(name, key) => Auth::Header(name.clone(), hidden(key, scope, "the API key")?),
            Self::Query(name, key) => Auth::Query(name.clone(), hidden(key, scope, "the API key")?),
            Self::OAuth2(spec) => Auth::OAuth2 {
                token_url: text(&spec.token_url, scope, "\"token_url\"")?,
                client_id: text(&spec.client_id, scope, "\"client_id\"")?,
                client_secret: hidden(&spec.client_secret, scope, "\"client_secret\"")?,
                scope: optional(spec.scope.as_ref(), scope, "\"scope\"")?,
                audience: optional(spec.audience.as_ref(), scope, "\"audience\"")?,
                in_body: spec.in_body,
            },
        })
    }
}

/// Texts of one kind of credentials.
struct Fields<'k> {
    at: String,
    name: &'static str,
    entries: &'k Map<String, Value>,
}

impl<'k> Fields<'k> {
    fn open(value: &'k Value, name: &'static str, known: &[&str], keys: &mut Keys<'k>) -> Option<Self> {
        let at = format!("{AT}/{name}");
        let entries = keys.mapping(value, &at, name, known)?;
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_string()) {
            let message = format!("{key:?} must be a string, found {}", kind(value));
            keys.error(format!("{at}/{key}"), Mistake::WrongType, message);
        }
        Some(Self { at, name, entries })
    }

    fn get(&self, key: &str, keys: &mut Keys<'k>) -> Option<Template> {
        let text = self.entries.get(key)?.as_str()?;
        keys.template(text, &format!("{}/{key}", self.at))
    }

    fn need(&self, key: &str, keys: &mut Keys<'k>) -> Option<Template> {
        if !self.entries.contains_key(key) {
            keys.error(self.at.as_str(), Mistake::Missing, format!("{:?} needs {key:?}", self.name));
        }
        self.get(key, keys)
    }
}
