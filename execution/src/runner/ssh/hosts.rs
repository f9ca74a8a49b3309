//! Where: hosts as a list, or as expressions over the parameters.

use std::collections::BTreeSet;

use petrel_cel::{Scope, Template};
use serde_json::Value;

use super::super::RenderError;
use super::super::keys::{Keys, Mistake, kind};
use crate::limits::SSH_HOSTS_MAX;

/// Longest name of a host, in bytes.
const HOST_BYTES_MAX: usize = 253;
/// Longest name of a user, in bytes.
const USER_BYTES_MAX: usize = 128;
/// The port where none is named.
pub(super) const PORT: u16 = 22;

/// A host, and as whom it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// As it was given: results are told by it.
    pub name: String,
    /// User.
    pub user: String,
    /// Name or address, in lower case, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a text says of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Written {
    /// `host`, `user@host`, `host:port`, `user@[::1]:port`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no host: {why}"));
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        if let Some(user) = user
            && let Err(why) = check_user(user)
        {
            return wrong(&why);
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, "")) => (address, None),
                Some((address, port)) => (address, port.strip_prefix(':').or(Some(""))),
                None => return wrong("its bracket is not closed"),
            },
            None if rest.matches(':').count() > 1 => return wrong("an IPv6 address stands in brackets"),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let is_address = rest.starts_with('[');
        let allowed = |b: u8| match is_address {
            true => b.is_ascii_hexdigit() || b".:%".contains(&b) || b.is_ascii_alphanumeric(),
            false => b.is_ascii_alphanumeric() || b".-_".contains(&b),
        };
        // What begins with a dash is an option elsewhere.
        if host.is_empty() || host.len() > HOST_BYTES_MAX || host.starts_with('-') || !host.bytes().all(allowed) {
            return wrong("a name has letters, digits, dots, dashes and underscores, and does not begin with a dash");
        }
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return wrong("a port is a number from 1 to 65535"),
        };
        Ok(Self { user: user.map(str::to_owned), host: host.to_ascii_lowercase(), port })
    }

    pub(super) fn target(self, name: &str, user: Option<&str>, port: u16) -> Result<Target, String> {
        let Some(user) = self.user.or_else(|| user.map(str::to_owned)) else {
            return Err(format!("nobody says as which user {name:?} is spoken to: \"user\" in \"ssh\", or user@host"));
        };
        Ok(Target { name: name.to_owned(), user, host: self.host, port: self.port.unwrap_or(port) })
    }
}

/// Whether somebody may be called so.
pub(super) fn check_user(user: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-@\\$+".contains(&b);
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.starts_with('-') || !user.bytes().all(allowed) {
        return Err(format!("{user:?} is no name of a user"));
    }
    Ok(())
}

/// A list, or an expression that gives one.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<Template> {
    let hosts = keys.need("hosts")?;
    match hosts {
        Value::String(text) if text.contains("${") => {}
        Value::Array(items) => {
            if items.is_empty() {
                keys.error("/hosts", Mistake::BadValue, "\"hosts\" names no host");
            }
            for (index, item) in items.iter().enumerate() {
                let at = format!("/hosts/{index}");
                let Some(text) = keys.text(item, &at, &format!("hosts[{index}]")) else { continue };
                if !text.contains("${")
                    && let Err(why) = Written::parse(text)
                {
                    keys.error(at, Mistake::BadValue, why);
                }
            }
        }
        other => {
            let message = format!("\"hosts\" must be a list, or an expression that gives one, found {}", kind(other));
            keys.error("/hosts", Mistake::WrongType, message);
            return None;
        }
    }
    keys.template_of(hosts, "/hosts")
}

/// Each host once, in the order in which they are given.
pub(super) fn render_targets(
    hosts: &Template,
    scope: &Scope<'_>,
    user: Option<&str>,
    port: u16,
) -> Result<Vec<Target>, RenderError> {
    let wrong = |why: String| RenderError(format!("the hosts: {why}"));
    let mut names = Vec::new();
    flatten(hosts.render(scope).map_err(|e| wrong(e.to_string()))?, 0, &mut names).map_err(wrong)?;
    let (mut targets, mut seen) = (Vec::new(), BTreeSet::new());
    for name in &names {
        let target = Written::parse(name).and_then(|written| written.target(name, user, port)).map_err(wrong)?;
        // However it is written: nothing is done twice on one host.
        if seen.insert((target.user.clone(), target.host.clone(), target.port)) {
            targets.push(target);
        }
    }
    match targets.len() {
        0 => Err(wrong("there are none".to_owned())),
        1..=SSH_HOSTS_MAX => Ok(targets),
        count => Err(wrong(format!("{count} are more than the limit of {SSH_HOSTS_MAX}"))),
    }
}

/// A text, a list of texts, or a list some of whose expressions give lists of texts.
fn flatten(value: Value, depth: u32, names: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::String(name) => names.push(name),
        Value::Array(items) if depth < 2 => {
            for item in items {
                flatten(item, depth + 1, names)?;
            }
        }
        other => return Err(format!("a host must be a text, found {}", kind(&other))),
    }
    Ok(())
}
