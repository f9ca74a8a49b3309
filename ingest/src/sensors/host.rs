//! The built-in `host` sensor: load, memory, disks and processes of the machine it runs on.

use std::path::Path;

use serde::Serialize;
use sysinfo::{Disk, DiskRefreshKind, Disks, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// Name of the sensor, as triggers write it.
pub const NAME: &str = "host";

/// One look at the machine: the payload of an event, as the catalog's built-in schema describes it. A
/// figure that this system does not give is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostSample {
    /// Name of the machine.
    pub host: String,
    /// Number of this sample since the process began, from 1.
    pub sample: u64,
    /// Load average over one minute.
    pub load1: f64,
    /// Load average over five minutes.
    pub load5: f64,
    /// Load average over fifteen minutes.
    pub load15: f64,
    /// Logical processors.
    pub cpu_count: usize,
    /// Memory of the machine, in bytes.
    pub memory_total_bytes: u64,
    /// Memory in use, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_pct: Option<f64>,
    /// Where the fullest writable disk is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_mount: Option<String>,
    /// How full that disk is, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used_pct: Option<f64>,
    /// Running processes.
    pub process_count: usize,
    /// Time since the machine started, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_s: Option<u64>,
}

/// Reads the machine.
#[derive(Debug)]
pub struct HostProbe {
    system: System,
    disks: Disks,
    host: String,
}

impl HostProbe {
    /// A probe of this machine.
    ///
    /// # Errors
    /// A system that the library does not know.
    pub fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
        let host = System::host_name().unwrap_or_else(|_| "unknown".to_owned());
        Ok(Self { system, disks: Disks::new()?, host })
    }

    /// Takes a sample; a few milliseconds on a machine with a few hundred processes.
    pub fn sample(&mut self, sample: u64) -> HostSample {
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        // Threads would be listed as processes.
        let kind = ProcessRefreshKind::nothing().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        let load = System::load_average().ok();
        let load = |pick: fn(&sysinfo::LoadAvg) -> f64| load.as_ref().map_or(0.0, |load| finite(pick(load)));
        let fullest = fullest(&self.disks);
        HostSample {
            host: self.host.clone(),
            sample,
            load1: load(|l| l.one),
            load5: load(|l| l.five),
            load15: load(|l| l.fifteen),
            cpu_count: self.system.cpus().len().max(1),
            memory_total_bytes: self.system.total_memory(),
            memory_used_pct: percent(self.system.used_memory(), self.system.total_memory()),
            disk_mount: fullest.as_ref().map(|(mount, _)| mount.clone()),
            disk_used_pct: fullest.map(|(_, used_pct)| used_pct),
            process_count: self.system.processes().len(),
            uptime_s: System::uptime().ok(),
        }
    }
}

/// The fullest disk that can be written to: images mounted read-only are always full.
fn fullest(disks: &[Disk]) -> Option<(String, f64)> {
    let used = |disk: &Disk| {
        let mount = disk.mount_point();
        used_pct(mount).map(|pct| (mount.display().to_string(), pct))
    };
    disks.iter().filter(|disk| !disk.is_read_only()).filter_map(used).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// How full a file system is, as `df` says it: of what can be used, without what is reserved. The
/// library's two figures, total and available, cannot tell reserved from used.
fn used_pct(mount: &Path) -> Option<f64> {
    let stat = nix::sys::statvfs::statvfs(mount).ok()?;
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    percent(used, used.saturating_add(stat.blocks_available()))
}

/// Percentage with two digits behind the point.
fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| ((part as f64 / whole as f64) * 10_000.0).round() / 100.0)
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_plausible() {
        let mut probe = HostProbe::new().unwrap();
        let sample = probe.sample(7);
        assert_eq!(sample.sample, 7);
        assert!(!sample.host.is_empty() && sample.host != "unknown", "{sample:?}");
        assert!((1..=4096).contains(&sample.cpu_count), "{sample:?}");
        assert!((0.0..1e6).contains(&sample.load1), "{sample:?}");
        assert!(sample.memory_total_bytes > 64 << 20, "{sample:?}");
        assert!(sample.memory_used_pct.is_some_and(|p| p > 0.0 && p < 100.0), "{sample:?}");
        assert!(sample.uptime_s.is_some_and(|s| s > 0), "{sample:?}");
        if let Some(pct) = sample.disk_used_pct {
            assert!((0.0..=100.0).contains(&pct), "{sample:?}");
            assert!(sample.disk_mount.as_deref().is_some_and(|m| m.starts_with('/')), "{sample:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn disks_are_as_full_as_df_says() {
        let Some((mount, pct)) = HostProbe::new().unwrap().sample(1).disk_mount.map(|m| {
            let pct = used_pct(Path::new(&m)).unwrap();
            (m, pct)
        }) else {
            return;
        };
        let df = std::process::Command::new("df").args(["--output=pcent", &mount]).output().unwrap();
        let text = String::from_utf8(df.stdout).unwrap();
        let told: f64 = text.lines().last().unwrap().trim().trim_end_matches('%').parse().unwrap();
        assert!((told - pct).abs() <= 1.0, "{mount}: {pct} here, {told} there");
    }

    /// The library's count against the kernel's own list.
    #[cfg(target_os = "linux")]
    #[test]
    fn processes_are_counted_as_the_kernel_lists_them() {
        let listed = || {
            let entries = std::fs::read_dir("/proc").unwrap().flatten();
            entries.filter(|e| e.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())).count()
        };
        let mut probe = HostProbe::new().unwrap();
        // Processes come and go meanwhile.
        let close = (0..20).any(|n| {
            let (before, sample, after) = (listed(), probe.sample(n), listed());
            (before.min(after)..=before.max(after)).contains(&sample.process_count)
        });
        assert!(close, "{} counted, {} listed", probe.sample(0).process_count, listed());
    }

    #[test]
    fn figures_that_are_missing_are_left_out() {
        let sample = HostSample {
            host: "h".into(),
            sample: 1,
            load1: 0.0,
            load5: 0.5,
            load15: 1.0,
            cpu_count: 2,
            memory_total_bytes: 1,
            memory_used_pct: None,
            disk_mount: None,
            disk_used_pct: percent(1, 3),
            process_count: 3,
            uptime_s: None,
        };
        let text = serde_json::to_string(&sample).unwrap();
        let expected = r#"{"host":"h","sample":1,"load1":0.0,"load5":0.5,"load15":1.0,"cpu_count":2,"memory_total_bytes":1,"disk_used_pct":33.33,"process_count":3}"#;
        assert_eq!(text, expected);
    }
}
