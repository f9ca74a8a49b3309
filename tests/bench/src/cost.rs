//! What a phase costs: wall time, this process's CPU time, and that of everybody else.

use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Kernel ticks of `/proc/stat` per second.
const TICKS_PER_S: f64 = 100.0;

/// The meters at one instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meters {
    at: Instant,
    user_s: f64,
    system_s: f64,
    /// Busy time of all processors of the machine.
    machine_s: f64,
}

/// What lies between two readings, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub wall_s: f64,
    /// CPU time of this process, all its threads.
    pub user_s: f64,
    pub system_s: f64,
    /// CPU time of everything else on the machine: of the broker, above all.
    pub others_s: f64,
}

impl Meters {
    pub(crate) fn read() -> Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF).context("cannot read the CPU time of this process")?;
        Ok(Self {
            at: Instant::now(),
            user_s: seconds(usage.user_time()),
            system_s: seconds(usage.system_time()),
            machine_s: machine_busy_s()?,
        })
    }

    pub(crate) fn until(&self, later: &Self) -> Cost {
        let (user_s, system_s) = (later.user_s - self.user_s, later.system_s - self.system_s);
        let machine_s = later.machine_s - self.machine_s;
        // The two are counted in different steps.
        let others_s = (machine_s - user_s - system_s).max(0.0);
        Cost { wall_s: (later.at - self.at).as_secs_f64(), user_s, system_s, others_s }
    }
}

impl Cost {
    pub(crate) fn cpu_s(&self) -> f64 {
        self.user_s + self.system_s
    }
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn machine_busy_s() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let busy = ticks.iter().enumerate().filter(|(at, _)| ![3, 4].contains(at)).take(6).map(|(_, t)| t).sum::<f64>();
    Ok(busy / TICKS_PER_S)
}
