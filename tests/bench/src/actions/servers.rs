//! What actions talk to: a server of HTTP that tells when it has read a request, and one of OpenSSH.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use petrel_testkit::{free_port, poll_until};
use serde_json::{Value, json};

/// Answers every request with 200, and tells when it has read its head.
pub(crate) struct HttpServer {
    pub(crate) url: String,
    pub(crate) read: Receiver<SystemTime>,
}

impl HttpServer {
    pub(crate) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/", listener.local_addr()?);
        let (tell, read) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                // A connection that ends is no mistake.
                std::thread::spawn(move || answer(stream, &tell).ok());
            }
        });
        Ok(Self { url, read })
    }
}

fn answer(stream: TcpStream, tell: &Sender<SystemTime>) -> Result<()> {
    stream.set_nodelay(true)?;
    let lines = BufReader::new(stream.try_clone()?).lines();
    let mut stream = stream;
    for line in lines {
        if line?.is_empty() {
            tell.send(SystemTime::now())?;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    }
    Ok(())
}

/// A server of OpenSSH that lets in who measures.
pub(crate) struct Sshd {
    process: Child,
    dir: tempfile::TempDir,
    port: u16,
}

impl Sshd {
    const PROGRAM: &'static str = "/usr/sbin/sshd";

    pub(crate) fn start() -> Result<Self> {
        ensure!(Path::new(Self::PROGRAM).is_file(), "there is no {}: cargo xtask deps --openssh", Self::PROGRAM);
        let (dir, port) = (tempfile::tempdir()?, free_port());
        // It asks for this folder, which its package makes when the machine starts.
        let _ = std::fs::create_dir_all("/run/sshd");
        for key in ["id", "host_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.path().join(key)).stdin(Stdio::null());
            ensure!(keygen.status()?.success(), "ssh-keygen failed");
        }
        let at = dir.path().display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/id.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n"
        );
        std::fs::write(dir.path().join("config"), config)?;
        let mut sshd = Command::new(Self::PROGRAM);
        sshd.args(["-D", "-e", "-f"]).arg(dir.path().join("config"));
        let process = sshd.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { process, dir, port };
        let answers = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
        poll_until(Duration::from_secs(20), answers).context("sshd does not answer")?;
        Ok(server)
    }

    /// The keys of an action that runs a command there.
    pub(crate) fn action(&self, command: &[&str]) -> Result<Value> {
        let read = |name| std::fs::read_to_string(self.dir.path().join(name));
        let user = Command::new("id").arg("-un").output()?;
        let port = self.port;
        Ok(json!({
            "hosts": [format!("127.0.0.1:{port}")],
            "ssh": {
                "user": String::from_utf8_lossy(&user.stdout).trim(),
                "auth": { "key": read("id")? },
                "known_hosts": format!("[127.0.0.1]:{port} {}", read("host_key.pub")?),
            },
            "command": command,
        }))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
