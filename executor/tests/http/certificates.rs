//! An authority, a server's certificate and a client's, made by OpenSSL's command line for one test.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub struct Certificates {
    directory: tempfile::TempDir,
}

impl Certificates {
    /// The server is `127.0.0.1` and `api.test`.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = ["req", "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"];
        openssl(dir, &[&authority[..], &new_key[..]].concat());
        for (name, extensions) in [
            ("server", "subjectAltName=IP:127.0.0.1,DNS:api.test\nextendedKeyUsage=serverAuth\n"),
            ("client", "extendedKeyUsage=clientAuth\n"),
        ] {
            let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
            let subject = format!("/CN={name}");
            openssl(dir, &[&["req", "-subj", &subject, "-keyout", &key, "-out", &csr][..], &new_key[..]].concat());
            std::fs::write(dir.join("extensions"), extensions).unwrap();
            let sign = ["x509", "-req", "-days", "2", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
            openssl(dir, &[&sign[..], &["-in", &csr, "-out", &pem, "-extfile", "extensions"][..]].concat());
        }
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The PEM of one of `ca.pem`, `client.pem`, `client.key`.
    pub fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.path().join(file)).unwrap()
    }

    /// What a server is; one that wants to know its clients takes none that has no certificate of the authority.
    pub fn server(&self, wants_clients: bool) -> ServerConfig {
        let read = |file: &str| CertificateDer::from_pem_file(self.path().join(file)).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path().join("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if wants_clients {
            let mut roots = RootCertStore::empty();
            roots.add(read("ca.pem")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        builder.with_single_cert(vec![read("server.pem")], key).unwrap()
    }
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output();
    let output = output.expect("this test needs the program openssl: install the package openssl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
