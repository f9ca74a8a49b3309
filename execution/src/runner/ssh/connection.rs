//! How hosts are reached, and as whom.

use petrel_cel::{Scope, Template};
use serde_json::{Map, Value};

use super::super::duration::parse_ms;
use super::super::keys::{Keys, Mistake, kind};
use super::super::{PackFiles, RenderError};
use super::auth::{AuthSpec, SshAuth};
use super::hosts::{PORT, Target, Written, check_user};
use super::{pack_file, text};
use crate::limits::SSH_HOPS_MAX;

const AT: &str = "/ssh";
const KNOWN: &[&str] =
    &["user", "port", "auth", "via", "known_hosts", "known_hosts_file", "trust", "connect_timeout", "host_timeout"];
/// Longest wait for a connection where the action says nothing, in milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// A host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Which.
    pub target: Target,
    /// With what whoever connects shows it who it is.
    pub auth: SshAuth,
}

/// Which keys hosts may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownHosts {
    /// Those that the worker knows.
    OfWorker,
    /// Those of a file of the pack, by its path in the pack.
    OfPack(String),
    /// These lines.
    Text(String),
}

/// `ssh:` of an action.
#[derive(Debug)]
pub(super) struct ConnectionSpec {
    user: Option<Template>,
    pub(super) port: u16,
    auth: AuthSpec,
    via: Vec<(Template, Option<AuthSpec>)>,
    known_hosts: KnownHostsSpec,
    pub(super) first_use: bool,
    pub(super) connect_timeout_ms: u64,
    pub(super) host_timeout_ms: Option<u64>,
}

#[derive(Debug)]
enum KnownHostsSpec {
    OfWorker,
    OfPack(String),
    Text(Template),
}

impl ConnectionSpec {
    /// Nothing for what has mistakes.
    pub(super) fn read(keys: &mut Keys<'_>, files: &dyn PackFiles) -> Option<Self> {
        let value = keys.need("ssh")?;
        let entries = keys.mapping(value, AT, "ssh", KNOWN)?;
        let user = entries.get("user").and_then(|user| read_user(user, keys));
        let auth = match entries.get("auth") {
            Some(auth) => AuthSpec::read(auth, "/ssh/auth", keys),
            None => {
                keys.error(AT, Mistake::Missing, "\"ssh\" needs \"auth\"");
                None
            }
        };
        let port = match entries.get("port") {
            Some(port) => keys.whole(port, "/ssh/port", "port", u32::from(u16::MAX)).unwrap_or(1),
            None => u32::from(PORT),
        };
        if port == 0 {
            keys.error("/ssh/port", Mistake::BadValue, "\"port\" must be a number from 1 to 65535");
        }
        let via = entries.get("via").map(|via| read_via(via, keys)).unwrap_or_default();
        let known_hosts = read_known_hosts(entries, keys, files);
        let first_use = match entries.get("trust").map(Value::as_str) {
            None | Some(Some("strict")) => false,
            Some(Some("first_use")) => true,
            Some(_) => {
                keys.error("/ssh/trust", Mistake::BadValue, "\"trust\" must be strict or first_use");
                false
            }
        };
        let connect_timeout_ms = read_ms(entries, "connect_timeout", keys).unwrap_or(CONNECT_TIMEOUT_MS);
        let host_timeout_ms = read_ms(entries, "host_timeout", keys);
        Some(Self {
            user,
            port: u16::try_from(port).unwrap_or(PORT),
            auth: auth?,
            via,
            known_hosts: known_hosts?,
            first_use,
            connect_timeout_ms,
            host_timeout_ms,
        })
    }

    pub(super) fn user(&self, scope: &Scope<'_>) -> Result<Option<String>, RenderError> {
        let Some(user) = &self.user else { return Ok(None) };
        let user = text(user, scope, "the user")?;
        check_user(&user).map_err(|why| RenderError(format!("the user: {why}")))?;
        Ok(Some(user))
    }

    pub(super) fn auth(&self, scope: &Scope<'_>) -> Result<SshAuth, RenderError> {
        self.auth.render(scope)
    }

    pub(super) fn via(&self, scope: &Scope<'_>, user: Option<&str>) -> Result<Vec<Hop>, RenderError> {
        let hop = |(host, auth): &(Template, Option<AuthSpec>)| {
            let name = text(host, scope, "a host on the way")?;
            // The port in "ssh" is that of the hosts, not of those on the way.
            let target = Written::parse(&name).and_then(|written| written.target(&name, user, PORT));
            let target = target.map_err(|why| RenderError(format!("a host on the way: {why}")))?;
            Ok(Hop { target, auth: auth.as_ref().unwrap_or(&self.auth).render(scope)? })
        };
        self.via.iter().map(hop).collect()
    }

    pub(super) fn known_hosts(&self, scope: &Scope<'_>) -> Result<KnownHosts, RenderError> {
        Ok(match &self.known_hosts {
            KnownHostsSpec::OfWorker => KnownHosts::OfWorker,
            KnownHostsSpec::OfPack(path) => KnownHosts::OfPack(path.clone()),
            KnownHostsSpec::Text(lines) => KnownHosts::Text(text(lines, scope, "\"known_hosts\"")?),
        })
    }
}

fn read_user<'k>(user: &'k Value, keys: &mut Keys<'k>) -> Option<Template> {
    let text = keys.text(user, "/ssh/user", "user")?;
    if !text.contains("${")
        && let Err(why) = check_user(text)
    {
        keys.error("/ssh/user", Mistake::BadValue, why);
    }
    keys.template(text, "/ssh/user")
}

/// Each a host, or `{ host, auth }`.
fn read_via<'k>(via: &'k Value, keys: &mut Keys<'k>) -> Vec<(Template, Option<AuthSpec>)> {
    let Value::Array(items) = via else {
        keys.error("/ssh/via", Mistake::WrongType, format!("\"via\" must be a list of hosts, found {}", kind(via)));
        return Vec::new();
    };
    if items.len() > SSH_HOPS_MAX {
        let message = format!("\"via\" has {} hosts, more than the limit of {SSH_HOPS_MAX}", items.len());
        keys.error("/ssh/via", Mistake::TooLarge, message);
    }
    let mut hops = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = format!("/ssh/via/{index}");
        let name = format!("via[{index}]");
        let (host, host_at, auth) = match item {
            Value::Object(_) => {
                let Some(entries) = keys.mapping(item, &at, &name, &["host", "auth"]) else { continue };
                let auth = entries.get("auth").and_then(|auth| AuthSpec::read(auth, &format!("{at}/auth"), keys));
                let Some(host) = entries.get("host") else {
                    keys.error(at, Mistake::Missing, format!("{name:?} needs \"host\""));
                    continue;
                };
                (host, format!("{at}/host"), auth)
            }
            host => (host, at, None),
        };
        let Some(text) = keys.text(host, &host_at, &name) else { continue };
        if !text.contains("${")
            && let Err(why) = Written::parse(text)
        {
            keys.error(host_at.as_str(), Mistake::BadValue, why);
        }
        hops.extend(keys.template(text, &host_at).map(|host| (host, auth)));
    }
    hops
}

fn read_known_hosts<'k>(
    entries: &'k Map<String, Value>,
    keys: &mut Keys<'k>,
    files: &dyn PackFiles,
) -> Option<KnownHostsSpec> {
    match (entries.get("known_hosts"), entries.get("known_hosts_file")) {
        (None, None) => Some(KnownHostsSpec::OfWorker),
        (Some(lines), None) => keys.text_template(lines, "/ssh/known_hosts", "known_hosts").map(KnownHostsSpec::Text),
        (None, Some(path)) => {
            pack_file(keys, path, "/ssh/known_hosts_file", "known_hosts_file", files).map(KnownHostsSpec::OfPack)
        }
        (Some(_), Some(_)) => {
            let message = "\"ssh\" has \"known_hosts\" or \"known_hosts_file\", not both";
            keys.error("/ssh/known_hosts_file", Mistake::BadValue, message);
            None
        }
    }
}

fn read_ms<'k>(entries: &'k Map<String, Value>, name: &str, keys: &mut Keys<'k>) -> Option<u64> {
    let at = format!("{AT}/{name}");
    match parse_ms(keys.text(entries.get(name)?, &at, name)?) {
        Ok(0) => keys.error(at, Mistake::BadValue, format!("{name:?} must be longer than nothing")),
        Ok(ms) => return Some(ms),
        Err(message) => keys.error(at, Mistake::BadValue, message),
    }
    None
}
