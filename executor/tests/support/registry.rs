//! A registry of images with one image, of which it tells how often somebody asked.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::docker::{Docker, IMAGE};
use serde_json::{Value, json};

/// Name and tag of the image.
pub const NAME: &str = "ops/tools";
pub const TAG: &str = "1";
/// `petrel:abc`, as a header has it.
const CREDENTIALS: &str = "Basic cGV0cmVsOmFiYw==";

/// It ends with this process.
pub struct Registry {
    /// Registry and name.
    pub name: String,
    /// Digest of the image.
    pub digest: String,
    /// How often its manifest was asked for by whoever may.
    pub asked: Arc<AtomicUsize>,
}

/// What is told by its path, with its type.
type Files = HashMap<String, (String, Vec<u8>)>;

fn sha256(bytes: &[u8], folder: &Path) -> String {
    let file = folder.join("summed");
    std::fs::write(&file, bytes).unwrap();
    let output = Command::new("sha256sum").arg(&file).output().unwrap();
    format!("sha256:{}", String::from_utf8(output.stdout).unwrap().split_whitespace().next().unwrap())
}

/// The daemon's image, as a registry has it; the digest of its manifest.
fn image(docker: &Docker) -> (Files, String) {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("saved.tar");
    docker.ask(&["save", "--output", &saved.display().to_string(), IMAGE]);
    let unpacked = Command::new("tar").arg("xf").arg(&saved).arg("-C").arg(dir.path()).status().unwrap();
    assert!(unpacked.success());
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let index: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let mut files = Files::new();
    let mut blob = |name: &str, kind: &str| {
        let bytes = read(name);
        let digest = sha256(&bytes, dir.path());
        let entry = json!({"mediaType": kind, "size": bytes.len(), "digest": digest});
        files.insert(format!("/v2/{NAME}/blobs/{digest}"), ("application/octet-stream".to_owned(), bytes));
        entry
    };
    let config = blob(index[0]["Config"].as_str().unwrap(), "application/vnd.docker.container.image.v1+json");
    let layers = index[0]["Layers"].as_array().unwrap().iter();
    let layers = layers.map(|name| blob(name.as_str().unwrap(), "application/vnd.docker.image.rootfs.diff.tar.gzip"));
    let layers: Vec<Value> = layers.collect();
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}).to_string();
    let digest = sha256(manifest.as_bytes(), dir.path());
    for reference in [TAG, &digest] {
        let path = format!("/v2/{NAME}/manifests/{reference}");
        files.insert(path, (kind.to_owned(), manifest.clone().into_bytes()));
    }
    files.insert("/v2/".to_owned(), ("application/json".to_owned(), b"{}".to_vec()));
    (files, digest)
}

impl Registry {
    /// Starts it with the daemon's image.
    pub fn start(docker: &Docker) -> Self {
        let (files, digest) = image(docker);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = format!("127.0.0.1:{}/{NAME}", listener.local_addr().unwrap().port());
        let asked = Arc::new(AtomicUsize::new(0));
        let (files, counted, told) = (Arc::new(files), asked.clone(), digest.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (files, counted, digest) = (files.clone(), counted.clone(), told.clone());
                std::thread::spawn(move || answer(stream, &files, &digest, &counted));
            }
        });
        Self { name, digest, asked }
    }
}

/// One request, and the end of the connection.
fn answer(mut stream: TcpStream, files: &Files, digest: &str, asked: &AtomicUsize) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    // A client that tries TLS first says nothing that is a line of text, and goes on without it.
    let first = lines.next()?.ok()?;
    let mut may = false;
    for line in lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        may |= line
            .split_once(": ")
            .is_some_and(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == CREDENTIALS);
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    let head = match files.get(path) {
        _ if !may => {
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"petrel\"\r\nContent-Length: 0\r\n".to_owned()
        }
        None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n".to_owned(),
        Some((kind, bytes)) => {
            let mut head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len());
            if path.contains("/manifests/") {
                asked.fetch_add(1, Ordering::SeqCst);
                head.push_str(&format!("Docker-Content-Digest: {digest}\r\n"));
            }
            head
        }
    };
    let always = "Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(always.as_bytes()).ok()?;
    match files.get(path) {
        Some((_, bytes)) if may && method == "GET" => stream.write_all(bytes).ok(),
        _ => Some(()),
    }
}
