//! Clients of the library: connections are kept for the next attempt that asks the same way.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use petrel_execution::runner::{HttpCall, Proxy, Tls};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tracing::warn;

use super::super::limited::Leave;
use super::exchange::NoAnswer;
use super::lookup::{Guarded, Look, Resolver};

/// Most ways of asking whose connections are kept.
const CLIENTS_MAX: usize = 32;
/// Connections to one host that are kept while nobody uses them.
const IDLE_MAX: usize = 8;
/// How long a connection is kept while nobody uses it.
const IDLE: Duration = Duration::from_secs(30);
/// Longest wait for a connection; the next address of the host is tried then.
const CONNECT: Duration = Duration::from_secs(10);
/// Largest file of certificates, in bytes.
const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// Clients by what they trust, as whom they speak and by way of whom.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<Vec<(Way, Client)>>);

/// How a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    tls: Tls,
    proxy: Option<Proxy>,
    /// How the addresses are looked at to which it connects: what is kept open passed no other look.
    look: Look,
}

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// The server that the action names.
    Named,
    /// Another one that it names, for a token: it is shown the client's certificate, too, and has to show its own.
    Tokens,
    /// One to which a redirect leads: it is shown nothing, and has to show who it is.
    Other,
}

/// The clients for the requests of one call.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    clients: &'a Clients,
    pub(super) guarded: &'a Guarded,
    tls: Tls,
    pub(super) proxy: Option<Proxy>,
    proxy_look: Option<Look>,
    /// For how long anything may be sent.
    pub(super) leave: Leave,
}

impl Ways<'_> {
    pub(super) fn is_proxied(&self) -> bool {
        self.proxy.is_some()
    }

    /// Whom it believes, and as whom it speaks.
    pub(super) fn tls(&self, whom: Whom) -> Tls {
        let mut tls = self.tls.clone();
        match whom {
            Whom::Named => {}
            Whom::Tokens => tls.verify = true,
            Whom::Other => (tls.identity, tls.verify) = (None, true),
        }
        tls
    }

    /// The client for a request that is looked at so.
    pub(super) async fn client(&self, whom: Whom, look: Look) -> Result<Client, NoAnswer> {
        // It connects to the proxy, where there is one, and to nothing else.
        let look = self.proxy_look.unwrap_or(look);
        self.clients.of(Way { tls: self.tls(whom), proxy: self.proxy.clone(), look }, self.guarded).await
    }
}

impl Clients {
    /// Those for a call, whose proxy is looked at so.
    pub(super) async fn ways<'a>(
        &'a self,
        call: &HttpCall,
        proxy_look: Option<Look>,
        pack: Option<&Path>,
        guarded: &'a Guarded,
        leave: Leave,
    ) -> Result<Ways<'a>, NoAnswer> {
        let mut tls = call.tls.clone();
        if let Some(path) = tls.ca_file.take() {
            tls.ca = Some(ca_file(&path, pack).await?);
        }
        Ok(Ways { clients: self, guarded, tls, proxy: call.proxy.clone(), proxy_look, leave })
    }

    async fn of(&self, way: Way, guarded: &Guarded) -> Result<Client, NoAnswer> {
        if let Some(client) = self.kept(&way) {
            return Ok(client);
        }
        let (asked, guarded) = (way.clone(), guarded.clone());
        // The system's certificates are files.
        let built = tokio::task::spawn_blocking(move || build(&asked, guarded)).await;
        let client = built.map_err(|e| lacking(e.to_string()))??;
        self.keep(way, client.clone());
        Ok(client)
    }

    fn kept(&self, way: &Way) -> Option<Client> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = clients.iter().position(|(kept, _)| kept == way)?;
        // The last one is the one that was used last.
        let found = clients.remove(at);
        let client = found.1.clone();
        clients.push(found);
        Some(client)
    }

    fn keep(&self, way: Way, client: Client) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() == CLIENTS_MAX {
            clients.remove(0);
        }
        clients.push((way, client));
    }
}

fn lacking(why: String) -> NoAnswer {
    NoAnswer::Lacking { why, may_have_arrived: false }
}

async fn ca_file(path: &str, pack: Option<&Path>) -> Result<String, NoAnswer> {
    let pack = pack.ok_or_else(|| NoAnswer::Impossible("its pack is not laid out".to_owned()))?;
    let file = pack.join(path);
    let wrong = |e: std::io::Error| NoAnswer::of_io(path, &e);
    let bytes = tokio::fs::metadata(&file).await.map_err(wrong)?.len();
    if bytes > CA_FILE_BYTES_MAX {
        let why = format!("{path} has {bytes} bytes, more than the limit of {CA_FILE_BYTES_MAX}");
        return Err(NoAnswer::Impossible(why));
    }
    tokio::fs::read_to_string(&file).await.map_err(wrong)
}

fn build(way: &Way, guarded: Guarded) -> Result<Client, NoAnswer> {
    // An error says that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asking = |guarded: Guarded| builder(way, guarded).map_err(NoAnswer::Impossible);
    match asking(guarded.clone())?.build() {
        Ok(client) => Ok(client),
        // There are no authorities on this machine: what needs none is sent, and nobody else is trusted.
        Err(error) if way.tls.ca.is_none() && way.tls.verify => {
            let client = asking(guarded)?.tls_certs_only([]).build().map_err(|e| lacking(chain(&e)))?;
            warn!("requests by https are not sent unless their action names whom to trust: {}", chain(&error));
            Ok(client)
        }
        Err(error) => Err(lacking(chain(&error))),
    }
}

/// What is wrong with it is so for every worker.
fn builder(way: &Way, guarded: Guarded) -> Result<ClientBuilder, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("petrel/", env!("CARGO_PKG_VERSION")))
        // What the environment says is of this process, not of its actions.
        .no_proxy()
        // Each redirect is looked at by ourselves, and so is when something is sent again.
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .dns_resolver(Resolver { guarded, look: way.look })
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_MAX);
    let Way { tls, proxy, .. } = way;
    if let Some(pem) = &tls.ca {
        let certificates =
            Certificate::from_pem_bundle(pem.as_bytes()).map_err(|e| format!("\"ca\": {}", chain(&e)))?;
        if certificates.is_empty() {
            return Err("\"ca\" holds no certificate in PEM".to_owned());
        }
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((certificate, key)) = &tls.identity {
        let pem = format!("{}\n{certificate}", key.0);
        let identity = Identity::from_pem(pem.as_bytes());
        // What the library says could hold a part of the key.
        let identity = identity.map_err(|_| "\"certificate\" and \"key\" are no certificate and key in PEM")?;
        builder = builder.identity(identity);
    }
    if !tls.verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(proxy) = proxy {
        let mut through = reqwest::Proxy::all(&proxy.url).map_err(|e| format!("the proxy: {}", chain(&e)))?;
        if let Some((username, password)) = &proxy.credentials {
            through = through.basic_auth(username, &password.0);
        }
        builder = builder.proxy(through);
    }
    Ok(builder)
}

/// What went wrong, and why, without the URL, whose query may hold what is secret.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.to_string();
        let said = said.split(" for url (").next().unwrap_or_default();
        if !text.contains(said) {
            text = if text.is_empty() { said.to_owned() } else { format!("{text}: {said}") };
        }
        next = error.source();
    }
    text
}
