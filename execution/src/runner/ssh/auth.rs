//! With what whoever connects shows who it is.

use petrel_cel::{Scope, Template};
use serde_json::Value;

use super::super::RenderError;
use super::super::http::Hidden;
use super::super::keys::{Keys, Mistake};
use super::text;

const KNOWN: &[&str] = &["agent", "password", "key", "key_file", "passphrase", "certificate"];

/// With what whoever connects shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshAuth {
    /// With a key of the worker's agent.
    Agent,
    /// With a password.
    Password(Hidden),
    /// With a key.
    Key {
        /// The private one.
        key: KeySource,
        /// What opens it.
        passphrase: Option<Hidden>,
        /// A certificate of the key, as `ssh-keygen -s` writes it.
        certificate: Option<String>,
    },
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Here, in PEM or in OpenSSH's form.
    Text(Hidden),
    /// In a file of the worker.
    File(String),
}

/// The same as templates.
#[derive(Debug)]
pub(super) enum AuthSpec {
    Agent,
    Password(Template),
    Key(Box<KeySpec>),
}

#[derive(Debug)]
pub(super) struct KeySpec {
    key: Source,
    passphrase: Option<Template>,
    certificate: Option<Template>,
}

#[derive(Debug)]
enum Source {
    Text(Template),
    File(String),
}

impl AuthSpec {
    /// Nothing for what has mistakes.
    pub(super) fn read<'k>(auth: &'k Value, at: &str, keys: &mut Keys<'k>) -> Option<Self> {
        let entries = keys.mapping(auth, at, "auth", KNOWN)?;
        let ways = ["agent", "password", "key", "key_file"];
        let there: Vec<&str> = ways.into_iter().filter(|way| entries.contains_key(*way)).collect();
        let [way] = there[..] else {
            keys.error(at, Mistake::BadValue, format!("\"auth\" must have one of {}", ways.join(", ")));
            return None;
        };
        for name in ["passphrase", "certificate"] {
            if entries.contains_key(name) && !way.starts_with("key") {
                keys.error(format!("{at}/{name}"), Mistake::BadValue, format!("{name:?} belongs to a key"));
            }
        }
        let mut template = |name: &str| {
            let value = entries.get(name)?;
            keys.text_template(value, &format!("{at}/{name}"), name)
        };
        let (passphrase, certificate) = (template("passphrase"), template("certificate"));
        let key = match way {
            "password" => return template("password").map(Self::Password),
            "key" => Source::Text(template("key")?),
            "agent" => {
                if keys.flag(entries, "agent", at) == Some(false) {
                    keys.error(format!("{at}/agent"), Mistake::BadValue, "\"agent\" can only be true");
                }
                return Some(Self::Agent);
            }
            _ => {
                let at = format!("{at}/key_file");
                let path = keys.text(&entries["key_file"], &at, "key_file")?;
                if !path.starts_with('/') || path.contains("${") {
                    let message = "\"key_file\" must be the absolute path of a file of the worker, and a constant";
                    keys.error(at, Mistake::BadPath, message);
                }
                Source::File(path.to_owned())
            }
        };
        Some(Self::Key(Box::new(KeySpec { key, passphrase, certificate })))
    }

    pub(super) fn render(&self, scope: &Scope<'_>) -> Result<SshAuth, RenderError> {
        let hidden = |template: &Template, what: &str| text(template, scope, what).map(Hidden);
        Ok(match self {
            Self::Agent => SshAuth::Agent,
            Self::Password(password) => SshAuth::Password(hidden(password, "the password")?),
            Self::Key(spec) => SshAuth::Key {
                key: match &spec.key {
                    Source::Text(key) => KeySource::Text(hidden(key, "the key")?),
                    Source::File(path) => KeySource::File(path.clone()),
                },
                passphrase: spec.passphrase.as_ref().map(|p| hidden(p, "the passphrase")).transpose()?,
                certificate: spec.certificate.as_ref().map(|c| text(c, scope, "the certificate")).transpose()?,
            },
        })
    }
}
