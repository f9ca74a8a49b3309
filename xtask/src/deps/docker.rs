//! Docker's daemon and a busybox to make an image of, which the tests of the runner `container` use, by the system's own
//! packages: a daemon of containers is nothing that runs from a folder of ours alone.

use std::process::Command;

use anyhow::{Result, bail, ensure};
use petrel_testkit::{dev_dir, program_exists};

use crate::fetch::fetch;

const PROGRAMS: [&str; 5] = ["dockerd", "docker", "containerd", "runc", "busybox"];
const HINT: &str = "Docker's daemon and busybox-static (Debian: apt install docker.io busybox-static)";

/// Installs it where that can be done without asking anybody, and says what to install where not. The tests start a daemon
/// of their own; none of the system's is started.
pub(crate) fn fetch_docker() -> Result<()> {
    if is_there() {
        return Ok(());
    }
    if !is_root() || !program_exists("apt-get") {
        bail!("this machine lacks {HINT}");
    }
    let dir = dev_dir().join("docker");
    std::fs::create_dir_all(&dir)?;
    let mut apt = Command::new("sh");
    apt.args(["-c", "apt-get update && apt-get install --yes --no-install-recommends docker.io busybox-static"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    fetch("Docker", &mut apt, &dir.join("apt.log"), &dir)?;
    ensure!(is_there(), "apt-get succeeded, but one of {} is missing", PROGRAMS.join(", "));
    Ok(())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_there() -> bool {
    PROGRAMS.iter().all(|program| program_exists(program))
}
