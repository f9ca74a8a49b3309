//! A stand-in for a host: a server of SSH on loopback, for one key, that runs what it is told as this user, with the
//! demo's `systemctl` and `journalctl` before the machine's own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Server, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::services::INSTANCE;
use crate::demo::narrator::Narrator;
use crate::demo::random;

/// Who may come.
pub const USER: &str = "petrel";
/// Number of the stream of errors.
const STDERR: u32 = 1;

/// The keys of both ends.
pub struct Keys {
    host: PrivateKey,
    user: PrivateKey,
}

impl Keys {
    /// New ones.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self { host: new_key()?, user: new_key()? })
    }

    /// The line of `known_hosts` of the server at that port.
    ///
    /// # Errors
    /// If the key cannot be written as a text.
    pub fn known_hosts(&self, port: u16) -> anyhow::Result<String> {
        Ok(format!("[127.0.0.1]:{port} {}", self.host.public_key().to_openssh()?))
    }

    /// The private key of who may come.
    ///
    /// # Errors
    /// If the key cannot be written as a text.
    pub fn user_key(&self) -> anyhow::Result<String> {
        Ok(self.user.to_openssh(LineEnding::LF)?.to_string())
    }
}

fn new_key() -> anyhow::Result<PrivateKey> {
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&random()?)))
}

/// The host.
#[derive(Clone)]
pub struct Host {
    narrator: Arc<Narrator>,
    user_key: Arc<PublicKey>,
    /// Its programs.
    programs: PathBuf,
}

impl Host {
    /// A host whose own programs are in that folder.
    pub fn new(narrator: Arc<Narrator>, keys: &Keys, programs: PathBuf) -> Self {
        Self { narrator, user_key: Arc::new(keys.user.public_key().clone()), programs }
    }

    /// Serves until it is dropped.
    pub async fn serve(mut self, keys: Keys, socket: TcpListener) {
        let config = Config {
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            auth_rejection_time: Duration::ZERO,
            keys: vec![keys.host],
            nodelay: true,
            ..Config::default()
        };
        let serving = self.clone().narrator;
        if let Err(error) = self.run_on_socket(Arc::new(config), &socket).await {
            serving.say(&format!("the host cannot be reached any more: {error}"));
        }
    }
}

impl Server for Host {
    type Handler = Guest;

    fn new_client(&mut self, _: Option<std::net::SocketAddr>) -> Guest {
        Guest { host: self.clone(), channels: HashMap::new() }
    }
}

/// Who has come.
pub struct Guest {
    host: Host,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: &PublicKey) -> Result<Auth, Self::Error> {
        let is_known = user == USER && key.key_data() == self.host.user_key.key_data();
        Ok(if is_known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let started = self.channels.remove(&id).map(|channel| (channel, self.host.start(command)));
        let Some((channel, Ok(child))) = started else { return session.channel_failure(id) };
        self.host.narrator.say(&format!("{INSTANCE}: {USER} has come by SSH and runs a command"));
        session.channel_success(id)?;
        tokio::spawn(run(child, channel, session.handle()));
        Ok(())
    }
}

impl Host {
    fn start(&self, command: &[u8]) -> std::io::Result<tokio::process::Child> {
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        tokio::process::Command::new("/bin/sh")
            .arg("-c")
            .arg(String::from_utf8_lossy(command).into_owned())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("HOME", &self.programs)
            .env("USER", USER)
            .current_dir(&self.programs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }
}

/// Both ways at once, until the command has ended; its input ends when the guest goes.
async fn run(mut child: tokio::process::Child, channel: Channel<Msg>, handle: Handle) {
    let id = channel.id();
    let (mut read, write) = channel.split();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            let _ = tokio::io::copy(&mut read.make_reader(), &mut stdin).await;
            let _ = stdin.shutdown().await;
        }
    });
    let out = async {
        if let Some(mut stdout) = stdout {
            let _ = tokio::io::copy(&mut stdout, &mut write.make_writer()).await;
        }
    };
    let errors = async {
        if let Some(mut stderr) = stderr {
            let _ = tokio::io::copy(&mut stderr, &mut write.make_writer_ext(Some(STDERR))).await;
        }
    };
    let ((), (), ended) = tokio::join!(out, errors, child.wait());
    input.abort();
    let code = ended.ok().and_then(|status| status.code()).and_then(|code| u32::try_from(code).ok());
    // Whoever has gone does not hear it.
    let _ = handle.exit_status_request(id, code.unwrap_or(255)).await;
    let _ = handle.eof(id).await;
    let _ = handle.close(id).await;
}
