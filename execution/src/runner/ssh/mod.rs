//! The runner `ssh`: a command or a script of the pack on hosts, and files to and from them.
//!
//! `hosts` (where), `connection` (how they are reached, and as whom), `auth` (with what), `work` (what is done
//! there), `fail_at` (how many may fail).

mod auth;
mod connection;
mod fail_at;
mod hosts;
#[cfg(test)]
mod tests;
mod work;

use std::fmt;

use petrel_cel::{Scope, Template};
use petrel_schemas::SecretRef;
use serde_json::{Map, Value};

use super::keys::{Keys, Mistake};
use super::{Call, PackFiles, RenderError, Rendering, Spec, SpecError, Works};

pub use auth::{KeySource, SshAuth};
use connection::ConnectionSpec;
pub use connection::{Hop, KnownHosts};
pub use fail_at::FailAt;
pub use hosts::Target;
use hosts::render_targets;
use work::WorkSpec;
pub use work::{Run, Upload, UploadFrom};

/// Hosts at work at a time where the action says nothing, and at most.
const PARALLEL: (u32, u32) = (20, 200);

/// What is done on which hosts, as templates.
#[derive(Debug)]
pub struct SshSpec {
    hosts: Template,
    connection: Box<ConnectionSpec>,
    work: Box<WorkSpec>,
    parallel: u32,
    fail_at: FailAt,
    secrets: Vec<(String, SecretRef)>,
}

/// What is to be done on which hosts.
#[derive(Clone, PartialEq, Eq)]
pub struct SshCall {
    /// Each once.
    pub hosts: Vec<Target>,
    /// By way of these, the first one first.
    pub via: Vec<Hop>,
    /// With what whoever connects shows who it is.
    pub auth: SshAuth,
    /// Which keys the hosts may have.
    pub known_hosts: KnownHosts,
    /// Whether a host that nobody knows is believed, and known from then on.
    pub first_use: bool,
    /// Longest wait until one is connected and let in, with all hosts on the way, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Longest time on one host, in milliseconds, from its connection on.
    pub host_timeout_ms: Option<u64>,
    /// Most hosts at work at a time.
    pub parallel: u32,
    /// When it has failed.
    pub fail_at: FailAt,
    /// As which other user all of it is done.
    pub sudo: Option<String>,
    /// Directory to work in; the user's own where there is none.
    pub cwd: Option<String>,
    /// Variables to set.
    pub env: Vec<(String, String)>,
    /// Files to write before the rest.
    pub uploads: Vec<Upload>,
    /// What is run.
    pub run: Option<Run>,
    /// Files to read behind the rest.
    pub downloads: Vec<String>,
}

/// Its expressions may have put secrets anywhere.
impl fmt::Debug for SshCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshCall").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Spec for SshSpec {
    const NAME: &'static str = "ssh";
    const KEYS: &'static [&'static str] = &[
        "hosts", "ssh", "command", "script", "args", "env", "cwd", "sudo", "upload", "download", "parallel", "fail_at",
    ];

    fn parse(keys: &Map<String, Value>, files: &dyn PackFiles) -> Result<Self, Vec<SpecError>> {
        let mut keys = Keys::new(keys, files);
        let hosts = hosts::read(&mut keys);
        let connection = ConnectionSpec::read(&mut keys, files);
        let work = WorkSpec::read(&mut keys, files);
        let parallel = match keys.get("parallel") {
            Some(parallel) => keys.whole(parallel, "/parallel", "parallel", PARALLEL.1).unwrap_or(PARALLEL.0),
            None => PARALLEL.0,
        };
        if parallel == 0 {
            keys.error("/parallel", Mistake::BadValue, "\"parallel\" must be at least 1");
        }
        let fail_at = FailAt::read(&mut keys);
        let Keys { errors, secrets, .. } = keys;
        match (hosts, connection) {
            (Some(hosts), Some(connection)) if errors.is_empty() => {
                Ok(Self { hosts, connection: Box::new(connection), work: Box::new(work), parallel, fail_at, secrets })
            }
            _ => Err(errors),
        }
    }

    fn secrets(&self) -> &[(String, SecretRef)] {
        &self.secrets
    }
}

impl Works for SshSpec {
    type Call = Box<SshCall>;

    fn render(&self, rendering: Rendering<'_>) -> Result<Box<SshCall>, RenderError> {
        let scope = rendering.scope();
        let Self { hosts, connection, work, parallel, fail_at, .. } = self;
        let user = connection.user(&scope)?;
        Ok(Box::new(SshCall {
            hosts: render_targets(hosts, &scope, user.as_deref(), connection.port)?,
            via: connection.via(&scope, user.as_deref())?,
            auth: connection.auth(&scope)?,
            known_hosts: connection.known_hosts(&scope)?,
            first_use: connection.first_use,
            connect_timeout_ms: connection.connect_timeout_ms,
            host_timeout_ms: connection.host_timeout_ms,
            parallel: *parallel,
            fail_at: *fail_at,
            sudo: work.sudo.clone(),
            cwd: work.cwd(&scope)?,
            env: work.env(&scope)?,
            uploads: work.uploads(&scope)?,
            run: work.run(&scope)?,
            downloads: work.downloads(&scope)?,
        }))
    }
}

impl Call for Box<SshCall> {
    fn uses_pack(&self) -> bool {
        matches!(self.known_hosts, KnownHosts::OfPack(_))
            || matches!(self.run, Some(Run::Script { .. }))
            || self.uploads.iter().any(|upload| matches!(upload.from, UploadFrom::OfPack(_)))
    }
}

/// A text that no program can be given, or that is none, is refused.
fn text(template: &Template, scope: &Scope<'_>, what: &str) -> Result<String, RenderError> {
    super::process::text(template, scope, || what.to_owned())
}

/// A path of the pack, below `actions/`, that is there.
fn pack_file<'k>(keys: &mut Keys<'k>, value: &'k Value, at: &str, name: &str, files: &dyn PackFiles) -> Option<String> {
    let text = keys.text(value, at, name)?;
    let relative = text.strip_prefix("./").unwrap_or(text);
    if relative.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        keys.error(at, Mistake::BadPath, format!("{text:?} leaves the pack"));
        return None;
    }
    let path = format!("actions/{relative}");
    if files.executable(&path).is_none() {
        keys.error(at, Mistake::Missing, format!("the pack has no file {path}{}", files.hint(&path)));
    }
    Some(path)
}
