//! Which keys hosts may have: lines as `known_hosts` of OpenSSH has them, and those that were believed at first
//! sight.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyBase64, parse_public_key_base64};

/// Largest file of known hosts, in bytes.
pub(super) const KNOWN_BYTES_MAX: u64 = 4 << 20;

/// What is known of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    /// It is the host's.
    Known,
    /// Nothing is known of the host.
    Unknown,
    /// The host has another one.
    Other,
    /// Nobody may have it any more.
    Revoked,
}

/// Lines of known hosts.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<Line>);

#[derive(Debug)]
struct Line {
    revoked: bool,
    patterns: Vec<String>,
    key: PublicKey,
}

impl Known {
    /// Lines that say something else are passed over, as OpenSSH does: comments, certificates' authorities, kinds of
    /// keys that are not known here.
    pub(super) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Line::parse).collect())
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn look(&self, host: &str, port: u16, key: &PublicKey) -> Knowledge {
        let name = name(host, port);
        if self.0.iter().any(|line| line.revoked && line.key.key_data() == key.key_data()) {
            return Knowledge::Revoked;
        }
        let mut knowledge = Knowledge::Unknown;
        for line in self.0.iter().filter(|line| !line.revoked && line.is_of(&name)) {
            if line.key.key_data() == key.key_data() {
                return Knowledge::Known;
            }
            knowledge = Knowledge::Other;
        }
        knowledge
    }

    /// The kinds of keys that are known of a host: it is asked for one of these.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let name = name(host, port);
        let mut algorithms = Vec::new();
        for line in self.0.iter().filter(|line| !line.revoked && line.is_of(&name)) {
            let of_line = match line.key.algorithm() {
                Algorithm::Rsa { .. } => {
                    vec![Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }]
                }
                other => vec![other],
            };
            algorithms.extend(of_line);
        }
        algorithms
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next()?;
        let (revoked, hosts) = match first {
            "@revoked" => (true, words.next()?),
            _ if first.starts_with(['@', '#']) => return None,
            hosts => (false, hosts),
        };
        let (_, key) = (words.next()?, words.next()?);
        let key = parse_public_key_base64(key).ok()?;
        Some(Self { revoked, patterns: hosts.split(',').map(str::to_owned).collect(), key })
    }

    /// Whether one of its patterns has the name, and none that says that it is not meant.
    fn is_of(&self, name: &str) -> bool {
        let mut is_of = false;
        for pattern in &self.patterns {
            match pattern.strip_prefix('!') {
                Some(pattern) if matches(pattern, name) => return false,
                Some(_) => {}
                None => is_of |= matches(pattern, name),
            }
        }
        is_of
    }
}

/// A host as the lines name it.
fn name(host: &str, port: u16) -> String {
    if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("|1|") {
        Some(hashed) => is_hash_of(hashed, name).unwrap_or(false),
        None => is_like(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes()),
    }
}

/// `salt|hash` of a name that is not to be read.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    Some(hmac::verify(&key, name.as_bytes(), &hash).is_ok())
}

/// `*` is any characters, `?` one.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and from where on the name is its.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(byte) if *byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Keys that were believed at first sight, of this worker, over restarts where there is a file.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    file: Option<PathBuf>,
    lines: Mutex<Option<String>>,
}

impl Remembered {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, lines: Mutex::new(None) }
    }

    pub(super) fn known(&self) -> std::io::Result<Known> {
        self.with(|lines| Known::parse(lines))
    }

    /// Looks at a key, and believes the first one of a host of which nothing is known. Two that connect at the same
    /// time do not both come first.
    pub(super) fn look(&self, known: &Known, host: &str, port: u16, key: &PublicKey) -> std::io::Result<Knowledge> {
        let mut added = Ok(());
        let looked = self.with(|lines| {
            let looked = match known.look(host, port, key) {
                Knowledge::Unknown => Known::parse(lines).look(host, port, key),
                other => other,
            };
            if looked != Knowledge::Unknown {
                return looked;
            }
            let line = format!("{} {} {}\n", name(host, port), key.algorithm(), key.public_key_base64());
            added = self.add(&line);
            if added.is_ok() {
                lines.push_str(&line);
            }
            Knowledge::Known
        })?;
        added.map(|()| looked)
    }

    fn with<T>(&self, look: impl FnOnce(&mut String) -> T) -> std::io::Result<T> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_none() {
            *lines = Some(match &self.file {
                Some(file) => match std::fs::read_to_string(file) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                    read => read?,
                },
                None => String::new(),
            });
        }
        Ok(look(lines.get_or_insert_default()))
    }

    fn add(&self, line: &str) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIN+Wjn4+4Fcvl2JlKpggT+wCRxpSvtqqpVrQrKN1/A22";

    fn key(text: &str) -> PublicKey {
        parse_public_key_base64(text).unwrap()
    }

    #[test]
    fn hosts_are_found_by_name_pattern_and_hash() {
        let look = |lines: &str, host: &str, port| Known::parse(lines).look(host, port, &key(KEY));
        let line = |hosts: &str| format!("# known\n\n{hosts} ssh-ed25519 {KEY} a comment\n");
        // `ssh-keygen -H` of db-1, with a salt of twenty zeros.
        let zeros = STANDARD.encode([0; 20]);
        let hash = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[0; 20]), b"db-1");
        let hashed = format!("|1|{zeros}|{}", STANDARD.encode(hash));
        for (hosts, host, port, expected) in [
            ("db-1", "db-1", 22, Knowledge::Known),
            ("DB-1,10.0.0.1", "db-1", 22, Knowledge::Known),
            ("db-1", "db-1", 2222, Knowledge::Unknown),
            ("[db-1]:2222", "db-1", 2222, Knowledge::Known),
            ("[db-1]:2222", "db-1", 22, Knowledge::Unknown),
            ("db-*", "db-1", 22, Knowledge::Known),
            ("*.example.com", "db-1.example.com", 22, Knowledge::Known),
            ("db-?", "db-12", 22, Knowledge::Unknown),
            ("*,!db-1", "db-1", 22, Knowledge::Unknown),
            ("*", "db-1", 2222, Knowledge::Known),
            (&hashed, "db-1", 22, Knowledge::Known),
            (&hashed, "db-2", 22, Knowledge::Unknown),
            ("@revoked *", "db-1", 22, Knowledge::Revoked),
            ("@cert-authority *", "db-1", 22, Knowledge::Unknown),
        ] {
            assert_eq!(look(&line(hosts), host, port), expected, "{hosts} {host} {port}");
        }
        let other = format!("db-1 ssh-ed25519 {OTHER}\n");
        assert_eq!(look(&other, "db-1", 22), Knowledge::Other);
        assert_eq!(look(&(other + &line("db-1")), "db-1", 22), Knowledge::Known, "a host may have several");
        assert_eq!(look("db-1 ssh-ed25519 nonsense\ndb-1\n", "db-1", 22), Knowledge::Unknown);
        assert_eq!(Known::parse(&line("db-1")).algorithms("db-1", 22), [Algorithm::Ed25519]);
        assert_eq!(Known::parse(&line("db-1")).algorithms("db-2", 22), []);
    }

    #[test]
    fn who_is_believed_at_first_sight_is_known_from_then_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known_hosts");
        for _ in 0..2 {
            let remembered = Remembered::new(Some(file.clone()));
            let look = |text: &str| remembered.look(&Known::default(), "db-1", 2222, &key(text)).unwrap();
            assert_eq!((look(KEY), look(OTHER), look(KEY)), (Knowledge::Known, Knowledge::Other, Knowledge::Known));
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("[db-1]:2222 ssh-ed25519 {KEY}\n"));
        // What is known otherwise is not asked about.
        let known = Known::parse(&format!("[db-3]:22 ssh-ed25519 {KEY}\ndb-3 ssh-ed25519 {OTHER}\n"));
        let remembered = Remembered::new(None);
        assert_eq!(remembered.look(&known, "db-3", 22, &key(KEY)).unwrap(), Knowledge::Other);
        assert_eq!(remembered.known().unwrap().0.len(), 0);
        // A file that cannot be written believes nobody.
        let remembered = Remembered::new(Some(dir.path().join("no/such/folder")));
        assert!(remembered.look(&Known::default(), "db-1", 22, &key(KEY)).is_err());
    }
}
