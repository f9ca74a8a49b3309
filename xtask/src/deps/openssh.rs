//! OpenSSH's server and sudo, which the tests of the runner `ssh` use, by the system's own packages: it is nothing that runs from
//! a folder of ours, for it asks for a user and a folder of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail, ensure};
use petrel_testkit::{dev_dir, program_exists};

use crate::fetch::fetch;

const SSHD: &str = "/usr/sbin/sshd";
const HINT: &str = "OpenSSH and sudo (Debian: apt install openssh-server openssh-client sudo)";

/// Installs it where that can be done without asking anybody, and says what to install where not.
pub(crate) fn fetch_openssh() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    if !is_root() || !program_exists("apt-get") {
        bail!("this machine lacks {HINT}");
    }
    let dir = dev_dir().join("openssh");
    std::fs::create_dir_all(&dir)?;
    let mut apt = Command::new("sh");
    apt.args([
        "-c",
        "apt-get update && apt-get install --yes --no-install-recommends openssh-server openssh-client sudo",
    ]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    fetch("OpenSSH", &mut apt, &dir.join("apt.log"), &dir)?;
    ensure!(is_there(), "apt-get succeeded, but there is no {SSHD}");
    Ok(())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_there() -> bool {
    Path::new(SSHD).is_file() && program_exists("ssh-keygen") && program_exists("ssh-agent") && program_exists("sudo")
}
