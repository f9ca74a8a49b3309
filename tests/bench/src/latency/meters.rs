//! What an event costs beside time: TCP segments of the machine, and CPU time of the broker and of Petrel.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::cell::rounded;

/// Kernel ticks of `/proc/PID/stat` per second.
const TICKS_PER_S: f64 = 100.0;

/// The meters at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meters {
    at: Instant,
    segments: u64,
    petrel_s: f64,
    broker_s: f64,
}

/// What lies between two readings, per second and per event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) seconds: f64,
    segments: f64,
    petrel_s: f64,
    broker_s: f64,
}

impl Meters {
    /// `petrel` is the process. The broker is whatever Java runs on this machine.
    pub(super) fn read(petrel: u32) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            segments: segments()?,
            petrel_s: cpu_s(&petrel.to_string()).context("petrel has gone")?,
            broker_s: java_s()?,
        })
    }

    pub(super) fn since(&self, earlier: &Self) -> Spent {
        Spent {
            seconds: (self.at - earlier.at).as_secs_f64(),
            segments: (self.segments - earlier.segments) as f64,
            petrel_s: self.petrel_s - earlier.petrel_s,
            broker_s: self.broker_s - earlier.broker_s,
        }
    }
}

impl Spent {
    /// Segments, and milliseconds of CPU of Petrel and of the broker, each per `parts`.
    pub(super) fn per(&self, parts: f64) -> [f64; 3] {
        [self.segments / parts, self.petrel_s * 1e3 / parts, self.broker_s * 1e3 / parts]
    }

    pub(super) fn print(&self, what: &str, parts: f64, part: &str) {
        let [segments, petrel, broker] = self.per(parts);
        println!(
            "    {what:<15} {segments:>6.1} segments, {petrel:>5.1} ms CPU of petrel, {broker:>5.1} ms of the broker, per {part}"
        );
    }

    pub(super) fn json(&self, parts: f64) -> Value {
        let [segments, petrel, broker] = self.per(parts).map(rounded);
        json!({"segments": segments, "petrel_cpu_ms": petrel, "broker_cpu_ms": broker})
    }
}

/// TCP segments sent on this machine; on the loopback each of them is received here, too.
fn segments() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/snmp").context("cannot read /proc/net/snmp")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = lines.next().zip(lines.next()).context("no line about TCP")?;
    let mut pairs = names.split(' ').zip(values.split(' '));
    let sent = pairs.find(|(name, _)| *name == "OutSegs").and_then(|(_, value)| value.parse().ok());
    sent.context("no OutSegs")
}

/// User and system time of a process.
fn cpu_s(pid: &str) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11..13)?.iter().filter_map(|t| t.parse::<f64>().ok()).sum();
    Some(ticks / TICKS_PER_S)
}

fn java_s() -> Result<f64> {
    let mut sum = 0.0;
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_java = fs::read_to_string(format!("/proc/{name}/comm")).is_ok_and(|comm| comm.trim() == "java");
        if is_java {
            sum += cpu_s(&name).unwrap_or(0.0);
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn segments_and_cpu_time_are_counted() {
        let before = Meters::read(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nodelay(true).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let mut byte = [0];
        for _ in 0..100 {
            client.write_all(b"x").unwrap();
            server.read_exact(&mut byte).unwrap();
        }
        let mut busy = 0_u64;
        while cpu_s(&std::process::id().to_string()).unwrap() - before.petrel_s < 0.05 {
            busy = busy.wrapping_mul(31).wrapping_add(7);
        }
        let [segments, petrel, _] = Meters::read(std::process::id()).unwrap().since(&before).per(1.0);
        assert!(segments >= 100.0 && petrel >= 50.0 && busy != 1, "{segments} {petrel}");
    }
}
