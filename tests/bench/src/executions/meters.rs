//! Memory and CPU time of processes, as the kernel tells them.

use std::path::Path;

use anyhow::{Context, Result};

/// Kernel ticks per second.
const TICKS_PER_S: f64 = 100.0;

/// Memory of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub resident: f64,
    /// The most that was resident since [`Memory::forget_peak`], or since the start.
    pub peak: f64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process has gone")?;
        let field = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
        };
        Ok(Self {
            resident: field("VmRSS:").context("no resident size")?,
            peak: field("VmHWM:").context("no peak of the resident size")?,
        })
    }

    /// From now on the peak counts anew.
    pub(crate) fn forget_peak(pid: u32) -> Result<()> {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak cannot be forgotten")
    }
}

/// CPU time that processes have used, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// The server.
    pub server_s: f64,
    /// Its children: the embedded engine.
    pub engine_s: f64,
    /// The whole machine.
    pub machine_s: f64,
}

impl Used {
    pub(crate) fn until_now(server: u32) -> Result<Self> {
        let engine_s = children(server)?.into_iter().filter_map(cpu_s).sum();
        let server_s = cpu_s(server).context("the server has gone")?;
        Ok(Self { server_s, engine_s, machine_s: machine_s()? })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            server_s: self.server_s - before.server_s,
            engine_s: self.engine_s - before.engine_s,
            machine_s: self.machine_s - before.machine_s,
        }
    }
}

fn cpu_s(pid: u32) -> Option<f64> {
    let fields = stat(Path::new(&format!("/proc/{pid}/stat")))?;
    // Behind the name: state is the first, user and system time the 12th and 13th.
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_S)
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list processes")? {
        let entry = entry.context("cannot list processes")?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let of = stat(&entry.path().join("stat")).and_then(|fields| fields.get(1)?.parse::<u32>().ok());
        if of == Some(parent) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// The fields behind a process's name, which may hold blanks.
fn stat(file: &Path) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}

fn machine_s() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq
    let busy: f64 = ticks.iter().take(7).enumerate().filter(|(at, _)| ![3, 4].contains(at)).map(|(_, t)| t).sum();
    Ok(busy / TICKS_PER_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_measured() {
        let own = std::process::id();
        let began = Used::until_now(own).unwrap();
        let block = vec![1_u8; 64 << 20];
        let sum: u64 = (0..30).map(|_| block.iter().map(|byte| u64::from(*byte)).sum::<u64>()).sum();
        assert_eq!(sum, 30 * (64 << 20));
        let memory = Memory::of(own).unwrap();
        assert!(memory.resident > 64.0 && memory.peak >= memory.resident, "{memory:?}");
        assert!(Used::until_now(own).unwrap().since(began).server_s > 0.0);
    }

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        assert!(children(std::process::id()).unwrap().contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
