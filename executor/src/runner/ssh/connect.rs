//! Connections: to a host, by way of others, with a look at each one's key before anything of an action is sent, and
//! then as whom.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use petrel_execution::runner::{Hop, KeySource, SshAuth, Target};
use russh::client::{self, AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::decode_secret_key;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Disconnect, MethodKind, Preferred, SshId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::known::{Knowledge, Known, Remembered};
use super::prompt::Prompt;

/// A host that says nothing for so long is asked whether it is there, and how often it may leave that unanswered.
const KEEPALIVE: (Duration, usize) = (Duration::from_secs(10), 3);
/// How long what is sent may stay unacknowledged, in milliseconds.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MS: u32 = 60_000;
/// Most keys of an agent that are tried: servers hang up on those who try many.
const AGENT_KEYS_MAX: usize = 5;
/// Largest file of a private key, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// Why there is no connection. Nothing of the action has been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotConnected {
    /// Nobody answers, or not as a server of SSH does.
    NotReached(String),
    /// It is not who it should be.
    HostKey(String),
    /// It does not let this user in.
    Auth(String),
    /// What is to be shown to it is no key, no certificate, or not there.
    Unusable(String),
    /// This worker lacks what it takes, and another one may have it.
    Lacking(String),
}

/// Everything that decides who one is for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) target: Target,
    pub(super) auth: SshAuth,
    pub(super) via: Vec<Hop>,
    /// Lines of known hosts.
    pub(super) known_hosts: Arc<str>,
    pub(super) first_use: bool,
}

/// A connection, and those that it goes through.
pub(super) struct Connection {
    pub(super) handle: Handle<Checker>,
    hops: Vec<Handle<Checker>>,
}

impl Connection {
    pub(super) fn is_closed(&self) -> bool {
        self.handle.is_closed() || self.hops.iter().any(Handle::is_closed)
    }

    /// Says good-bye, where that can be said at once. Dropping it closes it as well.
    pub(super) async fn close(self) {
        let farewell = self.handle.disconnect(Disconnect::ByApplication, "", "");
        let _ = tokio::time::timeout(Duration::from_millis(100), farewell).await;
    }
}

/// What connections are made with.
#[derive(Debug)]
pub(super) struct Connector {
    /// The agent's socket.
    pub(super) agent: Option<PathBuf>,
    pub(super) remembered: Arc<Remembered>,
}

impl Connector {
    /// Connects to the hosts on the way, and then to the one that is meant.
    pub(super) async fn connect(&self, way: &Way) -> Result<Connection, NotConnected> {
        let mut hops: Vec<Handle<Checker>> = Vec::with_capacity(way.via.len());
        let last = Hop { target: way.target.clone(), auth: way.auth.clone() };
        for hop in way.via.iter().chain([&last]) {
            let Target { host, port, .. } = &hop.target;
            let handle = match hops.last() {
                None => self.greet(way, &hop.target, Prompt(dial(host, *port).await?)).await?,
                Some(before) => {
                    let channel = before
                        .channel_open_direct_tcpip(host.as_str(), u32::from(*port), "127.0.0.1", 0)
                        .await
                        .map_err(|e| NotConnected::NotReached(format!("{}: {e}", shown(&hop.target))))?;
                    self.greet(way, &hop.target, channel.into_stream()).await?
                }
            };
            hops.push(self.let_in(handle, hop).await?);
        }
        // There is the last one at least.
        let handle = hops.pop().ok_or_else(|| NotConnected::NotReached("nowhere to go".to_owned()))?;
        Ok(Connection { handle, hops })
    }

    /// Agrees on keys, and looks at the host's.
    async fn greet<S>(&self, way: &Way, target: &Target, stream: S) -> Result<Handle<Checker>, NotConnected>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let known = Known::parse(&way.known_hosts);
        let remembered = match way.first_use {
            true => self.remembered.known().map_err(|e| NotConnected::Lacking(format!("known hosts: {e}")))?,
            false => Known::default(),
        };
        let known = known.and(remembered);
        let mut preferred = Preferred::default();
        let algorithms = known.algorithms(&target.host, target.port);
        if !algorithms.is_empty() {
            preferred.key = algorithms.into();
        }
        let config = client::Config {
            client_id: SshId::Standard(concat!("SSH-2.0-petrel_", env!("CARGO_PKG_VERSION")).into()),
            preferred,
            keepalive_interval: Some(KEEPALIVE.0),
            keepalive_max: KEEPALIVE.1,
            nodelay: true,
            ..client::Config::default()
        };
        let refused = Refused::default();
        let remembered = way.first_use.then(|| self.remembered.clone());
        let checker = Checker { known, remembered, target: target.clone(), refused: refused.clone() };
        client::connect_stream(Arc::new(config), stream, checker).await.map_err(|e| match refused.take() {
            Some(why) => NotConnected::HostKey(why),
            None => NotConnected::NotReached(format!("{}: {e}", shown(target))),
        })
    }

    async fn let_in(&self, mut handle: Handle<Checker>, hop: &Hop) -> Result<Handle<Checker>, NotConnected> {
        let Hop { target, auth } = hop;
        let user = target.user.as_str();
        let failed = |e: russh::Error| NotConnected::NotReached(format!("{}: {e}", shown(target)));
        let is_in = match auth {
            SshAuth::Password(password) => by_password(&mut handle, user, &password.0).await.map_err(failed)?,
            SshAuth::Key { key, passphrase, certificate } => {
                let passphrase = passphrase.as_ref().map(|passphrase| passphrase.0.as_str());
                let key = private_key(key, passphrase).await?;
                let certificate = certificate.as_deref().map(openssh_certificate).transpose()?;
                let asked = match certificate {
                    Some(certificate) => handle.authenticate_openssh_cert(user, key, certificate).await,
                    None => {
                        let hash = rsa_hash(&handle, key.public_key()).await.map_err(failed)?;
                        handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, hash)).await
                    }
                };
                asked.map_err(failed)?.success()
            }
            SshAuth::Agent => self.by_agent(&mut handle, target).await?,
        };
        match is_in {
            true => Ok(handle),
            false => Err(NotConnected::Auth(format!("{} does not let {user:?} in with that", shown(target)))),
        }
    }

    async fn by_agent(&self, handle: &mut Handle<Checker>, target: &Target) -> Result<bool, NotConnected> {
        let lacking = |why: String| NotConnected::Unusable(format!("the worker's agent: {why}"));
        let socket = self.agent.as_ref().ok_or_else(|| lacking("there is none".to_owned()))?;
        let mut agent = AgentClient::connect_uds(socket).await.map_err(|e| lacking(e.to_string()))?;
        let identities = agent.request_identities().await.map_err(|e| lacking(e.to_string()))?;
        if identities.is_empty() {
            return Err(lacking("it holds no key".to_owned()));
        }
        let failed = |e: &dyn std::fmt::Display| NotConnected::NotReached(format!("{}: {e}", shown(target)));
        for identity in identities.into_iter().take(AGENT_KEYS_MAX) {
            let user = target.user.as_str();
            let hash = rsa_hash(handle, &identity.public_key()).await.map_err(|e| failed(&e))?;
            let asked = match identity {
                AgentIdentity::PublicKey { key, .. } => {
                    handle.authenticate_publickey_with(user, key, hash, &mut agent).await
                }
                AgentIdentity::Certificate { certificate, .. } => {
                    handle.authenticate_certificate_with(user, certificate, hash, &mut agent).await
                }
            };
            if asked.map_err(|e| failed(&e))?.success() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A host as messages name it.
fn shown(target: &Target) -> String {
    match target.host.contains(':') {
        true => format!("[{}]:{}", target.host, target.port),
        false => format!("{}:{}", target.host, target.port),
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, NotConnected> {
    let failed = |e: io::Error| {
        let why = format!("{host}:{port}: {e}");
        match is_lack(&e) {
            true => NotConnected::Lacking(why),
            false => NotConnected::NotReached(why),
        }
    };
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    // What waits for a host that is gone would wait for as long as the system tries.
    #[cfg(target_os = "linux")]
    setsockopt(&stream.as_fd(), TcpUserTimeout, &UNACKNOWLEDGED_MS).map_err(|e| failed(e.into()))?;
    Ok(stream)
}

/// Whether it is this process, or its machine, that has no more of something.
fn is_lack(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].contains(&code))
}

/// Servers that ask for one thing, unseen, ask for the password.
async fn by_password(handle: &mut Handle<Checker>, user: &str, password: &str) -> Result<bool, russh::Error> {
    let remaining = match handle.authenticate_password(user, password).await? {
        AuthResult::Success => return Ok(true),
        AuthResult::Failure { remaining_methods, .. } => remaining_methods,
    };
    if !remaining.contains(&MethodKind::KeyboardInteractive) {
        return Ok(false);
    }
    let mut asked = handle.authenticate_keyboard_interactive_start(user, None::<String>).await?;
    let mut was_given = false;
    loop {
        let answers = match asked {
            KeyboardInteractiveAuthResponse::Success => return Ok(true),
            KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => match &prompts[..] {
                [] => Vec::new(),
                [prompt] if !prompt.echo && !was_given => {
                    was_given = true;
                    vec![password.to_owned()]
                }
                _ => return Ok(false),
            },
        };
        asked = handle.authenticate_keyboard_interactive_respond(answers).await?;
    }
}

/// How a server wants to have signed with a key of RSA.
async fn rsa_hash(handle: &Handle<Checker>, key: &PublicKey) -> Result<Option<HashAlg>, russh::Error> {
    match key.algorithm().is_rsa() {
        // Servers that do not say know SHA-2 all the same, but for very old ones.
        true => Ok(handle.best_supported_rsa_hash().await?.unwrap_or(Some(HashAlg::Sha256))),
        false => Ok(None),
    }
}

/// What is wrong with a key is not told in the library's words, which could hold a part of it.
async fn private_key(key: &KeySource, passphrase: Option<&str>) -> Result<Arc<PrivateKey>, NotConnected> {
    let (text, what) = match key {
        KeySource::Text(text) => (text.0.clone(), "the key".to_owned()),
        KeySource::File(path) => (read(Path::new(path), KEY_FILE_BYTES_MAX).await?, path.clone()),
    };
    let key = decode_secret_key(&text, passphrase).map_err(|e| {
        let why = match (&e, passphrase) {
            (russh::keys::Error::KeyIsEncrypted, None) => "needs its passphrase",
            (_, Some(_)) => "is no private key, or its passphrase does not open it",
            (_, None) => "is no private key, or needs a passphrase",
        };
        NotConnected::Unusable(format!("{what} {why}"))
    })?;
    Ok(Arc::new(key))
}

fn openssh_certificate(text: &str) -> Result<Certificate, NotConnected> {
    Certificate::from_openssh(text.trim()).map_err(|e| NotConnected::Unusable(format!("the certificate: {e}")))
}

/// A file of the worker, or of a pack.
pub(super) async fn read(path: &Path, bytes_max: u64) -> Result<String, NotConnected> {
    let failed = |e: io::Error| NotConnected::Unusable(format!("{}: {e}", path.display()));
    let bytes = tokio::fs::metadata(path).await.map_err(failed)?.len();
    if bytes > bytes_max {
        let why = format!("{} has {bytes} bytes, more than the limit of {bytes_max}", path.display());
        return Err(NotConnected::Unusable(why));
    }
    tokio::fs::read_to_string(path).await.map_err(failed)
}

/// Why a host's key was not believed.
#[derive(Debug, Clone, Default)]
struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// Looks at the key of a host: once it has shown that it holds it, and before it is told anything.
#[derive(Debug)]
pub(super) struct Checker {
    known: Known,
    /// Where hosts that nobody knows are believed.
    remembered: Option<Arc<Remembered>>,
    target: Target,
    refused: Refused,
}

impl client::Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            self.refused.set(format!("{} shows a certificate, which nobody asked for", self.target.name));
            return Ok(false);
        };
        let Target { host, port, .. } = &self.target;
        let knowledge = match &self.remembered {
            Some(remembered) => remembered.look(&self.known, host, *port, key),
            None => Ok(self.known.look(host, *port, key)),
        };
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        let why = match knowledge {
            Ok(Knowledge::Known) => return Ok(true),
            Ok(Knowledge::Unknown) => format!("nobody knows the key that it shows, {fingerprint}"),
            Ok(Knowledge::Other) => format!("it shows the key {fingerprint}, and is known by another one"),
            Ok(Knowledge::Revoked) => format!("it shows the key {fingerprint}, which is revoked"),
            Err(e) => format!("its key {fingerprint} cannot be remembered: {e}"),
        };
        self.refused.set(format!("{host}:{port}: {why}"));
        Ok(false)
    }
}
