//! Hears of started actions.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use petrel_bus::Clock;

use super::times::Times;
use crate::clock::SystemClock;

/// Processes started to learn what a start costs by itself.
const STARTS: usize = 50;
/// For a process that only says that it has started.
const START: Duration = Duration::from_secs(30);

/// What the action runs.
pub(crate) fn tell(address: &str, name: &str) -> Result<()> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no socket")?;
    socket.send_to(name.as_bytes(), address).with_context(|| format!("cannot reach {address}"))?;
    Ok(())
}

/// When an action was heard of.
pub(super) struct Arrival {
    pub(super) after: Duration,
    pub(super) at_ms: i64,
}

/// Takes the datagrams of started actions.
pub(super) struct Listener {
    pub(super) address: String,
    arrivals: Receiver<(String, Instant, i64)>,
}

impl Listener {
    pub(super) fn start() -> Result<Self> {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).context("no socket")?;
        let address = socket.local_addr()?.to_string();
        let (sender, arrivals) = channel();
        let listen = move || {
            let mut buffer = [0; 512];
            while let Ok(length) = socket.recv(&mut buffer) {
                let (at, at_ms) = (Instant::now(), SystemClock.now_ms());
                let name = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if sender.send((name, at, at_ms)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("listener".into()).spawn(listen)?;
        Ok(Self { address, arrivals })
    }

    /// Takes arrivals until `until`, or until `wanted` have come. An action that ran twice counts once.
    pub(super) fn collect(
        &self,
        sent: &HashMap<String, Instant>,
        arrived: &mut HashMap<String, Arrival>,
        until: Instant,
        wanted: usize,
    ) -> Result<()> {
        while arrived.len() < wanted {
            let left = until.saturating_duration_since(Instant::now());
            match self.arrivals.recv_timeout(left) {
                Ok((name, at, at_ms)) => {
                    if let Some(began) = sent.get(&name) {
                        arrived.entry(name).or_insert(Arrival { after: at - *began, at_ms });
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => bail!("the listener has ended"),
            }
        }
        Ok(())
    }

    /// What the start of the action's process takes, without Petrel.
    pub(super) fn starts(&self) -> Result<Times> {
        let program = own_program()?;
        let mut times = Vec::new();
        for number in 0..STARTS {
            let name = format!("start-{number}");
            let began = Instant::now();
            let mut child = Command::new(&program).args(["started", &self.address, &name]).spawn()?;
            let (arrived, at, _) = self.arrivals.recv_timeout(START).context("a started process said nothing")?;
            ensure!(arrived == name, "{arrived} came instead of {name}");
            times.push(at - began);
            child.wait()?;
        }
        Ok(Times::of(times))
    }
}

pub(super) fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_process_is_heard() {
        let listener = Listener::start().unwrap();
        let sent = HashMap::from([("one".to_owned(), Instant::now()), ("two".to_owned(), Instant::now())]);
        for name in ["one", "stranger", "one", "two"] {
            tell(&listener.address, name).unwrap();
        }
        let mut arrived = HashMap::new();
        listener.collect(&sent, &mut arrived, Instant::now() + START, 2).unwrap();
        assert_eq!(arrived.len(), 2);
    }
}
