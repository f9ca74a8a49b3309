//! The server that takes a message.

use std::fmt;

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::super::http::Hidden;
use super::super::keys::{Keys, Mistake};
use super::super::{PackFiles, RenderError};
use super::text;

const AT: &str = "/server";
const KNOWN: &[&str] = &["host", "port", "security", "ca", "ca_file", "auth"];

/// How the way to a server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// It begins in the clear, and nothing is said before TLS has begun (RFC 3207); never without.
    StartTls,
    /// TLS from the first byte on (RFC 8314).
    Tls,
    /// In the clear.
    None,
}

impl Security {
    const NAMES: [(&'static str, Self); 3] = [("starttls", Self::StartTls), ("tls", Self::Tls), ("none", Self::None)];

    /// The port where the action names none.
    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// A server of mail.
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the way there is secured.
    pub security: Security,
    /// Certificates in PEM, in the place of those that the system trusts.
    pub ca: Option<String>,
    /// The same as a file of the pack, by its path in the pack.
    pub ca_file: Option<String>,
    /// Name and password.
    pub credentials: Option<(String, Hidden)>,
}

/// Without what may hold a secret.
impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailServer").field("security", &self.security).finish_non_exhaustive()
    }
}

/// The same as templates.
#[derive(Debug)]
pub(super) struct ServerSpec {
    host: Template,
    port: Port,
    security: Security,
    ca: Option<Template>,
    ca_file: Option<String>,
    credentials: Option<(Template, Template)>,
}

#[derive(Debug)]
enum Port {
    Constant(u16),
    Template(Template),
}

impl ServerSpec {
    /// Nothing for what has mistakes.
    pub(super) fn read<'k>(server: &'k Value, keys: &mut Keys<'k>, files: &dyn PackFiles) -> Option<Self> {
        let entries = keys.mapping(server, AT, "server", KNOWN)?;
        if !entries.contains_key("host") {
            keys.error(AT, Mistake::Missing, "a server needs \"host\"");
        }
        let host = entries.get("host").and_then(|host| keys.text_template(host, "/server/host", "host"));
        let security = read_security(entries, keys);
        let port = read_port(entries, security, keys);
        let ca = entries.get("ca").and_then(|ca| keys.text_template(ca, "/server/ca", "ca"));
        let ca_file = read_ca_file(entries, keys, files);
        let credentials = entries.get("auth").and_then(|auth| read_auth(auth, security, keys));
        if security == Security::None
            && let Some(key) = ["ca", "ca_file"].into_iter().find(|key| entries.contains_key(*key))
        {
            keys.error(format!("{AT}/{key}"), Mistake::BadValue, "there is nobody to trust without TLS");
        }
        Some(Self { host: host?, port: port?, security, ca, ca_file, credentials })
    }

    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<MailServer, RenderError> {
        let host = text(&self.host, scope, "\"host\"")?;
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if host.is_empty() || host.len() > 255 || !host.bytes().all(is_host) {
            return Err(RenderError(format!("{} is no host", crate::limits::quoted(&host))));
        }
        let port = match &self.port {
            Port::Constant(port) => *port,
            Port::Template(template) => {
                let port = text(template, scope, "\"port\"")?;
                port.parse().ok().filter(|port| *port > 0).ok_or_else(|| RenderError(format!("{port:?} is no port")))?
            }
        };
        let credentials = match &self.credentials {
            Some((username, password)) => {
                let (username, password) =
                    (text(username, scope, "\"username\"")?, text(password, scope, "\"password\"")?);
                if username.contains('\0') || password.contains('\0') {
                    return Err(RenderError("the name or the password holds a NUL character".to_owned()));
                }
                Some((username, Hidden(password)))
            }
            None => None,
        };
        let ca = self.ca.as_ref().map(|ca| text(ca, scope, "\"ca\"")).transpose()?;
        Ok(MailServer { host, port, security: self.security, ca, ca_file: self.ca_file.clone(), credentials })
    }
}

fn read_security(entries: &Map<String, Value>, keys: &mut Keys<'_>) -> Security {
    let Some(written) = entries.get("security") else { return Security::StartTls };
    let found = Security::NAMES.iter().find(|(name, _)| written.as_str() == Some(name));
    if found.is_none() {
        let message = "\"security\" must be one of \"starttls\", \"tls\", \"none\"";
        keys.error("/server/security", Mistake::BadValue, message);
    }
    found.map_or(Security::StartTls, |(_, security)| *security)
}

fn read_port<'k>(entries: &'k Map<String, Value>, security: Security, keys: &mut Keys<'k>) -> Option<Port> {
    let Some(port) = entries.get("port") else { return Some(Port::Constant(security.port())) };
    match port {
        Value::String(text) if text.contains("${") => keys.template(text, "/server/port").map(Port::Template),
        port => {
            let number = port.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            if number.is_none() {
                keys.error("/server/port", Mistake::BadValue, "\"port\" must be a whole number from 1 to 65535");
            }
            number.map(Port::Constant)
        }
    }
}

fn read_ca_file<'k>(entries: &'k Map<String, Value>, keys: &mut Keys<'k>, files: &dyn PackFiles) -> Option<String> {
    const WHERE: &str = "/server/ca_file";
    let path = keys.text(entries.get("ca_file")?, WHERE, "ca_file")?;
    if entries.contains_key("ca") {
        keys.error(WHERE, Mistake::BadValue, "\"ca\" and \"ca_file\" cannot stand beside each other");
        return None;
    }
    let inner = path.strip_prefix("./").filter(|path| !path.split('/').any(|step| step.is_empty() || step == ".."));
    let Some(inner) = inner else {
        let message = format!("{path:?} is no file under actions/ of the pack, such as \"./ca.pem\"");
        keys.error(WHERE, Mistake::BadPath, message);
        return None;
    };
    let path = format!("actions/{inner}");
    if files.executable(&path).is_none() {
        let message = format!("the pack has no file {path}{}", files.hint(&path));
        keys.error(WHERE, Mistake::BadPath, message);
        return None;
    }
    Some(path)
}

fn read_auth<'k>(auth: &'k Value, security: Security, keys: &mut Keys<'k>) -> Option<(Template, Template)> {
    const WHERE: &str = "/server/auth";
    let entries = keys.mapping(auth, WHERE, "auth", &["username", "password"])?;
    if security == Security::None {
        keys.error(WHERE, Mistake::BadValue, "a password is not sent in the clear: \"security\" must not be \"none\"");
    }
    let mut need = |name: &str| {
        let Some(value) = entries.get(name) else {
            keys.error(WHERE, Mistake::Missing, format!("\"auth\" needs {name:?}"));
            return None;
        };
        keys.text_template(value, &format!("{WHERE}/{name}"), name)
    };
    let (username, password) = (need("username"), need("password"));
    Some((username?, password?))
}
