//! A server of OpenSSH that lets who runs this test in.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use petrel_testkit::{free_port, poll_until};

use super::SOON;

pub struct Sshd {
    process: Child,
    port: u16,
    dir: PathBuf,
}

impl Sshd {
    pub fn start(dir: &Path) -> Result<Self> {
        let dir = dir.join("sshd");
        std::fs::create_dir(&dir)?;
        let _ = std::fs::create_dir_all("/run/sshd");
        for key in ["id", "host_key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            ensure!(made.context("`cargo xtask deps --openssh` brings it")?.success(), "no key {key} was made");
        }
        let (port, at) = (free_port(), dir.display());
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/id.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nMaxSessions 100\n"
        );
        std::fs::write(dir.join("config"), config)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let mut sshd = Command::new("/usr/sbin/sshd");
        let process = sshd.args(["-D", "-e", "-f"]).arg(dir.join("config")).stdin(Stdio::null()).stderr(log).spawn()?;
        let server = Self { process, port, dir };
        let answers = || TcpStream::connect(("127.0.0.1", port)).ok();
        ensure!(poll_until(SOON, answers).is_some(), "sshd does not answer");
        Ok(server)
    }

    /// Keys of an action that is let in.
    pub fn keys(&self) -> Result<String> {
        let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
        let key = std::fs::read_to_string(self.dir.join("host_key.pub"))?;
        let known = format!("[127.0.0.1]:{} {}", self.port, key.trim());
        let file = self.dir.join("id");
        Ok(format!(
            "hosts: [\"127.0.0.1:{}\"]\nssh: {{ user: {}, auth: {{ key_file: \"{}\" }}, known_hosts: \"{known}\" }}\n",
            self.port,
            user.trim(),
            file.display()
        ))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
