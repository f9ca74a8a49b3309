//! Servers of OpenSSH on this machine, each with a key, a port and a process of its own.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SSHD: &str = "/usr/sbin/sshd";

/// What `xtask deps` brings; where it is missing a test must not pass.
fn check_sshd() {
    let hint = "run `cargo xtask deps --openssh`, or install OpenSSH and sudo (Debian: apt install openssh-server openssh-client sudo)";
    for program in [SSHD, "/usr/bin/sudo", "/usr/bin/ssh-agent"] {
        assert!(Path::new(program).is_file(), "there is no {program}: {hint}");
    }
    // It asks for this folder, which its package makes when the machine starts.
    let _ = std::fs::create_dir_all("/run/sshd");
}

/// Who these tests are run by is let in.
pub fn user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    USER.get_or_init(|| {
        let output = Command::new("id").arg("-un").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}

/// Keys of users and of authorities, and the servers that believe them.
pub struct Servers {
    dir: tempfile::TempDir,
    pub hosts: Vec<Sshd>,
}

/// A server.
pub struct Sshd {
    process: Child,
    pub port: u16,
    dir: PathBuf,
}

impl Servers {
    /// So many.
    pub fn start(count: usize) -> Self {
        check_sshd();
        let dir = tempfile::tempdir().unwrap();
        for key in ["id", "stranger", "ca", "signed"] {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", key], &dir.path().join(key));
        }
        keygen(&["-q", "-t", "ed25519", "-N", "open sesame", "-C", "locked"], &dir.path().join("locked"));
        keygen(&["-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "rsa"], &dir.path().join("rsa"));
        // One of 256 has a number that begins with a zero, and the library does not read those (docs/adr/0025).
        loop {
            keygen(&["-q", "-t", "ecdsa", "-N", "", "-C", "ecdsa"], &dir.path().join("ecdsa"));
            if russh::keys::load_secret_key(dir.path().join("ecdsa"), None).is_ok() {
                break;
            }
            std::fs::remove_file(dir.path().join("ecdsa")).unwrap();
        }
        let status = Command::new("ssh-keygen")
            .args(["-q", "-I", "test", "-n", user(), "-V", "+1h", "-s"])
            .args([dir.path().join("ca"), dir.path().join("signed.pub")])
            .status()
            .unwrap();
        assert!(status.success(), "a key is signed");
        let authorized: String =
            ["id", "locked", "rsa", "ecdsa"].map(|key| read(dir.path(), &format!("{key}.pub"))).concat();
        std::fs::write(dir.path().join("authorized_keys"), authorized).unwrap();
        let hosts = (0..count).map(|n| Sshd::start(dir.path(), &format!("host{n}"), "ed25519", free_port())).collect();
        Self { dir, hosts }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What a file holds.
    pub fn text(&self, name: &str) -> String {
        read(self.dir.path(), name)
    }

    /// One more, with a key of that kind.
    pub fn one_more(&self, name: &str, kind: &str) -> Sshd {
        Sshd::start(self.dir.path(), name, kind, free_port())
    }

    pub fn names(&self) -> Vec<String> {
        self.hosts.iter().map(Sshd::name).collect()
    }

    /// Lines of known hosts for all of them.
    pub fn known_hosts(&self) -> String {
        self.hosts.iter().map(Sshd::known_hosts).collect()
    }

    /// `ssh:` of an action that is let in.
    pub fn ssh(&self) -> Value {
        json!({ "user": user(), "auth": { "key": self.text("id") }, "known_hosts": self.known_hosts() })
    }
}

impl Sshd {
    fn start(dir: &Path, name: &str, kind: &str, port: u16) -> Self {
        let own = dir.join(name);
        std::fs::create_dir(&own).unwrap();
        keygen(&["-q", "-t", kind, "-N", ""], &own.join("host_key"));
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {own}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
             TrustedUserCAKeys {dir}/ca.pub\nStrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\n\
             PermitRootLogin yes\nLogLevel VERBOSE\nMaxStartups 200\n",
            own = own.display(),
            dir = dir.display()
        );
        std::fs::write(own.join("config"), config).unwrap();
        let process = Self::spawn(&own);
        let server = Self { process, port, dir: own };
        server.wait();
        server
    }

    fn spawn(dir: &Path) -> Child {
        let log = std::fs::File::create(dir.join("log")).unwrap();
        Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(dir.join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn wait(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < until, "the server does not answer: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// As an action names it.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn known_hosts(&self) -> String {
        let key = read(&self.dir, "host_key.pub");
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    pub fn log(&self) -> String {
        read(&self.dir, "log")
    }

    /// How often somebody was let in.
    pub fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Accepted ") && line.contains(" from ")).count()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it, and the connections that it has.
    pub fn stop(&mut self) {
        for pid in tree(self.process.id()).into_iter().rev() {
            kill("-KILL", pid);
        }
        let _ = self.process.wait();
    }

    /// At the same port, with the same key.
    pub fn start_again(&mut self) {
        self.process = Self::spawn(&self.dir);
        self.wait();
    }

    /// Stops it, and its connections, as a machine that hangs.
    pub fn freeze(&self) {
        tree(self.process.id()).into_iter().for_each(|pid| kill("-STOP", pid));
    }

    pub fn thaw(&self) {
        tree(self.process.id()).into_iter().for_each(|pid| kill("-CONT", pid));
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn keygen(arguments: &[&str], file: &Path) {
    let status = Command::new("ssh-keygen").args(arguments).arg("-f").arg(file).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "ssh-keygen {arguments:?}");
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

pub fn kill(signal: &str, pid: u32) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// A process and all that it started.
pub fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = processes()
        .filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // Behind the name, which may hold anything: its state, and its parent.
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let one = found[at];
        found.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

pub fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Processes that have this variable, and still run.
pub fn marked(variable: &str) -> Vec<u32> {
    let has_it = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
    };
    processes().filter(has_it).collect()
}
