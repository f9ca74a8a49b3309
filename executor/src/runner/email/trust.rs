//! TLS to a server of mail.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use petrel_execution::runner::MailServer;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::NotSent;
use super::session::Fault;
use crate::runner::http::is_lack;

/// Largest file of certificates, in bytes.
const CA_FILE_BYTES_MAX: u64 = 1 << 20;

/// Whom the server's certificate names.
pub(super) fn name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("{host:?} is no name that a certificate can have"))
}

/// What begins TLS, trusting whom the action names, or else whom the system trusts.
///
/// # Errors
/// One sentence.
pub(super) async fn connector(server: &MailServer, pack: Option<&Path>) -> Result<TlsConnector, NotSent> {
    let pem = match (&server.ca, &server.ca_file) {
        (Some(pem), _) => Some(pem.clone()),
        (None, Some(path)) => Some(read(path, pack).await?),
        (None, None) => None,
    };
    let roots = match pem {
        Some(pem) => Arc::new(named(&pem).map_err(NotSent::Impossible)?),
        None => tokio::task::spawn_blocking(system).await.map_err(|e| NotSent::Impossible(e.to_string()))?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        builder.map_err(|e| NotSent::Impossible(e.to_string()))?.with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn read(path: &str, pack: Option<&Path>) -> Result<String, NotSent> {
    let pack = pack.ok_or_else(|| NotSent::Impossible("its pack is not laid out".to_owned()))?;
    let wrong = |e: std::io::Error| match is_lack(&e) {
        true => NotSent::Fault(Fault::Lacking(format!("{path}: {e}"))),
        false => NotSent::Impossible(format!("{path}: {e}")),
    };
    let file = pack.join(path);
    let bytes = tokio::fs::metadata(&file).await.map_err(wrong)?.len();
    if bytes > CA_FILE_BYTES_MAX {
        let why = format!("{path} of {bytes} bytes is over the limit of {CA_FILE_BYTES_MAX}");
        return Err(NotSent::Impossible(why));
    }
    tokio::fs::read_to_string(&file).await.map_err(wrong)
}

fn named(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|e| format!("\"ca\": {e}"))?;
        roots.add(certificate).map_err(|e| format!("\"ca\": {e}"))?;
    }
    match roots.is_empty() {
        true => Err("\"ca\" holds no certificate in PEM".to_owned()),
        false => Ok(roots),
    }
}

/// Those that the system trusts, read once.
fn system() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    once(&ROOTS, || {
        let found = rustls_native_certs::load_native_certs();
        (found.certs, found.errors.is_empty())
    })
}

/// What is loaded, with whether that was all, is kept unless there was nothing for what went wrong: it may be there the
/// next time.
fn once(
    kept: &OnceLock<Arc<RootCertStore>>,
    load: impl FnOnce() -> (Vec<CertificateDer<'static>>, bool),
) -> Arc<RootCertStore> {
    if let Some(roots) = kept.get() {
        return roots.clone();
    }
    let (certificates, is_all) = load();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        tracing::warn!(is_all, "the system trusts no authority: mail is sent by TLS only where the action names one");
    }
    let is_to_keep = is_all || !roots.is_empty();
    let roots = Arc::new(roots);
    if is_to_keep { kept.get_or_init(|| roots).clone() } else { roots }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_roots_for_want_of_descriptors_are_no_roots_for_that_time_alone() {
        let kept = OnceLock::new();
        assert!(once(&kept, || (Vec::new(), false)).is_empty() && kept.get().is_none());
        assert!(once(&kept, || (Vec::new(), true)).is_empty() && kept.get().is_some());
        once(&kept, || panic!("it is kept"));
    }
}
